"""The HTTP API about release: who gets what and why, what could not be told, and tear-lines."""

import asyncio

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from lezha.access.rights import Right
from lezha.flows import explain, gaps
from lezha.flows.explain import Explanation
from lezha.flows.gaps import Asked, Gaps
from lezha.node.clock import utc_now
from lezha.node.identity import Identity
from lezha.store.log import Log
from lezha.web import times
from lezha.web.auth import needs


@get("/release/explain/{stix_id:str}", guards=[needs(Right.LOOK)])
async def explain_object(
    log: NamedDependency[Log],
    identity: NamedDependency[Identity],
    stix_id: FromPath[str],
    peer: FromQuery[str] = "",
) -> Explanation:
    """Explain who gets an object and who does not, by which rule and clause, beside what is recorded.

    Before publishing `/publish` with `dry_run` says the same.
    """

    def work() -> Explanation:
        with log.read() as conn:
            return explain.explain(conn, identity.member, stix_id, utc_now(), peer)

    return await asyncio.to_thread(work)


@get("/release/gaps", guards=[needs(Right.LOOK)])
async def release_gaps(
    log: NamedDependency[Log],
    identity: NamedDependency[Identity],
    since: FromQuery[str] = "",
    peer: FromQuery[str] = "",
    community: FromQuery[str] = "",
) -> Gaps:
    """Report what could not be told to whom, by which rule, and what can be done about it.

    `since` is a time, or 24h, 7d, 12w ago. Sums are counted up to `cap`; `capped` says that there is more.
    """
    asked = Asked(times.past(since), peer, community)

    def work() -> Gaps:
        with log.read() as conn:
            return gaps.gaps(conn, identity.member, asked, utc_now())

    return await asyncio.to_thread(work)


routes = (explain_object, release_gaps)
