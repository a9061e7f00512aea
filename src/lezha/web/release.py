"""The HTTP API about release: who gets what and why, what could not be told, and tear-lines."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from litestar import Request, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody

from lezha.access.rights import Principal, Right
from lezha.federation.members import Members
from lezha.flows import explain, gaps, publish, tearline
from lezha.flows.explain import Explanation
from lezha.flows.gaps import Asked, Gaps
from lezha.flows.publish import Author
from lezha.flows.tearline import Torn
from lezha.flows.witness import Witness
from lezha.node.clock import utc_now
from lezha.node.identity import Identity
from lezha.sharing.terms import Terms
from lezha.sharing.tlp import Pap, Tlp
from lezha.store import looks
from lezha.store.log import Log
from lezha.web import times
from lezha.web.auth import needs, question, who

_Request = Request[Principal, str, Any]
_Text = Annotated[str, msgspec.Meta(max_length=5000)]


class Tear(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which object to tear and on which terms; `without` are names of properties and ids that it names."""

    id: str
    tlp: Tlp
    to: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=1000)]
    pap: Pap = Pap.GREEN
    onward: bool = False
    future_members: bool | None = None
    expires: str | None = None
    without: Annotated[tuple[str, ...], msgspec.Meta(max_length=1000)] = ()
    set_name: _Text | None = None
    set_description: _Text | None = None
    stop_on: tuple[str, ...] = ()
    dry_run: bool = False


@get("/release/explain/{stix_id:str}", guards=[needs(Right.LOOK)])
async def explain_object(
    request: _Request,
    log: NamedDependency[Log],
    witness: NamedDependency[Witness],
    identity: NamedDependency[Identity],
    stix_id: FromPath[str],
    peer: FromQuery[str] = "",
) -> Explanation:
    """Explain who gets an object and who does not, by which rule and clause, beside what is recorded.

    Before publishing `/publish` with `dry_run` says the same.
    """

    def work() -> tuple[Explanation, frozenset[int]]:
        with log.read() as conn:
            found = explain.explain(conn, identity.member, stix_id, utc_now(), peer)
            return found, looks.restricted(conn, (one.found.hash for one in found.versions))

    found, shown = await asyncio.to_thread(work)
    await witness.saw(who(request), "explained", stix_id, shown)
    return found


@get("/release/gaps", guards=[needs(Right.LOOK)])
async def release_gaps(
    request: _Request,
    log: NamedDependency[Log],
    witness: NamedDependency[Witness],
    identity: NamedDependency[Identity],
    since: FromQuery[str] = "",
    peer: FromQuery[str] = "",
    community: FromQuery[str] = "",
) -> Gaps:
    """Report what could not be told to whom, by which rule, and what can be done about it.

    `since` is a time, or 24h, 7d, 12w ago. Each sum looks at the newest `cap` decisions;
    `capped` says that there may be more.
    """
    asked = Asked(times.past(since), peer, community)

    def work() -> tuple[Gaps, frozenset[int]]:
        with log.read() as conn:
            found = gaps.gaps(conn, identity.member, asked, utc_now())
            return found, looks.restricted(conn, (), gaps.named(found))

    found, shown = await asyncio.to_thread(work)
    await witness.saw(who(request), "gaps", question(request), shown)
    return found


@post("/release/tearline", guards=[needs(Right.PUBLISH)], status_code=200)
async def tear(
    request: _Request,
    log: NamedDependency[Log],
    witness: NamedDependency[Witness],
    author: NamedDependency[Author],
    members: NamedDependency[Members],
    data: JSONBody[Tear],
) -> Torn:
    """Make a tear-line of an own object: less in it, a new id, a wider audience; with `dry_run` show what it would be.

    What not everyone in the audience may know, and what is marked as narrower, is left out by itself. `kept` and
    `dropped` say what became of everything.
    """
    signed = terms(log, data.tlp, data.to, data.pap, data.onward, data.future_members, data.expires)
    changes = {"name": data.set_name, "description": data.set_description}
    wanted = tearline.Request(
        stix_id=data.id,
        terms=signed,
        without=data.without,
        changes={name: text for name, text in changes.items() if text is not None},
        stop_on=data.stop_on,
    )
    with log.read() as conn:
        shown = looks.restricted(conn, (), [data.id])
    await witness.saw(who(request), "tear-line", data.id, shown)
    if data.dry_run:
        return await asyncio.to_thread(tearline.preview, log, author, members, wanted, utc_now())
    return await tearline.tear(log, author, members, wanted, request.user.name, utc_now())


def terms(
    log: Log,
    tlp: Tlp,
    to: Sequence[str],
    pap: Pap,
    onward: bool,
    future_members: bool | None,
    expires: str | None,
) -> Terms:
    """Return the terms that a person or tool names. Raises FlowError for a name or a time that means nothing.

    Later members are included by default where the TLP is CLEAR or GREEN (docs/design.md, Release).
    """
    with log.read() as conn:
        audience = publish.audience(conn, to)
    return Terms(
        tlp=tlp,
        audience=audience,
        pap=pap,
        onward=onward,
        future_members=tlp.rank <= Tlp.GREEN.rank if future_members is None else future_members,
        expires=times.to_come(expires) if expires else None,
    )


routes = (explain_object, release_gaps, tear)
