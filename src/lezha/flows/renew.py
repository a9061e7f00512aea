"""A member's later node document: this node's own goes to its peers, and theirs take the place of earlier ones."""

from collections.abc import Sequence
from typing import Final

import msgspec
from securesystemslib.signer import Key
from sqlalchemy import Connection

from lezha.federation import document, envelope
from lezha.federation.document import KnownDocument, NodeDocument
from lezha.federation.envelope import PayloadType
from lezha.federation.errors import Refused
from lezha.flows.errors import FlowError
from lezha.store import documents, peers
from lezha.store.documents import Seen
from lezha.store.log import Tx
from lezha.store.peers import PeerState

_EVER: Final = "9999-12-31T23:59:59.999999Z"


def announce(tx: Tx, known: KnownDocument) -> None:
    """Have this node's own document told to all peers, if it was not yet. Raises FlowError if it is an earlier one."""
    newest = documents.latest(tx.conn)
    if known.document.number < newest:
        raise FlowError(
            f"node.json is this node's document {known.document.number}, and peers were told of {newest}: put the "
            "newest one back, or make a later one with `lezha identity renew`."
        )
    documents.announce(tx, known.digest, known.document.number, known.raw, "node")


def check_document(raw: bytes, contents: Sequence[bytes]) -> KnownDocument:
    """Verify a node document that a peer has sent, whole in itself. Raises Refused."""
    if contents:
        raise Refused("malformed_document", "The frame of a node document carries contents.")
    return document.read(raw)


class _Span(msgspec.Struct, frozen=True):
    """A revoked key, and between which times what it signed was first seen here that is to be discredited now."""

    key: Key
    since: str
    until: str


class Spoilt(msgspec.Struct, frozen=True):
    """Statements that a document discredits, as far as statement number `upto` was looked."""

    hashes: tuple[str, ...] = ()
    upto: int = 0


def look_back(conn: Connection, sender: str, known: KnownDocument) -> Spoilt:
    """Return what a peer's verified new document discredits, if it would take the place of the one that is held."""
    held = document.read(peers.by_member(conn, sender).document).document
    try:
        document.check_follows(known, held)
    except Refused:
        return Spoilt()
    return spoilt(conn, known.document, held)


def spoilt(conn: Connection, new: NodeDocument, held: NodeDocument, after: int = 0) -> Spoilt:
    """Return what a later document discredits of its member's statements above number `after`.

    Those are signed by no key but one that it revokes, and were first seen here when others may have held that key.
    What the document that is `held` had discredited is not looked at again: however many documents a member makes, each
    of its statements is looked at once for each key.
    """
    before = {one.key: one.since for one in held.revoked}
    spans = [_Span(envelope.key(one.key), one.since, before.get(one.key, _EVER)) for one in new.revoked]
    spans = [one for one in spans if one.since < one.until]
    if not spans:
        return Spoilt((), after)
    current = new.verification_keys()
    since, until = min(one.since for one in spans), max(one.until for one in spans)
    found: list[str] = []
    while seen := documents.seen_between(conn, new.member, since, until, after):
        after = seen[-1].seq
        found += [one.hash for one in seen if _is_spoilt(one, spans, current)]
    return Spoilt(tuple(found), after)


def _is_spoilt(seen: Seen, spans: Sequence[_Span], current: Sequence[Key]) -> bool:
    def signed(key: Key) -> bool:
        return envelope.holds(seen.envelope, PayloadType.STATEMENT, key)

    revoked = [one.key for one in spans if one.since <= seen.at < one.until]
    return any(map(signed, revoked)) and not any(map(signed, current))


def renewed(tx: Tx, own: NodeDocument, sender: str, known: KnownDocument, looked: Spoilt) -> Refused | None:
    """Put a peer's new document in the place of the old one, or say why not.

    `looked` is what it discredits of all that was held a moment ago.
    """
    held = document.read(peers.by_member(tx.conn, sender).document)
    if known.digest == held.digest:
        return None  # it was introduced by it, or sends all again
    try:
        document.check_follows(known, held.document)
        check_keys(tx.conn, own, known.document)
    except Refused as refused:
        return refused
    put(tx, known, held.document, looked, sender)
    return None


def put(tx: Tx, known: KnownDocument, held: NodeDocument, looked: Spoilt, actor: str) -> None:
    """Put a document that may be believed in the place of the one that is held of its peer."""
    new = known.document
    since = spoilt(tx.conn, new, held, looked.upto)
    peers.renew(tx, new.member, new.number, new.endpoint, known.raw, actor)
    peers.know_again(tx, new.member)
    documents.discredit(tx, (*looked.hashes, *since.hashes), actor)


def unaware(conn: Connection, own: KnownDocument) -> list[str]:
    """Return the names of the active peers that are not known to have this node's present document."""
    taken, at = documents.taken(conn, own.digest), documents.announced(conn, own.digest)
    active = [peer for peer in peers.listed(conn) if peer.state is PeerState.ACTIVE]
    return [peer.name for peer in active if not taken.get(peer.member, at != "" and peer.since > at)]


def check_keys(conn: Connection, own: NodeDocument, new: NodeDocument) -> None:
    """Check that a document names no key of another member. Raises Refused."""
    linked = (document.read(peer.document).document for peer in peers.listed(conn))
    others = [own, *(other for other in linked if other.member != new.member)]
    taken = {key for other in others for key in (other.root, *other.signing_keys)}
    if taken & {new.root, *new.signing_keys}:
        raise Refused("taken_key", "That node shows a key of another member as its own: do not go on.")
