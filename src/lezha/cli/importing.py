"""`lezha import`."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, BinaryIO, Final, Self

import msgspec
import typer

from lezha.cli import api, checkpoint, intake, interrupt, writing
from lezha.cli.api import Api, Refusal
from lezha.cli.checkpoint import Identity
from lezha.cli.console import note, say, show_json
from lezha.cli.errors import CliError
from lezha.cli.intake import STDIN, Batch, Damaged, Rejected
from lezha.cli.options import DEFAULT_HOME, Home, Json, PatienceS, TokenFile, Url
from lezha.cli.patience import Patience
from lezha.cli.progress import Progress
from lezha.cli.publish import Expires, FutureMembers, Onward, terms
from lezha.sharing.tlp import Pap, Tlp
from lezha.stix import objects
from lezha.stix.errors import StixError
from lezha.stix.objects import claimed_id

_SHOWN: Final = 20
_TOO_LARGE: Final = 413


class Counts(msgspec.Struct):
    """What became of the objects of one file. `taken` are new or unchanged; a publication does not tell them apart."""

    taken: int = 0
    new: int = 0
    unchanged: int = 0
    rejected: int = 0

    def add(self, outcome: "Outcome") -> None:
        """Count a batch."""
        self.taken += outcome.taken
        self.new += outcome.new
        self.unchanged += outcome.unchanged
        self.rejected += len(outcome.rejected)


class Outcome(msgspec.Struct, frozen=True):
    """What the node said of a batch."""

    taken: int
    new: int
    unchanged: int
    rejected: tuple[Rejected, ...]

    def __add__(self, other: "Outcome") -> "Outcome":
        """Put the outcomes of two parts together."""
        return Outcome(
            self.taken + other.taken,
            self.new + other.new,
            self.unchanged + other.unchanged,
            self.rejected + other.rejected,
        )


class State(msgspec.Struct):
    """How far an import has come: `at` counts the files that are done, `offset` lies in the next one.

    What was rejected is written down in the file `rejects`; so many `rejects_bytes` of it are known to be right.
    """

    how: str
    files: dict[str, Identity]
    counts: dict[str, Counts]
    at: int = 0
    offset: int = 0
    position: int = 0
    rejects: str = ""
    rejects_bytes: int = 0

    @property
    def taken(self) -> int:
        """How many objects of all files were taken."""
        return sum(one.taken for one in self.counts.values())

    @property
    def new(self) -> int:
        """How many of them were not here before."""
        return sum(one.new for one in self.counts.values())

    @property
    def rejected(self) -> int:
        """How many objects of all files were rejected."""
        return sum(one.rejected for one in self.counts.values())

    @property
    def done(self) -> int:
        """How many objects are behind."""
        return self.taken + self.rejected

    @property
    def behind(self) -> int:
        """How many bytes of the files are behind."""
        return sum(one.size for one in [*self.files.values()][: self.at]) + self.position


def import_files(
    files: Annotated[
        list[str],
        typer.Argument(
            help="STIX 2.1: bundles, lists or lines of objects, also in gzip; - for stdin.", metavar="FILE"
        ),
    ],
    tlp: Annotated[Tlp | None, typer.Option(help="Publish under this TLP 2.0 label.")] = None,
    to: Annotated[
        list[str] | None, typer.Option(help="Publish to a community, a peer, or everyone; several times.")
    ] = None,
    pap: Annotated[
        Pap | None, typer.Option(help="What recipients may do with it.", show_default="green")
    ] = None,
    onward: Onward = False,
    future_members: FutureMembers = None,
    expires: Expires = "",
    state: Annotated[
        Path | None, typer.Option(help="The checkpoint.", show_default="the first FILE + .lezha-import")
    ] = None,
    restart: Annotated[bool, typer.Option("--restart", help="Begin anew, whatever was done before.")] = False,
    rejects: Annotated[
        Path | None, typer.Option(help="A new file for what is rejected, a JSON object a line.")
    ] = None,
    patience: PatienceS = 60,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only read and check the files, here; ask no node.")
    ] = False,
    home: Home = DEFAULT_HOME,
    url: Url = "",
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """Take files of any size into the node: for your own systems only, or published with --tlp and --to.

    If it is interrupted, the same command goes on where it was. Exit code 1 if an object was rejected.

    Example: lezha import feed.json.gz --rejects rejected.jsonl

    Example: lezha import wiper.json --tlp amber --to nato
    """
    if (tlp is None) != (not to):
        raise CliError("To publish give both --tlp and --to; without either, nothing is told to anybody.", 2)
    if tlp is None and (pap is not None or onward or future_members is not None or expires):
        raise CliError(
            "--pap, --onward, --future-members and --expires are terms of a publication: give --tlp and --to as well.",
            2,
        )
    if state is not None and STDIN in files:
        raise CliError("stdin can't be read twice, so an import of it can't go on: leave out --state.", 2)
    interrupt.tidily()
    query = terms(tlp, to or [], pap or Pap.GREEN, onward, future_members, expires) if tlp else []
    began = time.monotonic()
    names = list(dict.fromkeys(files))
    how = "; ".join((url or str(home.expanduser().resolve()), *(f"{name}={value}" for name, value in query)))
    where = None if dry_run else state or Path(f"{names[0]}.lezha-import")
    report = _Report(published=tlp is not None, dry_run=dry_run, json=json, began=began)
    with _Work(names, how, where, rejects, restart=restart) as work:

        async def call(node: Api) -> None:
            await _import(work, _Sender(node, query, patience).send)

        try:
            if dry_run:
                asyncio.run(_import(work, _checked))
            else:
                api.run(home, url, token_file, call)
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None
        except CliError as error:
            report.failed(work, error)
            raise
    report.done(work.state)
    if work.state.rejected:
        raise typer.Exit(1)


class _Work:
    """The state of an import and its files: what it may resume, what it writes down as it goes."""

    def __init__(
        self, names: list[str], how: str, where: Path | None, rejects: Path | None, *, restart: bool
    ) -> None:
        identities = _identities(names)
        again = len(identities) == len(names)  # pipes can't be read twice
        total = sum(one.size for one in identities.values())
        self.names = names
        self.where = where if again else None
        self.state = State(how, identities, {name: Counts() for name in names})
        earlier = checkpoint.load(self.where, State) if self.where and not restart else None
        if earlier is not None:
            self._check(earlier)
            self.state = earlier
            share = 100 * earlier.behind // (total or 1)
            note(f"resuming at {share} %, {earlier.done:,} objects done; --restart begins anew")
        self._check_apart(rejects)
        self._rejects = None if rejects is None else self._open(rejects)
        self._shown = 0
        self.progress = Progress(total if again else None, self.state.behind, self.state.done)

    def __enter__(self) -> Self:
        self.progress.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.progress.__exit__(kind, error, trace)
        if self._rejects is not None:
            self._rejects.close()
        if kind is not None and self.may_go_on:
            note(f"{self.state.done:,} objects are done; the same command goes on from there.")

    @property
    def may_go_on(self) -> bool:
        """True if the same command would go on from here."""
        return self.where is not None and self.where.exists()

    def acknowledged(self, name: str, batch: Batch, outcome: Outcome) -> None:
        """Write down that the node has answered for a batch."""
        state = self.state
        if self._rejects is not None and outcome.rejected and not state.rejects_bytes:
            self._keep()  # whoever goes on after a sudden end must know the file as this import's own
        state.counts[name].add(outcome)
        state.offset, state.position = batch.end, batch.position
        self._show(outcome.rejected)
        if self._rejects is not None and outcome.rejected:
            state.rejects_bytes = _written_down(self._rejects, name, outcome.rejected)
        self._keep()
        self.progress.tell(state.behind, state.done)

    def _show(self, rejected: Sequence[Rejected]) -> None:
        for one in rejected[: max(0, _SHOWN - self._shown)]:
            note(f"rejected: {one.id or '(no id)'}: {one.reason} [{one.clause}]")
        if self._shown <= _SHOWN < self._shown + len(rejected):
            note("… and more" + (": --rejects FILE writes all of them down" if self._rejects is None else ""))
        self._shown += len(rejected)

    def finished(self) -> None:
        """Write down that a file is done."""
        self.state.at += 1
        self.state.offset = self.state.position = 0
        if self.state.at < len(self.names):
            self._keep()
        else:
            self.forget()

    def forget(self) -> None:
        """Leave no checkpoint: there is nothing to go on with."""
        if self.where is not None:
            checkpoint.remove(self.where)

    def _check_apart(self, rejects: Path | None) -> None:
        """Raise CliError if something that is written here is one of the files, or both are one."""
        written = [path for path in (rejects, self.where) if path is not None]
        for path in written:
            if name := next((name for name in self.names if name != STDIN and _same(Path(name), path)), None):
                raise CliError(f"{path} is {name} itself, which would be lost: choose another name.")
        if len(written) == 2 and _same(*written):
            raise CliError(f"{written[0]} can't be the checkpoint as well: choose another name.")

    def _open(self, rejects: Path) -> BinaryIO:
        """Open the file of what is rejected: a new one, or this import's own. Raises CliError."""
        target = writing.place(rejects)
        own = self.state.rejects == str(target)
        if not own and target.exists() and target.stat().st_size:
            raise CliError(
                f"{rejects} is there already, and not of an import that goes on: choose another name, or move it away."
            )
        self.state.rejects, self.state.rejects_bytes = str(target), self.state.rejects_bytes if own else 0
        try:
            return _cut(target, self.state.rejects_bytes)
        except OSError as error:
            raise CliError(f"{rejects} can't be written: {error.strerror}.") from error

    def _keep(self) -> None:
        if self.where is not None:
            checkpoint.save(self.where, self.state, " --state puts it elsewhere.")

    def _check(self, earlier: State) -> None:
        if list(earlier.counts) != self.names or earlier.how != self.state.how:
            raise CliError(
                f"{self.where} is of an import with other files, options or another node: give those again, "
                "or --restart to begin anew."
            )
        for name, identity in self.state.files.items():
            if earlier.files.get(name) != identity:
                raise CliError(
                    f"{name} has changed since the import that was interrupted: --restart begins anew, "
                    "and what is there already is not taken twice."
                )


