"""The sending end of a stream: events in, commands out; no clock, no network.

start ──Greet──▶ greeted ──Send, Send──▶ under way ──Await──▶ receipted ─┐
  ▲ ▲               │ nothing to send: Wait                              │
  │ └─── quiet ─────┴────────────────────◀───────────────────────────────┘
  └──Pause── failed (0.2 s, doubling to 8 s, with jitter)

Two batches are under way at most, and one alone where the next may depend on it: after a piece of a frame, after a
node document, and on a line that lets little through. What is sent at once is halved when it does not arrive, and
doubled when it does.

When the receiver asks to wait, the same is sent again after a pause that nothing ends sooner.
"""

from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec

from lezha.federation.frame import BATCH_BYTES, LEAST_BYTES, Batch, FrameKind, Receipt, place_of

FIRST_PAUSE_S: Final = 0.2
LONGEST_PAUSE_S: Final = 8.0
LANES: Final = 2
"""Batches under way at most."""
_ALONE: Final = frozenset({FrameKind.PIECE, FrameKind.DOCUMENT})


class Greet(msgspec.Struct, frozen=True):
    """Send an empty batch, to learn how far the receiver is."""


class Send(msgspec.Struct, frozen=True):
    """Send the frames after number `after`, at most `most` bytes; of the first one `begun` bytes are there already."""

    after: int
    most: int = BATCH_BYTES
    begun: int = 0


class Await(msgspec.Struct, frozen=True):
    """Wait for the receipt of the oldest batch under way, or for something new."""


class Wait(msgspec.Struct, frozen=True):
    """All is acknowledged: wait for something new."""


class Pause(msgspec.Struct, frozen=True):
    """Do nothing for `seconds`, or until the peer makes contact; if it is `firm`, that ends nothing."""

    seconds: float
    firm: bool = False


Command = Greet | Send | Await | Wait | Pause


class _UnderWay(NamedTuple):
    """How far a batch goes, and whether another one was under way when it left; of a piece, where its bytes end."""

    upto: int
    beside: bool
    ends: int = 0


class Fork(Exception):
    """The receiver's word contradicts this node's record of the stream. Somebody has to look at it."""


def pause(failures: int, jitter: float) -> float:
    """Return for how many seconds to do nothing after so many failures; `jitter` lies in [0, 1)."""
    longest: float = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** (min(failures, 16) - 1))
    return longest * (0.5 + jitter / 2)


class Outbox:
    """Decide what to do next on the stream to one peer.

    `jitter` returns a number in [0, 1). Over some ways only one batch can be under way: `lanes` says how many.
    """

    def __init__(self, incarnation: str, jitter: Callable[[], float]) -> None:
        self._incarnation = incarnation
        self._jitter = jitter
        self._pause_due = False
        self._quiet = False
        self._held_s = 0.0
        self._under_way: deque[_UnderWay] = deque()  # oldest first
        self._alone = self._behind = False
        self._begun = 0
        self._most = BATCH_BYTES
        self._in_vain = self._back = self._highest = 0
        self.lanes = LANES
        self.acknowledged: int | None = None
        self.failures = 0

    def next(self, head: int) -> Command:
        """Return what to do now that the own view ends at `head`."""
        if self._held_s:
            seconds, self._held_s = self._held_s, 0.0
            return Pause(seconds, firm=True)
        if self._pause_due:
            self._pause_due = False
            return Pause(pause(max(self.failures, self._in_vain, self._back), self._jitter()))
        if self.acknowledged is None or self._quiet:
            return Await() if self._under_way else Greet()
        send = self.would_send()
        if send is not None and send.after < head:
            return send
        return Await() if self._under_way else Wait()

    def would_send(self) -> Send | None:
        """Return what to send as soon as there is something for it, None if nothing can be sent now."""
        unknown = self.acknowledged is None or self._quiet
        if unknown or self._held_s or self._pause_due or not self._has_room():
            return None
        if self._under_way:
            return Send(self._under_way[-1].upto, self._most)
        return self.first_send()

    def first_send(self) -> Send:
        """Return what to send when nothing is under way."""
        return Send(self.acknowledged or 0, self._most, self._begun)

    def _has_room(self) -> bool:
        if not self._under_way:
            return True
        lanes = self.lanes if self._most == BATCH_BYTES else 1
        return len(self._under_way) < lanes and not (self._alone or self._behind)

    def sent(self, batch: Batch) -> None:
        """Note that a batch with frames is under way."""
        last = batch.frames[-1]
        self._alone, self._behind = last.kind in _ALONE, False
        beside = bool(self._under_way)
        if batch.piece:
            offset, _ = place_of(last)
            self._under_way.append(_UnderWay(last.number - 1, beside, offset + len(last.envelope)))
        else:
            self._under_way.append(_UnderWay(last.number, beside))

    def receipted(self, receipt: Receipt, head: int, chain: bytes | None) -> None:
        """Take a verified receipt for the oldest batch under way, or for a greeting if there is none.

        `chain` is this node's chain value at `receipt.head`, None if it has none. A head below the last one means that
        the receiver was restored: the rest is sent again. Raises Fork.
        """
        if receipt.incarnation != self._incarnation:
            raise Fork(
                f"The peer speaks of incarnation {receipt.incarnation}, this node is {self._incarnation}."
            )
        if chain is None or receipt.head > head or receipt.chain != chain.hex():
            raise Fork(f"The peer holds another frame {receipt.head} than this node sent.")
        begun = receipt.begun or 0
        self.failures = 0
        if not self._under_way:
            self._quiet = False
        else:
            # Of more than was sent nothing can be there; nor of a frame of which no piece was sent.
            begun = min(begun, self._under_way[0].ends)
            if self._is_overtaken(receipt.head, begun):
                return
        self.acknowledged, self._begun = receipt.head, begun

    def _is_overtaken(self, head: int, begun: int) -> bool:
        """Note how far the receiver was when it had looked at the oldest batch; True if that is out of date.

        If it has left something, so it will of what is under way behind that: nothing is sent until that is answered.
        A batch of which again nothing is taken is worth a pause, and so is a receiver that goes back again before it
        has come further than ever. One that came before the batch before it says less than that one's receipt.
        """
        expected, beside, _ = self._under_way.popleft()
        if beside and head < (self.acknowledged or 0):
            self._behind = True
            return True
        brought = (head, begun) > (self.acknowledged or 0, self._begun)
        self._in_vain = 0 if brought else self._in_vain + 1
        self._back += head < (self.acknowledged or 0)
        if head > self._highest:
            self._highest, self._back = head, 0
        self._pause_due = max(self._in_vain, self._back) > 1
        self._behind = head < expected or self._in_vain > 0
        if not self._behind:
            self._most = min(self._most * 2, BATCH_BYTES)
        return False

    def quiet(self) -> None:
        """Note that nothing was heard for long, or that the peer began anew: greet, to learn where it is."""
        self._quiet = True

    def held(self, seconds: float) -> None:
        """Note that the receiver takes no more for so long: nothing has failed; what was under way is sent again."""
        self._under_way.clear()
        self._held_s = seconds

    def failed(self) -> None:
        """Note that a connection or a reply failed: pause, then greet again."""
        if self._under_way:
            self._most = max(self._most // 2, LEAST_BYTES)
        self._under_way.clear()
        self.failures += 1
        self.acknowledged = None
        self._pause_due = True

    def dropped(self) -> None:
        """Note that nothing more will be heard of what is under way: greet, to learn whether it has arrived."""
        if self._under_way:
            self._under_way.clear()
            self._quiet = True
