"""The audit over HTTP, for those who have the right to it: reports as they are read, as JSON or as CSV.

Every reading of it is an event too.
"""

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from enum import StrEnum
from typing import Any, Final

import msgspec
from litestar import Request, Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery
from litestar.response import Stream

from lezha.access.rights import Principal, Right
from lezha.flows import attest, audit
from lezha.flows.attest import Sealer
from lezha.flows.audit import Happened, Looked, Span, Told
from lezha.flows.errors import FlowError
from lezha.store import checkpoints, peers
from lezha.store.log import Log
from lezha.web import parameters, times
from lezha.web.auth import needs, question

_Request = Request[Principal, str, Any]
# What a spreadsheet takes for a formula (OWASP, CSV Injection).
_FORMULA: Final = ("=", "+", "-", "@")


class Format(StrEnum):
    """How a report is written."""

    JSON = "json"
    CSV = "csv"


class KeptCommitment(msgspec.Struct, frozen=True):
    """A commitment that this node keeps of a peer. `envelope` is what the peer signed, byte for byte in text."""

    at: str
    received: str
    envelope: str


class KeptCommitments(msgspec.Struct, frozen=True):
    """What this node keeps of a peer's commitments to its own log."""

    member: str
    kept: list[KeptCommitment]


@get("/told", guards=[needs(Right.AUDIT)])
async def told(
    request: _Request,
    log: NamedDependency[Log],
    peer: FromQuery[str],
    since: FromQuery[str] = "",
    until: FromQuery[str] = "",
    format: FromQuery[Format] = Format.JSON,  # noqa: A002  # the name in the query string
) -> Stream:
    """Say what a peer or a constituent was told: object, version, statement, TLP, rule, when offered and received.

    `peer` is its name; `constituent:NAME` is the constituent where a peer has the same name. What was exported for a
    peer follows. Objects are named by ids and hashes, never by names or values.
    """
    with log.read() as conn:
        recipient = audit.recipient_named(conn, peer)
    span = _span(since, until)
    await _note(request, log, "told")
    return _stream(audit.told(log, recipient, span), Told, format)


@get("/looks", guards=[needs(Right.AUDIT)])
async def looks(
    request: _Request,
    log: NamedDependency[Log],
    by: FromQuery[str] = "",
    object: FromQuery[str] = "",  # noqa: A002  # the name in the query string
    since: FromQuery[str] = "",
    until: FromQuery[str] = "",
    format: FromQuery[Format] = Format.JSON,  # noqa: A002  # the name in the query string
) -> Stream:
    """Say who was shown which objects above TLP:GREEN, when, from where, and what was asked for.

    `by` is the name of a token, `object` the id of an object.
    """
    span = _span(since, until)
    await _note(request, log, "looks")
    return _stream(audit.looked(log, span, by, object), Looked, format)


@get("/log", guards=[needs(Right.AUDIT)])
async def events(
    request: _Request,
    log: NamedDependency[Log],
    since: FromQuery[str] = "",
    until: FromQuery[str] = "",
    format: FromQuery[Format] = Format.JSON,  # noqa: A002  # the name in the query string
) -> Stream:
    """Return all events as they are chained."""
    span = _span(since, until)
    await _note(request, log, "log")
    return _stream(audit.happened(log, span), Happened, format)


@post("/checkpoint", guards=[needs(Right.AUDIT)], status_code=200)
async def checkpoint(
    request: _Request, log: NamedDependency[Log], sealer: NamedDependency[Sealer]
) -> Response[bytes]:
    """Return a signed checkpoint of the log as it is now: to be kept away from this node."""
    raw = await attest.make(log, sealer, request.user.name)
    return Response(raw, media_type="application/json")


@get("/kept", guards=[needs(Right.AUDIT)])
async def kept(request: _Request, log: NamedDependency[Log], peer: FromQuery[str]) -> KeptCommitments:
    """Return what this node keeps of a peer's commitments to its own log: for whoever oversees the peer."""
    await _note(request, log, "kept")
    with log.read() as conn:
        member = peers.by_name(conn, peer).member
        found = [
            KeptCommitment(one.at, one.received, one.envelope.decode())
            for one in checkpoints.kept(conn, member)
        ]
    return KeptCommitments(member, found)


def _span(since: str, until: str) -> Span:
    span = Span(times.past(since), times.past(until))
    if span.until and span.until <= span.since:
        raise FlowError(f"Nothing lies between {since} and {until}: `until` must be later than `since`.")
    return span


async def _note(request: _Request, log: Log, what: str) -> None:
    """Have it in the log who reads the audit, before anything of it is shown. Raises StoreError."""
    name, asked = request.user.name, question(request)[:1000]
    await log.write(lambda tx: tx.event("audited", name, name, what=what, question=asked))


def _stream(blocks: Iterator[Sequence[msgspec.Struct]], kind: type[msgspec.Struct], shape: Format) -> Stream:
    parts = _csv(blocks, kind) if shape is Format.CSV else _json(blocks)

    async def read() -> AsyncIterator[bytes]:
        while (part := await asyncio.to_thread(next, parts, None)) is not None:
            yield part

    return Stream(read(), media_type="text/csv" if shape is Format.CSV else "application/json")


def _json(blocks: Iterator[Sequence[msgspec.Struct]]) -> Iterator[bytes]:
    before = b"[\n"
    for block in blocks:
        if block:
            yield before + b",\n".join(map(_record, block))
            before = b",\n"
    yield b"\n]\n" if before != b"[\n" else b"[]\n"


def _record(one: msgspec.Struct) -> bytes:
    """Return JSON that a terminal shows as it stands: what somebody asked for may hold its control characters."""
    raw = msgspec.json.encode(one)
    if raw.isascii() and b"\x7f" not in raw:
        return raw
    return json.dumps(msgspec.to_builtins(one), separators=(",", ":")).replace("\x7f", "\\u007f").encode()


def _csv(blocks: Iterator[Sequence[msgspec.Struct]], kind: type[msgspec.Struct]) -> Iterator[bytes]:
    yield csv_lines([kind.__struct_fields__])
    for block in blocks:
        if block:
            yield csv_lines([msgspec.structs.astuple(one) for one in block])


def csv_lines(rows: Sequence[Sequence[object]]) -> bytes:
    """Return rows as RFC 4180 has them, no cell of which a spreadsheet takes for a formula."""
    out = io.StringIO()
    csv.writer(out).writerows([_cell(value) for value in row] for row in rows)
    return out.getvalue().encode("utf-8", "replace")


def _cell(value: object) -> object:
    if not isinstance(value, str):
        return value
    if not value.isprintable():
        value = "".join(one if one.isprintable() else f"\\x{ord(one):02x}" for one in value)
    return f"'{value}" if value.startswith(_FORMULA) else value


router = Router(
    path="/api/v1/audit",
    before_request=parameters.only_known,
    route_handlers=[told, looks, events, checkpoint, kept],
)
