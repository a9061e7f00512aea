"""Rosters as people look at them: who is in a community, what a roster would change, and what is to be warned of."""

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from functools import lru_cache
from typing import Final

import msgspec
from sqlalchemy import Connection

from lezha.federation import roster
from lezha.federation.errors import Refused
from lezha.federation.members import Members
from lezha.federation.roster import Roster
from lezha.flows import convene, names
from lezha.flows.errors import FlowError
from lezha.sharing.community import Communities, Community
from lezha.store import communities
from lezha.store.communities import Floor, KeptRoster

_OFFERED: Final = 100
SOON_DAYS: Final = 14
"""How many days before a roster expires this is warned of."""


class Membership(StrEnum):
    """How a member of a roster stands here. `OFFERED`: the community was not accepted here."""

    IN = "in"
    WAITING = "waiting"
    ENDED = "ended"
    OFFERED = "offered"


class MemberLine(msgspec.Struct, frozen=True):
    """A member of a roster: `name` is its id if it is unknown here, `until` empty if it is one without an end."""

    id: str
    name: str
    admitted: int
    until: str
    state: Membership


class Conflict(msgspec.Struct, frozen=True):
    """A second roster of `number`: `held` is in force here, `refused` came `at` from `sender`, or by hand."""

    number: int
    held: str
    refused: str
    sender: str
    at: str


class Missed(msgspec.Struct, frozen=True):
    """A later roster, `number`, that has not reached this node: `member` has signed by it."""

    number: int
    member: str


class CommunityReport(msgspec.Struct, frozen=True):
    """A community by the latest roster held here. `accepted` says whether this node has; if not, nothing follows.

    Stewards and members are named as they are called here, or by key and id. `missed` is the latest roster that others
    sign by, if that is later than the one held.
    """

    id: str
    name: str
    accepted: bool
    number: int
    hash: str
    issued: str
    expires: str
    expired: bool
    threshold: int
    stewards: list[str]
    members: list[MemberLine]
    conflicts: list[Conflict]
    missed: Missed | None


class Change(msgspec.Struct, frozen=True):
    """A member whose membership gets another end; empty is none."""

    id: str
    name: str
    before: str
    after: str


class Review(msgspec.Struct, frozen=True):
    """What a roster would change here.

    `held` is the number of the latest one held here, 0 if the community was not accepted here yet. `joins` are members
    that the one held does not name, or that are admitted anew; `leaves` those whom it names and this one does not;
    `waiting` those whom accepting it admits. `signed_by` are the stewards who have signed, `lacking` is how many
    signatures it still lacks. `warnings` are sentences to read before accepting.
    """

    id: str
    name: str
    number: int
    held: int
    hash: str
    issued: str
    expires: str
    expires_before: str
    threshold: int
    stewards: list[str]
    signed_by: list[str]
    lacking: int
    members: list[MemberLine]
    joins: list[MemberLine]
    leaves: list[MemberLine]
    changes: list[Change]
    waiting: list[str]
    warnings: list[str]


class Alarm(StrEnum):
    """What the duty officer is warned of."""

    CONFLICT = "conflict"
    EXPIRED = "expired"
    MISSED = "missed"
    EXPIRING = "expiring"
    WAITING = "waiting"


class Warned(msgspec.Struct, frozen=True):
    """A warning about a community: `stewards` are the ids of those known here, to be called.

    `number` is that of the roster meant, `at` when that was noticed or when it expires; `who` are the members that sent
    it or signed by it, or that wait; `hashes` those of the roster held and of the one refused.
    """

    alarm: Alarm
    community: str
    name: str
    number: int
    at: str
    who: tuple[str, ...] = ()
    hashes: tuple[str, ...] = ()
    stewards: tuple[str, ...] = ()


class Known(msgspec.Struct, frozen=True):
    """What members are called here, by id, and the ids of members by their public keys."""

    names: Mapping[str, str]
    keys: Mapping[str, str]

    def name(self, member: str) -> str:
        """Return what a member is called here, or its id."""
        return self.names.get(member, member)

    def steward(self, public: str) -> str:
        """Return what the member with this key is called here, or the key's beginning."""
        member = self.keys.get(public)
        return self.name(member) if member else f"key {public[:16]}"


