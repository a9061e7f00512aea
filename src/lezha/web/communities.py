"""Communities over HTTP: rosters drafted, signed, looked at and accepted, admissions approved."""

from collections.abc import Collection, Mapping
from typing import Any, Final

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, FromQuery, JSONBody

from lezha.access.rights import Principal, Right
from lezha.federation.members import Members
from lezha.flows import convene, rosters
from lezha.flows.convene import Choice, Convener, Draft, Revision
from lezha.flows.errors import FlowError
from lezha.flows.rosters import CommunityReport, Review
from lezha.node.clock import later, utc_now
from lezha.store.log import Log
from lezha.web import times
from lezha.web.auth import needs

_ROSTER_DAYS: Final = 365
_Request = Request[Principal, str, Any]


class NewCommunity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Found a community.

    `until` says of members for a time when that ends; it and `expires` are a day, which is counted to its end in UTC,
    or a time with a zone.
    """

    name: str
    members: tuple[str, ...]
    stewards: tuple[str, ...] = ("self",)
    threshold: int = 1
    until: dict[str, str] = {}
    expires: str = ""


class NextRoster(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the next roster of a community, which is named by its name or id, is to change.

    `until` is about those in `add`, who may be members already, as in `NewCommunity`. Without `expires` the next roster
    expires when the present one does.
    """

    community: str
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    until: dict[str, str] = {}
    expires: str = ""


class Approval(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Admit members whose admission waits here; the community is named by its name or id."""

    community: str
    members: tuple[str, ...]


@get("/communities", guards=[needs(Right.LOOK)])
async def list_communities(
    log: NamedDependency[Log], members: NamedDependency[Members]
) -> list[CommunityReport]:
    """Return the communities accepted here by their latest rosters, then those that peers have sent rosters of."""
    with log.read() as conn:
        who, now = rosters.known(conn, members), utc_now()
        return [*rosters.accepted(conn, who, now), *rosters.offered(conn, who, now)]


@get("/communities/{community:str}", guards=[needs(Right.LOOK)])
async def one_community(
    log: NamedDependency[Log], members: NamedDependency[Members], community: FromPath[str]
) -> CommunityReport:
    """Return a community by its id or, if it was accepted here, its name."""
    with log.read() as conn:
        return rosters.one(conn, rosters.known(conn, members), community, utc_now())


@post("/communities", guards=[needs(Right.COMMUNITIES)], status_code=200)
async def found_community(
    request: _Request,
    log: NamedDependency[Log],
    convener: NamedDependency[Convener],
    data: JSONBody[NewCommunity],
) -> Response[bytes]:
    """Draft the first roster of a community and sign it; nothing is in force until it is accepted."""
    now = utc_now()
    expires = times.end(data.expires) if data.expires else later(now, days=_ROSTER_DAYS)
    ends = _ends(data.until, data.members)
    draft = Draft(data.name, data.members, data.stewards, data.threshold, now, expires, ends)
    with log.read() as conn:
        raw = convene.found(conn, convener, draft)
    return await _handed_out(log, raw, request)


@post("/communities/revise", guards=[needs(Right.COMMUNITIES)], status_code=200)
async def revise_community(
    request: _Request,
    log: NamedDependency[Log],
    members: NamedDependency[Members],
    convener: NamedDependency[Convener],
    data: JSONBody[NextRoster],
) -> Response[bytes]:
    """Draft the roster that follows the latest one held here and sign it; nothing is in force until it is accepted."""
    ends = _ends(data.until, data.add)
    wanted = Revision(
        community=data.community,
        add={name: ends.get(name) for name in data.add},
        remove=data.remove,
        issued=utc_now(),
        expires=times.end(data.expires) if data.expires else "",
    )
    with log.read() as conn:
        raw = convene.revise(conn, convener, members, wanted)
    return await _handed_out(log, raw, request)


@post("/communities/sign", guards=[needs(Right.COMMUNITIES)], status_code=200)
async def sign_roster(
    request: _Request, log: NamedDependency[Log], convener: NamedDependency[Convener]
) -> Response[bytes]:
    """Add this member's signature as a steward to the roster in the body, if it follows the one held here."""
    given = await request.body()
    with log.read() as conn:
        raw = convene.cosign(conn, convener, given)
    return await _handed_out(log, raw, request)


@post("/communities/review", guards=[needs(Right.LOOK)], status_code=200)
async def review_roster(
    request: _Request, log: NamedDependency[Log], members: NamedDependency[Members]
) -> Review:
    """Say what the roster in the body would change here, and who has signed it; nothing is written."""
    raw = await request.body()
    with log.read() as conn:
        return rosters.review(conn, rosters.known(conn, members), raw, utc_now())


@post("/communities/accept", guards=[needs(Right.COMMUNITIES)], status_code=200)
async def accept_roster(
    request: _Request,
    log: NamedDependency[Log],
    members: NamedDependency[Members],
    convener: NamedDependency[Convener],
    only: FromQuery[list[str] | None] = None,
) -> CommunityReport:
    """Take the roster in the body as true and admit its members here, or with `only` these and no others."""
    chosen = Choice(convener.member, members, tuple(only)) if only else None
    found = await convene.accept(log, await request.body(), request.user.name, chosen)
    with log.read() as conn:
        return rosters.one(conn, rosters.known(conn, members), found.id, utc_now())


@post("/communities/approve", guards=[needs(Right.COMMUNITIES)], status_code=200)
async def approve_admissions(
    request: _Request,
    log: NamedDependency[Log],
    members: NamedDependency[Members],
    convener: NamedDependency[Convener],
    data: JSONBody[Approval],
) -> CommunityReport:
    """Admit members that the latest roster names and whose admission waits here."""
    chosen = Choice(convener.member, members, data.members)
    found = await convene.approve(log, data.community, chosen, request.user.name)
    with log.read() as conn:
        return rosters.one(conn, rosters.known(conn, members), found.id, utc_now())


async def _handed_out(log: Log, raw: bytes, request: _Request) -> Response[bytes]:
    signed = await convene.handed_out(log, raw, request.user.name)
    return Response(signed, media_type="application/json")


def _ends(until: Mapping[str, str], names: Collection[str]) -> dict[str, str]:
    """Return the ends of memberships, as the log writes times. Raises FlowError."""
    for name in until:
        if name not in names:
            raise FlowError(
                f"{name[:100]!r} has an end of its membership and is not among the members to be."
            )
    return {name: times.end(written) for name, written in until.items()}


routes: Final[list[HTTPRouteHandler]] = [
    list_communities, one_community, found_community, revise_community, sign_roster, review_roster, accept_roster,
    approve_admissions,
]  # fmt: skip
