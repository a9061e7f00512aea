"""What an oversight body asks of the log: is it what it was, what was told to whom, and who looked.

Nothing here tells a name or a value of an object: objects are named by their ids, versions and hashes.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
from sqlalchemy import Connection

from lezha.flows.findings import Reads
from lezha.store import constituents, ledger, looks, peers, releases, search, survey, tombstones
from lezha.store.errors import NotFound
from lezha.store.ledger import Fate
from lezha.store.looks import Look
from lezha.store.releases import Row
from lezha.store.survey import Event
from lezha.store.views import ViewKind

_BLOCK: Final = 1000
_RECEIPTS: Final = 5000
_EXPORTED: Final = frozenset({looks.EXPORTED})
_LOOKS: Final = frozenset({looks.LOOKED, looks.AGAIN, looks.EXPORTED})


class Span(msgspec.Struct, frozen=True):
    """From when to when, RFC 3339 UTC with microseconds: `since` <= time < `until`; empty for no bound."""

    since: str = ""
    until: str = ""


class Told(msgspec.Struct, frozen=True):
    """One thing that a peer or a constituent was told: a row of its view, or an object of an export made for a peer.

    `number` is that of the row, or of the event of the export. `by` is who signed the statement. `state` is offered,
    received (the peer has signed for it), refused or void (denied before it was sent); of a statement that was taken
    back recalled, or recall received once the peer has signed for that. Constituents sign nothing: what they were
    handed is given, or withdrawn. `why` is the code of what was refused or void, and of an export who made it. A
    tombstone names the object of the statement that it takes back; `statement` is its own hash.
    """

    number: int
    kind: str
    object: str
    version: str
    content: str
    statement: str
    by: str
    tlp: str
    rule: str
    offered: str
    state: str
    received: str
    why: str


class Looked(msgspec.Struct, frozen=True):
    """One object that somebody was shown, by the event that says so.

    With `again`, how often any of what the same person was shown in this way in that hour, from event `again` on, was
    shown once more until `last`; then `object` is empty.
    `peer` is for whom an export was made.
    """

    event: int
    at: str
    by: str
    source: str
    way: str
    question: str
    peer: str
    object: str
    version: str
    content: str
    again: int
    times: int
    last: str


class Happened(msgspec.Struct, frozen=True):
    """One event; `detail` is JSON text, `chain` is over it and all before."""

    seq: int
    at: str
    kind: str
    subject: str
    actor: str
    source: str
    detail: str
    chain: str


class _Way(msgspec.Struct, frozen=True):
    """What the detail of a look says."""

    way: str = ""
    recipient: str = ""
    of: int = 0
    times: int = 1
    last: str = ""


def recipient_named(conn: Connection, name: str) -> str:
    """Return the id of the recipient whom `name` names: a peer, or a constituent, with or without `constituent:`.

    Raises NotFound.
    """
    served = {one.name: one.recipient().id for one in constituents.listed(conn)}
    linked = {one.name: one.member for one in peers.listed(conn)}
    by_name = {recipient: recipient for recipient in served.values()} | served | linked
    if name not in by_name:
        raise NotFound(
            f"There is no peer and no constituent {name[:100]!r}: `lezha peer list` and `lezha constituent list` show "
            "those there are."
        )
    return by_name[name]


def told(log: Reads, recipient: str, span: Span) -> Iterator[list[Told]]:
    """Give what a member or a constituent was told, in blocks: the rows of its view, then what was exported for it."""
    with log.read() as conn:
        after = releases.before(conn, recipient, span.since) if span.since else 0
        upto = releases.before(conn, recipient, span.until) if span.until else None
    taken, signs = _Receipts(recipient, after), not constituents.is_one(recipient)
    while upto is None or after < upto:
        with log.read() as conn:
            rows = releases.rows(
                conn, recipient, after, _BLOCK if upto is None else min(_BLOCK, upto - after)
            )
            ends = _taken_back(conn, recipient, rows)
            block = [_told(row, taken.at(conn, row.number), ends.get(row.ref), signs=signs) for row in rows]
        if not rows:
            break
        after = rows[-1].number
        yield block
    for events in _events(log, span, _EXPORTED):
        for event in events:
            with log.read() as conn:
                block = list(_told_by_export(conn, recipient, event))
            yield block


def looked(log: Reads, span: Span, by: str = "", stix_id: str = "") -> Iterator[list[Looked]]:
    """Give who was shown what, in blocks: by anybody or one name, any object or the versions of one."""
    with log.read() as conn:
        wanted = looks.of_id(conn, stix_id) if stix_id else None
    for events in _events(log, span, _LOOKS):
        mine = [event for event in events if by in ("", event[4])]
        for start in range(0, len(mine), _FEW):
            with log.read() as conn:
                block = list(_looked(conn, mine[start : start + _FEW], wanted))
            yield block


def happened(log: Reads, span: Span) -> Iterator[list[Happened]]:
    """Give all events, in blocks."""
    after, upto = _bounds(log, span)
    while after < upto:
        with log.read() as conn:
            block = survey.events(conn, after, min(_BLOCK, upto - after))
        if not block:
            return
        after = block[-1][0][0]
        yield [Happened(*event, chain.hex()) for event, chain in block if event[0] <= upto]


_FEW: Final = 20  # looks whose contents are held at once: each may show thousands


class _Receipts:
    """When a recipient signed for each row; to be asked for in order. Holds one block of receipts at a time."""

    def __init__(self, recipient: str, after: int) -> None:
        self._recipient = recipient
        self._after = after
        self._left: list[tuple[int, str]] = []
        self._ended = False

    def at(self, conn: Connection, number: int) -> str:
        """Return when the first receipt that covers a row was signed; empty if none does."""
        while True:
            while self._left and self._left[-1][0] < number:
                self._left.pop()
            if self._left or self._ended:
                return self._left[-1][1] if self._left else ""
            block = releases.receipts(conn, self._recipient, max(self._after, number - 1), _RECEIPTS)
            self._ended = not block
            self._left = block[::-1]


def _taken_back(conn: Connection, recipient: str, rows: Sequence[Row]) -> dict[str, Fate]:
    """Return what became of those statements that were given and taken back."""
    given = [row.ref for row in rows if row.kind == ViewKind.STATEMENT]
    stones = tombstones.about(conn, given)
    return {ref: line.fate for ref, line in ledger.lines(conn, recipient, list(stones)).items()}


def _told(row: Row, received: str, taken_back: Fate | None, *, signs: bool) -> Told:
    if row.void:
        state, received = "void", ""
    elif row.refused:
        state = "refused"
    elif taken_back is not None:
        state = taken_back.value
    elif row.kind == ViewKind.CHANGE:
        state = "withdrawn"
    elif signs:
        state = "received" if received else "offered"
    else:
        state = "given"
    return Told(
        number=row.number,
        kind=row.kind,
        object=row.stix_id,
        version=row.version,
        content=row.content,
        statement=row.ref,
        by=row.origin,
        tlp=row.tlp,
        rule=row.rule,
        offered=row.at,
        state=state,
        received=received,
        why=row.void or row.refused,
    )


def _told_by_export(conn: Connection, recipient: str, event: Event) -> Iterator[Told]:
    seq, at, _, _, actor, source, detail = event
    way = msgspec.json.decode(detail, type=_Way)
    if way.recipient != recipient:
        return
    look = looks.read(conn, [seq])[seq]
    levels = looks.levels(conn, look.contents)
    for one in looks.shown(conn, look.contents):
        yield Told(
            number=seq,
            kind="export",
            object=one.stix_id,
            version=one.version,
            content=one.hash,
            statement="",
            by="",
            tlp=levels.get(one.seq, ""),
            rule=look.question,
            offered=at,
            state="exported",
            received="",
            why=f"by {actor} from {source}",
        )


def _looked(conn: Connection, events: Sequence[Event], wanted: frozenset[int] | None) -> Iterator[Looked]:
    ways = {event[0]: msgspec.json.decode(event[6], type=_Way) for event in events}
    kept = looks.read(conn, [way.of or seq for seq, way in ways.items()])
    for seq, at, kind, _, actor, source, _ in events:
        way = ways[seq]
        look = kept.get(way.of or seq, Look("", ()))
        contents = look.contents if wanted is None else tuple(one for one in look.contents if one in wanted)
        if not contents and look.contents:
            continue
        head = (seq, at, actor, source, way.way, look.question, way.recipient)
        if kind == looks.AGAIN:
            yield Looked(*head, "", "", "", way.of, way.times, way.last)
            continue
        for one in looks.shown(conn, contents):
            yield Looked(*head, one.stix_id, one.version, one.hash, 0, 1, at)


def _events(log: Reads, span: Span, kinds: frozenset[str]) -> Iterator[list[Event]]:
    after, upto = _bounds(log, span)
    while after < upto:
        with log.read() as conn:
            block = survey.events_of(conn, after, upto, kinds, _BLOCK)
        if not block:
            return
        after = block[-1][0]
        yield block


def _bounds(log: Reads, span: Span) -> tuple[int, int]:
    """Return after which event a span begins, and with which it ends."""
    with log.read() as conn:
        after = search.last_before(conn, span.since) if span.since else 0
        return after, search.last_before(conn, span.until) if span.until else survey.last_event(conn)