def known(conn: Connection, members: Members) -> Known:
    """Return what is known of the members that this node knows."""
    keys = {entry.key.keyval["public"]: entry.member for entry in members.keyring.values()}
    return Known(names.called(conn, members), keys)


def accepted(conn: Connection, who: Known, now: str) -> list[CommunityReport]:
    """Return the communities that were accepted here, by name."""
    present = communities.current(conn)
    conflicts, missed = _conflicts(conn, who), _missed(conn, who)
    return [
        _report(one, present, who, now, conflicts.get(one.community, []), missed.get(one.community))
        for one in communities.latest(conn, present)
    ]


def offered(conn: Connection, who: Known, now: str) -> list[CommunityReport]:
    """Return communities that peers have sent rosters of and that were not accepted here, by name, at most 100."""
    return [_report(one, {}, who, now, [], None) for one in communities.offered(conn, _OFFERED)]


def one(conn: Connection, who: Known, written: str, now: str) -> CommunityReport:
    """Return a community by its id or, if it was accepted here, its name. Raises NotFound, FlowError."""
    for report in offered(conn, who, now):
        if report.id == written:
            return report
    wanted = convene.accepted(conn, written).id
    return next(report for report in accepted(conn, who, now) if report.id == wanted)


def review(conn: Connection, who: Known, raw: bytes, now: str) -> Review:
    """Say what a roster would change here, signed by enough stewards or not yet. Raises FlowError."""
    try:
        wanted, signers, digest = roster.peek(raw), roster.signed_by(raw), roster.digest(raw)
    except Refused as refused:
        raise FlowError(str(refused)) from refused
    charter = wanted.charter
    held = communities.latest(conn, [charter.community])
    present = communities.current(conn)
    # What came over a link, and was not accepted, says nothing about who is in a community.
    before = _peek(held[0].envelope) if charter.community in present else None
    lines = _lines(wanted, present, who, now)
    there = before.admitted if before else {}
    return Review(
        id=charter.community,
        name=charter.name,
        number=wanted.number,
        held=before.number if before else 0,
        hash=digest,
        issued=wanted.issued,
        expires=wanted.expires,
        expires_before=before.expires if before else "",
        threshold=charter.threshold,
        stewards=[who.steward(public) for public in charter.stewards],
        signed_by=[who.steward(public) for public in signers],
        lacking=max(0, charter.threshold - len(signers)),
        members=lines,
        joins=[line for line in lines if there.get(line.id) != line.admitted],
        leaves=[line for line in _lines(before, present, who, now) if line.id not in wanted.members],
        changes=[change for line in lines if (change := _change(line, before)) is not None],
        waiting=[line.name for line in lines if _is_new(line, present.get(charter.community))],
        warnings=list(_doubts(wanted, digest, held, present, now)),
    )


def warnings(conn: Connection, who: Known, now: str, soon: str) -> list[Warned]:
    """Return what is wrong with accepted communities, the gravest first. `soon` is until when expiry is near."""
    present = communities.current(conn)
    found = sorted(_warnings(conn, present, now, soon), key=lambda one: list(Alarm).index(one.alarm))
    keys = who.keys
    stewards = {
        kept.community: tuple(
            keys[public] for public in _peek(kept.envelope).charter.stewards if public in keys
        )
        for kept in communities.latest(conn, {one.community for one in found})
    }
    return [msgspec.structs.replace(one, stewards=stewards[one.community]) for one in found]


def _warnings(conn: Connection, present: Communities, now: str, soon: str) -> Iterator[Warned]:
    for clash in communities.clashes(conn):
        name, hashes = present[clash.community].name, (clash.held, clash.hash)
        who = (clash.came_from,) if clash.came_from else ()
        yield Warned(Alarm.CONFLICT, clash.community, name, clash.number, clash.at, who, hashes)
    for floor in _highest(conn):
        name = present[floor.community].name
        yield Warned(Alarm.MISSED, floor.community, name, floor.number, floor.at, (floor.member,))
    for one in present.values():
        if one.expires <= soon:
            alarm = Alarm.EXPIRED if one.expires <= now else Alarm.EXPIRING
            yield Warned(alarm, one.id, one.name, one.number, one.expires)
        if one.waiting:
            yield Warned(Alarm.WAITING, one.id, one.name, one.number, "", tuple(sorted(one.waiting)))


