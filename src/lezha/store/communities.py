"""Rosters, the admissions that this node has approved, and what is known of rosters that it does not hold.

A community is accepted here once this node has approved an admission to it. Of the others, which any peer may send
rosters of, some are kept for the operator to see; no decision reads them.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Row, RowMapping, Select, func, insert, select, update

from lezha.sharing.community import Community
from lezha.store import schema
from lezha.store.errors import Conflict
from lezha.store.log import Tx
from lezha.store.rows import record

OFFERED: Final = 32
"""How many rosters of communities that were not accepted here are kept of one peer."""
_CONFLICTS: Final = 32  # of one community: to sign them takes its stewards


class KeptRoster(msgspec.Struct, frozen=True):
    """A verified roster. `members` maps identity id to the roster number that admitted it, `until` to an end."""

    community: str
    name: str
    number: int
    hash: str
    expires: str
    members: dict[str, int]
    envelope: bytes
    until: dict[str, str] = {}


class Clash(msgspec.Struct, frozen=True):
    """A second roster of one number, `hash`, that was refused since `held` is here; a peer or nobody sent it."""

    community: str
    number: int
    hash: str
    held: str
    came_from: str
    at: str


class Floor(msgspec.Struct, frozen=True):
    """The highest number of a roster by which `member` signed statements, when it was higher than that held here."""

    community: str
    member: str
    number: int
    at: str


_ROSTERS, _ADMISSIONS = schema.rosters, schema.admissions
_CLASHES, _FLOORS = schema.roster_conflicts, schema.floors
_ADMITTED: Final = select(_ADMISSIONS)
_ACCEPTED: Final = select(_ADMISSIONS.c.community).distinct()
_OTHERS: Final = _ROSTERS.alias("others")
_LATEST: Final = _ROSTERS.c.number == (
    select(func.max(_OTHERS.c.number)).where(_OTHERS.c.community == _ROSTERS.c.community).scalar_subquery()
)
# Without envelopes: these are read for each batch of decisions.
_CURRENT: Final = select(
    *(_ROSTERS.c[name] for name in ("community", "name", "number", "expires", "members", "until"))
).where(_ROSTERS.c.community.in_(_ACCEPTED), _LATEST)


def add(tx: Tx, roster: KeptRoster, actor: str, *, came_from: str = "") -> bool:
    """Add a roster; return False if it was there. Raises Conflict if another one has its number.

    `came_from` is the peer that sent it. Only what is about an accepted community, or is being accepted, is an event
    that decisions depend on.
    """
    there = tx.conn.scalar(
        select(_ROSTERS.c.hash).where(
            _ROSTERS.c.community == roster.community, _ROSTERS.c.number == roster.number
        )
    )
    if there == roster.hash:
        return False
    if there is not None:
        raise Conflict(
            f"Two different rosters of {roster.name} have number {roster.number}: "
            "call its stewards; the one held here stays in force."
        )
    kind = "roster offered" if came_from and not is_accepted(tx.conn, roster.community) else "roster"
    tx.event(kind, roster.hash, actor, community=roster.community, number=roster.number)
    tx.conn.execute(
        insert(_ROSTERS).values(
            community=roster.community,
            number=roster.number,
            hash=roster.hash,
            name=roster.name,
            expires=roster.expires,
            members=msgspec.json.encode(roster.members).decode(),
            until=msgspec.json.encode(roster.until).decode(),
            came_from=came_from,
            envelope=roster.envelope,
            at=tx.at,
        )
    )
    return True


def has_room(conn: Connection, community: str, sender: str) -> bool:
    """True if a roster of `community` may be kept of what `sender` sends: it is accepted, or there are few others."""
    if is_accepted(conn, community):
        return True
    kept = (
        select(func.count())
        .select_from(_ROSTERS)
        .where(_ROSTERS.c.came_from == sender, _ROSTERS.c.community.not_in(_ACCEPTED))
    )
    return (conn.scalar(kept) or 0) < OFFERED


def clash(tx: Tx, roster: KeptRoster, actor: str, *, came_from: str = "") -> None:
    """Record that a second roster of one number was refused, once for each; of accepted communities alone."""
    if not is_accepted(tx.conn, roster.community):
        return
    known = tx.conn.scalars(select(_CLASHES.c.hash).where(_CLASHES.c.community == roster.community)).all()
    if roster.hash in known or len(known) >= _CONFLICTS:
        return
    held = tx.conn.scalar(
        select(_ROSTERS.c.hash).where(
            _ROSTERS.c.community == roster.community, _ROSTERS.c.number == roster.number
        )
    )
    found = Clash(roster.community, roster.number, roster.hash, held or "", came_from, tx.at)
    tx.conn.execute(insert(_CLASHES).values(**msgspec.structs.asdict(found)))
    tx.event(
        "roster conflict",
        found.community,
        actor,
        number=found.number,
        held=found.held,
        refused=found.hash,
        came_from=found.came_from,
    )


def clashes(conn: Connection) -> list[Clash]:
    """Return the second rosters that no later roster has overtaken yet, oldest first."""
    later = (
        select(func.max(_ROSTERS.c.number))
        .where(_ROSTERS.c.community == _CLASHES.c.community)
        .scalar_subquery()
    )
    rows = conn.execute(select(_CLASHES).where(_CLASHES.c.number >= later).order_by(_CLASHES.c.at))
    return [record(row._mapping, Clash) for row in rows]


def approve(tx: Tx, community: str, members: Mapping[str, int], actor: str) -> list[str]:
    """Record that this node admits `members`, each as the roster of that number does; return the newly admitted."""
    there = {
        (row.member, row.number)
        for row in tx.conn.execute(select(_ADMISSIONS).where(_ADMISSIONS.c.community == community))
    }
    new = {member: number for member, number in members.items() if (member, number) not in there}
    if new:
        rows = [
            {"community": community, "member": member, "number": number, "at": tx.at}
            for member, number in new.items()
        ]
        tx.conn.execute(insert(_ADMISSIONS), rows)
        tx.event("admission", community, actor, members=list(new))
    return list(new)


def is_accepted(conn: Connection, community: str) -> bool:
    """True if this node has approved an admission to the community."""
    return (
        conn.scalar(select(_ADMISSIONS.c.community).where(_ADMISSIONS.c.community == community).limit(1))
        is not None
    )


def current(conn: Connection) -> dict[str, Community]:
    """Return each accepted community by its latest roster, with the members approved here and those that wait."""
    approved = {(row.community, row.member, row.number) for row in conn.execute(_ADMITTED)}
    return {row.community: _community(row, approved) for row in conn.execute(_CURRENT)} if approved else {}


def latest(conn: Connection, wanted: Iterable[str]) -> list[KeptRoster]:
    """Return the latest roster of each of these communities."""
    return _kept(conn, select(_ROSTERS).where(_ROSTERS.c.community.in_(list(wanted)), _LATEST))


def offered(conn: Connection, limit: int) -> list[KeptRoster]:
    """Return the latest rosters of communities that were not accepted here."""
    return _kept(conn, select(_ROSTERS).where(_ROSTERS.c.community.not_in(_ACCEPTED), _LATEST).limit(limit))


def count_offered(conn: Connection) -> int:
    """Count the communities of which peers have sent rosters and that were not accepted here."""
    communities = func.count(_ROSTERS.c.community.distinct())
    return conn.scalar(select(communities).where(_ROSTERS.c.community.not_in(_ACCEPTED))) or 0


def by_hash(conn: Connection, roster: str) -> KeptRoster | None:
    """Return the roster with this hash, or None."""
    found = _kept(conn, select(_ROSTERS).where(_ROSTERS.c.hash == roster))
    return found[0] if found else None


def signed_by(tx: Tx, floors: Mapping[tuple[str, str], int]) -> None:
    """Note the rosters by which members signed, (community, member) -> number, that are later than those held here."""
    if not floors:
        return
    numbers = (
        select(_ROSTERS.c.community, func.max(_ROSTERS.c.number).label("number"))
        .where(
            _ROSTERS.c.community.in_({community for community, _ in floors}),
            _ROSTERS.c.community.in_(_ACCEPTED),
        )
        .group_by(_ROSTERS.c.community)
    )
    held = {row.community: row.number for row in tx.conn.execute(numbers)}
    for (community, member), number in floors.items():
        if number > held.get(community, number):
            _note(tx, community, member, number)


def behind(conn: Connection) -> list[Floor]:
    """Return which members signed by a later roster of an accepted community than is held here."""
    held = (
        select(func.max(_ROSTERS.c.number))
        .where(_ROSTERS.c.community == _FLOORS.c.community)
        .scalar_subquery()
    )
    rows = conn.execute(select(_FLOORS).where(_FLOORS.c.number > held).order_by(_FLOORS.c.number.desc()))
    return [record(row._mapping, Floor) for row in rows]


def _note(tx: Tx, community: str, member: str, number: int) -> None:
    mine = (_FLOORS.c.community == community, _FLOORS.c.member == member)
    there = tx.conn.scalar(select(_FLOORS.c.number).where(*mine))
    if there is None:
        tx.conn.execute(insert(_FLOORS).values(community=community, member=member, number=number, at=tx.at))
    elif there < number:
        tx.conn.execute(update(_FLOORS).where(*mine).values(number=number, at=tx.at))


def _community(row: Row[Any], approved: set[tuple[str, str, int]]) -> Community:
    members = msgspec.json.decode(row.members, type=dict[str, int])
    admitted = {m: number for m, number in members.items() if (row.community, m, number) in approved}
    return Community(
        id=row.community,
        name=row.name,
        number=row.number,
        expires=row.expires,
        members=admitted,
        until=msgspec.json.decode(row.until, type=dict[str, str]),
        waiting={m: number for m, number in members.items() if m not in admitted},
    )


def _kept(conn: Connection, query: Select[Any]) -> list[KeptRoster]:
    return [
        _roster(row._mapping) for row in conn.execute(query.order_by(_ROSTERS.c.name, _ROSTERS.c.community))
    ]


def _roster(row: RowMapping) -> KeptRoster:
    return KeptRoster(
        community=row["community"],
        name=row["name"],
        number=row["number"],
        hash=row["hash"],
        expires=row["expires"],
        members=msgspec.json.decode(row["members"], type=dict[str, int]),
        envelope=row["envelope"],
        until=msgspec.json.decode(row["until"], type=dict[str, str]),
    )
