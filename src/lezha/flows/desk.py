"""The log tells the duty officer what has happened lately: who got what, what came in, what was seen."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Final

import msgspec
from sqlalchemy import Connection

from lezha.federation import document
from lezha.federation.document import NodeDocument
from lezha.flows import look, rosters
from lezha.flows.look import LinkPhase, PeerReport
from lezha.flows.rosters import CommunityReport, Known, Warned
from lezha.sharing.terms import Terms
from lezha.stix import lines as stix_lines
from lezha.store import (
    activity,
    communities,
    contents,
    disputes,
    isolation,
    peers,
    quarantine,
    search,
    statements,
    tombstones,
)
from lezha.store.activity import RecentEvent, RecentStatement
from lezha.store.isolation import Isolation
from lezha.store.tombstones import Taken

_STATEMENTS: Final = 200
_BRINGINGS: Final = 20
_EVENTS: Final = 100
_RECEIPTS: Final = 40
_SIGHTINGS: Final = 300
_TOGETHER_S: Final = 5.0
_SEEN_TOGETHER_S: Final = 300.0
_SIGHTING_LINES: Final = 12
_DISPUTES: Final = 500
_GISTS_KEPT: Final = 20_000
_RECALLS: Final = 20
_WAITING: Final = 1000
_EVENT_KINDS: Final = (
    "roster",
    "roster conflict",
    "admission",
    "peer",
    "invitation",
    "quarantined",
    "fork",
    "token",
    "policy",
    "quarantine accepted",
    "quarantine rejected",
    "trust",
    "too fast",
)


class Kind(StrEnum):
    """What happened."""

    PUBLISHED = "published"
    RECEIVED = "received"
    SIGHTED = "sighted"
    TAKEN = "taken"
    REFUSED = "refused"
    WITHHELD = "withheld"
    ROSTER = "roster"
    CONFLICT = "roster conflict"
    ADMISSION = "admission"
    PEER = "peer"
    INVITATION = "invitation"
    PUT_ASIDE = "quarantined"
    FORK = "fork"
    TOKEN = "token"  # noqa: S105  # an event's name
    BROUGHT = "brought"
    RECALLED = "recalled"
    POLICY = "policy"
    ACCEPTED = "quarantine accepted"
    REJECTED = "quarantine rejected"
    TRUST = "trust"
    TOO_FAST = "too fast"


_OF_A_COMMUNITY: Final = (Kind.ROSTER, Kind.CONFLICT, Kind.ADMISSION)
_NAMED: Final = (Kind.TOKEN, Kind.INVITATION, Kind.PEER)


class Happening(msgspec.Struct, frozen=True):
    """One line of the activity. `since`..`at` is the time in which `count` like things happened.

    `who` is the id of the member concerned; `object_id` and `name` are set where one object is meant. `name` is also
    what a token, an invitation or a peer is called here.
    """

    kind: Kind
    at: str
    since: str
    who: str = ""
    count: int = 1
    exercise: bool = False
    terms: Terms | None = None
    object_id: str = ""
    object_type: str = ""
    name: str = ""
    times: int = 0
    detail: str = ""
    actor: str = ""


class Sighted(msgspec.Struct, frozen=True):
    """What one member saw of one object: how often, in how many reports, from when to when.

    `ids` are those of the sightings.
    """

    of: str
    name: str
    by: str
    own: bool
    exercise: bool
    count: int
    reports: int
    first_seen: str
    last_seen: str
    ids: tuple[str, ...] = ()


class Party(msgspec.Struct, frozen=True):
    """A member as pages name it. `peer` is its local name, empty for this node's own member."""

    member: str
    title: str
    peer: str
    phone: str
    mail: str


class PeerLine(msgspec.Struct, frozen=True):
    """A peer with whom to call."""

    report: PeerReport
    party: Party


class Dispute(msgspec.Struct, frozen=True):
    """A version of which its creator `by` signed two contents; `at` is when that was noticed here."""

    object_id: str
    name: str
    version: str
    by: str
    at: str


class Desk(msgspec.Struct, frozen=True):
    """All that the desk shows at one instant. `disputes` are those that no later version has ended; `recalls` what
    others took back most lately of what has its bytes here. `waiting` counts what was put aside and nobody has decided
    about yet, up to 1,000.

    `communities` are those accepted here, `offered` counts others that peers have sent rosters of. `complete` is false
    if what happened long ago was not looked through yet; the next look goes on there.
    """

    parties: Mapping[str, Party]
    circles: Mapping[str, str]
    peers: tuple[PeerLine, ...]
    happenings: tuple[Happening, ...]
    sightings: tuple[Sighted, ...]
    sightings_back: int
    sightings_own: int
    objects: Mapping[str, int]
    disputes: tuple[Dispute, ...]
    recalls: tuple[Taken, ...]
    communities: tuple[CommunityReport, ...]
    offered: int
    warnings: tuple[Warned, ...]
    isolation: Isolation | None
    waiting: int
    early: int
    complete: bool


