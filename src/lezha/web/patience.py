"""HTTP/1.1 that does not wait for ever."""

import asyncio
import logging
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from lezha.federation.door import Why

IDLE_S: Final = 75
_HEAD_BYTES: Final = 64 << 10
_LEAST_SPEED: Final = 512
"""Bytes a second. A slow line, by satellite, has twice that."""
_AGAIN_S: Final = 1.0


class PatientProtocol(HttpToolsProtocol):
    """HTTP/1.1 with a time for everything that the other side does: uvicorn itself waits for ever once a byte came.

    It has 75 s to begin a request (uvicorn's `timeout_keep_alive`), `head_s` for its head, and for its body `grace_s`
    and a second more for each 512 bytes. What the application does takes as long as it takes.
    """

    head_s = 20.0
    grace_s = 30.0
    most = 1000
    """Connections; whoever comes when there are as many is sent away."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._due: asyncio.TimerHandle | None = None
        self._why: Why | None = None
        self._since = 0.0
        self._bytes = 0
        self._answered = self._whole = True
        # What is wrong with somebody's HTTP is not logged: anybody can send that without end.
        self.logger = _ErrorsAlone(self.logger, {})  # type: ignore[assignment]  # all that is asked of a logger here

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for a request."""
        super().connection_made(transport)
        if len(self.connections) > self.most:
            transport.abort()
        self._wait(self.timeout_keep_alive, Why.IDLE)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes. A head without end would be kept for as long as it comes."""
        super().data_received(data)
        self._bytes += len(data)
        if self._why is Why.HEAD and self._bytes > _HEAD_BYTES:
            self.cut(Why.HEAD)

    def on_message_begin(self) -> None:
        """Wait for the head."""
        super().on_message_begin()
        self._answered = self._whole = False
        self._bytes = 0
        self._wait(self.head_s, Why.HEAD)

    def on_headers_complete(self) -> None:
        """Wait for the body."""
        super().on_headers_complete()
        self._bytes = 0
        self._wait(self.grace_s, Why.BODY)

    def on_message_complete(self) -> None:
        """Wait for nothing but the answer."""
        super().on_message_complete()
        self._whole = True
        self._stop_waiting()
        if self._answered:
            self._wait(self.timeout_keep_alive, Why.IDLE)

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        self._answered = True
        super().on_response_complete()
        if self._whole and not self.pipeline:
            self._wait(self.timeout_keep_alive, Why.IDLE)

    def send_400_response(self, msg: str) -> None:
        """Answer to what is not HTTP."""
        self.counted(Why.NOT_HTTP)
        super().send_400_response(msg)

    def cut(self, why: Why) -> None:
        """End the connection at once."""
        if not self.transport.is_closing():
            self.counted(why)
            self.transport.abort()

    def counted(self, why: Why) -> None:
        """Count why a connection was cut."""

    def _wait(self, seconds: float, why: Why) -> None:
        self._stop_waiting()
        if not self.transport.is_closing():
            self._why, self._since = why, self.loop.time()
            self._due = self.loop.call_later(seconds, self._late)

    def _stop_waiting(self) -> None:
        if self._due is not None:
            self._due.cancel()
        self._due = self._why = None

    def _late(self) -> None:
        owed = self._since + self.grace_s + self._bytes / _LEAST_SPEED - self.loop.time()
        if self._why is Why.BODY and owed > 0:
            self._due = self.loop.call_later(max(owed, _AGAIN_S), self._late)
        elif self._why is Why.IDLE:
            self.transport.close()  # as is usual, and nobody's fault
        elif self._why is not None:
            self.cut(self._why)


class _ErrorsAlone(logging.LoggerAdapter[logging.Logger]):
    """A logger that says nothing but of mistakes of this program."""

    @property
    def level(self) -> int:
        return self.logger.level

    def warning(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Do nothing."""
