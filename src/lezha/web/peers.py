"""What peers may call: the link itself, and enrolment before there is one.

Every route but enrolment's three demands a client certificate that was issued by the pinned TLS root of a confirmed
peer and names it. Others learn nothing, not even whether a member is known here.
"""

from typing import Any, Final, TypeVar

import msgspec
import structlog
from litestar import Litestar, Request, Response, get, post
from litestar.di import NamedDependency, Provide
from litestar.exceptions import PermissionDeniedException
from litestar.params import FromPath

from lezha.federation import document, enrolment, frame, tls
from lezha.federation.errors import EnrolmentError, Refused
from lezha.flows import introduce, receive
from lezha.flows.introduce import Host
from lezha.flows.receive import Receiver
from lezha.node.clock import ahead, later, utc_now
from lezha.node.links import Links
from lezha.node.node import Node
from lezha.store import peers
from lezha.store.errors import NotFound
from lezha.store.log import Log
from lezha.store.peers import Peer, PeerState
from lezha.web.problems import HANDLERS
from lezha.web.serve import client_certificate
from lezha.web.source import sourced

_CLOCK_MINUTES: Final = 5
_MAX_ENROLMENT: Final = 128 * 1024
_logger = structlog.get_logger()
T = TypeVar("T")


def app(node: Node) -> Litestar:
    """Return the application of the peers' listener."""
    return Litestar(
        route_handlers=[frames, own_document, commit, reveal],
        dependencies={
            "log": Provide(lambda: node.log, sync_to_thread=False),
            "host": Provide(lambda: node.host, sync_to_thread=False),
            "receiver": Provide(lambda: node.receiver, sync_to_thread=False),
            "links": Provide(lambda: node.links, sync_to_thread=False),
        },
        middleware=[sourced],
        exception_handlers=HANDLERS,
        logging_config=None,
        openapi_config=None,
        request_max_body_size=frame.MAX_BATCH_BYTES,
    )


@post("/link/v1/frames", status_code=200)
async def frames(
    request: Request[Any, Any, Any],
    log: NamedDependency[Log],
    receiver: NamedDependency[Receiver],
    links: NamedDependency[Links],
) -> Response[bytes]:
    """Take a batch and answer with the signed receipt; of a suspended peer's take recalls alone."""
    peer = _authenticated(request, log)
    sent = frame.decode(await request.body())
    if link := links.get(peer.member):
        link.contact(ahead(sent.sent, utc_now()))
    _check_clock(peer, sent.sent)
    if peer.state is PeerState.SUSPENDED:
        receipt = await receive.recalls(log, receiver, peer.member, sent)
    else:
        latest = later(utc_now(), minutes=_CLOCK_MINUTES)
        receipt = await receive.batch(log, receiver, peer.member, sent, latest)
    return Response(receipt, media_type="application/json")


@get("/link/v1/document/{invitation:str}")
async def own_document(
    log: NamedDependency[Log], host: NamedDependency[Host], invitation: FromPath[str]
) -> Response[bytes]:
    """Show this node's document to whoever holds an open invitation; strangers learn no name and no number to call."""
    with log.read() as conn:
        introduce.check_open(conn, invitation, utc_now())
    return Response(host.known.raw, media_type="application/json")


@post("/link/v1/enrol/commit", status_code=200, request_max_body_size=_MAX_ENROLMENT)
async def commit(request: Request[Any, Any, Any], log: NamedDependency[Log]) -> Response[bytes]:
    """First step of an invited node."""
    answer = await introduce.committed(log, _message(await request.body(), enrolment.Commit))
    return Response(msgspec.json.encode(answer), media_type="application/json")


@post("/link/v1/enrol/reveal", status_code=200, request_max_body_size=_MAX_ENROLMENT)
async def reveal(
    request: Request[Any, Any, Any], log: NamedDependency[Log], host: NamedDependency[Host]
) -> Response[bytes]:
    """Second step of an invited node."""
    await introduce.revealed(log, host, _message(await request.body(), enrolment.Reveal))
    return Response(b"{}", media_type="application/json")


def _authenticated(request: Request[Any, Any, Any], log: Log) -> Peer:
    der = client_certificate(request)
    member = tls.claimed_member(der) if der else None
    if der is None or member is None:
        _logger.warning("peer.refused", claims="", reason="no certificate of a member was shown")
        raise PermissionDeniedException("A peer's certificate is needed here.")
    try:
        with log.read() as conn:
            peer = peers.by_member(conn, member)
        tls.check_member(der, document.read(peer.document).document.tls_root, member)
    except (NotFound, Refused) as error:
        _logger.warning("peer.refused", claims=member, reason=str(error))
        raise PermissionDeniedException("This certificate is not that of an active peer.") from None
    if peer.state is PeerState.PENDING:
        _logger.warning("peer.refused", claims=member, reason=peer.state.value)
        raise PermissionDeniedException("This certificate is not that of an active peer.")
    return peer


def _check_clock(peer: Peer, sent: str) -> None:
    # Order never depends on clocks, but a statement from ahead of ours is refused: somebody should know why.
    now = utc_now()
    if not later(now, minutes=-_CLOCK_MINUTES) <= sent <= later(now, minutes=_CLOCK_MINUTES):
        _logger.warning("peer.clock", peer=peer.name, sent=sent[:40])


def _message(raw: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(raw, type=kind)
    except ValueError as error:  # msgspec's errors and those of UTF-8
        raise EnrolmentError(f"A message of the introduction can't be read: {error}.") from error
