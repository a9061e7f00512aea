"""Peers and communities: who is silent, suspended, forked or out of time, and which rosters run out."""

from collections.abc import Iterator
from typing import Final

from sqlalchemy import Connection

from lezha.federation import contact as contacts
from lezha.federation import document, tls
from lezha.federation import members as directory
from lezha.federation.contact import Contact
from lezha.federation.document import NodeDocument
from lezha.flows import contact, desk, rosters
from lezha.flows.rosters import Alarm, Known, Warned
from lezha.node.clock import lasting, later
from lezha.node.doctor.findings import Finding, Grade, due
from lezha.store import activity, peers, tombstones, views
from lezha.store.peers import Peer, PeerState

_SKEW_S: Final = 60.0
_REFUSED_S: Final = 300.0
_RECALL_S: Final = 3600.0
_PENDING_DAYS: Final = 1
_FORK_DAYS: Final = 30
_AGREE: Final = 2


def examine(conn: Connection, own: NodeDocument, now: str) -> Iterator[Finding]:
    """Look at all peers and all communities that were accepted here."""
    linked = peers.listed(conn)
    documents = {one.member: document.read(one.document).document for one in linked}
    noted = contact.kept(conn)
    at = contact.judged_at(noted, now)
    active = [one for one in linked if one.state is PeerState.ACTIVE]
    for one in active:
        seen = contact.of(noted, one.member)
        yield from _contact(one, documents[one.member], seen, noted.since, at)
        yield from _recall(conn, one, now)
    yield from _clocks([(one, contact.of(noted, one.member)) for one in active])
    yield from _pending(linked, now)
    yield from _roots(active, documents, now)
    yield from _forks(conn, linked, now)
    who = rosters.known(conn, directory.known([own, *documents.values()]))
    for warned in rosters.warnings(conn, who, now, later(now, days=rosters.SOON_DAYS)):
        yield _roster(warned, who)
    for dispute in desk.open_disputes(conn):
        if dispute.by == own.member:
            yield Finding(
                Grade.NOW,
                "dispute",
                f"This member has signed two contents as one version of {dispute.object_id}.",
                dispute.at,
                "If nobody here did, somebody else has keys/signing.pem: call your peers.",
            )


def _contact(peer: Peer, told: NodeDocument, seen: Contact, since: str, at: str) -> Iterator[Finding]:
    call = told.contact.phone or told.contact.mail
    ask = f"Call its officer: {call}." if call else "Call its officer."
    if contacts.is_overdue(seen, since, at):
        length = lasting(contacts.silent_s(seen, since, at))
        usual = lasting(contacts.usual_s(seen, at))
        fault = f" {seen.fault}" if seen.fault else ""
        yield Finding(
            Grade.NOW,
            "peer_silent",
            f"{peer.name} has been silent for {length}; it is usually heard of every {usual}.{fault}",
            seen.heard,
            ask,
        )
    elif seen.phase == "unreachable":
        yield Finding(
            Grade.SOON,
            "peer_unreachable",
            f"{peer.name} is heard of, but can't be reached: {seen.fault}",
            do="See that packet filters on both sides let this node through to it.",
        )
    if seen.phase == "held":
        yield Finding(
            Grade.NOW,
            "peer_held",
            f"{peer.name} has suspended this member: it takes recalls, and nothing else.",
            do=ask,
        )
    if seen.phase == "fenced off":
        yield Finding(
            Grade.NOW,
            "fenced_off",
            f"{peer.name} takes nothing from this node: another database speaks for this member since.",
            do="Stop one of the two; who stopped this node's twin by mistake restores a backup of it here.",
        )
    if seen.phase == "fork":
        yield Finding(
            Grade.NOW,
            "fork",
            f"What {peer.name} has taken is not what this node has sent: {seen.fault}",
            do="Nothing more goes out to it. Was either node made again from a copy of its folder? Call its officer.",
        )


def _recall(conn: Connection, peer: Peer, now: str) -> Iterator[Finding]:
    since = tombstones.waiting(conn, peer.member, views.acknowledged(conn, peer.member)[0])
    if since and contacts.seconds(since, now) > _RECALL_S:
        yield Finding(
            Grade.SOON,
            "recall_waiting",
            f"{peer.name} has not signed for a recall: its sensors may still look for what was taken back.",
            since,
            "Call its officer.",
        )


