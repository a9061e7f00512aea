"""`lezha export`."""

import os
import sys
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, BinaryIO, Final

import msgspec
import typer

from lezha.cli import api, checkpoint, interrupt, writing
from lezha.cli.api import UNREACHABLE, Api
from lezha.cli.console import note, say, show_json
from lezha.cli.errors import CliError
from lezha.cli.options import DEFAULT_HOME, Home, Json, PatienceS, TokenFile, Url
from lezha.cli.patience import Patience, is_away
from lezha.cli.progress import Progress
from lezha.flows.paging import PageHead
from lezha.node.clock import ago
from lezha.sharing.release import Reason

_CHECKPOINT_S: Final = 1.0


class State(msgspec.Struct):
    """How far an export has come: after the page that ends at `cursor` the file has `length` bytes.

    `since` is what was meant when it began by a time that was written as so long ago.
    """

    how: str
    since: str = ""
    cursor: int = 0
    length: int = 0
    objects: int = 0
    altered: int = 0
    withheld: dict[str, int] = {}


def export(
    out: Annotated[
        Path | None,
        typer.Option(
            help="Write here, at once and whole when it is complete; - for stdout.", show_default="stdout"
        ),
    ] = None,
    lines: Annotated[bool, typer.Option("--lines", help="One object a line, instead of a bundle.")] = False,
    type: Annotated[str, typer.Option(help="Of one STIX type only, e.g. indicator.")] = "",  # noqa: A002  # the option's name
    since: Annotated[
        str, typer.Option(help="Only what came here then or later: 2026-03-31T12:00:00Z, or 24h, 7d, 2w ago.")
    ] = "",
    peer: Annotated[
        str, typer.Option("--for", help="What this peer may have by the rules as they are now, to look at.")
    ] = "",
    restart: Annotated[bool, typer.Option("--restart", help="Begin anew, whatever was done before.")] = False,
    patience: PatienceS = 60,
    home: Home = DEFAULT_HOME,
    url: Url = "",
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """Write what the node holds for your own systems, each object byte for byte, oldest first, into one bundle.

    With --out a file of that name is replaced, and an export that is interrupted goes on where it was when the same
    command is given again. What was written for your own systems may hold TLP:RED: it is not for others. With --lines,
    line breaks within an object become blanks.

    Example: lezha export --out all.json

    Example: lezha export --type indicator --since 24h --lines
    """
    out = None if out == writing.STDOUT else out
    if json and out is None:
        raise CliError("--json prints a summary on stdout: give --out for the objects.", 2)
    interrupt.tidily()
    began = time.monotonic()
    query = {name: value for name, value in (("type", type), ("since", since), ("peer", peer)) if value}
    how = f"{url or home.expanduser().resolve()}; lines={lines}; {query}"
    target = _Target(out, State(how, ago(since) or since), lines=lines, restart=restart)
    if since:
        query["since"] = target.state.since

    async def call(node: Api) -> None:
        await _export(node, query, target, Patience(patience))

    with target.progress:
        try:
            api.run(home, url, token_file, call)
            target.complete()
        except OSError as error:
            if out is None:
                raise  # as of any command whose output can't be written
            raise CliError(f"{out} can't be written: {error.strerror}.") from error
        finally:
            target.close()
    _tell(target.state, out, time.monotonic() - began, json=json)


class _Target:
    """Where the objects go: stdout, or a file that takes its name when it is complete."""

    def __init__(self, out: Path | None, state: State, *, lines: bool, restart: bool) -> None:
        self.out, self.state, self.lines = out, state, lines
        self._told = 0.0
        if out is None:
            self._file: BinaryIO = sys.stdout.buffer
        else:
            self._place = writing.place(out)
            self._part = writing.place(self._place.with_name(f"{self._place.name}.part"))
            self._checkpoint = self._place.with_name(f"{self._place.name}.lezha-export")
            self._file = self._open(restart=restart)
        self.progress = Progress(None, self.state.length, self.state.objects)

    def _resume(self, earlier: State | None) -> None:
        if earlier is None:
            if self._part.exists() and self._part.stat().st_size:
                raise CliError(
                    f"{self._part} is there, and not of an export that could go on: --restart writes over it."
                )
            return
        if earlier.how != self.state.how:
            raise CliError(
                f"{self._checkpoint} is of an export with other options or of another node: give those again, "
                "or --restart to begin anew."
            )
        if not self._part.is_file() or self._part.stat().st_size < earlier.length:
            raise CliError(f"{self._part} has not what was written before: --restart begins anew.")
        self.state = earlier
        note(f"resuming after {earlier.objects:,} objects, {earlier.length:,} bytes; --restart begins anew")

    def _open(self, *, restart: bool) -> BinaryIO:
        try:
            file = writing.alone(self._part, 0o600)
        except OSError as error:
            raise CliError(f"{self._part} can't be written: {error.strerror}.") from error
        try:
            if not restart:
                self._resume(checkpoint.load(self._checkpoint, State))
            file.truncate(self.state.length)
            file.seek(self.state.length)
        except OSError as error:
            raise CliError(f"{self._part} can't be written: {error.strerror}.") from error
        except BaseException:
            file.close()
            raise
        return file

    def take(self, head: PageHead, raw: bytes) -> None:
        """Write a page, and from time to time how far it is complete."""
        at = 0
        parts: list[bytes] = []
        for size in head.sizes:
            parts += (self._before(), self._shaped(raw[at : at + size]))
            at += size
            self.state.objects += 1
        written = b"".join(parts)
        self._file.write(written)
        self.state.length += len(written)
        self.state.cursor = head.cursor
        self.state.withheld = dict(Counter(self.state.withheld) + Counter(head.withheld))
        self.progress.tell(self.state.length, self.state.objects)
        if self.out is not None and time.monotonic() - self._told >= _CHECKPOINT_S:
            self._told = time.monotonic()
            self._file.flush()
            os.fsync(self._file.fileno())
            checkpoint.save(self._checkpoint, self.state)

    def complete(self) -> None:
        """Write the end, and give the file its name."""
        if not self.lines:
            # STIX 2.1 §2.12: a list MUST NOT be empty, so a bundle of nothing has none.
            self._file.write(b"]}\n" if self.state.objects else _bundle()[: -len(_LIST)] + b"}\n")
        self._file.flush()
        if self.out is not None:
            os.fsync(self._file.fileno())
            self._part.replace(self._place)
            _sync_folder(self._place.parent)
            checkpoint.remove(self._checkpoint)

    def close(self) -> None:
        """Close the file."""
        if self.out is not None:
            self._file.close()

    def _before(self) -> bytes:
        if self.lines:
            return b""
        return b",\n" if self.state.objects else _bundle()

    def _shaped(self, raw: bytes) -> bytes:
        if not self.lines:
            return raw
        if b"\n" in raw or b"\r" in raw:  # never within a string: there JSON has them escaped (RFC 8259 §7)
            raw = raw.replace(b"\r", b" ").replace(b"\n", b" ")
            self.state.altered += 1
        return raw + b"\n"


_LIST: Final = b',"objects":['


def _bundle() -> bytes:
    return f'{{"type":"bundle","id":"bundle--{uuid.uuid4()}"'.encode() + _LIST


async def _export(node: Api, query: dict[str, str], target: _Target, patience: Patience) -> None:
    """Write all pages, asking again after the last complete one whenever the node is lost."""
    while True:
        try:
            async for head, raw in _pages(node, query | {"after": str(target.state.cursor)}):
                patience.answered()
                target.take(head, raw)
                if head.last:
                    return
        except CliError as error:
            if not is_away(error):
                raise
            await patience.wait(error)


async def _pages(node: Api, query: dict[str, str]) -> AsyncIterator[tuple[PageHead, bytes]]:
    """Give each page that has come whole. Raises CliError, also if the last one is missing."""
    async with node.stream("/export", query) as body:
        while True:
            try:
                head = msgspec.json.decode(await body.line(), type=PageHead)
            except msgspec.MsgspecError as error:
                raise CliError("The node has stopped in the middle of the export.", UNREACHABLE) from error
            raw = await body.exactly(sum(head.sizes) + 1)
            if not raw.endswith(b"\n"):
                raise CliError(
                    "What the node sent is not the page that it announced: nothing of it was written."
                )
            yield head, raw
            if head.last:
                return


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _tell(state: State, out: Path | None, seconds: float, *, json: bool) -> None:
    if json:
        told = {"objects": state.objects, "withheld": state.withheld, "altered": state.altered}
        show_json(told | {"file": str(out), "seconds": round(seconds, 3)})
        return
    tell = note if out is None else say
    tell(f"{state.objects:,} object{'' if state.objects == 1 else 's'} written{f' to {out}' if out else ''}.")
    for reason, count in state.withheld.items():
        known = reason in Reason.__members__.values()
        note(f"{count:,} left out: {Reason(reason).words if known else reason}")
    if state.altered:
        note(f"{state.altered:,} had line breaks, which are blanks now: their hashes are others than here.")
