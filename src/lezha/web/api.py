"""The HTTP API for tools and for the command line: JSON in, JSON out, `Authorization: Bearer`."""

import asyncio
import re
from typing import Annotated, Any, Final

import msgspec
from litestar import Request, Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from lezha.access.rights import Principal, Right
from lezha.federation import enrolment, tls
from lezha.federation.client import PeerClient, fetch_document
from lezha.federation.members import Members
from lezha.flows import about, ingest, introduce, look, names, publish, purge, recall
from lezha.flows.about import About
from lezha.flows.errors import FlowError
from lezha.flows.ingest import Taken
from lezha.flows.introduce import Host
from lezha.flows.look import LinkPhase, ListedPage, ObjectReport, PeerReport
from lezha.flows.publish import Author, Published
from lezha.flows.purge import Purged
from lezha.flows.recall import Recalled
from lezha.flows.witness import Witness
from lezha.node import upkeep
from lezha.node.clock import later, utc_now
from lezha.node.identity import Identity
from lezha.node.links import Links
from lezha.node.settings import Retention
from lezha.sharing.tlp import Pap, Tlp
from lezha.sharing.trust import Trust
from lezha.store import contents, looks, peers, search
from lezha.store.errors import NotFound
from lezha.store.log import Log
from lezha.store.peers import PeerState
from lezha.store.search import Query
from lezha.web import (
    carry,
    communities,
    constituents,
    exports,
    isolation,
    parameters,
    quarantine,
    release,
    times,
    tokens,
)
from lezha.web.auth import needs, question, who

_INVITATION_HOURS: Final = 24
_SHA256: Final = re.compile(r"[0-9A-Fa-f]{64}")
_Request = Request[Principal, str, Any]