_Send = Callable[[Batch], Coroutine[Any, Any, Outcome]]


async def _import(work: _Work, send: _Send) -> None:
    """Send the batches of all files, one after another: so they lie in the log in the order of the files."""
    for name in work.names[work.state.at :]:
        try:
            batches = intake.batches(name, work.state.offset)
            while (batch := _next(batches)) is not None:
                work.acknowledged(name, batch, await send(batch))
        except Damaged:
            work.forget()
            raise
        work.finished()


def _next(batches: Iterator[Batch]) -> Batch | None:
    """Read the next batch. A read may wait for a pipe, so Ctrl-C ends it at once; all that counts is on disk."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return next(batches, None)
    except KeyboardInterrupt:
        raise asyncio.CancelledError from None
    finally:
        signal.signal(signal.SIGINT, before)


class _Sender:
    """Sends batches to the node, again while it is away, in parts if it finds them too large."""

    def __init__(self, node: Api, query: list[tuple[str, str]], patience: float) -> None:
        self._node, self._query = node, query
        self._patience = Patience(patience)

    async def send(self, batch: Batch) -> Outcome:
        """Return what the node made of a batch. Raises CliError."""
        return Outcome(0, 0, 0, batch.skipped) + await self._send(batch.objects)

    async def _send(self, objects: Sequence[bytes]) -> Outcome:
        while objects:
            try:
                answer = await self._node.post(*self._call(objects))
            except Refusal as refusal:
                if refusal.status == _TOO_LARGE:
                    return await self._in_parts(objects)
                if refused := refusal.body.get("rejected"):
                    return Outcome(0, 0, 0, msgspec.convert(refused, tuple[Rejected, ...]))
                await self._patience.wait(refusal)
            except CliError as error:
                await self._patience.wait(error)
            else:
                self._patience.answered()
                return _outcome(answer)
        return Outcome(0, 0, 0, ())

    def _call(self, objects: Sequence[bytes]) -> tuple[str, bytes, list[tuple[str, str]]]:
        bundle = b'{"type":"bundle","objects":[' + b",".join(objects) + b"]}"
        return "/publish" if self._query else "/objects", bundle, self._query

    async def _in_parts(self, objects: Sequence[bytes]) -> Outcome:
        if len(objects) > 1:
            middle = len(objects) // 2
            return await self._send(objects[:middle]) + await self._send(objects[middle:])
        size = len(objects[0])
        reason = f"it has {size:,} bytes, more than the node takes in one request: raise its max_bundle_bytes"
        return Outcome(0, 0, 0, (Rejected(claimed_id(objects[0]) or "", "lezha limits", reason),))


def _outcome(answer: dict[str, Any]) -> Outcome:
    rejected = msgspec.convert(answer["rejected"], tuple[Rejected, ...])
    if "new" in answer:
        new, unchanged = answer["new"], answer["unchanged"]
        return Outcome(new + unchanged, new, unchanged, rejected)
    return Outcome(len(answer["taken"]), 0, 0, rejected)


async def _checked(batch: Batch) -> Outcome:
    """Read a batch as a node would, without one."""
    rejected = list(batch.skipped)
    for raw in batch.objects:
        try:
            objects.read(raw)
        except StixError as error:
            rejected.append(Rejected(error.object_id or "", error.clause, error.message))
    size = len(batch.objects) + len(batch.skipped)
    return Outcome(size - len(rejected), 0, 0, tuple(rejected))


def _identities(names: Sequence[str]) -> dict[str, Identity]:
    found: dict[str, Identity] = {}
    for name in names:
        try:
            identity = None if name == STDIN else Identity.of(Path(name))
        except OSError as error:
            raise CliError(f"{name} can't be read: {error.strerror}.") from error
        if identity is not None:
            found[name] = identity
    return found


def _same(one: Path, other: Path) -> bool:
    return os.path.realpath(one) == os.path.realpath(other) or (
        one.exists() and other.exists() and one.samefile(other)
    )


def _cut(path: Path, length: int) -> BinaryIO:
    """Open a file to go on with it, cut back to what is known to be right. Raises OSError."""
    file = writing.alone(path, 0o666)
    size = file.seek(0, os.SEEK_END)
    file.seek(file.truncate(min(size, length)))
    return file


def _written_down(file: BinaryIO, name: str, rejected: Sequence[Rejected]) -> int:
    """Write down what was rejected, so that it lasts, and return how long the file is now."""
    lines = (msgspec.json.encode({"file": name} | msgspec.structs.asdict(one)) for one in rejected)
    file.write(b"".join(line + b"\n" for line in lines))
    file.flush()
    os.fsync(file.fileno())
    return file.tell()


class _Report(msgspec.Struct, frozen=True):
    """How people or programs are told of an import; `began` is when it did, as `time.monotonic` says it."""

    published: bool
    dry_run: bool
    json: bool
    began: float

    def done(self, state: State) -> None:
        """Tell of an import that came to its end."""
        if self.json:
            show_json(self._document(state))
        else:
            say(self._words(state))

    def failed(self, work: _Work, error: CliError) -> None:
        """Tell what was done before an error, which is told elsewhere, too."""
        if self.json:
            show_json(self._document(work.state) | {"error": str(error)})
        elif work.state.done and not work.may_go_on:
            note(f"Before the error: {self._words(work.state)}")

    def _words(self, state: State) -> str:
        verb = "would be taken" if self.dry_run else "published" if self.published else "taken"
        detail = f" ({state.new:,} new, {state.taken - state.new:,} were here before)" if self._plain else ""
        return f"{state.taken:,} object{'' if state.taken == 1 else 's'} {verb}{detail}, {state.rejected:,} rejected."

    def _document(self, state: State) -> dict[str, object]:
        return {
            "taken": state.taken,
            "new": state.new if self._plain else None,
            "unchanged": state.taken - state.new if self._plain else None,
            "rejected": state.rejected,
            "files": {
                name: {"taken": one.taken, "rejected": one.rejected} for name, one in state.counts.items()
            },
            "seconds": round(time.monotonic() - self.began, 3),
            "dry_run": self.dry_run,
        }

    @property
    def _plain(self) -> bool:
        return not (self.published or self.dry_run)
