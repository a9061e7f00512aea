"""The log: is its database there and whole, is anybody running it, its clock, backups, checkpoints, policy."""

import fcntl
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Final

from sqlalchemy import Connection

from lezha.federation import contact as contacts
from lezha.flows import check, contact, renew
from lezha.node import database as databases
from lezha.node import identity, national, rotation
from lezha.node import settings as node_settings
from lezha.node.clock import between, lasting, later
from lezha.node.doctor.findings import Finding, Grade
from lezha.node.errors import NodeError
from lezha.node.settings import LOCK, Settings
from lezha.store import checkpoints, engine, isolation, lives, policies, sequencer
from lezha.store.errors import StoreError
from lezha.store.log import Reader

_CHECK_S: Final = 10.0
_BACKWARDS_S: Final = 5.0
_JUMPED_DAYS: Final = 7
_BACKUP_DAYS: Final = 7
_RESTORE: Final = "Stop the node, put the file aside, and restore the last backup (docs/backup.md)."


def opened(home: Path, settings: Settings) -> Generator[Finding, None, Reader | None]:
    """Open the database and look whether it is whole; return None if it can't be read."""
    url = node_settings.database(home, settings)
    try:
        if settings.database:
            databases.check_url(settings.database)
        with databases.answering(url):
            reader = Reader(url)
            with reader.read() as conn:
                broken = engine.quick_check(conn, _CHECK_S)
    except (NodeError, StoreError) as error:
        yield Finding(Grade.NOW, "database", str(error), do="See that it is there and can be reached.")
        return None
    except check.RAISED as error:
        yield damaged(error)
        return None
    if broken is None:
        yield Finding(
            Grade.NOTE,
            "database_unchecked",
            f"The database is too large to be looked through in {lasting(_CHECK_S)}.",
            do="`lezha store check` takes its time.",
        )
    elif broken:
        yield Finding(Grade.NOW, "database", f"The database is damaged: {broken[0]}.", do=_RESTORE)
    return reader


def damaged(error: Exception) -> Finding:
    """Return what was raised while the database was read as a finding. Raises it if it speaks of no damage."""
    return Finding(
        Grade.NOW, "database", f"The database is damaged: {check.damage(error).words}.", do=_RESTORE
    )


def examine(conn: Connection, home: Path, settings: Settings, now: str) -> Iterator[Finding]:
    """Look at what the log says of the node itself."""
    yield from _runs(conn, home, now)
    yield from _isolated(conn)
    yield from _keys(conn, home)
    yield from _clock(conn, now)
    yield from _backup(conn, now)
    yield from _checkpoint(conn, settings, now)
    yield from _policy(conn, home, settings)


def _isolated(conn: Connection) -> Iterator[Finding]:
    found = isolation.present(conn)
    if found is not None:
        why = f": {found.why}" if found.why else "."
        yield Finding(
            Grade.NOW,
            "isolated",
            f"This node sends nothing since it was isolated by {found.actor}{why}",
            found.at,
            "`lezha isolate --end` when that is over.",
        )


def _keys(conn: Connection, home: Path) -> Iterator[Finding]:
    prepared = rotation.prepared(home)
    if not prepared:
        return
    try:
        unaware = renew.unaware(conn, identity.load(home).known)
    except NodeError:
        return  # the look at the keys says more
    yield Finding(
        Grade.NOTE,
        "keys_waiting",
        f"New keys are prepared ({', '.join(prepared)}). They are used once these peers know of them: "
        f"{', '.join(unaware) or 'all do, and the node changes over'}.",
        do="If one can't be reached any more: `lezha identity switch`, and meet it anew.",
    )


def _runs(conn: Connection, home: Path, now: str) -> Iterator[Finding]:
    noted = contact.kept(conn)
    idle_s = contacts.seconds(noted.noted, now)
    if noted.noted and idle_s <= contact.FRESH_S:
        return
    if not is_running(home):
        at = f", and how links are is told as of {noted.noted}" if noted.noted else ""
        yield Finding(Grade.NOTE, "not_running", f"The node does not run{at}.", do="lezha serve")
    elif noted.noted > noted.since:
        yield Finding(
            Grade.NOW,
            "hangs",
            f"The node runs, but has noted nothing for {lasting(idle_s)}: it hangs, or can't write.",
            noted.noted,
            "Read its log, then restart it.",
        )


def is_running(home: Path) -> bool:
    """Say whether a process on this machine serves the node in `home`."""
    try:
        with (home / LOCK).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _clock(conn: Connection, now: str) -> Iterator[Finding]:
    last = sequencer.read(conn).at
    back = between(now, last) if last else 0.0
    if back > _BACKWARDS_S:
        yield Finding(
            Grade.NOW,
            "clock_back",
            f"This machine's clock is {lasting(back)} behind the last entry of the log: it was set back.",
            last,
            "Set it right, and let a time service keep it so: peers refuse what is dated 5 minutes ahead.",
        )
    jump = contact.kept(conn).jump
    if jump is not None and jump.at > later(now, days=-_JUMPED_DAYS):
        way = "ahead" if jump.seconds > 0 else "back"
        yield Finding(
            Grade.SOON,
            "clock_jump",
            f"This machine's clock jumped {lasting(abs(jump.seconds))} {way} while the node ran.",
            jump.at,
            "See that a time service keeps it, and that the machine does not sleep.",
        )


def _backup(conn: Connection, now: str) -> Iterator[Finding]:
    at = lives.backed_up(conn)
    if at and at > later(now, days=-_BACKUP_DAYS):
        return
    age = f"The last backup is {lasting(contacts.seconds(at, now))} old" if at else "No backup is known"
    yield Finding(
        Grade.SOON,
        "backup",
        f"{age}: what came since is lost if this machine is.",
        at,
        "lezha backup create, every night (docs/backup.md).",
    )


def _checkpoint(conn: Connection, settings: Settings, now: str) -> Iterator[Finding]:
    last = checkpoints.last_due(conn)
    hours = settings.checkpoint_hours
    since = max(last, lives.restored(conn))
    if hours and last and since < later(now, hours=-2 * hours):
        yield Finding(
            Grade.SOON,
            "checkpoint",
            f"No checkpoint was made for {lasting(contacts.seconds(last, now))}; it is due every {hours} hours.",
            last,
            "Start the node; if it runs, its log says why it makes none.",
        )


def _policy(conn: Connection, home: Path, settings: Settings) -> Iterator[Finding]:
    try:
        wanted = national.wanted(home, settings)
    except NodeError:
        return  # told with the settings
    try:
        present = policies.current(conn)
    except StoreError as error:
        yield Finding(Grade.NOW, "policy", str(error), do="Restart the node with a policy that can be used.")
        return
    if (wanted.digest if wanted else "") != (present.digest if present else ""):
        yield Finding(
            Grade.NOTE,
            "policy",
            "The national policy in the folder is not the one in force: it will be when the node starts next.",
            do="`lezha policy check` says what that changes; then restart the node.",
        )
