"""The events of a log are gone through from the first on: their chain, and all that it covers.

An event covers rows beside it by a hash in its detail: of a view what was given, what became void and what a recipient
signed for; what a look showed; a checkpoint. So whoever changes such a row has to change the event too, and with it
every chain value after it, which a checkpoint that is kept elsewhere tells.

Reads block after block, each in a short transaction, in memory that does not grow with the log.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeVar

import msgspec
from sqlalchemy import Connection

from lezha.flows.findings import Finding, Progress, Reads
from lezha.store import checkpoints, looks, posts, releases, sequencer, survey, tombstones
from lezha.store.releases import Denied, Release, Said
from lezha.store.sequencer import Position

_BLOCK: Final = 1000
_PART: Final = "events"
_Kept = tuple[survey.Event, bytes]
T = TypeVar("T")


class _Shown(msgspec.Struct, frozen=True):
    digest: str


def walk(
    log: Reads, progress: Progress, passed: Callable[[int, bytes], None] = lambda _seq, _chain: None
) -> Iterator[Finding]:
    """Go through all events and give what is wrong; `passed` is told number and recomputed chain of each."""
    seq, at, chain = 0, "", sequencer.GENESIS
    beside = _Beside()
    while True:
        with log.read() as conn:
            block = survey.events(conn, seq, _BLOCK)
            last = sequencer.read(conn)
            found = list(beside.fits(conn, block))
            found += beside.ended(conn) if len(block) < _BLOCK else []
        for event, kept in block:
            if event[0] != seq + 1:
                yield Finding(_PART, str(event[0]), f"event {seq + 1} is missing")
            if event[1] < at:
                yield Finding(_PART, str(event[0]), "its time is before that of the event before it")
            chain = sequencer.link(chain, event)
            if chain != kept:
                yield Finding(_PART, str(event[0]), "the chain does not fit: an event was changed or removed")
                chain = kept  # say once where it breaks
            seq, at = event[0], event[1]
            passed(seq, chain)
        yield from found
        progress(_PART, seq)
        if len(block) < _BLOCK:
            yield from _end(last, seq, chain)
            return


def _end(last: Position, seq: int, chain: bytes) -> Iterator[Finding]:
    if (last.seq, last.chain) != (seq, chain):
        yield Finding(_PART, str(last.seq), "the log's end is not what the sequencer says")


class _Counted(msgspec.Struct):
    """What events have said of one recipient so far."""

    head: int = 0
    void: int = 0
    receipts: int = 0


class _Beside:
    """What the events cover beside them. Remembers three numbers for each recipient."""

    def __init__(self) -> None:
        self._said: dict[str, _Counted] = {}
        self._looks = self._retractions = 0
        self._checks: dict[str, Callable[[Connection, Sequence[survey.Event]], Iterator[Finding]]] = {
            "released": self._released,
            "voided": self._voided,
            "receipt": self._receipted,
            "posted": _posted,
            posts.TAKEN_BACK: self._taken_back,
            "tombstone": _recalled,
            looks.LOOKED: self._looked,
            looks.EXPORTED: self._looked,
            checkpoints.COMMITTED: _committed,
            "kept": _kept,
        }

    def fits(self, conn: Connection, block: Sequence[_Kept]) -> Iterator[Finding]:
        """Give what does not fit to a block of events; to be asked for in order."""
        by_kind: dict[str, list[survey.Event]] = {}
        for event, _ in block:
            by_kind.setdefault(event[2], []).append(event)
        for kind, check in self._checks.items():
            if kind in by_kind:
                yield from check(conn, by_kind[kind])

    def ended(self, conn: Connection) -> Iterator[Finding]:
        """Give what is there and no event speaks of; `conn` sees what the last block was read from."""
        for recipient, kept in sorted(releases.totals(conn).items()):
            said = self._said.get(recipient, _Counted())
            words = ("rows", "void rows", "receipts")
            for name, there, told in zip(words, kept, (said.head, said.void, said.receipts), strict=True):
                if there != told:
                    yield Finding(
                        "views", recipient, f"there are {there} {name}, and the events tell of {told}"
                    )
        if (there := looks.count(conn)) != self._looks:
            yield Finding("looks", "", f"{there} are kept, and the events tell of {self._looks}")

        if (there := posts.count_retractions(conn)) != self._retractions:
            told_of = f"{there} retractions are kept, and the events tell of {self._retractions}"
            yield Finding(_PART, "", told_of)

    def _of(self, recipient: str) -> _Counted:
        return self._said.setdefault(recipient, _Counted())

    def _released(self, conn: Connection, events: Sequence[survey.Event]) -> Iterator[Finding]:
        for event, said in _read(events, Release):
            recipient, counted = event[3], self._of(event[3])
            if said.first != counted.head + 1:
                yield Finding("views", recipient, f"no event tells of row {counted.head + 1}")
            counted.head = said.last
            if not releases.release_fits(conn, recipient, said):
                words = f"rows {said.first} to {said.last} are not those that event {event[0]} tells of"
                yield Finding("views", recipient, words)

    def _voided(self, conn: Connection, events: Sequence[survey.Event]) -> Iterator[Finding]:
        for event, said in _read(events, Denied):
            recipient = event[3]
            self._of(recipient).void += len(said.numbers)
            kept = releases.voids(conn, recipient, [number for number, _ in said.numbers])
            for number, reason in said.numbers:
                if kept.get(number) != reason:
                    words = f"row {number} is not void as event {event[0]} tells: {reason}"
                    yield Finding("views", recipient, words)

    def _receipted(self, conn: Connection, events: Sequence[survey.Event]) -> Iterator[Finding]:
        for event, said in _read(events, Said):
            recipient = event[3]
            self._of(recipient).receipts += 1
            kept = releases.receipt(conn, recipient, said.head)
            if kept is None or (said.digest and hashlib.sha256(kept).hexdigest() != said.digest):
                words = f"the receipt for {said.head} is not the one that event {event[0]} tells of"
                yield Finding("views", recipient, words)

    def _looked(self, conn: Connection, events: Sequence[survey.Event]) -> Iterator[Finding]:
        self._looks += len(events)
        kept = looks.kept(conn, [event[0] for event in events])
        for event, said in _read(events, _Shown):
            if kept.get(event[0]) != said.digest:
                yield Finding("looks", str(event[0]), "what is kept of it is not what the event tells of")

    def _taken_back(self, conn: Connection, events: Sequence[survey.Event]) -> Iterator[Finding]:
        self._retractions += len(events)
        kept = posts.retractions(conn, [event[0] for event in events])
        for event in events:
            if event[0] not in kept:
                yield Finding(_PART, event[3], "who brought it here took that back, and that is not kept")


def _posted(conn: Connection, events: Sequence[survey.Event]) -> Iterator[Finding]:
    posted = [event[3] for event in events]
    missing = set(posted) - posts.facts(conn, posted).keys()
    for key in sorted(missing - posts.retracted(conn, missing)):
        yield Finding(_PART, key, "it was brought here, and that is not kept")


def _recalled(conn: Connection, events: Sequence[survey.Event]) -> Iterator[Finding]:
    unkept = {event[0] for event in events} - tombstones.kept(conn, [event[0] for event in events])
    for event in events:
        if event[0] in unkept:
            yield Finding(_PART, event[3], "it was recalled, and that is not kept")


def _committed(conn: Connection, events: Sequence[survey.Event]) -> Iterator[Finding]:
    kept = checkpoints.by_digest(conn, [event[3] for event in events])
    for event in events:
        if event[3] not in kept or kept[event[3]].seq != event[0]:
            yield Finding("checkpoints", str(event[0]), "the commitment that was made there is not kept")


def _kept(conn: Connection, events: Sequence[survey.Event]) -> Iterator[Finding]:
    told = {said.digest: event for event, said in _read(events, _Shown)}
    for digest in sorted(told.keys() - checkpoints.digests_kept(conn, told)):
        event = told[digest]
        yield Finding("checkpoints", event[3], f"the commitment of event {event[0]} is not kept any more")


def _read(events: Sequence[survey.Event], kind: type[T]) -> Iterator[tuple[survey.Event, T]]:
    """Give events with what their details say; of those that can't be read the chain tells."""
    for event in events:
        try:
            yield event, msgspec.json.decode(event[6], type=kind)
        except msgspec.MsgspecError:
            continue
