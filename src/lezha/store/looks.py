"""Who was shown what: the contents that each look at objects showed, beside its event.

An event is in the chain of all events; its detail holds the digest of what is kept here, so that the chain covers
that too. Contents are kept by their numbers, which never change and which the chain ties to their hashes (the event of
their arrival): sorted, as differences, in varints (7 bits a byte, low ones first). What is purged keeps its number, and
so this stays true of it, and holds nothing of what was destroyed.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec
from sqlalchemy import Connection, bindparam, func, select

from lezha.sharing.tlp import Tlp, strictest
from lezha.store import schema
from lezha.store.log import Tx
from lezha.store.rows import KEYS, each, each_raw, insert_rows
from lezha.store.views import ViewKind

LOOKED: Final = "looked"
AGAIN: Final = "looked again"
EXPORTED: Final = "exported"
QUESTION_CHARS: Final = 500
"""As much as is kept of a question: it may hold what is about a person."""

_CONTENTS, _STATEMENTS, _LOOKS, _VIEWS = schema.contents, schema.statements, schema.looks, schema.views
_BY_SEQ: Final = (
    select(_CONTENTS.c.seq, _CONTENTS.c.markings, _STATEMENTS.c.terms)
    .outerjoin(_STATEMENTS, _STATEMENTS.c.content == _CONTENTS.c.seq)
    .where(_CONTENTS.c.seq.in_(KEYS))
)
# Asked with every search, so as the driver takes and gives it.
_RAW: Final = (
    "SELECT c.seq, c.stix_id, c.markings, c.unreadable_marking, s.terms "
    "FROM contents c LEFT JOIN statements s ON s.content = c.seq WHERE "
)
_GIVEN: Final = (
    select(_VIEWS.c.kind, _VIEWS.c.ref, _STATEMENTS.c.content)
    .outerjoin(_STATEMENTS, _STATEMENTS.c.hash == _VIEWS.c.ref)
    .where(
        _VIEWS.c.recipient == bindparam("recipient"),
        _VIEWS.c.number > bindparam("after"),
        _VIEWS.c.number <= bindparam("upto"),
    )
)
_SEQS: Final = select(_CONTENTS.c.seq).where(_CONTENTS.c.hash.in_(KEYS))
_OF_ID: Final = select(_CONTENTS.c.seq).where(_CONTENTS.c.stix_id == bindparam("stix_id"))
_SHOWN: Final = select(
    _CONTENTS.c.seq, _CONTENTS.c.stix_id, _CONTENTS.c.version, _CONTENTS.c.hash, _CONTENTS.c.type
).where(_CONTENTS.c.seq.in_(KEYS))


class _Terms(msgspec.Struct, frozen=True):
    tlp: Tlp


class Look(msgspec.Struct, frozen=True):
    """What a look showed: what was asked for, and the numbers of the contents, sorted."""

    question: str
    contents: tuple[int, ...]

    @property
    def packed(self) -> bytes:
        """The numbers as they are kept."""
        return pack(self.contents)


class Shown(msgspec.Struct, frozen=True):
    """A content as a report names it: never by its name or values."""

    seq: int
    stix_id: str
    version: str
    hash: str
    type: str


def restricted(conn: Connection, hashes: Iterable[str], ids: Iterable[str] = ()) -> frozenset[int]:
    """Return the numbers of those contents above TLP:GREEN, and of the last such version of each of `ids`.

    Above GREEN is what any statement about it, or its own markings, puts there, and what carries a marking that can't
    be read: of several words about one object the narrowest counts here.
    """
    rows = each_raw(conn, f"{_RAW} c.hash", map(bytes.fromhex, hashes))
    found = {seq for seq, _, *about in rows if _is_restricted(*about)}
    last: dict[str, int] = {}
    for seq, stix_id, *about in each_raw(conn, f"{_RAW} c.stix_id", ids):
        if _is_restricted(*about):
            last[stix_id] = max(seq, last.get(stix_id, 0))
    return frozenset(found | set(last.values()))


def levels(conn: Connection, contents: Iterable[int]) -> dict[int, str]:
    """Return the narrowest TLP of each of some contents, given by number, by any statement or by its own markings."""
    found: dict[int, Tlp] = {}
    for row in each(conn, _BY_SEQ, contents):
        level = _level(row.markings, row.terms)
        found[row.seq] = strictest((found.get(row.seq, Tlp.CLEAR), level))
    return {seq: level.value for seq, level in found.items()}


def _is_restricted(markings: str, unreadable: bool, terms: str | None) -> bool:
    return bool(unreadable) or _level(markings, terms).rank > Tlp.GREEN.rank


def _level(markings: str, terms: str | None) -> Tlp:
    stated = () if terms is None else (_TERMS.decode(terms).tlp,)
    return strictest((*_MARKINGS.decode(markings), *stated))


_MARKINGS: Final = msgspec.json.Decoder(tuple[Tlp, ...])
_TERMS: Final = msgspec.json.Decoder(_Terms)


def given(conn: Connection, recipient: str, after: int, upto: int) -> frozenset[int]:
    """Return the numbers of the contents that rows `after` < number <= `upto` of an own system's view tell of."""
    rows = conn.execute(_GIVEN, {"recipient": recipient, "after": after, "upto": upto}).all()
    told = {row.content for row in rows if row.content is not None}
    posted = [row.ref for row in rows if row.kind == ViewKind.POST.value]
    return frozenset(told | {row.seq for row in each(conn, _SEQS, posted)})


