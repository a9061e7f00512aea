"""The network side of a link: HTTPS connections to one peer, one for each batch under way, kept open."""

import errno
import os
import socket
import ssl
import struct
from typing import Final

import aiohttp
import msgspec
from yarl import URL

from lezha.federation import enrolment, frame, outbox, polled, tls
from lezha.federation.document import KnownDocument, read
from lezha.federation.errors import Busy, EnrolmentError, Fenced, LinkFault, Refused

TIMEOUT: Final = aiohttp.ClientTimeout(total=30, sock_connect=5, sock_read=20)
_MAX_REPLY: Final = 256 * 1024
_DONE, _NOTHING, _NOT_OPEN, _REFUSED, _BUSY = 200, 204, 409, 422, 429
_ASKING: Final = aiohttp.ClientTimeout(total=90, sock_connect=5, sock_read=polled.HOLD_S + 20)
_LEAST_WAIT_S, _MOST_WAIT_S = 1, 60


class PeerClient:
    """Talk to one peer. `endpoint` is its base URL, e.g. https://192.0.2.7:8441."""

    lanes: Final = outbox.LANES
    """Batches that can be under way at once: each has a connection of its own."""

    def __init__(self, endpoint: str, member: str, context: ssl.SSLContext) -> None:
        self._url = URL(endpoint)
        self._server_name = tls.server_name(member)
        self._context = context
        self._session = self._opened()

    def _opened(self) -> aiohttp.ClientSession:
        self._connector = aiohttp.TCPConnector(
            ssl=self._context, limit=self.lanes, keepalive_timeout=60, socket_factory=_socket
        )
        return aiohttp.ClientSession(connector=self._connector, timeout=TIMEOUT)

    def is_open(self) -> bool:
        """Whether something can be sent now: always, the connection is made for it."""
        return True

    async def opened(self) -> None:
        """Wait for nothing."""

    async def send(self, batch: bytes) -> bytes:
        """Post a batch and return the receipt's envelope, not yet verified. Raises LinkFault, Busy."""
        return await self._post("/link/v1/frames", batch, frame.MEDIA_TYPE)

    async def ask(self, receipt: bytes) -> bytes:
        """Ask for the next batch, with the receipt for the one before, if there is one; return nothing if none comes.

        Raises LinkFault.
        """
        return await self._post("/link/v1/pull", receipt, "application/json", _ASKING, frame.MAX_BATCH_BYTES)

    async def commit(self, message: enrolment.Commit) -> enrolment.Committed:
        """First step of enrolment. Raises LinkFault, EnrolmentError."""
        raw = await self._post("/link/v1/enrol/commit", msgspec.json.encode(message), "application/json")
        try:
            return msgspec.json.decode(raw, type=enrolment.Committed)
        except ValueError as error:
            raise EnrolmentError(f"The inviting node answered nonsense: {error}.") from error

    async def reveal(self, message: enrolment.Reveal) -> None:
        """Second step of enrolment. Raises LinkFault, EnrolmentError."""
        await self._post("/link/v1/enrol/reveal", msgspec.json.encode(message), "application/json")

    async def abort(self) -> None:
        """Cut all connections at once: what waits to be sent on them is thrown away. The next request opens another."""
        await self._connector.close(abort_ssl=True)
        await self._session.close()
        self._session = self._opened()

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    async def _post(
        self,
        path: str,
        body: bytes,
        media_type: str,
        patience: aiohttp.ClientTimeout = TIMEOUT,
        most: int = _MAX_REPLY,
    ) -> bytes:
        try:
            async with self._session.post(
                self._url.with_path(path),
                data=body,
                headers={"Content-Type": media_type},
                server_hostname=self._server_name,
                allow_redirects=False,
                timeout=patience,
            ) as response:
                reply = await response.content.read(most + 1)
                while not response.content.at_eof() and len(reply) <= most:
                    reply += await response.content.read(most + 1 - len(reply))
        except (aiohttp.ClientError, TimeoutError, OSError, ssl.SSLError) as error:
            raise LinkFault(f"{self._url.authority} can't be reached: {_words(error)}") from error
        if len(reply) > most:
            raise LinkFault(f"{self._url.authority} answered more than {most} bytes.")
        if response.status == _REFUSED and _code(reply) == frame.SUPERSEDED:
            raise Fenced(
                f"{self._url.authority} takes nothing from this node any more: another database speaks for this "
                "member, restored from a backup of it. Stop one of the two."
            )
        if response.status == _BUSY:
            seconds = _wait(response.headers.get("Retry-After", ""))
            raise Busy(f"It takes no more for {seconds} s: {_title(reply)}", seconds)
        if response.status not in (_DONE, _NOTHING):
            raise LinkFault(f"{self._url.authority} answered {response.status}: {_title(reply)}")
        return reply


