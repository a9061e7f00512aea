"""Peers, and the invitations by which they come."""

from enum import StrEnum
from typing import Final

import msgspec
from sqlalchemy import Connection, RowMapping, bindparam, delete, insert, select, update

from lezha.sharing.release import Recipient, Standing
from lezha.sharing.tlp import Tlp
from lezha.sharing.trust import Trust
from lezha.store import engine, schema
from lezha.store.errors import Conflict, NotFound
from lezha.store.log import Tx
from lezha.store.rows import record

MOST_HOURLY: Final = 1_000_000_000
TRUST: Final = "trust"
"""The event that tells of another trust in a member; in the node's record, the last one."""


class PeerState(StrEnum):
    """How far a peer has come. Only an ACTIVE peer's link runs."""

    PENDING = "pending"
    ACTIVE = "active"
    SUSPENDED = "suspended"


class Peer(msgspec.Struct, frozen=True):
    """A member whose node this node is linked to, by its node document (a signed envelope).

    `hourly` is how many objects are taken from it in an hour, None for what the settings say.
    """

    member: str
    name: str
    state: PeerState
    phrase: str
    clearance: Tlp
    since: str
    number: int
    endpoint: str
    document: bytes
    trust: Trust = Trust.WATCH
    hourly: int | None = None

    def recipient(self) -> Recipient:
        """This peer as the release kernel sees it."""
        return Recipient(
            id=self.member,
            standing=Standing.MEMBER,
            clearance=self.clearance,
            since=self.since,
            suspended=self.state is not PeerState.ACTIVE,
        )


class Invitation(msgspec.Struct, frozen=True):
    """A single-use invitation; `digest` is the SHA-256 of its secret, the secret itself is not kept.

    `commitment` and `nonce` are empty until the invited node has committed; `used_by` until it has revealed.
    """

    id: str
    name: str
    digest: str
    expires: str
    commitment: str = ""
    nonce: str = ""
    used_by: str = ""


# Asked for every batch: SQLAlchemy takes longer to build a statement than SQLite to run it.
_BY_MEMBER: Final = select(schema.peers).where(schema.peers.c.member == bindparam("member"))
_LISTED: Final = select(schema.peers).order_by(schema.peers.c.name)


def add(tx: Tx, peer: Peer, actor: str) -> None:
    """Add a peer. Raises Conflict if its member or name is taken."""
    table = schema.peers
    clash = tx.conn.execute(
        select(table.c.name, table.c.member).where(
            (table.c.member == peer.member) | (table.c.name == peer.name)
        )
    ).first()
    if clash is not None:
        raise Conflict(
            f"There is a peer {clash.name} already ({clash.member}): choose another name with --name."
        )
    tx.conn.execute(insert(table).values(**msgspec.structs.asdict(peer)))
    tx.event("peer", peer.member, actor, name=peer.name, state=peer.state.value)


def set_state(tx: Tx, member: str, state: PeerState, actor: str) -> None:
    """Change a peer's state. Every such change has its decisions made anew."""
    table = schema.peers
    tx.conn.execute(update(table).where(table.c.member == member).values(state=state.value))
    tx.event("peer", member, actor, state=state.value)


def set_clearance(tx: Tx, member: str, clearance: Tlp, actor: str) -> None:
    """Change what a peer is cleared for. Every such change has its decisions made anew."""
    table = schema.peers
    tx.conn.execute(update(table).where(table.c.member == member).values(clearance=clearance.value))
    tx.event("peer", member, actor, clearance=clearance.value)


def renew(tx: Tx, member: str, number: int, endpoint: str, document: bytes, actor: str) -> None:
    """Put a later node document in the place of a peer's present one."""
    table = schema.peers
    changed = {"number": number, "endpoint": endpoint, "document": document}
    tx.conn.execute(update(table).where(table.c.member == member).values(**changed))
    tx.event("peer", member, actor, document=number)


def meet_again(tx: Tx, member: str, document: bytes, phrase: str, actor: str) -> None:
    """Keep the document with which a peer was introduced anew, until its phrase is confirmed."""
    table = schema.reintroductions
    tx.conn.execute(delete(table).where(table.c.member == member))
    tx.conn.execute(insert(table).values(member=member, document=document, phrase=phrase, at=tx.at))
    tx.event("peer", member, actor, introduced="again")


