"""The duty officer's pages about what was put aside. They work without scripts, and by keys alone with them."""

import asyncio
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlencode

from litestar import Request, Router, get, post
from litestar.datastructures import ResponseHeader
from litestar.di import NamedDependency
from litestar.exceptions import NotAuthorizedException
from litestar.params import FromPath, FromQuery, QueryParameter, URLEncodedBody
from litestar.response import Redirect, Template

from lezha.access.rights import Principal, Right
from lezha.flows import desk, quarantine
from lezha.flows.errors import FlowError
from lezha.flows.quarantine import Decided
from lezha.flows.vet import Receiver
from lezha.node.clock import utc_now
from lezha.node.identity import Identity
from lezha.node.intake import latest_at
from lezha.store import peers
from lezha.store.log import Log
from lezha.web.auth import needs
from lezha.web.pages import rendered, to_sign_in

_ROWS: Final = 50
_MAX_FORM: Final = 16 * 1024
_Request = Request[Principal, str, Any]


@get("/quarantine", guards=[needs(Right.LOOK)])
async def show_list(
    request: _Request,
    log: NamedDependency[Log],
    identity: NamedDependency[Identity],
    peer: FromQuery[str] = "",
    code: FromQuery[str] = "",
    decided: FromQuery[str] = "",
    before: Annotated[int, QueryParameter(ge=0, le=1 << 62)] = 0,
) -> Template:
    """List what was put aside, newest first; the whole state is in the URL."""
    state = {"peer": peer, "code": code, "decided": decided}
    here = {name: given for name, given in state.items() if given}

    def work() -> dict[str, Any]:
        with log.read() as conn:
            page = quarantine.page(conn, peer, code, decided=bool(decided), before=before, limit=_ROWS)
            return {
                "page": page,
                "parties": desk.parties(conn, identity.known.document),
                "names": [one.name for one in peers.listed(conn)],
            }

    shown = await asyncio.to_thread(work)
    older = shown["page"].next
    return rendered(
        request,
        identity,
        "quarantine.html",
        **shown,
        peer=peer,
        code=code,
        decided=decided,
        codes=sorted(quarantine.ADVICE),
        older=f"/quarantine?{urlencode(here | {'before': older})}" if older else "",
        newest=f"/quarantine?{urlencode(here)}" if before else "",
    )


@get("/quarantine/{item:int}", guards=[needs(Right.LOOK)])
async def show_one(
    request: _Request, log: NamedDependency[Log], identity: NamedDependency[Identity], item: FromPath[int]
) -> Template:
    """Show what a frame carries, and what can be done about it."""
    return await _one(request, log, identity, item)


@post(
    "/quarantine/{item:int}/{verdict:str}", guards=[needs(Right.QUARANTINE)], request_max_body_size=_MAX_FORM
)
async def decide(
    request: _Request,
    log: NamedDependency[Log],
    identity: NamedDependency[Identity],
    receiver: NamedDependency[Receiver],
    item: FromPath[int],
    verdict: FromPath[Literal["accept", "reject"]],
    data: URLEncodedBody[dict[str, str]],
) -> Template | Redirect:
    """Take what a person has decided; if that can't be done, show why beside the form."""
    decided = Decided(item, data.get("why", ""), request.user.name)
    more = data.get("overrule", "")
    latest = latest_at(utc_now())
    try:
        if verdict == "accept":
            also = (more,) if more else ()
            await quarantine.accept(log, receiver, decided, latest, also)
        else:
            await quarantine.reject(log, decided)
    except FlowError as error:
        page = await _one(request, log, identity, item, error)
        page.status_code = 422
        return page
    return Redirect("/quarantine", status_code=303)


async def _one(
    request: _Request, log: Log, identity: Identity, item: int, error: FlowError | None = None
) -> Template:
    carried = await quarantine.show(log, item, request.user.name)
    with log.read() as conn:
        parties = desk.parties(conn, identity.known.document)
    return rendered(
        request,
        identity,
        "held.html",
        carried=carried,
        parties=parties,
        fault=str(error) if error else "",
        overrule=error.overrulable if isinstance(error, quarantine.StillRefused) else "",
        may=request.user.may(Right.QUARANTINE),
    )


router = Router(
    path="/",
    route_handlers=[show_list, show_one, decide],
    exception_handlers={NotAuthorizedException: to_sign_in},
    # As for the other pages with forms (web.pages).
    response_headers=[ResponseHeader(name="Referrer-Policy", value="same-origin")],
    include_in_schema=False,
)
