"""A way to a peer that nobody can connect to: it asks for each batch, and brings the receipt with its next question.

The sending end works as over a connection of its own: `send` hands out a batch and returns the receipt.
"""

import asyncio
import contextlib
from typing import Final

from lezha.federation.errors import LinkFault

HOLD_S: Final = 20.0
"""How long a question waits for something to be sent before it is answered by nothing."""

_UNASKED_S: Final = 30.0
_UNANSWERED_S: Final = 90.0


class Polled:
    """The batches for one peer, one at a time, between the link that sends them and the peer's questions."""

    def __init__(self) -> None:
        self._batch: bytes | None = None
        self._asked = asyncio.Event()
        self._offered = asyncio.Condition()
        self._receipt: asyncio.Future[bytes] | None = None
        self._turn = 0

    async def send(self, batch: bytes) -> bytes:
        """Give a batch to whoever asks next and return the receipt's envelope. Raises LinkFault."""
        receipt: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._receipt = receipt
        handed_out = self._asked = asyncio.Event()
        async with self._offered:
            self._batch = batch
            self._offered.notify_all()
        try:
            async with asyncio.timeout(_UNASKED_S):
                await handed_out.wait()
            async with asyncio.timeout(_UNANSWERED_S):
                return await receipt
        except TimeoutError:
            raise LinkFault("The peer does not ask for what is there for it.") from None
        finally:
            self._batch, self._receipt = None, None

    async def ask(self, receipt: bytes) -> bytes:
        """Take the receipt for the batch before and return the next batch, or nothing after a while.

        A question ends an earlier one that still waits: its connection is lost.
        """
        self._turn += 1
        turn = self._turn
        if receipt and self._asked.is_set() and self._receipt is not None and not self._receipt.done():
            self._receipt.set_result(receipt)
            self._batch = None
        async with self._offered:
            self._offered.notify_all()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(HOLD_S):
                    await self._offered.wait_for(lambda: self._batch is not None or turn != self._turn)
        if self._batch is None or turn != self._turn:
            return b""
        self._asked.set()
        return self._batch

    async def close(self) -> None:
        """Give nothing out any more."""
        self._batch = None
