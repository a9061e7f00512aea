"""Two strange nodes become peers: invitation, commitment, revelation, and the phrase that two officers compare."""

import asyncio
import hashlib
import hmac
import secrets
from typing import Final

import msgspec
from sqlalchemy import Connection

from lezha.access import names
from lezha.federation import document, enrolment
from lezha.federation.client import PeerClient
from lezha.federation.document import KnownDocument
from lezha.federation.enrolment import Commit, Committed, Offer, Reveal
from lezha.federation.errors import EnrolmentError, Refused
from lezha.flows.errors import FlowError
from lezha.sharing.tlp import Tlp
from lezha.sharing.trust import Trust
from lezha.store import peers
from lezha.store.errors import NotFound
from lezha.store.log import Log, Tx
from lezha.store.peers import Invitation, Peer, PeerState

_RESERVED: Final = ("everyone", "self")
_NO_INVITATION: Final = (
    "There is no such invitation, or it is used up, withdrawn or expired: ask for a new one."
)


class Host(msgspec.Struct, frozen=True):
    """This node in an introduction: its document, and what a new peer may receive at most."""

    known: KnownDocument
    clearance: Tlp


async def invite(log: Log, host: Host, name: str, expires: str, actor: str) -> str:
    """Make a single-use invitation for the peer to be called `name`; return its text, which is kept nowhere."""
    endpoints = host.known.document.endpoints
    if not endpoints or not endpoints[0]:
        raise FlowError(
            "This node has no endpoint that others could reach: set one with `lezha init --endpoint`."
        )
    secret = secrets.token_hex(16)
    offer = Offer(secrets.token_hex(8), secret, endpoints[0], host.known.digest)
    kept = Invitation(offer.id, name, hashlib.sha256(secret.encode()).hexdigest(), expires)

    def work(tx: Tx) -> None:
        _check_name(tx.conn, name)
        peers.invite(tx, kept, actor)

    await log.write(work)
    return enrolment.write_offer(offer)


def check_open(conn: Connection, invitation_id: str, now: str) -> None:
    """Check that an invitation is still to be taken up. Raises EnrolmentError."""
    try:
        kept = peers.invitation(conn, invitation_id)
    except NotFound:
        raise EnrolmentError(_NO_INVITATION) from None
    if kept.commitment or kept.expires <= now:
        raise EnrolmentError(_NO_INVITATION)


async def committed(log: Log, message: Commit) -> Committed:
    """Inviter, first step: keep the commitment, answer with the own random number. Raises EnrolmentError."""
    _hex(message.commitment)

    def work(tx: Tx) -> Committed:
        invitation = _open_invitation(tx, message.invitation, message.secret)
        if invitation.commitment:
            raise EnrolmentError("This invitation has been used already: ask for a new one.")
        nonce = enrolment.new_nonce()
        changed = msgspec.structs.replace(invitation, commitment=message.commitment, nonce=nonce)
        peers.change_invitation(tx, changed)
        return Committed(nonce)

    return await log.write(work)


async def revealed(log: Log, host: Host, message: Reveal) -> None:
    """Inviter, second step: check what was committed to and keep the new peer, pending. Raises EnrolmentError."""
    raw = message.document.encode()
    await log.write(lambda tx: _open_invitation(tx, message.invitation, message.secret))
    known = await asyncio.to_thread(_read, raw)

    def work(tx: Tx) -> None:
        invitation = _open_invitation(tx, message.invitation, message.secret)
        expected = enrolment.commitment(_hex(message.nonce), raw)
        if not hmac.compare_digest(invitation.commitment, expected):
            raise EnrolmentError(
                "What was revealed is not what was committed to: somebody may stand in between."
            )
        phrase = enrolment.phrase(host.known.digest, known.digest, invitation.nonce, message.nonce)
        _keep(tx, host, known, invitation.name, phrase, known.document.member)
        peers.change_invitation(tx, msgspec.structs.replace(invitation, used_by=known.document.member))

    await log.write(work)


async def accept(
    log: Log, host: Host, offer: Offer, inviter: KnownDocument, client: PeerClient, name: str, *, actor: str
) -> str:
    """Invited node: introduce this node to the inviter and keep it, pending. Return the phrase to compare.

    Raises EnrolmentError, LinkFault, Conflict.
    """
    with log.read() as conn:
        _check_name(conn, name or inviter.document.name)
    nonce = enrolment.new_nonce()
    commitment = enrolment.commitment(nonce, host.known.raw)
    answer = await client.commit(Commit(offer.id, offer.secret, commitment))
    phrase = enrolment.phrase(inviter.digest, host.known.digest, _hex(answer.nonce), nonce)
    await client.reveal(Reveal(offer.id, offer.secret, nonce, host.known.raw.decode()))
    await log.write(lambda tx: _keep(tx, host, inviter, name or inviter.document.name, phrase, actor))
    return phrase


