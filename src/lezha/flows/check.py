"""Is the log what it should be? Hashes, order, chains, and everything that is derived, found out from the bytes.

Reads block after block, each in a short transaction, so that a node can go on writing meanwhile; what a block finds is
true of the moment at which it was read. Nothing is changed.
"""

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from lezha.federation import envelope, frame
from lezha.federation.envelope import PayloadType
from lezha.federation.errors import Refused
from lezha.federation.statement import Statement
from lezha.federation.tombstone import Tombstone
from lezha.flows import authority, chain, ingest
from lezha.flows.findings import Finding, Progress, Reads
from lezha.stix import objects, versions
from lezha.store import contents, disputes, engine, survey, texts, tombstones, views
from lezha.store.contents import Held
from lezha.store.errors import StoreError
from lezha.store.tombstones import Stone

RAISED: Final = (SQLAlchemyError, sqlite3.Error, StoreError, ValueError, TypeError, LookupError)
"""What reading a damaged database may raise; `damage` tells which of it speaks of damage."""

_BLOCK: Final = 1000
_FILE: Final = "file"
_SQLITE_DAMAGE: Final = frozenset(
    {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT, sqlite3.SQLITE_IOERR}
)
_POSTGRES_DAMAGE: Final = "XX"  # PostgreSQL, appendix A: internal error, data corrupted, index corrupted


def check(log: Reads, progress: Progress = lambda _part, _done: None) -> Iterator[Finding]:
    """Look at all of the log and give what is wrong with it; `progress` is told the part and how far it is.

    Where the database can't be read on, that is a finding, and the next part is looked at.
    """
    yield from _readable("database", _database(log))
    yield from _readable("events", chain.walk(log, progress))
    yield from _readable("contents", _contents(log, progress))
    yield from _readable("statements", _statements(log, progress))
    yield from _readable("tombstones", _tombstones(log))
    yield from _readable("views", _views(log, progress))
    yield from _readable("disputes", _disputes(log))
    yield from _readable("put aside", _put_aside(log))
    yield from _readable("policies", _policies(log))


def _policies(log: Reads) -> Iterator[Finding]:
    with log.read() as conn:
        for one, event in survey.policies(conn):
            if one.hash != (hashlib.sha256(one.text.encode()).hexdigest() if one.hash else ""):
                yield Finding("policies", str(one.seq), "its text is not the one that came into force")
            if event != (one.hash or "none"):
                yield Finding("policies", str(one.seq), "it is not what its event says")


def damage(error: Exception) -> Finding:
    """Return what was raised while the database was read as a finding. Raises it if it speaks of no damage."""
    raised = error.__cause__ if isinstance(error, StoreError) and error.__cause__ else error
    cause: object = (raised.orig or raised) if isinstance(raised, DBAPIError) else raised
    if isinstance(cause, sqlite3.Error):
        code = getattr(cause, "sqlite_errorcode", None)  # none if it is Python that can't read the text
        broken = code is None or code & 0xFF in _SQLITE_DAMAGE
    else:
        state = getattr(cause, "sqlstate", None) or ""
        broken = state.startswith(_POSTGRES_DAMAGE) or isinstance(cause, (ValueError, TypeError, LookupError))
    if not broken:
        raise error
    return Finding("database", _FILE, f"it can't be read: {engine.said(error)}")


def is_damaged(findings: Iterable[Finding]) -> bool:
    """Say whether it is the database itself that is damaged."""
    return any(one.subject == _FILE for one in findings)


def counts(log: Reads) -> dict[str, int]:
    """Count what `check` looks at; nothing if the database is damaged where it would be counted."""
    try:
        with log.read() as conn:
            return survey.counts(conn)
    except RAISED as error:
        damage(error)
        return {}


def _readable(part: str, findings: Iterator[Finding]) -> Iterator[Finding]:
    try:
        yield from findings
    except RAISED as error:
        yield Finding(part, _FILE, f"{damage(error).words}. From there on this part was not looked at")


def _database(log: Reads) -> Iterator[Finding]:
    with log.read() as conn:
        for words in survey.integrity(conn):
            yield Finding("database", _FILE, words)


def _contents(log: Reads, progress: Progress) -> Iterator[Finding]:
    after, done = 0, 0
    while True:
        with log.read() as conn:
            block = contents.walk(conn, after, _BLOCK)
            seqs = [one.seq for one in block]
            derived = survey.derived(conn, seqs)
            upto = block[-1].seq if block else survey.last_content(conn)
            bare = survey.without_bytes(conn, after, upto)
            misplaced = survey.without_event(conn, after, upto)
            remains = survey.remains(conn, after, upto)
            unsaid = survey.without_substance(conn, after, upto)
            for one in block:
                yield from _content(conn, one, derived[one.seq])
        yield from (Finding("contents", key, "its bytes are missing and were not purged") for key in bare)
        yield from (Finding("derived", key, "it was purged, and something of it is left") for key in remains)
        yield from (Finding("derived", key, "it was purged, and its substance is not kept") for key in unsaid)
        yield from (Finding("contents", key, "there is no event of its arrival") for key in misplaced)
        if not block:
            return
        after, done = upto, done + len(block)
        progress("contents", done)


