"""`lezha audit`: is the log what it was, what was told to whom, and who looked."""

import contextlib
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Final

import msgspec
import typer

from lezha.cli import api, interrupt, writing
from lezha.cli.api import Api
from lezha.cli.console import note, say, show_json, table
from lezha.cli.errors import CliError
from lezha.cli.options import DEFAULT_HOME, Home, Json, TokenFile, Url
from lezha.cli.progress import told_in_terminal

if TYPE_CHECKING:
    from lezha.flows.verify import Given, Verdict
    from lezha.node.identity import Identity

app = typer.Typer(
    help="Prove that the log is what it was; report what was told to whom, and who looked.",
    no_args_is_help=True,
)

_MAX_FILE: Final = 256 << 20
_CHUNK: Final = 1 << 16
_SHOWN: Final = 100

Since = Annotated[str, typer.Option(help="From then on: 2026-03-31T12:00:00Z, or 24h, 7d, 90d, 2w ago.")]
Until = Annotated[str, typer.Option(help="Until then, that moment left out.")]
Csv = Annotated[bool, typer.Option("--csv", help="Comma-separated values, for a spreadsheet.")]
Out = Annotated[Path | None, typer.Option(help="A new file to write to.", show_default="stdout")]


@app.command("report")
def report(
    peer: Annotated[str, typer.Option(help="What this peer, or this constituent, was told.")] = "",
    looks: Annotated[
        bool, typer.Option("--looks", help="Who was shown objects above TLP:GREEN, instead.")
    ] = False,
    by: Annotated[str, typer.Option(help="With --looks: only by this token's name.")] = "",
    object: Annotated[str, typer.Option(help="With --looks: only of the object with this id.")] = "",  # noqa: A002  # the option's name
    since: Since = "",
    until: Until = "",
    csv: Csv = False,
    out: Out = None,
    home: Home = DEFAULT_HOME,
    url: Url = "",
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """Answer what a peer was told, or who looked: one JSON document, or CSV.

    Objects are named by their ids, versions and hashes, never by names or values; what somebody asked for is shown as
    it was asked. It needs a token of an auditor or an administrator, and reading it is an event of the log.

    Example: lezha audit report --peer podgorica --since 90d --csv --out told.csv

    Example: lezha audit report --looks --object indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f --json
    """
    if bool(peer) == looks:
        raise CliError("Give --peer for what a peer was told, or --looks for who looked.", 2)
    if (by or object) and not looks:
        raise CliError("--by and --object go with --looks.", 2)
    given = {"peer": peer, "by": by, "object": object, "since": since, "until": until}
    path = "/audit/looks" if looks else "/audit/told"
    _fetch(path, given, out, csv=csv, json=json, at=api.At(home, url, token_file))


@app.command("log")
def log(
    since: Since = "",
    until: Until = "",
    csv: Csv = False,
    out: Out = None,
    home: Home = DEFAULT_HOME,
    url: Url = "",
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """Write all events as they are chained: one JSON document, or CSV.

    Example: lezha audit log --since 24h --json
    """
    given = {"since": since, "until": until}
    _fetch("/audit/log", given, out, csv=csv, json=json, at=api.At(home, url, token_file))


@app.command("checkpoint")
def checkpoint(
    out: Annotated[Path, typer.Option(help="A new file for it; keep it away from the node.")],
    home: Home = DEFAULT_HOME,
    url: Url = "",
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """Write a signed checkpoint: number and chain of the last event. With it `lezha audit verify` finds out later
    whether anything before it was changed or taken out.

    Example: lezha audit checkpoint --out tirana-2026-03-01.checkpoint
    """
    writing.check_new(out, "a checkpoint")

    async def call(node: Api) -> bytes:
        return await node.call("POST", "/audit/checkpoint", body=b"{}")

    raw = api.run(home, url, token_file, call)
    writing.new(out, raw, "a checkpoint")
    said = _said(raw)
    if json:
        show_json(said | {"file": str(out)})
        return
    say(f"{out} covers the log up to event {said['seq']:,}, of {said['at']}.")
    note("Keep it where whoever runs this node can't change it.")


@app.command("kept")
def kept(
    peer: Annotated[str, typer.Option(help="Of whose log.")],
    out: Annotated[Path, typer.Option(help="A new file.")],
    home: Home = DEFAULT_HOME,
    url: Url = "",
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """Write what this node keeps of a peer's commitments to its own log, for whoever oversees that peer.

    It tells nothing of the peer's log. The peer's node opens it: lezha audit verify --peer-copy FILE.

    Example: lezha audit kept --peer podgorica --out podgorica.kept
    """
    writing.check_new(out, "what is kept")

    async def call(node: Api) -> bytes:
        return await node.call("GET", "/audit/kept", {"peer": peer})

    raw = api.run(home, url, token_file, call)
    writing.new(out, raw, "what is kept")
    count = len(msgspec.json.decode(raw)["kept"])
    if json:
        show_json({"file": str(out), "peer": peer, "kept": count})
        return
    say(f"{out} holds {count} commitment{'' if count == 1 else 's'} of {peer}.")


@app.command("verify")
def verify(
    checkpoints: Annotated[
        list[Path],
        typer.Option("--checkpoint", help="A checkpoint that was kept elsewhere. Several may be given."),
    ] = [],  # noqa: B006  # typer copies it
    peer_copies: Annotated[
        list[Path],
        typer.Option("--peer-copy", help="What a peer has kept, as its `lezha audit kept` wrote it."),
    ] = [],  # noqa: B006  # typer copies it
    home: Home = DEFAULT_HOME,
    json: Json = False,
) -> None:
    """Compute the chain of all events anew, with all that it covers, and compare it with every checkpoint.

    Reads the node's database itself, whether the node runs or not, and changes nothing. It uses the checkpoints in the
    database and in the node's folder, and those that are given. Exits with 1 if anything does not fit. Only a
    checkpoint shows that events were cut off at the end, or that the whole chain was made anew; one from elsewhere
    shows it also to whom the node's machine does not obey.

    Example: lezha audit verify --checkpoint tirana-2026-03-01.checkpoint --peer-copy tirana.kept
    """
    # In a thread of its own: Ctrl-C would wait for one that is within the database.
    with ThreadPoolExecutor(1) as thread:
        found = thread.submit(_verify, home.expanduser(), checkpoints, peer_copies).result()
    if json:
        show_json(msgspec.to_builtins(found) | {"sound": not found.findings})
    else:
        _show(found)
    if found.findings:
        raise typer.Exit(1)


def _show(found: "Verdict") -> None:
    table(
        ("part", "of", "what is wrong"),
        [(one.part, one.subject, one.words) for one in found.findings[:_SHOWN]],
        "Nothing is wrong.",
    )
    if len(found.findings) > _SHOWN:
        note(f"… and {len(found.findings) - _SHOWN} more; --json shows all.")
    say(
        f"{found.events:,} events; {found.fitting} checkpoints fit, {found.outside} of them from outside the database."
    )
    if not found.outside:
        note(
            "No checkpoint from outside fits or was given: that nothing was cut off at the end, and that the chain was "
            "not made anew, can't be told. Give --checkpoint or --peer-copy."
        )
    elif found.newest_outside < found.events:
        after = found.events - found.newest_outside
        last = "The last event" if after == 1 else f"The last {after:,} events"
        note(f"{last} came after the newest of these: whether more came, they can't tell.")


def _verify(home: Path, checkpoints: Sequence[Path], peer_copies: Sequence[Path]) -> "Verdict":
    from lezha.cli.store import database_of
    from lezha.flows import check
    from lezha.flows import verify as flow
    from lezha.node import database
    from lezha.node import identity as identities
    from lezha.store.log import Reader

    identity = identities.load(home)
    keys = identity.known.document.verification_keys()
    given = _given(home, identity, checkpoints, peer_copies)
    url = database_of(home)
    with database.answering(url):
        try:
            with contextlib.closing(Reader(url)) as reader:
                return flow.verify(reader, identity.member, keys, given, told_in_terminal())
        except check.RAISED as error:
            return flow.Verdict(0, "", 0, 0, 0, (check.damage(error),))


def _given(
    home: Path, identity: "Identity", checkpoints: Sequence[Path], peer_copies: Sequence[Path]
) -> "Given":
    """Read what lies outside the database. Raises CliError, NodeError."""
    from lezha.flows.verify import Given
    from lezha.node import checkpoint_files

    commitments: list[tuple[str, bytes]] = []
    for path in peer_copies:
        try:
            held = msgspec.json.decode(_bytes(path), type=_Copy)
        except msgspec.MsgspecError as error:
            raise CliError(f"{path} is not what `lezha audit kept` writes: {error}.") from error
        if held.member != identity.member:
            raise CliError(f"{path} is about the log of {held.member}, not of this node's member.")
        commitments += [(f"{path}, {one.at}", one.envelope.encode()) for one in held.kept]
    return Given(
        [(str(path), _bytes(path)) for path in checkpoints], commitments, checkpoint_files.openings(home)
    )


class _Kept(msgspec.Struct, frozen=True):
    at: str
    envelope: str


class _Copy(msgspec.Struct, frozen=True):
    member: str
    kept: list[_Kept]


def _bytes(path: Path) -> bytes:
    try:
        with path.expanduser().open("rb") as file:
            raw = file.read(_MAX_FILE + 1)
    except OSError as error:
        raise CliError(f"{path} can't be read: {error.strerror}.") from error
    if len(raw) > _MAX_FILE:
        raise CliError(f"{path} is too large: more than {_MAX_FILE >> 20} MiB.")
    return raw


def _said(raw: bytes) -> dict[str, Any]:
    """Return what a checkpoint that the node has just signed says. Raises CliError."""
    from lezha.federation import envelope
    from lezha.federation.envelope import PayloadType
    from lezha.federation.errors import Refused

    try:
        said: dict[str, Any] = msgspec.json.decode(envelope.peek(raw, PayloadType.CHECKPOINT))
    except (Refused, msgspec.MsgspecError) as error:
        raise CliError(f"What the node sent is no checkpoint: {error}") from error
    return said


def _fetch(path: str, given: dict[str, str], out: Path | None, *, csv: bool, json: bool, at: api.At) -> None:
    """Write a report as it comes: a long one needs no more memory than a short one. Raises CliError."""
    if csv and json:
        raise CliError("Give --csv or --json, not both.", 2)
    if out is not None:
        writing.check_new(out, "a report")
    interrupt.tidily()
    query = {name: value for name, value in given.items() if value} | {"format": "csv" if csv else "json"}
    with _target(out) as file:

        async def call(node: Api) -> None:
            async with node.stream(path, query) as body:
                while chunk := await body.some(_CHUNK):
                    file.write(chunk)

        api.run(at.home, at.url, at.token_file, call)
    if out is not None and json:
        show_json({"file": str(out)})
    elif out is not None:
        say(f"Written to {out}.")


@contextlib.contextmanager
def _target(out: Path | None) -> Iterator[BinaryIO]:
    """Give a new file, or stdout. If it does not become whole, the file is not left. Raises CliError."""
    if out is None:
        yield sys.stdout.buffer
        return
    try:
        with out.open("xb") as file:
            try:
                yield file
            except BaseException:
                out.unlink(missing_ok=True)
                raise
    except OSError as error:
        raise CliError(f"{out} can't be written: {error.strerror}.") from error
