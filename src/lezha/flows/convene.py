"""Communities: a roster is drafted by one steward, signed by others, and accepted by each member for itself."""

import secrets

import msgspec
from securesystemslib.signer import CryptoSigner
from sqlalchemy import Connection

from lezha.federation import document, roster
from lezha.federation.errors import Refused
from lezha.federation.roster import Charter, Roster
from lezha.flows.errors import FlowError
from lezha.flows.receive import kept_roster
from lezha.sharing.community import Community
from lezha.store import communities, peers
from lezha.store.errors import Conflict, NotFound
from lezha.store.log import Log, Tx
from lezha.store.peers import PeerState


class Convener(msgspec.Struct, frozen=True):
    """Who drafts and signs: the member, its signing key, the same key's public half in hex, its own short name."""

    member: str
    name: str
    signer: CryptoSigner
    public: str


class Draft(msgspec.Struct, frozen=True):
    """A community to be founded. Names are those of peers; the convener's own name or `self` is this node."""

    name: str
    members: tuple[str, ...]
    stewards: tuple[str, ...]
    threshold: int
    issued: str
    expires: str


class _Party(msgspec.Struct, frozen=True):
    member: str
    public: str


def found(conn: Connection, convener: Convener, wanted: Draft) -> bytes:
    """Return the first roster of a new community, signed by the convener. Nothing is written.

    Raises FlowError.
    """
    members = tuple(_who(conn, convener, name).member for name in wanted.members)
    stewards = tuple(_who(conn, convener, name).public for name in wanted.stewards)
    if wanted.name.lower() in {c.name.lower() for c in communities.current(conn).values()} | {"everyone"}:
        raise FlowError(f"There is a community {wanted.name!r} here already: choose another name.")
    if not 1 <= wanted.threshold <= len(set(stewards)):
        raise FlowError("The threshold must lie between 1 and the number of stewards.")
    draft = Roster(
        charter=Charter(wanted.name, stewards, wanted.threshold, secrets.token_hex(16)),
        number=1,
        members=dict.fromkeys(members, 1),
        issued=wanted.issued,
        expires=wanted.expires,
    )
    raw = roster.draft(draft, convener.signer)
    try:
        roster.peek(raw)
    except Refused as refused:
        raise FlowError(f"No node would accept this: {refused}") from refused
    return raw


def cosign(convener: Convener, raw: bytes) -> bytes:
    """Add the convener's signature to a roster. Raises FlowError."""
    try:
        if convener.public not in roster.peek(raw).charter.stewards:
            raise FlowError("This member is not a steward of that community: its signature would not count.")
        return roster.cosign(raw, convener.signer)
    except Refused as refused:
        raise FlowError(str(refused)) from refused


async def accept(log: Log, raw: bytes, actor: str) -> Community:
    """Take a roster as true and admit the members it names. Raises FlowError."""
    try:
        known = roster.read(raw)
    except Refused as refused:
        raise FlowError(str(refused)) from refused
    kept = kept_roster(known)

    def work(tx: Tx) -> Community:
        communities.add(tx, kept, actor)
        communities.approve(tx, kept.community, list(kept.members), actor)
        return communities.current(tx.conn)[kept.community]

    try:
        return await log.write(work)
    except Conflict as conflict:
        raise FlowError(str(conflict)) from conflict


def _who(conn: Connection, convener: Convener, name: str) -> _Party:
    if name in {"self", convener.name}:
        return _Party(convener.member, convener.public)
    try:
        peer = peers.by_name(conn, name)
    except NotFound:
        raise FlowError(f"There is no peer {name!r}: link its node first.") from None
    if peer.state is not PeerState.ACTIVE:
        raise FlowError(f"{name} is {peer.state.value}: confirm it first.")
    return _Party(peer.member, document.read(peer.document).document.signing_keys[0])