class Gist(msgspec.Struct, frozen=True):
    """What a list needs of an object beyond its columns. An object that can't be read has an empty one."""

    labels: tuple[str, ...] = ()
    sighting_of_ref: str = ""
    source_ref: str = ""
    target_ref: str = ""
    count: int = 1
    first_seen: str = ""
    last_seen: str = ""

    @property
    def exercise(self) -> bool:
        """True if its author labelled it an exercise."""
        return any(label.lower() == "exercise" for label in self.labels)


class Gists:
    """The gists of contents read lately; contents never change, so neither do these, but they go by a purge."""

    def __init__(self) -> None:
        self._held: dict[str, Gist] = {}

    def of(self, conn: Connection, hashes: Iterable[str]) -> Mapping[str, Gist]:
        """Return the gist of each content; what is purged has an empty one."""
        wanted = list(dict.fromkeys(hashes))
        for key in contents.purged(conn, wanted):
            self._held.pop(key, None)
        missing = [key for key in wanted if key not in self._held]
        if len(self._held) > _GISTS_KEPT:
            self._held = {}
            missing = wanted
        for start in range(0, len(missing), 100):
            for key, raw in contents.bytes_of(conn, missing[start : start + 100]).items():
                self._held[key] = _gist(raw)
        return {key: self._held.get(key, Gist()) for key in wanted}


def desk(
    conn: Connection,
    own: NodeDocument,
    phases: Callable[[str], LinkPhase | None],
    gists: Gists,
    now: str,
    soon: str,
    *,
    lines: int = 40,
) -> Desk:
    """Return what the desk shows at the time `now`, at most `lines` of activity and of sightings.

    `soon` is the time until which a roster that expires is warned of (`rosters.SOON_DAYS`).
    """
    linked = peers.listed(conn)
    own_words, heard = (activity.statements(conn, _STATEMENTS, own=ours) for ours in (True, False))
    recent, seen = [*own_words, *heard], activity.sightings(conn, _SIGHTINGS)
    acts, no_act_left = activity.acts(conn, _EVENT_KINDS, _EVENTS)
    brought, none_left = activity.brought(conn, _BRINGINGS)
    known = gists.of(conn, (one.content for one in (*recent, *seen)))
    happened = [
        *_told_and_heard(recent, known),
        # They have a list of their own: here they must not crowd out what was told and refused.
        *_together(_told_and_heard(seen, known), _SEEN_TOGETHER_S)[:_SIGHTING_LINES],
        # What others told us and we do not pass on is the rule, and counted with the peers; it is no news.
        *_withheld(conn, [peer.member for peer in linked], own_words),
        *(one for peer in linked for one in _receipted(conn, peer.member)),
        *_acts(acts),
        # As many as there may be, they must not crowd out the other acts.
        *map(_recall, tombstones.latest(conn, _EVENTS)),
        *(Happening(Kind.BROUGHT, one.at, one.since, count=one.count, actor=one.actor) for one in brought),
    ]
    shown = _together(happened, _TOGETHER_S)[:lines]
    back, at_home = activity.sighting_counts(conn)
    who = _known(conn, own)
    return Desk(
        parties=parties(conn, own),
        circles=circles(conn),
        peers=peer_lines(conn, phases, now),
        happenings=tuple(_named(conn, shown)),
        sightings=tuple(_sightings(conn, gists, seen))[:lines],
        sightings_back=back,
        sightings_own=at_home,
        objects=search.count_by_type(conn),
        disputes=tuple(open_disputes(conn)),
        recalls=tuple(tombstones.held(conn, _RECALLS)),
        communities=tuple(rosters.accepted(conn, who, now)),
        offered=communities.count_offered(conn),
        warnings=tuple(rosters.warnings(conn, who, now, soon)),
        isolation=isolation.present(conn),
        waiting=quarantine.waiting(conn, _WAITING),
        early=quarantine.early(conn, _WAITING),
        complete=no_act_left and none_left,
    )


def named(shown: Desk) -> set[str]:
    """Return the ids of the objects that a desk tells of."""
    found = {one.object_id for one in shown.happenings} | {one.object_id for one in shown.disputes}
    found |= {one.object_id for one in shown.recalls}
    return (found | {key for one in shown.sightings for key in (one.of, *one.ids)}) - {""}