def _clocks(seen: list[tuple[Peer, Contact]]) -> Iterator[Finding]:
    ahead = {one.name: found.skew_s for one, found in seen if found.skew_s is not None}
    off = {name: skew for name, skew in ahead.items() if abs(skew) > _SKEW_S}
    ways = {skew > 0 for skew in off.values()}
    if len(off) >= _AGREE and len(off) == len(ahead) and len(ways) == 1:
        least = min(map(abs, off.values()))
        yield Finding(
            Grade.NOW,
            "clock_skew",
            f"The clocks of all peers are {lasting(least)} or more {_way(off.popitem()[1])}: this machine's is wrong.",
            do="Set it right, and let a time service keep it so.",
        )
        return
    for name, skew in off.items():
        refused = ", so what it signs is refused" if skew > _REFUSED_S else ""
        refused = ", so it refuses what this node signs" if skew < -_REFUSED_S else refused
        yield Finding(
            Grade.NOW if refused else Grade.SOON,
            "clock_skew",
            f"The clock of {name} is {lasting(abs(skew))} {_way(skew)} of this one{refused}.",
            do="Look which of the two is right, and tell its officer.",
        )


def _way(skew: float) -> str:
    return "ahead" if skew > 0 else "behind"


def _pending(linked: list[Peer], now: str) -> Iterator[Finding]:
    for one in linked:
        if one.state is PeerState.PENDING and one.since < later(now, days=-_PENDING_DAYS):
            yield Finding(
                Grade.NOTE,
                "peer_pending",
                f"{one.name} waits for its phrase to be compared.",
                one.since,
                f"lezha peer confirm {one.name}, or lezha peer remove {one.name}.",
            )


def _roots(active: list[Peer], documents: dict[str, NodeDocument], now: str) -> Iterator[Finding]:
    for one in active:
        ends = due(tls.expires(documents[one.member].tls_root.encode()), now, soon_days=365, now_days=60)
        if ends:
            yield Finding(
                ends[0],
                "peer_root",
                f"The TLS root of {one.name} ends: from then on the link to it does not work.",
                ends[1],
                "Ask its officer for a new TLS root before that day: lezha identity rotate tls, there.",
            )


def _forks(conn: Connection, linked: list[Peer], now: str) -> Iterator[Finding]:
    names = {one.member: one.name for one in linked}
    for member, at in activity.forks(conn, later(now, days=-_FORK_DAYS)).items():
        yield Finding(
            Grade.NOW,
            "fork",
            f"{names.get(member, member)} has sent other frames under numbers that were taken: its stream has forked.",
            at,
            "Two copies of its node may be running: call its officer.",
        )


def _roster(one: Warned, who: Known) -> Finding:
    named = ", ".join(map(who.name, one.who))
    grade, code, what = {
        Alarm.CONFLICT: (
            Grade.NOW,
            "roster_conflict",
            f"Two rosters of {one.name} have number {one.number}; the first stays in force.",
        ),
        Alarm.EXPIRED: (
            Grade.NOW,
            "roster_expired",
            f"The roster of {one.name} has expired: nothing that is published to it is sent.",
        ),
        Alarm.MISSED: (
            Grade.NOW,
            "roster_missed",
            f"Roster {one.number} of {one.name} has not reached this node; {named} has signed by it.",
        ),
        Alarm.EXPIRING: (
            Grade.SOON,
            "roster_expiring",
            f"The roster of {one.name} expires: from then on nothing that is published to it is sent.",
        ),
        Alarm.WAITING: (
            Grade.NOTE,
            "roster_waiting",
            f"{named} waits to be admitted to {one.name} here.",
        ),
    }[one.alarm]
    stewards = ", ".join(map(who.name, one.stewards)) or "its stewards"
    approve = f"lezha community approve {one.name}"
    return Finding(grade, code, what, one.at, approve if one.alarm is Alarm.WAITING else f"Call {stewards}.")