def _socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """Open a socket that throws away what the kernel still has to send when it is closed (socket(7), SO_LINGER).

    A request is over when it is answered; what is given up before that must not go on leaving.
    """
    made = socket.socket(*address[:3])
    made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return made


async def fetch_document(offer: enrolment.Offer) -> KnownDocument:
    """Fetch the inviter's node document over an unverified connection and check it against its pin.

    Nothing is sent but the request; nothing is believed but the bytes whose digest the invitation names.
    Raises LinkFault, EnrolmentError.
    """
    endpoint = offer.endpoint
    try:
        async with (
            aiohttp.ClientSession(timeout=TIMEOUT) as session,
            session.get(
                URL(endpoint) / "link/v1/document" / offer.id, ssl=False, allow_redirects=False
            ) as reply,
        ):
            raw = await reply.content.read(_MAX_REPLY)
            while not reply.content.at_eof() and len(raw) < _MAX_REPLY:
                raw += await reply.content.read(_MAX_REPLY - len(raw))
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        raise LinkFault(f"{endpoint} can't be reached: {_words(error)}") from error
    if reply.status == _NOT_OPEN:
        raise EnrolmentError(
            f"The node at {endpoint} says that this invitation is used up, withdrawn or expired: ask for a new one."
        )
    if reply.status != _DONE:
        raise LinkFault(f"{endpoint} answered {reply.status}: {_title(raw)}")
    try:
        known = read(raw)
    except Refused as error:
        raise EnrolmentError(f"{endpoint} is not the node that invited: {error}") from error
    if known.digest != offer.document:
        raise EnrolmentError(
            f"The node at {endpoint} is not the one that wrote the invitation: somebody may stand in between. "
            "Call the inviting officer."
        )
    return known


def _words(error: BaseException) -> str:
    """Say what a failure means to whoever runs the node."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its name is not known in the DNS."
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
        return f"TLS failed, {_tls(error)}."
    if isinstance(error, TimeoutError):
        return "it does not answer."
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    found = getattr(cause, "errno", None)
    if isinstance(cause, aiohttp.ServerDisconnectedError | ConnectionError) and found != errno.ECONNREFUSED:
        return "it cut the connection."
    if found == errno.ECONNREFUSED:
        return "nothing listens there."
    if isinstance(cause, OSError):
        reason = os.strerror(found) if found else "no connection comes about"
        return f"{reason[:1].lower()}{reason[1:]}."
    return f"{str(error) or type(error).__name__}."


def _tls(error: BaseException) -> str:
    found = getattr(error, "os_error", None) or getattr(error, "certificate_error", None) or error
    if isinstance(found, ssl.SSLCertVerificationError):
        return f"its certificate is not what it should be: {found.verify_message}"
    reason = getattr(found, "reason", None)
    return str(reason).replace("_", " ").lower() if reason else "and it does not say why"


def _wait(told: str) -> int:
    """Return for how many seconds to wait. A peer may not say for how long it is not asked again."""
    seconds = int(told) if told.isascii() and told.isdigit() and len(told) < 10 else _LEAST_WAIT_S
    return min(max(seconds, _LEAST_WAIT_S), _MOST_WAIT_S)


def _title(reply: bytes) -> str:
    return _field(reply, "title") or "no reason given"


def _code(reply: bytes) -> str:
    return _field(reply, "code")


def _field(reply: bytes, name: str) -> str:
    try:
        return str(msgspec.json.decode(reply)[name])[:200]
    except (ValueError, RecursionError, KeyError, TypeError):  # msgspec's and UTF-8's are ValueErrors
        return ""
