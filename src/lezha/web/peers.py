"""What peers may call: the link itself, and enrolment before there is one.

Every route but enrolment's three demands a client certificate that was issued by the pinned TLS root of a confirmed
peer and names it. Others learn nothing, not even whether a member is known here.
"""

import math
import time
from typing import Any, Final, TypeVar

import msgspec
import structlog
from litestar import Litestar, Request, Response, get, post
from litestar.datastructures import State
from litestar.exceptions import PermissionDeniedException, TooManyRequestsException
from litestar.params import FromPath

from lezha.federation import document, enrolment, frame, tls
from lezha.federation.door import Door, Why
from lezha.federation.errors import EnrolmentError, NotTakenUp, Refused
from lezha.federation.pace import Pace
from lezha.flows import introduce
from lezha.node.clock import ahead, utc_now
from lezha.node.intake import Intake
from lezha.node.links import Links
from lezha.node.node import Node
from lezha.store import peers
from lezha.store.errors import NotFound, StoreError
from lezha.store.log import Log
from lezha.store.peers import Peer, PeerState
from lezha.web.entrance import client_certificate
from lezha.web.problems import HANDLERS
from lezha.web.source import sourced

_MAX_ENROLMENT: Final = 128 * 1024
_MAX_RECEIPT: Final = 256 * 1024
_logger = structlog.get_logger()
T = TypeVar("T")


def app(node: Node) -> Litestar:
    """Return the application of the peers' listener."""
    return Litestar(
        route_handlers=[frames, pull, own_document, commit, reveal],
        state=State({"node": node}),
        middleware=[sourced],
        exception_handlers=HANDLERS,
        logging_config=None,
        openapi_config=None,
        request_max_body_size=frame.MAX_BATCH_BYTES,
    )


@post("/link/v1/frames", status_code=200)
async def frames(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Take a batch and answer with the signed receipt; of a suspended peer's take recalls alone."""
    node = _node(request)
    peer = _authenticated(request, node)
    pace = node.intake.pace
    await _wait_for_turn(node.log, pace, peer)
    try:
        return await _taken(await request.body(), peer, node.links, node.intake)
    finally:
        pace.leave(peer.member)


async def _taken(raw: bytes, peer: Peer, links: Links, intake: Intake) -> Response[bytes]:
    sent = intake.decode(peer.member, raw)
    if link := links.get(peer.member):
        link.contact(sent.incarnation, ahead(sent.sent, utc_now()))
    receipt = await intake.take(peer.member, sent)
    return Response(receipt, media_type="application/json")


@post("/link/v1/pull", status_code=200, request_max_body_size=_MAX_RECEIPT)
async def pull(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Give a peer the next batch that is for it, once there is one; take the receipt for the one before."""
    node = _node(request)
    peer = _authenticated(request, node)
    receipt = await request.body()
    if not receipt:  # to begin anew costs a greeting; whoever brings a receipt has taken what was sent
        pace = node.intake.pace
        await _wait_for_turn(node.log, pace, peer)
        pace.spend(peer.member, 0, 0)
        pace.leave(peer.member)
    link = node.links.get(peer.member)
    batch = await link.ask(receipt) if link else b""
    return Response(batch, media_type=frame.MEDIA_TYPE, status_code=200 if batch else 204)


@get("/link/v1/document/{invitation:str}")
async def own_document(request: Request[Any, Any, Any], invitation: FromPath[str]) -> Response[bytes]:
    """Show this node's document to whoever holds an open invitation; strangers learn no name and no number to call."""
    node = _node(request)
    with node.log.read() as conn:
        introduce.check_open(conn, invitation, utc_now())
    return Response(node.host.known.raw, media_type="application/json")


@post("/link/v1/enrol/commit", status_code=200, request_max_body_size=_MAX_ENROLMENT)
async def commit(request: Request[Any, Any, Any]) -> Response[bytes]:
    """First step of an invited node."""
    answer = await introduce.committed(_node(request).log, _message(await request.body(), enrolment.Commit))
    return Response(msgspec.json.encode(answer), media_type="application/json")


@post("/link/v1/enrol/reveal", status_code=200, request_max_body_size=_MAX_ENROLMENT)
async def reveal(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Second step of an invited node."""
    node = _node(request)
    message = _message(await request.body(), enrolment.Reveal)
    try:
        await introduce.revealed(node.log, node.host, message)
    except NotTakenUp as error:
        _logger.warning("enrolment.refused", invitation=message.invitation, reason=error.why)
        raise
    return Response(b"{}", media_type="application/json")


def named_in(der: bytes, log: Log) -> str:
    """Return the member whose certificate this is, if it is that of a peer; else nothing."""
    try:
        return _peer_of(der, log).member
    except (NotFound, Refused, StoreError):
        return ""


def _node(request: Request[Any, Any, Any]) -> Node:
    node: Node = request.app.state.node
    return node


def _authenticated(request: Request[Any, Any, Any], node: Node) -> Peer:
    der = client_certificate(request)
    member = tls.claimed_member(der) if der else None
    if der is None or member is None:
        _refused(node.door, "", "no certificate of a member was shown")
        raise PermissionDeniedException("A peer's certificate is needed here.")
    try:
        return _peer_of(der, node.log)
    except (NotFound, Refused) as error:
        _refused(node.door, member, str(error))
        raise PermissionDeniedException("This certificate is not that of an active peer.") from None


def _peer_of(der: bytes, log: Log) -> Peer:
    """Return the peer whose certificate this is. Raises NotFound, Refused."""
    member = tls.claimed_member(der) or ""
    with log.read() as conn:
        peer = peers.by_member(conn, member)
    tls.check_member(der, document.read(peer.document).document.tls_root, member)
    if peer.state is PeerState.PENDING:
        raise NotFound(peer.state.value)
    return peer


def _refused(door: Door, claims: str, reason: str) -> None:
    """Tell that somebody was refused, unless that is told too often already."""
    door.count(Why.REFUSED)
    if door.may_tell(time.monotonic()):
        _logger.warning("peer.refused", claims=claims, reason=reason)


async def _wait_for_turn(log: Log, pace: Pace, peer: Peer) -> None:
    """Send a peer away that has sent more than is taken of it, before its batch is read."""
    now = time.monotonic()
    seconds = math.ceil(pace.enter(peer.member, peer.hourly, now))
    if not seconds:
        return
    if pace.is_news(peer.member, now):
        _logger.warning("peer.too_fast", peer=peer.name, seconds=seconds)
        await log.write(lambda tx: tx.event("too fast", peer.member, peer.member))
    raise TooManyRequestsException(
        "More has come from this member than is taken of it in an hour, or at once.",
        headers={"Retry-After": str(seconds)},
    )


def _message(raw: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(raw, type=kind)
    except ValueError as error:  # msgspec's errors and those of UTF-8
        raise EnrolmentError(f"A message of the introduction can't be read: {error}.") from error
