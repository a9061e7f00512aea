"""Isolating the node over HTTP."""

from typing import Any, Final

import msgspec
from litestar import Request, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from lezha.access.rights import Principal, Right
from lezha.store import isolation
from lezha.store.isolation import Isolation
from lezha.store.log import Log
from lezha.web.auth import needs

_MOST_WORDS: Final = 1000
_Request = Request[Principal, str, Any]


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Isolate the node, or `end` that; `why` is for the record and for whoever comes on duty."""

    why: str = ""
    end: bool = False


class Present(msgspec.Struct, frozen=True):
    """Whether nothing goes out, and since when, by whom and why."""

    isolated: bool
    at: str = ""
    actor: str = ""
    why: str = ""


@get("/isolation", guards=[needs(Right.LOOK)])
async def shown(log: NamedDependency[Log]) -> Present:
    """Return whether this node is isolated."""
    with log.read() as conn:
        return _present(isolation.present(conn))


@post("/isolation", guards=[needs(Right.ISOLATE)], status_code=200)
async def change(request: _Request, log: NamedDependency[Log], data: JSONBody[Wanted]) -> Present:
    """Stop all that goes out, and go on receiving; or let the node send again."""
    actor = request.user.name
    if data.end:
        await log.write(lambda tx: isolation.end(tx, actor))
        return Present(isolated=False)
    return _present(await log.write(lambda tx: isolation.begin(tx, data.why[:_MOST_WORDS], actor)))


def _present(found: Isolation | None) -> Present:
    return Present(isolated=False) if found is None else Present(True, found.at, found.actor, found.why)


routes = [shown, change]
