"""The log is measured for machines: numbers and times, of no object anything. Every question is of a few rows."""

from collections.abc import Callable
from functools import lru_cache

import msgspec
from sqlalchemy import Connection

from lezha.access.rights import Role
from lezha.federation import contact as contacts
from lezha.federation import document, tls
from lezha.flows import contact, desk, share
from lezha.flows.look import LinkPhase
from lezha.store import activity, communities, engine, inbound, lives, peers, sequencer, tokens, views
from lezha.store.peers import Peer, PeerState


class PeerMeasures(msgspec.Struct, frozen=True):
    """One peer. Times are RFC 3339 UTC, empty for never; `root_expires` is in seconds since 1970.

    `queued` frames wait for its receipt, the oldest for `lag_s`; `to_decide` statements, up to 10,000, have not been
    decided for it. `acknowledged` frames it has signed for, `received` frames were taken from it. `skew_s` is by how
    much its clock is ahead, None if that is not known.
    """

    name: str
    member: str
    phase: str
    silent: bool
    usual_s: float
    last_contact: str
    last_receipt: str
    lag_s: float
    queued: int
    to_decide: int
    acknowledged: int
    received: int
    skew_s: float | None
    root_expires: float


class Measures(msgspec.Struct, frozen=True):
    """The whole log. `rosters` are by the name of their community; `backup` is when the last one was made."""

    events: int
    bytes: int
    peers: list[PeerMeasures]
    rosters: dict[str, str]
    backup: str
    sensors: list[str]


def events(conn: Connection) -> int:
    """Return how many events there are."""
    return sequencer.read(conn).seq


def measure(conn: Connection, phases: Callable[[str], LinkPhase | None], now: str) -> Measures:
    """Measure the log at `now`. `phases` gives the running link to a member."""
    noted = contact.kept(conn)
    circles = desk.circles(conn)
    return Measures(
        events=events(conn),
        bytes=engine.size(conn),
        peers=[_peer(conn, one, phases(one.member), noted, now) for one in peers.listed(conn)],
        rosters={circles[one.id]: one.expires for one in communities.current(conn).values()},
        backup=lives.backed_up(conn),
        sensors=[one.name for one in tokens.listed(conn) if one.role is Role.SENSOR and not one.revoked],
    )


def _peer(
    conn: Connection, peer: Peer, link: LinkPhase | None, noted: contacts.Contacts, now: str
) -> PeerMeasures:
    kept = contact.of(noted, peer.member, link.heard if link else "")
    acknowledged, last_receipt = views.acknowledged(conn, peer.member)
    active = peer.state is PeerState.ACTIVE
    return PeerMeasures(
        name=peer.name,
        member=peer.member,
        phase=(link.phase if link else kept.phase) if active else peer.state.value,
        silent=active and contacts.is_overdue(kept, noted.since, contact.judged_at(noted, now)),
        usual_s=contacts.usual_s(kept, now),
        last_contact=kept.heard,
        last_receipt=last_receipt,
        lag_s=contacts.seconds(activity.waiting_since(conn, peer.member, acknowledged), now),
        queued=views.head(conn, peer.member).number - acknowledged,
        to_decide=share.to_decide(conn, peer),
        acknowledged=acknowledged,
        received=inbound.received(conn, peer.member)[0],
        skew_s=kept.skew_s if link is None or link.skew_s is None else link.skew_s,
        root_expires=_root_expires(peer.document),
    )


@lru_cache(maxsize=1024)
def _root_expires(raw: bytes) -> float:
    return tls.expires(document.read(raw).document.tls_root.encode()).timestamp()