def open_disputes(conn: Connection) -> Iterator[Dispute]:
    """Give the disputes that still matter, newest first: of which the creator has not signed a later version."""
    listed = disputes.listed(conn, _DISPUTES)
    ids = {one.stix_id for one in listed}
    told, held = statements.lines(conn, ids), search.newest(conn, ids)
    for one in listed:
        if one.stix_id not in held:
            continue
        now = stix_lines.decisive(told.get(one.stix_id, {}).get(one.creator, ()))
        if now is None or now.version < one.version:
            yield Dispute(one.stix_id, held[one.stix_id].name, one.version, one.creator, one.at)


def parties(conn: Connection, own: NodeDocument) -> dict[str, Party]:
    """Return this node's member and all peers by member id."""
    found = {peer.member: _party(_document(peer.document), peer.name) for peer in peers.listed(conn)}
    found[own.member] = _party(own, "")
    return found


def circles(conn: Connection) -> dict[str, str]:
    """Return by id the names of the communities accepted here: what others call themselves has no meaning here.

    Of communities that have one name, the beginning of the id is told too.
    """
    present = list(communities.current(conn).values())
    often = Counter(one.name.lower() for one in present)
    return {
        one.id: one.name if often[one.name.lower()] == 1 else f"{one.name} ({one.id.partition('--')[2][:8]})"
        for one in present
    }


def peer_lines(conn: Connection, phases: Callable[[str], LinkPhase | None], now: str) -> tuple[PeerLine, ...]:
    """Report on all peers."""
    documents = {peer.member: _document(peer.document) for peer in peers.listed(conn)}
    return tuple(
        PeerLine(report, _party(documents[report.member], report.name))
        for report in look.peer_reports(conn, phases, now)
    )


def sightings_of(conn: Connection, stix_id: str, gists: Gists) -> list[Sighted]:
    """Return who saw an object, the latest first."""
    return list(_sightings(conn, gists, activity.sightings_of(conn, stix_id, _SIGHTINGS)))


def _known(conn: Connection, own: NodeDocument) -> Known:
    documents = [own, *(_document(peer.document) for peer in peers.listed(conn))]
    return Known(
        names={one.member: one.title or one.name for one in documents},
        keys={public: one.member for one in reversed(documents) for public in one.signing_keys},
    )


def _told_and_heard(recent: Sequence[RecentStatement], known: Mapping[str, Gist]) -> Iterator[Happening]:
    for one in recent:
        gist = known[one.content]
        kind = Kind.PUBLISHED if one.own else Kind.RECEIVED
        sighting = one.type == "sighting"
        yield Happening(
            kind=Kind.SIGHTED if sighting else kind,
            at=one.at,
            since=one.at,
            who=one.origin,
            exercise=gist.exercise,
            terms=msgspec.structs.replace(msgspec.json.decode(one.terms, type=Terms), open_refs=()),
            object_id=gist.sighting_of_ref if sighting else one.id,
            object_type=one.type,
            name="" if sighting else one.name,
            times=gist.count if sighting else 0,
        )


def _withheld(
    conn: Connection, members: Sequence[str], recent: Sequence[RecentStatement]
) -> Iterator[Happening]:
    for one in activity.withheld(conn, members, recent):
        yield Happening(Kind.WITHHELD, one.at, one.at, who=one.recipient, count=one.count, detail=one.reason)


def _receipted(conn: Connection, member: str) -> Iterator[Happening]:
    for one in activity.receipts(conn, member, _RECEIPTS):
        if one.statements > one.refused:
            yield Happening(Kind.TAKEN, one.at, one.at, who=member, count=one.statements - one.refused)
        if one.refused:
            yield Happening(Kind.REFUSED, one.at, one.at, who=member, count=one.refused)


def _acts(newest_first: Sequence[RecentEvent]) -> Iterator[Happening]:
    called: dict[str, str] = {}
    for one in reversed(newest_first):
        happened = _event(one)
        if happened.kind is Kind.PEER:
            # Only some of the events about a peer say what it is called.
            called[one.subject] = happened.name or called.get(one.subject, "")
            happened = msgspec.structs.replace(happened, name=called[one.subject])
        yield happened


def _recall(one: Taken) -> Happening:
    return Happening(
        Kind.RECALLED,
        one.at,
        one.at,
        who=one.by,
        object_id=one.object_id,
        object_type=one.object_type,
        name=one.name,
        detail=one.why,
    )


