"""A way to a peer that nobody can connect to: it asks for each batch, and brings the receipt with its next question.

A batch is made only while a question waits, and answers it at once: what would be kept until somebody asks might have
been denied meanwhile.
"""

import asyncio
from typing import Final

from lezha.federation.errors import LinkFault

HOLD_S: Final = 20.0
"""How long a question waits for something to be sent before it is answered by nothing."""

_UNASKED_S: Final = 30.0
_UNANSWERED_S: Final = 90.0


class Polled:
    """The batches for one peer, one at a time, between the link that sends them and the peer's questions."""

    lanes: Final = 1
    """A question is answered by one batch."""

    def __init__(self) -> None:
        self._question: asyncio.Future[bytes] | None = None
        self._receipt: asyncio.Future[bytes] | None = None
        self._asked = asyncio.Event()

    def is_open(self) -> bool:
        """Whether a question waits."""
        return self._question is not None and not self._question.done()

    async def opened(self) -> None:
        """Wait until a question waits. Raises LinkFault if none comes for half a minute."""
        try:
            async with asyncio.timeout(_UNASKED_S):
                while not self.is_open():
                    self._asked.clear()
                    await self._asked.wait()
        except TimeoutError:
            raise LinkFault("The peer does not ask for what is there for it.") from None

    async def send(self, batch: bytes) -> bytes:
        """Answer the question that waits and return the receipt's envelope, which the next one brings.

        Raises LinkFault if none waits any more, or no receipt comes.
        """
        question, self._question = self._question, None
        if question is None or question.done():
            raise LinkFault("The peer has ceased to wait for an answer.")
        receipt: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._receipt = receipt
        question.set_result(batch)
        try:
            async with asyncio.timeout(_UNANSWERED_S):
                return await receipt
        except TimeoutError:
            raise LinkFault("The peer does not say whether what it asked for has arrived.") from None
        finally:
            self._receipt = None

    async def ask(self, receipt: bytes) -> bytes:
        """Take the receipt for the batch before and return the next batch, or nothing after a while.

        A question ends an earlier one that still waits: its connection is lost. One without a receipt begins anew.
        """
        if self.is_open():
            self._answer(b"")
        if self._receipt is not None and not self._receipt.done():
            if receipt:
                self._receipt.set_result(receipt)
            else:
                self._receipt.set_exception(LinkFault("The peer begins anew: it did not get the answer."))
        question: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._question = question
        self._asked.set()
        try:
            async with asyncio.timeout(HOLD_S):
                return await question
        except TimeoutError:
            return b""

    async def abort(self) -> None:
        """Nothing is under way that could be stopped: a question has been answered."""

    async def close(self) -> None:
        """Give nothing out any more."""
        if self.is_open():
            self._answer(b"")

    def _answer(self, batch: bytes) -> None:
        if self._question is not None:
            self._question.set_result(batch)
        self._question = None
