"""An export over HTTP: page after page, each in the log before it leaves."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

import msgspec
from litestar import Request, get
from litestar.di import NamedDependency
from litestar.params import FromQuery, QueryParameter
from litestar.response import Stream

from lezha.access.rights import Principal, Right
from lezha.flows import export, paging
from lezha.flows.witness import Witness
from lezha.node.clock import utc_now
from lezha.store.log import Log
from lezha.web import times
from lezha.web.auth import needs, question, still_valid, who

_Request = Request[Principal, str, Any]


@get("/export", guards=[needs(Right.LOOK)])
async def export_objects(
    request: _Request,
    log: NamedDependency[Log],
    witness: NamedDependency[Witness],
    type: FromQuery[str] = "",  # noqa: A002  # the name in the query string
    since: FromQuery[str] = "",
    peer: FromQuery[str] = "",
    after: Annotated[int, QueryParameter(ge=0, le=1 << 62)] = 0,
) -> Stream:
    """Stream whatever own systems may have, or with `peer` that peer, by the rules as they are now, in log order.

    Of one type only with `type`, only what came here at the time `since` or later. A page is a line of JSON with
    `sizes`, the objects' exact bytes one after another, and a line break; `cursor` of the last complete page is what
    to pass as `after` to go on.
    """
    own = export.own_system(f"export:{request.user.id}")
    where = await asyncio.to_thread(export.stretch, log, after, times.past(since), type)
    first = await asyncio.to_thread(export.page, log, peer, own, where, utc_now())

    async def told(page: export.Page, begin: int) -> bytes:
        if page.objects:
            stands = {"after": begin, "upto": page.head.cursor}
            await witness.exported(who(request), page.recipient, question(request), page.shown, **stands)
        return page.encode()

    async def pages() -> AsyncIterator[bytes]:
        page, rest = first, where
        yield await told(page, rest.after)
        # A token that was revoked meanwhile gets no further page: without its last one the export is not whole.
        while not page.head.last and still_valid(request):
            rest = msgspec.structs.replace(where, after=page.head.cursor)
            page = await asyncio.to_thread(export.page, log, peer, own, rest, utc_now())
            yield await told(page, rest.after)

    return Stream(pages(), media_type=paging.MEDIA_TYPE)
