"""Frames that come in pieces, put together in memory: no clock, no network, no log.

What is lost here is sent again: a receipt says how many bytes of the next frame are there, and the sender goes on from
that. Of each member one frame is on its way at a time.
"""

from typing import Final

from lezha.federation import frame
from lezha.federation.frame import Batch, Frame

MOST_BYTES: Final = 64 << 20
"""Bytes kept of all members' pieces together; beyond that the one that has waited longest is begun anew."""


class _Begun:
    """A frame of which some bytes are there. `of` tells one from another: life, number, chain before it, length."""

    __slots__ = ("of", "raw")

    def __init__(self, of: tuple[str, int, bytes, int]) -> None:
        self.of = of
        self.raw = bytearray()


class Pieces:
    """What has come of frames that are on their way."""

    def __init__(self) -> None:
        self._begun: dict[str, _Begun] = {}  # the one that was added to last is at the end

    def take(self, member: str, sent: Batch) -> Frame | None:
        """Add the piece that a batch is and return the frame if that completes it.

        A piece that leaves a hole is ignored, and so is one that is there. Raises Refused if the pieces of a frame are
        none together; then it begins anew.
        """
        piece = sent.piece
        assert piece is not None
        offset, total = frame.place_of(piece)
        of = (sent.incarnation, piece.number, piece.previous, total)
        begun = self._begun.pop(member, None)
        if begun is None or begun.of != of:
            begun = _Begun(of)
        if offset <= len(begun.raw):
            begun.raw += piece.envelope[len(begun.raw) - offset :]
        if len(begun.raw) == total:
            return frame.join(bytes(begun.raw), piece)
        if begun.raw:
            self._begun[member] = begun
            self._make_room()
        return None

    def there(self, member: str, incarnation: str, number: int) -> int:
        """Return how many bytes are there of a frame of a member's stream."""
        begun = self._begun.get(member)
        return len(begun.raw) if begun is not None and begun.of[:2] == (incarnation, number) else 0

    def _make_room(self) -> None:
        while sum(len(one.raw) for one in self._begun.values()) > MOST_BYTES:
            del self._begun[next(iter(self._begun))]