def _content(conn: Connection, one: Held, derived: survey.Derived) -> Iterator[Finding]:
    if hashlib.sha256(one.raw).hexdigest() != one.hash:
        yield Finding("contents", one.hash, f"the bytes of {one.stix_id} are not those that were taken")
        return
    try:
        wanted = ingest.content(objects.reread(one.raw))
    except ValueError as error:
        yield Finding("contents", one.hash, f"{one.stix_id} can't be read any more: {error}")
        return
    yield from (
        Finding("derived", one.hash, f"{name} of {one.stix_id} are not what its bytes say")
        for name in survey.differences(wanted, derived)
    )
    if derived.substance is not None and derived.substance != versions.substance(one.raw):
        yield Finding("derived", one.hash, f"the substance of {one.stix_id} is not what its bytes say")
    if wanted.text and not texts.has(conn, one.seq, wanted.text):
        yield Finding("derived", one.hash, f"the words of {one.stix_id} can't be found")


def _statements(log: Reads, progress: Progress) -> Iterator[Finding]:
    after, done = 0, 0
    while True:
        with log.read() as conn:
            block = survey.statements(conn, after, _BLOCK)
        for one in block:
            yield from _statement(one)
        if not block:
            return
        after, done = block[-1].seq, done + len(block)
        progress("statements", done)


def _statement(one: survey.KeptStatement) -> Iterator[Finding]:
    try:
        payload = envelope.peek(one.envelope, PayloadType.STATEMENT)
        said = envelope.decode(payload, Statement)
    except (Refused, ValueError) as error:
        yield Finding("statements", one.hash, f"its envelope can't be read: {error}")
        return
    kept = (one.hash, one.content, one.origin, one.companions)
    signed = (hashlib.sha256(payload).hexdigest(), said.content, said.member, said.companions)
    if kept != signed or msgspec.json.encode(said.terms) != one.terms.encode():
        yield Finding("statements", one.hash, "what is kept beside its envelope is not what was signed")
    if not one.has_event:
        yield Finding("statements", one.hash, "there is no event of its arrival")


def _tombstones(log: Reads) -> Iterator[Finding]:
    after = 0
    while True:
        with log.read() as conn:
            block = tombstones.walk(conn, after, _BLOCK)
            unsaid = survey.without_event_of(conn, {seq: one.statement for seq, one in block.items()})
        yield from (one for stone in block.values() for one in _tombstone(stone))
        yield from (Finding("tombstones", key, "there is no event of its arrival") for key in unsaid)
        if not block:
            return
        after = max(block)


def _tombstone(one: Stone) -> Iterator[Finding]:
    try:
        payload = envelope.peek(one.envelope, PayloadType.TOMBSTONE)
        said = envelope.decode(payload, Tombstone)
    except (Refused, ValueError) as error:
        yield Finding("tombstones", one.hash, f"its envelope can't be read: {error}")
        return
    kept = (one.hash, one.member, one.statement, one.issued, one.why)
    signed = (hashlib.sha256(payload).hexdigest(), said.member, said.statement, said.issued, said.why)
    if kept != signed:
        yield Finding("tombstones", one.hash, "what is kept beside its envelope is not what was signed")


def _views(log: Reads, progress: Progress) -> Iterator[Finding]:
    with log.read() as conn:
        recipients = survey.recipients(conn)
    for recipient in recipients:
        number, linked = 0, views.GENESIS
        while True:
            with log.read() as conn:
                block = views.entries(conn, recipient, number, _BLOCK)
            for row in block:
                if row.number != number + 1:
                    yield Finding("views", recipient, f"row {number + 1} is missing")
                linked = frame.link(linked, row.number, row.digest)
                if linked != row.chain:
                    yield Finding("views", recipient, f"the chain does not fit at row {row.number}")
                    linked = row.chain
                number = row.number
            if not block:
                break
            progress("views", number)


def _disputes(log: Reads) -> Iterator[Finding]:
    with log.read() as conn:
        known = {(one.stix_id, one.version, one.creator) for one in disputes.listed(conn)}
        found = authority.disputed(conn, set(survey.signed_more_than_once(conn)) - known)
    yield from (
        Finding("disputes", stix_id, f"version {version} is in dispute and not marked")
        for stix_id, version, _ in found
    )


def _put_aside(log: Reads) -> Iterator[Finding]:
    with log.read() as conn:
        differ = survey.sizes_that_differ(conn)
    yield from (
        Finding("quarantine", member, "how much of it is kept is not what is said") for member in differ
    )