class Invite(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Ask for an invitation for the peer to be called `name`; `again` if it is one already."""

    name: str
    again: bool = False


class Accept(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Take up an invitation; `name` is what to call the inviter here, empty for its own name."""

    invitation: str
    name: str = ""


class Clear(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Ask for another clearance."""

    clearance: Tlp


class Trusted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Ask for another use of a peer's indicators."""

    trust: Trust


class Limit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Ask for another limit on what is taken from a peer; null for what the settings say."""

    hourly: Annotated[int, msgspec.Meta(ge=1, le=peers.MOST_HOURLY)] | None


class Confirm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The phrase that the peer's officer has read aloud."""

    name: str
    phrase: str


class Purge(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Ask for objects to be destroyed, and say why: the reason is kept for ever."""

    ids: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=1000)]
    why: str


class Recall(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Ask for an object of this member's, or one version of it, to be taken back.

    All who were told read `why`. With `dry_run` nothing is done; with `keep_derived` what names the object stays.
    """

    id: str
    version: str = ""
    why: str = ""
    keep_derived: bool = False
    dry_run: bool = False


class RetentionCount(msgspec.Struct, frozen=True):
    """How many objects a rule of retention is about."""

    type: str
    days: int
    count: int


class RetentionReport(msgspec.Struct, frozen=True):
    """The rules of retention, each with how many objects are due or were purged."""

    rules: list[RetentionCount]


Retentions = tuple[Retention, ...]


class Status(msgspec.Struct, frozen=True):
    """This node in short."""

    member: str
    name: str
    title: str
    objects: dict[str, int]
    peers: list[PeerReport]


@get("/status", guards=[needs(Right.LOOK)])
async def status(
    log: NamedDependency[Log], identity: NamedDependency[Identity], links: NamedDependency[Links]
) -> Status:
    """Return what this node holds and how its links are."""
    document = identity.known.document
    with log.read() as conn:
        return Status(
            member=document.member,
            name=document.name,
            title=document.title,
            objects=search.count_by_type(conn),
            peers=look.peer_reports(conn, lambda member: phase(links, member), utc_now()),
        )


@post("/publish", guards=[needs(Right.PUBLISH)], status_code=200)
async def publish_bundle(
    request: _Request,
    log: NamedDependency[Log],
    author: NamedDependency[Author],
    members: NamedDependency[Members],
    tlp: FromQuery[Tlp],
    to: Annotated[list[str], QueryParameter(required=True)],
    pap: FromQuery[Pap] = Pap.GREEN,
    onward: FromQuery[bool] = False,
    future_members: FromQuery[bool | None] = None,
    expires: FromQuery[str | None] = None,
    strict: FromQuery[bool] = False,
    stop_on: Annotated[list[str] | None, QueryParameter()] = None,
    dry_run: FromQuery[bool] = False,
) -> Published:
    """Publish the STIX 2.1 bundle in the body under these terms, or with `dry_run` say who would get it.

    `outlook` says for each peer and each constituent what it gets and by which rules, what not and why; `warnings` what
    there is to think about. With `stop_on`, codes of warnings or `any`, nothing is published if there is one.
    """
    raw = await request.body()
    terms = release.terms(log, tlp, to, pap, onward, future_members, expires)
    wanted = publish.Request(raw, terms, strict, tuple(stop_on or ()))
    if dry_run:
        return await asyncio.to_thread(publish.preview, log, author, members, wanted, utc_now())
    return await publish.publish(log, author, members, wanted, request.user.name)


@post("/recall", guards=[needs(Right.PUBLISH)], status_code=200)
async def recall_object(
    request: _Request,
    log: NamedDependency[Log],
    author: NamedDependency[Author],
    members: NamedDependency[Members],
    witness: NamedDependency[Witness],
    data: JSONBody[Recall],
) -> Recalled:
    """Take back this member's word on an object, and what of its own would go on telling of it.

    Whoever was ever offered it is told. The answer says who that is, and what can't be called back.
    """
    asked = recall.Request(data.id, data.version, data.why, data.keep_derived)
    if data.dry_run:
        outlook = await asyncio.to_thread(recall.preview, log, author, members, asked, utc_now())
        with log.read() as conn:
            shown = looks.restricted(conn, (), {one.id for one in outlook.recalled})
        await witness.saw(who(request), "recall", data.id, shown)
        return outlook
    return await recall.recall(log, author, members, asked, request.user.name)


@post("/objects", guards=[needs(Right.PUBLISH)], status_code=200)
async def take_objects(
    request: _Request,
    log: NamedDependency[Log],
    author: NamedDependency[Author],
    members: NamedDependency[Members],
) -> Taken:
    """Take the objects of the STIX 2.1 bundle in the body for own systems: nothing is signed, nobody is told."""
    return await ingest.take(log, members, author.member, await request.body(), request.user.name)


@get("/objects", guards=[needs(Right.LOOK)])
async def find_objects(
    request: _Request,
    log: NamedDependency[Log],
    witness: NamedDependency[Witness],
    members: NamedDependency[Members],
    identity: NamedDependency[Identity],
    id: FromQuery[str] = "",  # noqa: A002  # the name in the query string
    type: FromQuery[str] = "",  # noqa: A002  # the name in the query string
    value: FromQuery[str] = "",
    text: FromQuery[str] = "",
    label: FromQuery[str] = "",
    marking: FromQuery[str] = "",
    tlp: FromQuery[Tlp | None] = None,
    creator: FromQuery[str] = "",
    origin: FromQuery[str] = "",
    ref: FromQuery[str] = "",
    sighted: FromQuery[bool | None] = None,
    revoked: FromQuery[bool | None] = None,
    since: FromQuery[str] = "",
    until: FromQuery[str] = "",
    modified_since: FromQuery[str] = "",
    modified_until: FromQuery[str] = "",
    before: Annotated[int, QueryParameter(ge=0, le=1 << 62)] = 0,
    limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 50,
) -> ListedPage:
    """Find objects, newest first; all conditions must hold.

    `value` is an observable: it also finds networks or parents that contain it, and what it contains. `text` is words
    and "phrases"; the last may be the beginning of a word. `creator` and `origin` are identity ids or names of peers,
    or `self`. `since` and `until` are about arrival here, `modified_since` and `modified_until` about the version;
    times are written 2026-03-31T12:00:00Z, or 24h, 7d, 2w ago.
    """
    query = Query(
        id=id,
        type=type,
        text=text,
        label=label,
        marking=marking,
        tlp=tlp.value if tlp else "",
        ref=ref,
        sighted=sighted,
        revoked=revoked,
        since=times.past(since),
        until=times.past(until),
        modified_since=times.past(modified_since),
        modified_until=times.past(modified_until),
        before=before,
        limit=limit,
    )

    def work() -> tuple[ListedPage, frozenset[int]]:
        with log.read() as conn:
            told, made = (names.member(conn, identity.member, members, one) for one in (origin, creator))
            wanted = msgspec.structs.replace(query, origin=told, creator=made)
            page = look.search_objects(conn, wanted, value)
            shown = looks.restricted(conn, (one.hash for one in page.found))
            return ListedPage(look.listed(conn, page.found), page.next or None), shown

    found, shown = await asyncio.to_thread(work)
    await witness.saw(who(request), "search", question(request), shown)
    return found


@get("/about", guards=[needs(Right.LOOK)])
async def about_value(
    request: _Request, log: NamedDependency[Log], witness: NamedDependency[Witness], value: FromQuery[str]
) -> About:
    """Return everything about an observable: objects with it and around it, sightings, and what names these.

    Each group is capped at 100 and says so where it is.
    """

    def work() -> tuple[About, frozenset[int]]:
        with log.read() as conn:
            found = about.about(conn, value)
            return found, looks.restricted(
                conn, (one.hash for group in found.groups for one in group.objects)
            )

    found, shown = await asyncio.to_thread(work)
    await witness.saw(who(request), "about", question(request), shown)
    return found


@post("/store/purge", guards=[needs(Right.PURGE)], status_code=200)
async def purge_objects(
    request: _Request, log: NamedDependency[Log], author: NamedDependency[Author], data: JSONBody[Purge]
) -> Purged:
    """Destroy the bytes of all versions of some objects for good; the hash and the audit stay."""
    return await purge.purge(log, author.member, data.ids, data.why, request.user.name)


@get("/store/retention", guards=[needs(Right.LOOK)])
async def retention_due(log: NamedDependency[Log], retention: NamedDependency[Retentions]) -> RetentionReport:
    """Say what the rules of retention would purge now."""
    wanted = upkeep.rules(retention, utc_now())
    return _retention(wanted, await asyncio.to_thread(purge.due, log, wanted))


@post("/store/retention", guards=[needs(Right.PURGE)], status_code=200)
async def retire_now(
    request: _Request, log: NamedDependency[Log], retention: NamedDependency[Retentions]
) -> RetentionReport:
    """Purge now what the rules of retention say."""
    wanted = upkeep.rules(retention, utc_now())
    return _retention(wanted, await purge.retire(log, wanted, actor=request.user.name))


@get("/objects/{stix_id:str}", guards=[needs(Right.LOOK)])
async def object_report(
    request: _Request, log: NamedDependency[Log], witness: NamedDependency[Witness], stix_id: FromPath[str]
) -> list[ObjectReport]:
    """Return each version of an object with who said what of it and who was told."""

    def work() -> tuple[list[ObjectReport], frozenset[int]]:
        with log.read() as conn:
            reports = look.object_report(conn, stix_id)
            return reports, looks.restricted(conn, (one.found.hash for one in reports))

    reports, shown = await asyncio.to_thread(work)
    await witness.saw(who(request), "object", stix_id, shown)
    return reports


@get("/contents/{content:str}", guards=[needs(Right.LOOK)])
async def exact_bytes(
    request: _Request, log: NamedDependency[Log], witness: NamedDependency[Witness], content: FromPath[str]
) -> Response[bytes]:
    """Return the exact bytes of a content."""
    if not _SHA256.fullmatch(content):
        raise NotFound(f"{content!r} is not the SHA-256 of a content, 64 hexadecimal digits.")
    with log.read() as conn:
        raw, shown = contents.raw(conn, content), looks.restricted(conn, [content])
    await witness.saw(who(request), "bytes", content, shown)
    return Response(raw, media_type="application/stix+json;version=2.1")


@get("/peers", guards=[needs(Right.LOOK)])
async def list_peers(log: NamedDependency[Log], links: NamedDependency[Links]) -> list[PeerReport]:
    """Return all peers with lag, receipts, refusals and what was withheld from them."""
    with log.read() as conn:
        return look.peer_reports(conn, lambda member: phase(links, member), utc_now())


@get("/peers/{name:str}/latencies", guards=[needs(Right.LOOK)])
async def latencies(
    log: NamedDependency[Log], links: NamedDependency[Links], name: FromPath[str]
) -> list[float]:
    """Return the latest measured times from commit here to the peer's signed receipt, in ms."""
    with log.read() as conn:
        member = peers.by_name(conn, name).member
    if not links.here:
        raise FlowError("Latencies are known to the process that runs the links: ask `lezha serve` for them.")
    running = links.get(member)
    return [round(value, 3) for value in running.state.latencies] if running else []


@post("/peers/invite", guards=[needs(Right.PEERS)], status_code=200)
async def invite(
    request: _Request, log: NamedDependency[Log], host: NamedDependency[Host], data: JSONBody[Invite]
) -> dict[str, str]:
    """Make a single-use invitation, good for 24 hours."""
    expires = later(utc_now(), hours=_INVITATION_HOURS)
    return {
        "invitation": await introduce.invite(
            log, host, data.name, expires, request.user.name, again=data.again
        ),
        "expires": expires,
    }


@post("/peers/accept", guards=[needs(Right.PEERS)], status_code=200)
async def accept(
    request: _Request, log: NamedDependency[Log], host: NamedDependency[Host], data: JSONBody[Accept]
) -> dict[str, str]:
    """Take up an invitation and return the phrase to compare with the inviting officer."""
    offer = enrolment.read_offer(data.invitation)
    inviter = await fetch_document(offer)
    client = PeerClient(
        offer.endpoint, inviter.document.member, tls.client_context(None, inviter.document.tls_root)
    )
    try:
        phrase = await introduce.accept(log, host, offer, inviter, client, data.name, actor=request.user.name)
    finally:
        await client.close()
    with log.read() as conn:
        kept = peers.by_member(conn, inviter.document.member)
    return {"name": kept.name, "title": inviter.document.title, "phrase": phrase}


@get("/peers/{name:str}/phrase", guards=[needs(Right.PEERS)])
async def pending_phrase(log: NamedDependency[Log], name: FromPath[str]) -> dict[str, str]:
    """Return the phrase of a peer, to compare with its officer."""
    with log.read() as conn:
        found, phrase = introduce.phrase_of(conn, name)
    return {"name": found.name, "state": found.state.value, "phrase": phrase}


@post("/peers/confirm", guards=[needs(Right.PEERS)], status_code=200)
async def confirm(request: _Request, log: NamedDependency[Log], data: JSONBody[Confirm]) -> dict[str, str]:
    """Make a pending peer active, its phrase having been compared over another channel."""
    peer = await introduce.confirm(log, data.name, data.phrase, request.user.name)
    return {"name": peer.name, "member": peer.member, "state": peer.state.value}


@post("/peers/{name:str}/suspend", guards=[needs(Right.PEERS)], status_code=200)
async def suspend(request: _Request, log: NamedDependency[Log], name: FromPath[str]) -> dict[str, str]:
    """Send a peer nothing more and take nothing from it, from now on, except for recalls."""
    peer = await introduce.change(log, name, PeerState.SUSPENDED, request.user.name)
    return {"name": peer.name, "member": peer.member, "state": peer.state.value}


@post("/peers/{name:str}/resume", guards=[needs(Right.PEERS)], status_code=200)
async def resume(request: _Request, log: NamedDependency[Log], name: FromPath[str]) -> dict[str, str]:
    """Let the link to a suspended peer run again."""
    peer = await introduce.change(log, name, PeerState.ACTIVE, request.user.name)
    return {"name": peer.name, "member": peer.member, "state": peer.state.value}


@post("/peers/{name:str}/clear", guards=[needs(Right.PEERS)], status_code=200)
async def clear(
    request: _Request, log: NamedDependency[Log], name: FromPath[str], data: JSONBody[Clear]
) -> dict[str, str]:
    """Change up to which TLP a peer receives, from the next sending on."""
    peer = await introduce.clear(log, name, data.clearance, request.user.name)
    return {"name": peer.name, "member": peer.member, "clearance": peer.clearance.value}


@post("/peers/{name:str}/trust", guards=[needs(Right.PEERS)], status_code=200)
async def trust(
    request: _Request, log: NamedDependency[Log], name: FromPath[str], data: JSONBody[Trusted]
) -> dict[str, str]:
    """Change what a peer's indicators are used for at most; sensors are told at once."""
    peer = await introduce.trust(log, name, data.trust, request.user.name)
    return {"name": peer.name, "member": peer.member, "trust": peer.trust.value}


@post("/peers/{name:str}/limit", guards=[needs(Right.PEERS)], status_code=200)
async def limit(
    request: _Request, log: NamedDependency[Log], name: FromPath[str], data: JSONBody[Limit]
) -> dict[str, str | int | None]:
    """Change how many objects are taken from a peer in an hour."""
    peer = await introduce.limit(log, name, data.hourly, request.user.name)
    return {"name": peer.name, "member": peer.member, "hourly": peer.hourly}


@post("/peers/{name:str}/remove", guards=[needs(Right.PEERS)], status_code=200)
async def remove(request: _Request, log: NamedDependency[Log], name: FromPath[str]) -> dict[str, str]:
    """Forget a peer that was never confirmed, so that it can be invited again."""
    await introduce.forget(log, name, request.user.name)
    return {"name": name, "state": "removed"}


@get("/sightings", guards=[needs(Right.LOOK)])
async def list_sightings(
    request: _Request,
    log: NamedDependency[Log],
    witness: NamedDependency[Witness],
    limit: Annotated[int, QueryParameter(ge=1, le=10_000)] = 1000,
) -> list[look.Seen]:
    """Return the sightings that members signed for, oldest first: by whom, of what, how often, and when they came.

    What was brought here for own systems only is found by a search.
    """
    with log.read() as conn:
        seen = look.sightings(conn, limit)
        shown = looks.restricted(conn, (), (one.id for one in seen))
    await witness.saw(who(request), "sightings", question(request), shown)
    return seen


def phase(links: Links, member: str) -> LinkPhase | None:
    """Return how the sending end of the link to `member` is, or None if it does not run."""
    running = links.get(member)
    if running is None:
        return None if links.here else look.ELSEWHERE
    state = running.state
    return LinkPhase(state.phase, state.fault, list(state.latencies), state.heard)


def _retention(rules: list[purge.Rule], counts: dict[str, int]) -> RetentionReport:
    return RetentionReport([RetentionCount(one.type, one.days, counts.get(one.type, 0)) for one in rules])


router = Router(
    path="/api/v1",
    before_request=parameters.only_known,
    route_handlers=[
        status, publish_bundle, recall_object, take_objects, find_objects, object_report, about_value,
        purge_objects, retention_due, retire_now, exact_bytes, exports.export_objects, list_peers,
        latencies, invite, accept,
        pending_phrase, confirm, suspend, resume, clear, remove, *communities.routes, *tokens.routes,
        *constituents.routes, *carry.routes, *isolation.routes, *release.routes, *quarantine.routes,
        list_sightings, trust, limit,
    ],
)  # fmt: skip
