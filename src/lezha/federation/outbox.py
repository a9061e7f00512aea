"""The sending end of a stream: events in, commands out; no clock, no network.

start ──Greet──▶ greeted ──Send──▶ receipted ─┐
  ▲ ▲               │ nothing to send: Wait   │
  │ └─── quiet ─────┴──────────◀──────────────┘
  └──Pause── failed (0.2 s, doubling to 8 s, with jitter)

When the receiver asks to wait, the same is sent again after a pause that nothing ends sooner.
"""

from collections.abc import Callable
from typing import Final

import msgspec

from lezha.federation.frame import Receipt

FIRST_PAUSE_S: Final = 0.2
LONGEST_PAUSE_S: Final = 8.0


class Greet(msgspec.Struct, frozen=True):
    """Send an empty batch, to learn how far the receiver is."""


class Send(msgspec.Struct, frozen=True):
    """Send the frames after number `after`."""

    after: int


class Wait(msgspec.Struct, frozen=True):
    """All is acknowledged: wait for something new."""


class Pause(msgspec.Struct, frozen=True):
    """Do nothing for `seconds`, or until the peer makes contact; if it is `firm`, that ends nothing."""

    seconds: float
    firm: bool = False


Command = Greet | Send | Wait | Pause


class Fork(Exception):
    """The receiver's word contradicts this node's record of the stream. Somebody has to look at it."""


def pause(failures: int, jitter: float) -> float:
    """Return for how many seconds to do nothing after so many failures; `jitter` lies in [0, 1)."""
    longest: float = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** (min(failures, 16) - 1))
    return longest * (0.5 + jitter / 2)


class Outbox:
    """Decide what to do next on the stream to one peer.

    `jitter` returns a number in [0, 1).
    """

    def __init__(self, incarnation: str, jitter: Callable[[], float]) -> None:
        self._incarnation = incarnation
        self._jitter = jitter
        self._pause_due = False
        self._quiet = False
        self._held_s = 0.0
        self.acknowledged: int | None = None
        self.failures = 0

    def next(self, head: int) -> Command:
        """Return what to do now that the own view ends at `head`."""
        if self._held_s:
            seconds, self._held_s = self._held_s, 0.0
            return Pause(seconds, firm=True)
        if self._pause_due:
            self._pause_due = False
            return Pause(pause(self.failures, self._jitter()))
        if self.acknowledged is None or self._quiet:
            return Greet()
        return Send(self.acknowledged) if self.acknowledged < head else Wait()

    def receipted(self, receipt: Receipt, head: int, chain: bytes | None) -> None:
        """Take a verified receipt. `chain` is this node's chain value at `receipt.head`, None if it has none.

        A head below the last one means that the receiver was restored: the rest is sent again. Raises Fork.
        """
        if receipt.incarnation != self._incarnation:
            raise Fork(
                f"The peer speaks of incarnation {receipt.incarnation}, this node is {self._incarnation}."
            )
        if chain is None or receipt.head > head or receipt.chain != chain.hex():
            raise Fork(f"The peer holds another frame {receipt.head} than this node sent.")
        self.acknowledged = receipt.head
        self.failures = 0
        self._quiet = False

    def quiet(self) -> None:
        """Note that nothing was heard for long, or that the peer began anew: greet, to learn where it is."""
        self._quiet = True

    def held(self, seconds: float) -> None:
        """Note that the receiver takes no more for so long: nothing has failed, and nothing is lost."""
        self._held_s = seconds

    def failed(self) -> None:
        """Note that a connection or a reply failed: pause, then greet again."""
        self.failures += 1
        self.acknowledged = None
        self._pause_due = True