def _report(
    kept: KeptRoster,
    present: Communities,
    who: Known,
    now: str,
    conflicts: list[Conflict],
    missed: Missed | None,
) -> CommunityReport:
    signed = _peek(kept.envelope)
    return CommunityReport(
        id=kept.community,
        name=kept.name,
        accepted=kept.community in present,
        number=kept.number,
        hash=kept.hash,
        issued=signed.issued,
        expires=kept.expires,
        expired=kept.expires <= now,
        threshold=signed.charter.threshold,
        stewards=[who.steward(public) for public in signed.charter.stewards],
        members=_lines(signed, present, who, now),
        conflicts=conflicts,
        missed=missed,
    )


def _lines(of: Roster | None, present: Communities, who: Known, now: str) -> list[MemberLine]:
    if of is None:
        return []
    here, until = present.get(of.charter.community), of.until
    lines = []
    for member, admitted in of.admitted.items():
        if here is None:
            state = Membership.OFFERED
        elif of.ended(member, now):
            state = Membership.ENDED
        else:
            state = Membership.IN if here.members.get(member) == admitted else Membership.WAITING
        lines.append(MemberLine(member, who.name(member), admitted, until.get(member, ""), state))
    return sorted(lines, key=lambda line: (line.name, line.id))


def _change(line: MemberLine, before: Roster | None) -> Change | None:
    if before is None or before.admitted.get(line.id) != line.admitted:
        return None
    until = before.until.get(line.id, "")
    return Change(line.id, line.name, until, line.until) if until != line.until else None


def _is_new(line: MemberLine, here: Community | None) -> bool:
    return here is None or here.members.get(line.id) != line.admitted


def _doubts(
    wanted: Roster, digest: str, held: list[KeptRoster], present: Communities, now: str
) -> Iterator[str]:
    charter = wanted.charter
    for other in present.values():
        if other.name.lower() == charter.name.lower() and other.id != charter.community:
            yield (
                f"Another community that was accepted here is called {other.name}: {other.id}. This one has other "
                "stewards. While both are here, nothing can be published to either by its name."
            )
    if not held and wanted.number > 1:
        yield "No earlier roster of this community is held here: nothing says who was in it before."
    if held and held[0].number > wanted.number:
        yield f"Roster {held[0].number} is held here already: this one changes nothing that is in force."
    elif held and held[0].number == wanted.number and held[0].hash != digest:
        yield (
            f"Another roster with number {wanted.number} is held here ({held[0].hash[:16]}…), and this one "
            f"({digest[:16]}…) will be refused: call the stewards."
        )
    elif held and held[0].hash != digest:
        fault = roster.misfit(roster.read(held[0].envelope), wanted)
        yield from (fault,) if fault else ()
    if wanted.expires <= now:
        yield f"It expired at {wanted.expires}: what is published to this community is held back."


@lru_cache(maxsize=128)
def _peek(raw: bytes) -> Roster:
    """Return a roster that was verified when it was kept."""
    return roster.peek(raw)


def _conflicts(conn: Connection, who: Known) -> dict[str, list[Conflict]]:
    found: dict[str, list[Conflict]] = {}
    for one in communities.clashes(conn):
        sender = who.name(one.came_from) if one.came_from else ""
        found.setdefault(one.community, []).append(Conflict(one.number, one.held, one.hash, sender, one.at))
    return found


def _highest(conn: Connection) -> Iterable[Floor]:
    """Return of each community the latest roster that is missed."""
    found: dict[str, Floor] = {}
    for one in communities.behind(conn):  # the highest number first
        found.setdefault(one.community, one)
    return found.values()


def _missed(conn: Connection, who: Known) -> dict[str, Missed]:
    return {one.community: Missed(one.number, who.name(one.member)) for one in _highest(conn)}
