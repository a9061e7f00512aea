"""The lives of a database, and by which settings it is run: both are events when they change."""

import datetime as dt
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import Connection, select

from lezha.store import schema
from lezha.store.engine import get_meta, set_meta
from lezha.store.log import Tx

BEGUN: Final = "begun"
"""The event with which a life of the database begins: it is new, or was restored from a backup."""

_TIME: Final = (1 << 48) - 1
_RANDOM: Final = (1 << 62) - 1
_RESTORED: Final = "restored"
_SETTINGS: Final = "settings"
_BACKUP: Final = "backup"
_EVENTS: Final = schema.events


def name(now: str, before: str, chance: bytes) -> str:
    """Return the name of a life that begins at `now`, an RFC 3339 time, in a database whose last life was `before`.

    It is a UUID of version 7 (RFC 9562 §5.7) in 32 hex digits: its time is in milliseconds, and later than that of
    `before`, so that of two lives it can be told which began later. `chance` are 10 random bytes.
    """
    moment = int(dt.datetime.fromisoformat(now).timestamp() * 1000)
    begun = max(moment, (began(before) or 0) + 1) & _TIME
    first, rest = int.from_bytes(chance[:2], "big") & 0xFFF, int.from_bytes(chance[2:], "big") & _RANDOM
    return f"{begun << 80 | 7 << 76 | first << 64 | 2 << 62 | rest:032x}"


def began(life: str) -> int | None:
    """Return when a life began, in milliseconds since 1970 by the clock of its node; None if its name does not say."""
    try:
        found = UUID(hex=life)
    except ValueError:
        return None
    return found.int >> 80 if found.version == 7 else None


def begin(tx: Tx, incarnation: str) -> None:
    """Have it in the log that a life of the database has begun, once. What is restored names an earlier one."""
    set_meta(tx.conn, "incarnation", incarnation)
    before = get_meta(tx.conn, BEGUN)
    if before != incarnation:
        set_meta(tx.conn, BEGUN, incarnation)
        set_meta(tx.conn, _RESTORED, tx.at if before else "")
        tx.event(BEGUN, incarnation)


def restored(conn: Connection) -> str:
    """Return when the present life began, empty if it is the first one: else it was restored from a backup."""
    return get_meta(conn, _RESTORED) or ""


def begun(conn: Connection) -> list[tuple[int, str]]:
    """Return where each life began (number of the event, name), the first one first."""
    rows = conn.execute(
        select(_EVENTS.c.seq, _EVENTS.c.subject).where(_EVENTS.c.kind == BEGUN).order_by(_EVENTS.c.seq)
    )
    return [(row.seq, row.subject) for row in rows]


def note_backup(tx: Tx, at: str) -> None:
    """Note that a backup of what was there at a time is complete. That it was begun is an event."""
    set_meta(tx.conn, _BACKUP, at)


def backed_up(conn: Connection) -> str:
    """Return of when the last backup is, empty if none is known of."""
    return get_meta(conn, _BACKUP) or ""


def note_settings(tx: Tx, settings: dict[str, str]) -> None:
    """Write down which of the settings are others than when the node was started last."""
    before = msgspec.json.decode(get_meta(tx.conn, _SETTINGS) or "{}", type=dict[str, str])
    changed = {name: value for name, value in settings.items() if before.get(name) != value}
    gone = sorted(before.keys() - settings.keys())
    if changed or gone:
        set_meta(tx.conn, _SETTINGS, msgspec.json.encode(settings).decode())
        tx.event(_SETTINGS, "lezha.toml", changed=changed, gone=gone)