def met_again(conn: Connection, member: str) -> tuple[bytes, str] | None:
    """Return the document with which a peer was introduced anew and its phrase, if that is still to be confirmed."""
    table = schema.reintroductions
    row = conn.execute(select(table.c.document, table.c.phrase).where(table.c.member == member)).first()
    return None if row is None else (row.document, row.phrase)


def know_again(tx: Tx, member: str) -> None:
    """Forget that a peer was introduced anew: it was confirmed, or is not to be."""
    table = schema.reintroductions
    tx.conn.execute(delete(table).where(table.c.member == member))


def set_trust(tx: Tx, member: str, trust: Trust, actor: str) -> None:
    """Change what a peer's indicators are used for."""
    table = schema.peers
    tx.conn.execute(update(table).where(table.c.member == member).values(trust=trust.value))
    engine.set_meta(tx.conn, TRUST, str(tx.event(TRUST, member, actor, trust=trust.value)))


def trusted(conn: Connection) -> dict[str, Trust]:
    """Return what each peer's indicators are used for at most."""
    table = schema.peers
    return {row.member: Trust(row.trust) for row in conn.execute(select(table.c.member, table.c.trust))}


def trust_since(conn: Connection) -> str:
    """Return by which event the trust in peers was changed last; empty if it never was."""
    return engine.get_meta(conn, TRUST) or ""


def set_hourly(tx: Tx, member: str, hourly: int | None, actor: str) -> None:
    """Change how many objects are taken from a peer in an hour; None for what the settings say."""
    table = schema.peers
    tx.conn.execute(update(table).where(table.c.member == member).values(hourly=hourly))
    tx.event("limit", member, actor, hourly=hourly)


def remove(tx: Tx, member: str, actor: str) -> None:
    """Remove a peer to which nothing was ever given. The event keeps what it was called."""
    name = tx.conn.scalar(select(schema.peers.c.name).where(schema.peers.c.member == member)) or ""
    tx.conn.execute(delete(schema.peers).where(schema.peers.c.member == member))
    tx.event("peer", member, actor, name=name, state="removed")


def listed(conn: Connection) -> list[Peer]:
    """Return all peers by name."""
    return [_peer(row._mapping) for row in conn.execute(_LISTED)]


def by_name(conn: Connection, name: str) -> Peer:
    """Return the peer with this local name. Raises NotFound."""
    row = conn.execute(select(schema.peers).where(schema.peers.c.name == name)).one_or_none()
    if row is None:
        raise NotFound(f"There is no peer {name!r}: `lezha peer list` shows those there are.")
    return _peer(row._mapping)


def by_member(conn: Connection, member: str) -> Peer:
    """Return the peer with this identity id. Raises NotFound."""
    row = conn.execute(_BY_MEMBER, {"member": member}).one_or_none()
    if row is None:
        raise NotFound(f"There is no peer {member}.")
    return _peer(row._mapping)


def invite(tx: Tx, invitation: Invitation, actor: str) -> None:
    """Keep an invitation."""
    tx.conn.execute(insert(schema.invitations).values(**msgspec.structs.asdict(invitation)))
    tx.event("invitation", invitation.id, actor, name=invitation.name)


def invitation(conn: Connection, invitation_id: str) -> Invitation:
    """Return an invitation. Raises NotFound."""
    table = schema.invitations
    row = conn.execute(select(table).where(table.c.id == invitation_id)).first()
    if row is None:
        raise NotFound("There is no such invitation.")
    return record(row._mapping, Invitation)


def change_invitation(tx: Tx, changed: Invitation) -> None:
    """Record how far an invitation has come: its secret was shown, and at the end by which member."""
    table = schema.invitations
    tx.conn.execute(
        update(table)
        .where(table.c.id == changed.id)
        .values(commitment=changed.commitment, nonce=changed.nonce, used_by=changed.used_by)
    )
    tx.event("invitation used", changed.id, changed.used_by or "whoever holds it", name=changed.name)


def _peer(row: RowMapping) -> Peer:
    return record(row, Peer)
