"""The log answers people and tools: what is held, who was told, how the links are."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec
from sqlalchemy import Connection

from lezha.detection.lookup import lookups
from lezha.federation import contact as contacts
from lezha.federation.contact import Contacts
from lezha.flows import contact, share
from lezha.stix import lines
from lezha.stix.lines import State, Version
from lezha.store import (
    activity,
    contents,
    disputes,
    inbound,
    keys,
    ledger,
    peers,
    quarantine,
    search,
    statements,
    tombstones,
    views,
)
from lezha.store.contents import Purge
from lezha.store.ledger import Fate
from lezha.store.peers import PeerState
from lezha.store.search import Found, Page, Query, Said


class LinkPhase(msgspec.Struct, frozen=True):
    """A link as it runs. `latencies` are commit → receipt in ms, the latest 10,000; `heard` is the last contact.

    `skew_s` is by how much the peer's clock was ahead then.
    """

    phase: str
    fault: str
    latencies: Sequence[float] = ()
    heard: str = ""
    skew_s: float | None = None


_UNDECIDED: Final = 1000
ELSEWHERE: Final = LinkPhase("elsewhere", "")
"""The sending end of a link runs in another process, which alone knows how it is."""


class Quantiles(msgspec.Struct, frozen=True):
    """Milliseconds; `count` is how many were measured."""

    p50: float
    p99: float
    count: int


class PeerReport(msgspec.Struct, frozen=True):
    """One peer as the desk sees it.

    `delivered` counts what the peer signed for and took, `queued` what waits for its receipt; `to_decide` statements,
    up to 10,000, have not been decided for it: they wait until its queue is shorter. By reason or code:
    `withheld` counts what this member published and the peer does not get, `not_passed_on` what others published,
    `refused` what the peer refused, `put_aside` what it sent and this node refused; of that `undecided` waits for a
    verdict, up to 1,000. `waiting_since` is when the oldest row, and `recall_since` when the oldest recall was numbered
    that the peer has not signed for, empty if none was; `lag_s` is how long the former has waited. `last_contact` is
    when anything was last heard of the peer, `usual_s` the interval in which that is usual, and `silent_s` for how long
    nothing was heard if that is unusual, else 0. `trust` is what its indicators are used for at most; `hourly` how many
    objects are taken from it in an hour, None for what the settings say.
    """

    name: str
    member: str
    state: str
    clearance: str
    endpoint: str
    phase: str
    fault: str
    delivered: int
    queued: int
    to_decide: int
    withheld: dict[str, int]
    not_passed_on: dict[str, int]
    refused: dict[str, int]
    put_aside: dict[str, int]
    undecided: int
    received: int
    last_receipt: str
    last_received: str
    recall_since: str
    trust: str
    hourly: int | None
    waiting_since: str
    lag_s: float
    last_contact: str
    usual_s: float
    silent_s: float
    latency_ms: Quantiles | None


class Told(msgspec.Struct, frozen=True):
    """What became of one statement about an object version towards one peer, and why."""

    peer: str
    state: Fate
    why: str
    statement: str


class Recall(msgspec.Struct, frozen=True):
    """That `by`, who signed a statement, has taken it back; `at` is when that was known here."""

    statement: str
    by: str
    at: str
    why: str


class Seen(msgspec.Struct, frozen=True):
    """A sighting held here: of which object, by which member (its signer), how often; `at` is when it came."""

    id: str
    of: str
    by: str
    count: int
    first_seen: str
    last_seen: str
    at: str


class Listed(msgspec.Struct, frozen=True):
    """An object version as a list shows it.

    `state` is what it is among the versions that the same members told of, and among those that were brought here
    (`stix.lines`): current, superseded, revoked, after its revocation, or barred. `barred` says why, and is else
    empty: disputed, purged, recalled (all who told of it took that back), or unauthorised (the member that it names as
    its creator has not signed it). `origins` are those who told of it here.
    """

    seq: int
    hash: str
    id: str
    type: str
    version: str
    creator: str
    name: str
    unmatched: str
    valid_until: str
    revoked: bool
    state: State
    barred: str
    origins: tuple[str, ...]


class ListedPage(msgspec.Struct, frozen=True):
    """Objects, newest first. `next` is `before` for the next page, None at the end.

    A page with fewer objects than asked for and a `next` ended because of time: there may be more further back.
    """

    objects: list[Listed]
    next: int | None


class ObjectReport(msgspec.Struct, frozen=True):
    """All that is known here of one object version. `disputed` is since when it is in dispute, empty if it is not."""

    found: Listed
    statements: tuple[Said, ...]
    recalls: tuple[Recall, ...]
    told: tuple[Told, ...]
    disputed: str
    purged: Purge | None


def search_objects(conn: Connection, query: Query, value: str = "") -> Page:
    """Find objects; `value` is an observable as people write it.

    It also finds what contains it (networks of an address, parents of a domain) and what it contains (addresses and
    smaller networks of a network; names below a domain, mail addresses and web pages there).
    """
    return search.page(conn, by_value(query, value) if value else query)


def listed(conn: Connection, found: Sequence[Found]) -> list[Listed]:
    """Say of each object version what it is among its versions, and who told of it."""
    told = statements.lines(conn, {one.id for one in found})
    disputed = disputes.known(conn, {(one.id, one.version, one.creator) for one in found})
    purged = contents.purged(conn, [one.hash for one in found])
    barred = {one.hash: "disputed" for one in found if (one.id, one.version, one.creator) in disputed}
    barred |= dict.fromkeys(purged, "purged")
    return [_listed(one, told.get(one.id, {}), barred.get(one.hash, "")) for one in found]


def _listed(one: Found, told: Mapping[str, Sequence[Version]], barred: str) -> Listed:
    mine = {origin: version for origin, line in told.items() for version in line if version.hash == one.hash}
    stands = {origin: version for origin, version in mine.items() if not version.recalled}
    # What its creator, known by a signature, says of it counts; of others each says something of their own.
    counting = [one.creator] if one.creator in stands else list(stands or mine)
    states = [lines.state(mine[origin], told[origin]) for origin in counting]
    state = min(states, key=list(State).index, default=State.CURRENT)
    why = "unauthorised" if stands else "recalled"
    return Listed(
        **{name: getattr(one, name) for name in Found.__struct_fields__},
        state=State.BARRED if barred else state,
        barred=barred or (why if state is State.BARRED else ""),
        origins=tuple(sorted(origin for origin in mine if origin)),
    )


def by_value(query: Query, value: str) -> Query:
    """Add an observable as people write it to a query."""
    around = lookups(value)
    return msgspec.structs.replace(
        query,
        values=tuple((one.kind.value, one.value) for one in around),
        ranges=tuple(keys.within(around[0].kind.value, around[0].value)) if around else (),
        by_value=True,
    )


def peer_reports(conn: Connection, phases: Callable[[str], LinkPhase | None], now: str) -> list[PeerReport]:
    """Report on all peers at `now`. `phases` gives the running link to a member."""
    noted = contact.kept(conn)
    return [_peer_report(conn, peer, phases(peer.member), noted, now) for peer in peers.listed(conn)]


def object_report(conn: Connection, stix_id: str) -> list[ObjectReport]:
    """Report on each version of an object, newest first. Raises NotFound."""
    linked = peers.listed(conn)
    versions = listed(conn, search.versions(conn, stix_id))
    disputed = disputes.since(conn, [(one.id, one.version, one.creator) for one in versions])
    purged = contents.purges(conn, [one.hash for one in versions])
    statements_of = search.said_about(conn, [one.hash for one in versions])
    hashes = [one.hash for said in statements_of.values() for one in said]
    fates = {peer.name: ledger.lines(conn, peer.member, hashes) for peer in linked}
    stones = tombstones.about(conn, hashes)
    reports = []
    for found in versions:
        said = statements_of.get(found.hash, [])
        told = tuple(
            Told(peer, line.fate, line.why, one.hash)
            for one in said
            for peer, lines_of in fates.items()
            if (line := lines_of.get(one.hash)) is not None
        )
        recalls = tuple(
            Recall(one.hash, stone.member, stone.at, stone.why)
            for one in said
            if (stone := stones.get(one.hash)) is not None
        )
        since = disputed.get((found.id, found.version, found.creator), "")
        reports.append(ObjectReport(found, tuple(said), recalls, told, since, purged.get(found.hash)))
    return reports


def sightings(conn: Connection, limit: int) -> list[Seen]:
    """Return the sightings held here that members signed for, oldest first."""
    seen = []
    for row in search.said_of_type(conn, "sighting", limit):
        data = msgspec.json.decode(row.raw)
        seen.append(
            Seen(
                id=data["id"],
                of=data["sighting_of_ref"],
                by=row.origin,
                count=data.get("count", 1),
                first_seen=data.get("first_seen", ""),
                last_seen=data.get("last_seen", ""),
                at=row.at,
            )
        )
    return seen


def _peer_report(
    conn: Connection, peer: peers.Peer, link: LinkPhase | None, noted: Contacts, now: str
) -> PeerReport:
    heard = contact.of(noted, peer.member, link.heard if link else "")
    at = contact.judged_at(noted, now)
    overdue = peer.state is PeerState.ACTIVE and contacts.is_overdue(heard, noted.since, at)
    acknowledged, last_receipt = views.acknowledged(conn, peer.member)
    refused = views.refused_counts(conn, peer.member)
    received, last_received = inbound.received(conn, peer.member)
    waiting = activity.waiting_since(conn, peer.member, acknowledged)
    return PeerReport(
        name=peer.name,
        member=peer.member,
        state=peer.state.value,
        clearance=peer.clearance.value,
        endpoint=peer.endpoint,
        phase=link.phase if link else "",
        fault=link.fault if link else "",
        delivered=views.delivered(conn, peer.member, acknowledged),
        queued=views.head(conn, peer.member).number - acknowledged,
        to_decide=share.to_decide(conn, peer),
        withheld=views.withheld_counts(conn, peer.member, own=True),
        not_passed_on=views.withheld_counts(conn, peer.member, own=False),
        refused=refused,
        put_aside=inbound.put_aside_counts(conn, peer.member),
        undecided=quarantine.waiting(conn, _UNDECIDED, peer.member),
        received=received,
        last_receipt=last_receipt,
        last_received=last_received,
        recall_since=tombstones.waiting(conn, peer.member, acknowledged),
        trust=peer.trust.value,
        hourly=peer.hourly,
        waiting_since=waiting,
        lag_s=round(contacts.seconds(waiting, now), 3),
        last_contact=heard.heard,
        usual_s=contacts.usual_s(heard, now),
        silent_s=round(contacts.silent_s(heard, noted.since, at), 1) if overdue else 0.0,
        latency_ms=quantiles(link.latencies) if link and link.latencies else None,
    )


def quantiles(values: Sequence[float]) -> Quantiles:
    """Return the median and the 99th percentile of at least one value."""
    cuts = statistics.quantiles(values, n=100, method="inclusive") if len(values) > 1 else [values[0]] * 99
    return Quantiles(round(cuts[49], 2), round(cuts[98], 2), len(values))