def _event(one: RecentEvent) -> Happening:
    detail = msgspec.json.decode(one.detail, type=dict[str, object])
    kind = Kind(one.kind)
    if "clearance" in detail:
        detail["state"] = f"cleared to TLP:{str(detail['clearance']).upper()}"
    word = {
        Kind.ROSTER: "community",
        Kind.PEER: "state",
        Kind.INVITATION: "name",
        Kind.PUT_ASIDE: "code",
        Kind.ACCEPTED: "code",
        Kind.REJECTED: "code",
        Kind.TRUST: "trust",
        Kind.TOKEN: "role",
    }.get(kind, "")
    return Happening(
        kind=kind,
        at=one.at,
        since=one.at,
        who="" if kind in (*_OF_A_COMMUNITY, Kind.INVITATION, Kind.TOKEN, Kind.POLICY) else one.subject,
        detail=one.subject
        if kind in (Kind.CONFLICT, Kind.ADMISSION, Kind.POLICY)
        else str(detail.get(word, "")),
        name=str(detail.get("name", "" if kind is Kind.PEER else one.subject)) if kind in _NAMED else "",
        times=int(str(detail.get("number", 0))) if kind in (Kind.ROSTER, Kind.CONFLICT) else 0,
        count=len(msgspec.convert(detail["members"], list[str])) if kind is Kind.ADMISSION else 1,
        actor=one.actor,
    )


def _together(happened: Iterable[Happening], seconds: float) -> list[Happening]:
    """Join like things that happened within so many seconds; newest first."""
    joined: list[Happening] = []
    latest: dict[tuple[object, ...], int] = {}
    for one in sorted(happened, key=lambda each: each.at):
        key = (one.kind, one.who, one.exercise, one.terms, one.detail, one.actor, _apart(one))
        place = latest.get(key)
        if place is not None and _seconds(joined[place].since, one.at) <= seconds:
            before = joined[place]
            same = before.object_id == one.object_id
            joined[place] = msgspec.structs.replace(
                before,
                at=one.at,
                count=before.count + one.count,
                times=before.times + one.times if one.kind is Kind.SIGHTED else before.times,
                object_id=one.object_id if same else "",
                object_type=one.object_type if before.object_type == one.object_type else "",
                name=one.name if same else "",
            )
        else:
            latest[key] = len(joined)
            joined.append(one)
    return sorted(joined, key=lambda each: each.at, reverse=True)


def _apart(one: Happening) -> str:
    """What keeps two like things apart: sightings of different objects, rosters by number, tokens by name."""
    if one.kind in (Kind.ROSTER, Kind.CONFLICT):
        return str(one.times)
    return {Kind.SIGHTED: one.object_id, Kind.TOKEN: one.name, Kind.INVITATION: one.name}.get(one.kind, "")


def _named(conn: Connection, shown: Sequence[Happening]) -> Iterator[Happening]:
    held = search.names(conn, [one.object_id for one in shown if one.kind is Kind.SIGHTED])
    for one in shown:
        if one.kind is Kind.SIGHTED:
            yield msgspec.structs.replace(one, name=held.get(one.object_id, one.object_id))
        else:
            yield one


def _sightings(conn: Connection, gists: Gists, rows: Sequence[RecentStatement]) -> Iterator[Sighted]:
    known = gists.of(conn, (row.content for row in rows))
    held = search.names(conn, list({gist.sighting_of_ref for gist in known.values()}))
    groups: dict[tuple[str, str], list[RecentStatement]] = {}
    for row in rows:
        groups.setdefault((known[row.content].sighting_of_ref, row.origin), []).append(row)
    for (of, by), members in groups.items():
        reports = {row.id: known[row.content] for row in members}.values()
        yield Sighted(
            of=of,
            name=held.get(of, "") or of,
            by=by,
            own=members[0].own,
            exercise=any(one.exercise for one in reports),
            count=sum(one.count for one in reports),
            reports=len(reports),
            first_seen=min(one.first_seen for one in reports),
            last_seen=max(one.last_seen for one in reports),
            ids=tuple(dict.fromkeys(row.id for row in members)),
        )


def _gist(raw: bytes) -> Gist:
    try:
        return msgspec.json.decode(raw, type=Gist)
    except msgspec.MsgspecError:
        return Gist()


def _party(known: NodeDocument, peer: str) -> Party:
    return Party(known.member, known.title or known.name, peer, known.contact.phone, known.contact.mail)


@lru_cache(maxsize=512)
def _document(raw: bytes) -> NodeDocument:
    return document.read(raw).document


def _seconds(earlier: str, later: str) -> float:
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()
