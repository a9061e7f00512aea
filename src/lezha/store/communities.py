"""Rosters and the admissions that this node has approved."""

import msgspec
from sqlalchemy import Connection, RowMapping, insert, select

from lezha.sharing.community import Community
from lezha.store import schema
from lezha.store.errors import Conflict
from lezha.store.log import Tx


class KeptRoster(msgspec.Struct, frozen=True):
    """A verified roster. `members` maps identity id to the roster number that admitted it."""

    community: str
    name: str
    number: int
    hash: str
    expires: str
    members: dict[str, int]
    envelope: bytes


def add(tx: Tx, roster: KeptRoster, actor: str) -> bool:
    """Add a roster; return False if it was there. Raises Conflict if another one has its number."""
    table = schema.rosters
    there = tx.conn.scalar(
        select(table.c.hash).where(table.c.community == roster.community, table.c.number == roster.number)
    )
    if there == roster.hash:
        return False
    if there is not None:
        raise Conflict(
            f"Two different rosters of {roster.name} have number {roster.number}: "
            "call its stewards; the one held here stays in force."
        )
    tx.event("roster", roster.hash, actor, community=roster.community, number=roster.number)
    tx.conn.execute(
        insert(table).values(
            community=roster.community,
            number=roster.number,
            hash=roster.hash,
            name=roster.name,
            expires=roster.expires,
            members=msgspec.json.encode(roster.members).decode(),
            envelope=roster.envelope,
            at=tx.at,
        )
    )
    return True


def approve(tx: Tx, community: str, members: list[str], actor: str) -> list[str]:
    """Record that this node admits `members`; return those that were not admitted before."""
    table = schema.admissions
    there = {
        row.member for row in tx.conn.execute(select(table.c.member).where(table.c.community == community))
    }
    new = [member for member in members if member not in there]
    if new:
        tx.conn.execute(insert(table), [{"community": community, "member": m, "at": tx.at} for m in new])
        tx.event("admission", community, actor, members=new)
    return new


def accepted(conn: Connection) -> set[str]:
    """Return the ids of the communities that this node has accepted. Others may send rosters of any name."""
    return {row.community for row in conn.execute(select(schema.admissions.c.community).distinct())}


def current(conn: Connection) -> dict[str, Community]:
    """Return each community by its latest roster, with the members approved here."""
    admitted: dict[str, set[str]] = {}
    for row in conn.execute(select(schema.admissions)):
        admitted.setdefault(row.community, set()).add(row.member)
    found: dict[str, Community] = {}
    for row in conn.execute(select(schema.rosters).order_by(schema.rosters.c.number)):
        members = msgspec.json.decode(row.members, type=dict[str, int])
        approved = admitted.get(row.community, set())
        found[row.community] = Community(
            id=row.community,
            name=row.name,
            number=row.number,
            expires=row.expires,
            members={member: number for member, number in members.items() if member in approved},
        )
    return found


def latest(conn: Connection) -> list[KeptRoster]:
    """Return the latest roster of each community."""
    found: dict[str, KeptRoster] = {}
    for row in conn.execute(select(schema.rosters).order_by(schema.rosters.c.number)):
        found[row.community] = _kept(row._mapping)
    return list(found.values())


def by_hash(conn: Connection, roster: str) -> KeptRoster | None:
    """Return the roster with this hash, or None."""
    row = conn.execute(select(schema.rosters).where(schema.rosters.c.hash == roster)).one_or_none()
    return None if row is None else _kept(row._mapping)


def _kept(row: RowMapping) -> KeptRoster:
    return KeptRoster(
        community=row["community"],
        name=row["name"],
        number=row["number"],
        hash=row["hash"],
        expires=row["expires"],
        members=msgspec.json.decode(row["members"], type=dict[str, int]),
        envelope=row["envelope"],
    )
