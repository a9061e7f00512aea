"""`lezha carry`: what is for a peer goes by hand, where there is no network."""

import base64
import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Annotated, Any, Final

import typer

from lezha.cli import api
from lezha.cli.api import Api
from lezha.cli.console import note, say, show_json
from lezha.cli.errors import CliError
from lezha.cli.options import DEFAULT_HOME, Home, Json, TokenFile, Url
from lezha.federation.carried import LENGTH_BYTES, MAGIC, MAX_RECORD

app = typer.Typer(
    help="Carry what is for a peer in a file, where there is no network: over an air gap, or on a day without one.",
    no_args_is_help=True,
)
_SHOWN: Final = 10


@app.command("write")
def write(
    file: Annotated[Path, typer.Argument(help="A new file. Only the peer can open it.")],
    peer: Annotated[str, typer.Option(help="What the peer is called here.")],
    after: Annotated[
        int,
        typer.Option(min=-1, help="After which frame to begin; by default what the peer has not signed for."),
    ] = -1,
    unanswered: Annotated[
        bool, typer.Option("--unanswered", help="Begin after what was written last: no receipts come back.")
    ] = False,
    home: Home = DEFAULT_HOME,
    url: Url = "",
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """Write all that waits for a peer into a file. The same rules hold as on a link, and every release is on record.

    Example: lezha carry write --peer podgorica /media/stick/podgorica-1.carried

    lezha carry write --peer enclave --unanswered /media/stick/enclave-7.carried
    """

    async def call(node: Api) -> dict[str, Any]:
        with _new(file) as target:
            done = await _write(node, target, peer, None if after < 0 else after, unanswered=unanswered)
            _to_disk(target)
            return done

    with _kept(file) as keep:
        done = api.run(home, url, token_file, call)
        keep.append(done["records"] > 0)
    if json:
        show_json(done)
    elif done["records"]:
        say(f"{file} holds frames {done['first']} to {done['last']} for {peer}.")
        note("There: lezha carry read FILE --receipts RECEIPTS. Bring RECEIPTS back, and read it here.")
    else:
        say(f"Nothing waits for {peer}: no file was written.")


@app.command("read")
def read(
    file: Annotated[
        Path, typer.Argument(help="A file that was carried here, with batches or with receipts.")
    ],
    receipts: Annotated[
        Path | None,
        typer.Option(help="A new file for the receipts, to carry back; only the sender can open it."),
    ] = None,
    home: Home = DEFAULT_HOME,
    url: Url = "",
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """Take what a peer has written into a file. Repeated, out of order or damaged, a file does no harm.

    Example: lezha carry read /media/stick/tirana-1.carried --receipts /media/stick/tirana-1.receipts

    lezha carry read /media/stick/tirana-1.receipts
    """
    if receipts is not None and receipts.exists():
        raise CliError(f"{receipts} is there already: receipts go into a new file.")

    done: list[dict[str, Any]] = []

    async def call(node: Api) -> None:
        for record in _records(file):
            done.append(await node.post("/carry/read", record))  # noqa: PERF401  # kept if a later one fails

    try:
        api.run(home, url, token_file, call)
    finally:
        answers = [base64.b64decode(one["receipt"]) for one in done if one["receipt"]]
        if receipts is not None and answers:
            _put_all(receipts, answers)
    if json:
        show_json([{name: value for name, value in one.items() if name != "receipt"} for one in done])
        return
    _tell(file, done)
    if answers and receipts is None:
        note("With --receipts FILE the receipts are written, for the peer to know what arrived.")


async def _write(
    node: Api, target: IO[bytes], peer: str, after: int | None, *, unanswered: bool
) -> dict[str, Any]:
    records = first = last = 0
    while True:
        asked = {"after": after, "unanswered": unanswered}
        found = await node.post(f"/carry/{api.segment(peer)}/write", asked)
        if not found["record"]:
            return {"peer": peer, "records": records, "first": first, "last": last}
        _put(target, base64.b64decode(found["record"]))
        first, last = first or found["first"], found["last"]
        after, records = last, records + 1
        if records % _SHOWN == 0:
            note(f"  frame {last} of {found['head']}")


def _tell(file: Path, done: list[dict[str, Any]]) -> None:
    if not done:
        say(f"{file} holds nothing.")
        return
    peer = done[-1]["peer"]
    missing = next((one["missing"] for one in done if one["missing"]), 0)
    refused = [f"{number} ({code})" for one in done for number, code in one["refused"]]
    if done[-1]["kind"] == "receipt":
        say(f"{peer} has signed for all up to frame {done[-1]['head']}.")
    else:
        say(f"All that {peer} has sent is here up to frame {done[-1]['head']}.")
    if missing:
        note(
            f"Frames from {missing} on are missing: read the file that holds them, or have it written again there with "
            f"--after {missing - 1}, and then read this one once more."
        )
    if refused:
        note(f"Refused: {', '.join(refused[:_SHOWN])}{' …' if len(refused) > _SHOWN else ''}")


def _new(path: Path) -> IO[bytes]:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise CliError(f"{path} is there already: name a new file.") from None
    except OSError as error:
        raise CliError(f"{path} can't be written: {error.strerror}.") from error
    return os.fdopen(descriptor, "wb")


@contextlib.contextmanager
def _kept(path: Path) -> Iterator[list[bool]]:
    """Remove a file that was not there before, unless the body says at its end that it is to be kept."""
    before = path.exists()
    keep: list[bool] = []
    try:
        yield keep
    finally:
        if not before and not any(keep):
            path.unlink(missing_ok=True)


def _put_all(path: Path, records: Iterable[bytes]) -> None:
    with _new(path) as target:
        for record in records:
            _put(target, record)
        _to_disk(target)


def _to_disk(target: IO[bytes]) -> None:
    """See that a file is on the medium before somebody pulls that out."""
    target.flush()
    os.fsync(target.fileno())


def _put(target: IO[bytes], record: bytes) -> None:
    if not target.tell():
        target.write(MAGIC)
    target.write(len(record).to_bytes(LENGTH_BYTES, "big") + record)


def _records(path: Path) -> Iterator[bytes]:
    """Give the records of a file; what was cut off at its end is said, and not given. Raises CliError."""
    try:
        with path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise CliError(f"{path} is no file that `lezha carry write` or `read` has made.")
            while head := file.read(LENGTH_BYTES):
                size = int.from_bytes(head, "big")
                record = file.read(size) if len(head) == LENGTH_BYTES and size <= MAX_RECORD else b""
                if not record or len(record) < size:
                    note(
                        f"{path} is damaged or cut off after {file.tell()} bytes: what comes before it was read."
                    )
                    return
                yield record
    except OSError as error:
        raise CliError(f"{path} can't be read: {error.strerror}.") from error
