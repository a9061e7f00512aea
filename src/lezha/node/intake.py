"""What peers send is taken here, however it comes: pushed, asked for, or carried in a file."""

from collections.abc import Callable
from functools import partial
from typing import Final

import structlog

from lezha.federation import frame
from lezha.federation.frame import Batch, FrameKind
from lezha.federation.members import Members
from lezha.federation.pace import Pace
from lezha.federation.pieces import Pieces
from lezha.federation.turn import Turn, Turns
from lezha.flows import receive, vet
from lezha.flows.receive import Arrival
from lezha.flows.vet import Receiver
from lezha.node.clock import later, utc_now
from lezha.store import peers
from lezha.store.log import Log
from lezha.store.peers import Peer

_logger = structlog.get_logger()


def latest_at(now: str) -> str:
    """Return the latest time that what comes at `now` may be dated."""
    return later(now, seconds=vet.CLOCK.total_seconds())


class Intake:
    """Take batches in the name of this node. `refresh` has the node learn its members' documents anew.

    `pace` says how much is taken of whom; whoever has a batch brought here asks it first. `now` is the node's clock.
    """

    def __init__(
        self,
        log: Log,
        receiver: Callable[[], Receiver],
        refresh: Callable[[], object],
        pace: Pace,
        now: Callable[[], str] = utc_now,
    ) -> None:
        self.pace: Final = pace
        self._turns = Turns()
        self._pieces = Pieces()
        self._log = log
        self._receiver = receiver
        self._refresh = refresh
        self._now = now

    @property
    def members(self) -> Members:
        """The members that this node knows now."""
        return self._receiver().members

    def decode(self, member: str, raw: bytes) -> Batch:
        """Read a batch from a peer, at the expense of what it may send in an hour. Raises Refused."""
        frames = 0
        try:
            sent = frame.decode(raw)
            frames = len(sent.frames)
            return sent
        finally:
            self.pace.spend(member, frames, len(raw))

    async def take(self, member: str, sent: Batch, *, in_time: bool = True) -> bytes:
        """Take a batch from a confirmed peer as its state allows; return the receipt's envelope.

        Of two batches of a peer that one is taken first that was given here first.
        What was carried does not come `in_time`, and is at nobody's expense. Raises Refused.
        """
        turn = self._turns.take(member)
        try:
            return await self._take(member, sent, turn, in_time=in_time)
        finally:
            turn.end()

    async def _take(self, member: str, sent: Batch, turn: Turn, *, in_time: bool) -> bytes:
        with self._log.read() as conn:  # a peer may send for hours, and be suspended meanwhile
            peer = peers.by_member(conn, member)
        now = self._now()
        if in_time:
            _check_clock(peer, sent.sent, now)
        spend = partial(self.pace.spend_more, member) if in_time else _spend_nothing
        arrival = Arrival(sent, latest_at(now), self._pieces, turn, spend)
        receipt = await receive.from_peer(self._log, self._receiver(), peer, arrival)
        if any(one.kind is FrameKind.DOCUMENT for one in sent.frames):
            self._refresh()  # the next batch may be signed by a key that this one has told of
        return receipt


def _spend_nothing(_objects: int) -> None:
    pass


def _check_clock(peer: Peer, sent: str, now: str) -> None:
    # Order never depends on clocks, but a statement from ahead of ours is refused: somebody should know why.
    minutes = vet.CLOCK.total_seconds() / 60
    if not later(now, minutes=-minutes) <= sent <= later(now, minutes=minutes):
        _logger.warning("peer.clock", peer=peer.name, sent=sent[:40])
