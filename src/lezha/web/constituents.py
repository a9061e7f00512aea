"""Constituents over HTTP: admitted and changed by people; and what a constituent may call with its own token."""

import asyncio
from typing import Annotated, Any, Final

import msgspec
import structlog
from litestar import Request, Response, Router, get, post
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody, QueryParameter

from lezha.access.rights import Principal, Right
from lezha.flows import constituents as flow
from lezha.flows import hand_out
from lezha.flows.witness import Witness
from lezha.node.changes import Changes
from lezha.node.clock import utc_now
from lezha.sharing.tlp import Tlp
from lezha.store import constituents, looks
from lezha.store.errors import NoRoom, StoreError
from lezha.store.log import Log
from lezha.web import parameters, problems
from lezha.web.auth import check_still_valid, needs, who

_logger = structlog.get_logger()
_Request = Request[Principal, str, Any]


class NewConstituent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Ask for a constituent to be admitted."""

    name: str
    title: str = ""
    clearance: Tlp = Tlp.AMBER


class ClearConstituent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Ask for another clearance."""

    clearance: Tlp


class ConstituentReport(msgspec.Struct, frozen=True):
    """A constituent as people see it."""

    name: str
    title: str
    clearance: str
    state: str
    since: str


@post("/constituents", guards=[needs(Right.PEERS)], status_code=200)
async def admit(
    request: _Request, log: NamedDependency[Log], data: JSONBody[NewConstituent]
) -> dict[str, str]:
    """Admit a constituent and return its token: the only time it is shown."""
    made = await flow.admit(log, data.name, data.title, data.clearance, request.user.name)
    return {"name": data.name, "token": made.text}


@get("/constituents", guards=[needs(Right.LOOK)])
async def list_constituents(log: NamedDependency[Log]) -> list[ConstituentReport]:
    """Return the constituents by name."""
    with log.read() as conn:
        return [_report(one) for one in constituents.listed(conn)]


@post("/constituents/{name:str}/renew", guards=[needs(Right.PEERS)], status_code=200)
async def renew(request: _Request, log: NamedDependency[Log], name: FromPath[str]) -> dict[str, str]:
    """Make a new token for a constituent and return it; the one before ends at once."""
    made = await flow.renew(log, name, request.user.name)
    return {"name": name, "token": made.text}


@post("/constituents/{name:str}/clear", guards=[needs(Right.PEERS)], status_code=200)
async def clear(
    request: _Request, log: NamedDependency[Log], name: FromPath[str], data: JSONBody[ClearConstituent]
) -> ConstituentReport:
    """Change what a constituent is cleared for."""
    return _report(await flow.change(log, name, request.user.name, clearance=data.clearance))


@post("/constituents/{name:str}/suspend", guards=[needs(Right.PEERS)], status_code=200)
async def suspend(request: _Request, log: NamedDependency[Log], name: FromPath[str]) -> ConstituentReport:
    """Hand nothing more out to a constituent."""
    return _report(await flow.change(log, name, request.user.name, suspended=True))


@post("/constituents/{name:str}/resume", guards=[needs(Right.PEERS)], status_code=200)
async def resume(request: _Request, log: NamedDependency[Log], name: FromPath[str]) -> ConstituentReport:
    """Hand out to a suspended constituent again."""
    return _report(await flow.change(log, name, request.user.name, suspended=False))


def _at_a_loss(request: _Request, error: StoreError) -> Response[Any]:
    """Tell a constituent that there is nothing now; why is this member's own affair and stands in the node's log."""
    _logger.error("view.failed", constituent=request.user.name, reason=str(error))
    return problems.told(
        request, 503, "This node can't give anything out now. Ask again later; nothing is lost."
    )


def _report(one: constituents.Constituent) -> ConstituentReport:
    state = "suspended" if one.suspended else "active"
    return ConstituentReport(one.name, one.title, one.clearance.value, state, one.since)


@get("/view", guards=[needs(Right.RECEIVE)], exception_handlers={StoreError: _at_a_loss, NoRoom: _at_a_loss})
async def view(
    request: _Request,
    log: NamedDependency[Log],
    witness: NamedDependency[Witness],
    decisive: NamedDependency[Changes],
    after: Annotated[int, QueryParameter(ge=0, le=1 << 62)] = 0,
    limit: Annotated[int, QueryParameter(ge=1, le=hand_out.ROWS)] = hand_out.ROWS,
    wait: Annotated[float, QueryParameter(ge=0, le=30)] = 0,
) -> Response[bytes]:
    """Return the rows of the constituent's own view after row `after`; with none, wait up to `wait` seconds for one.

    The answer is JSON: `rows`, the `head` to go on after, `more` if there are more rows now, and the node's
    `incarnation`: if that is another than before, read from row 0. A row has a `number` and a `kind`: an `object` (with
    `id`, `origin`, `tlp`, `pap`, `until`, and the `object` itself), `withdrawn` (with the `id` of what was given before
    and does not count any more), or `nothing`.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + wait
    while True:
        serial = decisive.serial
        with log.read() as conn:
            recipient = constituents.by_name(conn, request.user.name).recipient()
        found = await hand_out.view(log, recipient, after, limit, utc_now())
        left = end - loop.time()
        if found.rows or left <= 0:
            check_still_valid(request)
            await _witnessed(request, log, witness, recipient.id, after, found.head)
            return Response(msgspec.json.encode(found), media_type="application/json")
        if not found.more:
            await decisive.beyond(serial, left)


async def _witnessed(
    request: _Request, log: Log, witness: Witness, recipient: str, after: int, upto: int
) -> None:
    """Have it in the log which rows of its view a constituent is handed out. Raises StoreError."""
    if upto > after:
        with log.read() as conn:
            shown = looks.given(conn, recipient, after, upto)
        await witness.saw(who(request), "view", f"rows {after + 1} to {upto} of its view", shown)


routes: Final[list[HTTPRouteHandler]] = [admit, list_constituents, renew, clear, suspend, resume]
router = Router(path="/api/v1", before_request=parameters.only_known, route_handlers=[view])
