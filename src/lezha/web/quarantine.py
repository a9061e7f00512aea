"""The HTTP API about what was put aside: look at it, take it after all, let it go."""

import asyncio
from typing import Annotated, Any, Final

import msgspec
from litestar import Request, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from lezha.access.rights import Principal, Right
from lezha.flows import quarantine
from lezha.flows.quarantine import Carried, Decided, Held, Page
from lezha.flows.vet import Receiver
from lezha.node.clock import utc_now
from lezha.node.intake import latest_at
from lezha.store.log import Log
from lezha.web.auth import needs

_MOST_CODES: Final = 10
_Request = Request[Principal, str, Any]


class Accept(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Ask for a frame to be taken after all, and say why: that is kept for ever.

    The limit that it was put aside for is set aside; `overrule` names codes of further ones.
    """

    why: str
    overrule: Annotated[tuple[str, ...], msgspec.Meta(max_length=_MOST_CODES)] = ()


class Reject(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Ask for the bytes of a frame to be destroyed, and say why: that is kept for ever."""

    why: str


@get("/quarantine", guards=[needs(Right.LOOK)])
async def list_held(
    log: NamedDependency[Log],
    peer: FromQuery[str] = "",
    code: FromQuery[str] = "",
    decided: FromQuery[bool] = False,
    before: Annotated[int, QueryParameter(ge=0, le=1 << 62)] = 0,
    limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 50,
) -> Page:
    """Return what was put aside of what peers sent and waits for a verdict, newest first, with what to do about it.

    `peer` and `code` narrow it; with `decided` what was accepted or rejected is listed too.
    """

    def work() -> Page:
        with log.read() as conn:
            return quarantine.page(conn, peer, code, decided=decided, before=before, limit=limit)

    return await asyncio.to_thread(work)


@get("/quarantine/{item:int}", guards=[needs(Right.LOOK)])
async def show_held(request: _Request, log: NamedDependency[Log], item: FromPath[int]) -> Carried:
    """Return what a frame carries that was put aside, as far as it can be read. Who was shown it is in the log."""
    return await quarantine.show(log, item, request.user.name)


@post("/quarantine/{item:int}/accept", guards=[needs(Right.QUARANTINE)], status_code=200)
async def accept_held(
    request: _Request,
    log: NamedDependency[Log],
    receiver: NamedDependency[Receiver],
    item: FromPath[int],
    data: JSONBody[Accept],
) -> Held:
    """Take a frame now, if nothing is wrong with it but a limit of this node's own. All else is checked anew."""
    latest = latest_at(utc_now())
    decided = Decided(item, data.why, request.user.name)
    return await quarantine.accept(log, receiver, decided, latest, data.overrule)


@post("/quarantine/{item:int}/reject", guards=[needs(Right.QUARANTINE)], status_code=200)
async def reject_held(
    request: _Request, log: NamedDependency[Log], item: FromPath[int], data: JSONBody[Reject]
) -> Held:
    """Destroy the bytes of a frame that was put aside. Its number, its code and who decided that stay."""
    return await quarantine.reject(log, Decided(item, data.why, request.user.name))


routes = (list_held, show_held, accept_held, reject_held)