def seqs(conn: Connection, hashes: Iterable[str]) -> frozenset[int]:
    """Return the numbers of some contents."""
    return frozenset(row.seq for row in each(conn, _SEQS, hashes))


def record(
    tx: Tx, kind: str, actor: str, way: str, question: str, contents: Iterable[int], **more: object
) -> int:
    """Record that `actor` was shown some contents on a way (search, page …); return the number of the event."""
    look = Look(bounded(question), tuple(sorted(contents)))
    packed = look.packed
    told = {"way": way, "contents": len(look.contents), "digest": digest(look.question, packed)}
    seq = tx.event(kind, actor, actor, **told, **more)
    insert_rows(tx.conn, _LOOKS, [(seq, look.question, packed)])
    return seq


def read(conn: Connection, events: Iterable[int]) -> dict[int, Look]:
    """Return what some looks showed, by the numbers of their events. Raises ValueError if that can't be read."""
    rows = each(conn, select(_LOOKS).where(_LOOKS.c.seq.in_(KEYS)), events)
    return {row.seq: Look(row.question, tuple(unpack(row.contents))) for row in rows}


def kept(conn: Connection, events: Iterable[int]) -> dict[int, str]:
    """Return the digests of what is kept of some looks, by the numbers of their events."""
    rows = each(conn, select(_LOOKS).where(_LOOKS.c.seq.in_(KEYS)), events)
    return {row.seq: digest(row.question, row.contents) for row in rows}


def count(conn: Connection) -> int:
    """Count all looks."""
    return conn.scalar(select(func.count()).select_from(_LOOKS)) or 0


def of_id(conn: Connection, stix_id: str) -> frozenset[int]:
    """Return the numbers of all versions of an object."""
    return frozenset(conn.scalars(_OF_ID, {"stix_id": stix_id}))


def shown(conn: Connection, contents: Sequence[int]) -> list[Shown]:
    """Return what reports say of some contents, in order."""
    rows = each(conn, _SHOWN, contents)
    return sorted(
        (Shown(row.seq, row.stix_id, row.version, row.hash, row.type) for row in rows),
        key=lambda one: one.seq,
    )


def digest(question: str, packed: bytes) -> str:
    """Return the SHA-256 in hex by which an event's chain covers what is kept beside it."""
    asked = question.encode()
    return hashlib.sha256(len(asked).to_bytes(8, "big") + asked + packed).hexdigest()


def bounded(question: str) -> str:
    """Cut a question to what is kept of it, free of what PostgreSQL keeps in no text."""
    plain = question.replace("\0", "�").encode("utf-8", "replace").decode()
    return plain if len(plain) <= QUESTION_CHARS else f"{plain[: QUESTION_CHARS - 1]}…"


def pack(numbers: Sequence[int]) -> bytes:
    """Return sorted numbers as differences in varints."""
    out = bytearray()
    last = 0
    for number in numbers:
        left = number - last
        while left > 0x7F:
            out.append(0x80 | left & 0x7F)
            left >>= 7
        out.append(left)
        last = number
    return bytes(out)


def unpack(packed: bytes) -> Iterator[int]:
    """Give the numbers that `pack` was given. Raises ValueError."""
    number = shift = part = 0
    for byte in packed:
        part |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            number += part
            yield number
            shift = part = 0
    if shift:
        raise ValueError("the list of contents of a look is cut off")
