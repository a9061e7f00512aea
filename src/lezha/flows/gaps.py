"""What could not be told to whom, by which rule, and what a coordinator can do about it.

From what is recorded as withheld: of each peer and reason no more than the newest decisions are looked at, as many as
the cap that the report names, so that it costs the same whatever the log holds. What a peer has by another statement is
no gap, nor what its author has recalled.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from sqlalchemy import Connection

from lezha.flows import explain
from lezha.flows.errors import FlowError
from lezha.sharing.community import Community
from lezha.sharing.remedies import remedy
from lezha.store import communities, peers, told
from lezha.store.peers import Peer
from lezha.store.told import Sum

CAP: Final = 1_000
"""How many decisions one sum looks at."""

_EXAMPLES: Final = 3
_UNLINKED: Final = 20


class Example(msgspec.Struct, frozen=True):
    """One object that is withheld: `by` is who signed for it, `at` since when it is withheld for this reason."""

    id: str
    type: str
    name: str
    by: str
    at: str


class Gap(msgspec.Struct, frozen=True):
    """What one peer does not get for one reason. `capped` says that there may be more than `count`."""

    reason: str
    words: str
    clause: str
    remedy: str
    count: int
    capped: bool
    examples: tuple[Example, ...]


class PeerGaps(msgspec.Struct, frozen=True):
    """What one peer does not get: of what this member published, and of what others did and is not passed on."""

    peer: str
    member: str
    state: str
    clearance: str
    communities: tuple[str, ...]
    own: tuple[Gap, ...]
    others: tuple[Gap, ...]


class CommunityGaps(msgspec.Struct, frozen=True):
    """The same for all members of a community together, by reason; a sum of sums that may each be capped.

    `unlinked` members have no link with this node, so that nothing reaches them from here: their number, and the ids of
    the first 20. `expired` says that its roster is. `words` says each reason in plain words.
    """

    community: str
    id: str
    roster: int
    expires: str
    expired: bool
    members: int
    unlinked: int
    unlinked_members: tuple[str, ...]
    own: dict[str, int]
    others: dict[str, int]
    words: dict[str, str]
    capped: bool


class Gaps(msgspec.Struct, frozen=True):
    """What has been withheld since a time (empty: ever), as it is at the time `at`.

    `cap` is how many decisions each sum looks at, the newest ones.
    """

    since: str
    at: str
    cap: int
    peers: tuple[PeerGaps, ...]
    communities: tuple[CommunityGaps, ...]


def named(found: Gaps) -> set[str]:
    """Return the ids of the objects that a report names."""
    return {one.id for peer in found.peers for gap in (*peer.own, *peer.others) for one in gap.examples}


class Asked(msgspec.Struct, frozen=True):
    """What is asked for: since when, of one peer or all, of one community's members or all peers."""

    since: str = ""
    peer: str = ""
    community: str = ""


class _Ground(msgspec.Struct, frozen=True):
    """What is the same for all peers."""

    present: tuple[Community, ...]
    names: Mapping[str, str]
    since: str
    cap: int


def gaps(conn: Connection, own: str, asked: Asked, now: str, cap: int = CAP) -> Gaps:
    """Report what could not be told to whom. Raises NotFound, FlowError for a community that is not known here."""
    present = list(communities.current(conn).values())
    circles = [_community(present, asked.community)] if asked.community else present
    linked = [peers.by_name(conn, asked.peer)] if asked.peer else peers.listed(conn)
    if asked.community:
        linked = [one for one in linked if one.member in circles[0].members]
    ground = _Ground(tuple(present), explain.member_names(conn, own), asked.since, cap)
    sums = {one.member: told.sums(conn, one.member, asked.since, cap) for one in linked}
    everyone = {one.member for one in peers.listed(conn)} | {own}
    return Gaps(
        since=asked.since,
        at=now,
        cap=cap,
        peers=tuple(_peer(conn, one, sums[one.member], ground) for one in linked),
        communities=tuple(_circle(one, sums, everyone, now, cap) for one in circles),
    )


def _community(present: Sequence[Community], wanted: str) -> Community:
    found = [one for one in present if wanted == one.id or wanted.lower() == one.name.lower()]
    if len(found) == 1:
        return found[0]
    if found:
        raise FlowError(f"Two communities here are called {wanted[:60]!r}: give the id of one.")
    known = ", ".join(sorted(one.name for one in present)) or "none"
    raise FlowError(f"There is no community {wanted[:60]!r}. Known here: {known}.")


def _peer(conn: Connection, peer: Peer, sums: Sequence[Sum], ground: _Ground) -> PeerGaps:
    found: dict[bool, list[Gap]] = {True: [], False: []}
    for one in sorted(sums, key=lambda each: -each.count):
        shown = told.examples(conn, peer.member, one, ground.since, _EXAMPLES)
        found[one.own].append(
            Gap(
                reason=one.reason.value,
                words=one.reason.words,
                clause=one.reason.clause,
                remedy=remedy(one.reason),
                count=one.count,
                capped=one.looked >= ground.cap,
                examples=tuple(
                    Example(each.id, each.type, each.name, ground.names.get(each.by, each.by), each.at)
                    for each in shown
                ),
            )
        )
    return PeerGaps(
        peer=peer.name,
        member=peer.member,
        state=peer.state.value,
        clearance=peer.clearance.value,
        communities=tuple(one.name for one in ground.present if peer.member in one.members),
        own=tuple(found[True]),
        others=tuple(found[False]),
    )


def _circle(
    circle: Community, sums: Mapping[str, Sequence[Sum]], linked: set[str], now: str, cap: int
) -> CommunityGaps:
    counts: dict[bool, dict[str, int]] = {True: {}, False: {}}
    inside = [one for member in circle.members for one in sums.get(member, ())]
    for one in inside:
        by_reason = counts[one.own]
        by_reason[one.reason.value] = by_reason.get(one.reason.value, 0) + one.count
    strangers = sorted(member for member in circle.members if member not in linked)
    return CommunityGaps(
        community=circle.name,
        id=circle.id,
        roster=circle.number,
        expires=circle.expires,
        expired=circle.expires <= now,
        members=len(circle.members),
        unlinked=len(strangers),
        unlinked_members=tuple(strangers[:_UNLINKED]),
        own=counts[True],
        others=counts[False],
        words={one.reason.value: one.reason.words for one in inside},
        capped=any(one.looked >= cap for one in inside),
    )