async def confirm(log: Log, name: str, phrase: str, actor: str) -> Peer:
    """Make a pending peer active: its operator has read the same phrase over another channel. Raises FlowError."""

    def work(tx: Tx) -> Peer:
        peer = peers.by_name(tx.conn, name)
        if peer.state is not PeerState.PENDING:
            raise FlowError(f"{peer.name} is {peer.state.value}, not pending.")
        if "".join(phrase.split()) != "".join(peer.phrase.split()):
            raise FlowError(
                f"This is not the phrase of {peer.name}. If its officer reads another one, somebody stands in "
                "between: do not confirm, and tell both security officers."
            )
        peers.set_state(tx, peer.member, PeerState.ACTIVE, actor)
        return peers.by_name(tx.conn, name)

    return await log.write(work)


async def change(log: Log, name: str, state: PeerState, actor: str) -> Peer:
    """Suspend an active peer, or make a suspended one active again. Raises FlowError, NotFound."""
    before = {PeerState.SUSPENDED: PeerState.ACTIVE, PeerState.ACTIVE: PeerState.SUSPENDED}[state]

    def work(tx: Tx) -> Peer:
        peer = peers.by_name(tx.conn, name)
        if peer.state is not before:
            raise FlowError(f"{peer.name} is {peer.state.value}, not {before.value}.")
        peers.set_state(tx, peer.member, state, actor)
        return peers.by_name(tx.conn, name)

    return await log.write(work)


async def clear(log: Log, name: str, clearance: Tlp, actor: str) -> Peer:
    """Change what a peer is cleared for, from the next sending on. Raises NotFound."""

    def work(tx: Tx) -> Peer:
        peers.set_clearance(tx, peers.by_name(tx.conn, name).member, clearance, actor)
        return peers.by_name(tx.conn, name)

    return await log.write(work)


async def trust(log: Log, name: str, wanted: Trust, actor: str) -> Peer:
    """Change what a peer's indicators are used for at most. Raises NotFound."""

    def work(tx: Tx) -> Peer:
        peers.set_trust(tx, peers.by_name(tx.conn, name).member, wanted, actor)
        return peers.by_name(tx.conn, name)

    return await log.write(work)


async def limit(log: Log, name: str, hourly: int | None, actor: str) -> Peer:
    """Change how many objects are taken from a peer in an hour; None for what the settings say. Raises NotFound."""

    def work(tx: Tx) -> Peer:
        peers.set_hourly(tx, peers.by_name(tx.conn, name).member, hourly, actor)
        return peers.by_name(tx.conn, name)

    return await log.write(work)


async def forget(log: Log, name: str, actor: str) -> None:
    """Remove a peer that was never confirmed. Raises FlowError, NotFound."""

    def work(tx: Tx) -> None:
        peer = peers.by_name(tx.conn, name)
        if peer.state is not PeerState.PENDING:
            raise FlowError(
                f"{peer.name} is {peer.state.value}: suspend it instead, so that the record stays whole."
            )
        peers.remove(tx, peer.member, actor)

    await log.write(work)


def _check_name(conn: Connection, name: str) -> None:
    if not names.is_plain(name) or name.lower() in _RESERVED:
        raise FlowError(f"{name[:100]!r} can't name a peer: {names.RULE}.")
    if any(peer.name.lower() == name.lower() for peer in peers.listed(conn)):
        raise FlowError(f"There is a peer {name!r} already: choose another name.")


def _open_invitation(tx: Tx, invitation_id: str, secret: str) -> Invitation:
    try:
        kept = peers.invitation(tx.conn, invitation_id)
    except NotFound:
        raise EnrolmentError(_NO_INVITATION) from None
    if not hmac.compare_digest(kept.digest, hashlib.sha256(secret.encode()).hexdigest()):
        raise EnrolmentError(_NO_INVITATION)
    if kept.used_by or kept.expires <= tx.at:
        raise EnrolmentError("This invitation has been used or has expired: ask for a new one.")
    return kept


def _keep(tx: Tx, host: Host, known: KnownDocument, name: str, phrase: str, actor: str) -> None:
    if known.document.member == host.known.document.member:
        raise EnrolmentError("That is this node itself.")
    linked = (document.read(peer.document).document for peer in peers.listed(tx.conn))
    others = [host.known.document, *(other for other in linked if other.member != known.document.member)]
    taken = {key for other in others for key in (other.root, *other.signing_keys)}
    if taken & {known.document.root, *known.document.signing_keys}:
        raise EnrolmentError("That node shows a key of another member as its own: do not go on.")
    _check_name(tx.conn, name)
    peer = Peer(
        member=known.document.member,
        name=name,
        state=PeerState.PENDING,
        phrase=phrase,
        clearance=host.clearance,
        since=tx.at,
        number=known.document.number,
        endpoint=known.document.endpoints[0],
        document=known.raw,
    )
    peers.add(tx, peer, actor)


def _read(raw: bytes) -> KnownDocument:
    try:
        return document.read(raw)
    except Refused as refused:
        raise EnrolmentError(str(refused)) from refused


def _hex(text: str) -> str:
    if len(text) != 2 * enrolment.NONCE_BYTES or any(letter not in "0123456789abcdef" for letter in text):
        raise EnrolmentError("A number of the introduction is malformed: it must be 32 bytes in hex.")
    return text
