"""Carried files over HTTP, record by record."""

import base64
from typing import Annotated, Any, Final

import msgspec
from litestar import Request, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from lezha.access.rights import Principal, Right
from lezha.federation.carried import MAX_RECORD
from lezha.flows.errors import FlowError
from lezha.node.carry import Carrier
from lezha.web.auth import needs

_Request = Request[Principal, str, Any]
_MOST_NUMBER: Final = 1 << 53
_ELSEWHERE: Final = (
    "Carried files are written and read by the process that runs the links: ask `lezha serve`."
)


class Next(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Ask for the record after a frame; after what was signed for, or was written last, if `after` is null."""

    after: Annotated[int, msgspec.Meta(ge=0, le=_MOST_NUMBER)] | None = None
    unanswered: bool = False


class Record(msgspec.Struct, frozen=True):
    """A record in base64, empty if nothing is left, with the frames `first` to `last` of those up to `head`."""

    record: str
    first: int
    last: int
    head: int


class Taken(msgspec.Struct, frozen=True):
    """What became of a record; `receipt` is the record to carry back, in base64."""

    kind: str
    peer: str
    head: int
    refused: tuple[tuple[int, str], ...]
    missing: int
    receipt: str


@post("/carry/{name:str}/write", guards=[needs(Right.PUBLISH)], status_code=200)
async def write(
    request: _Request, carrier: NamedDependency[Carrier | None], name: FromPath[str], data: JSONBody[Next]
) -> Record:
    """Return the next record for a peer."""
    here = _here(carrier)
    after = here.starts(name, unanswered=data.unanswered) if data.after is None else data.after
    found = await here.write(name, after, request.user.name)
    return Record(base64.b64encode(found.record).decode(), found.first, found.last, found.head)


@post("/carry/read", guards=[needs(Right.PUBLISH)], status_code=200, request_max_body_size=MAX_RECORD)
async def read(request: _Request, carrier: NamedDependency[Carrier | None]) -> Taken:
    """Take one record of a carried file."""
    found = await _here(carrier).read(await request.body())
    receipt = base64.b64encode(found.receipt).decode()
    return Taken(found.kind, found.peer, found.head, found.refused, found.missing, receipt)


def _here(carrier: Carrier | None) -> Carrier:
    if carrier is None:
        raise FlowError(_ELSEWHERE)
    return carrier


routes = [write, read]
