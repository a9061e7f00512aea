"""The receiving end of a stream: where does a frame belong?"""

from enum import Enum, auto

from lezha.federation.frame import Frame


class Placement(Enum):
    """What to do with a frame."""

    NEXT = auto()
    """Take it."""
    DUPLICATE = auto()
    """It was taken before: acknowledge again, do nothing."""
    GAP = auto()
    """Frames before it are missing: answer with the head, the sender rewinds."""
    FORK = auto()
    """It does not continue the chain: stop and alarm."""


def place(head: int, chain: bytes, frame: Frame) -> Placement:
    """Place a frame in a stream that has been taken up to `head`, whose chain value there is `chain`."""
    if frame.number <= head:
        return Placement.DUPLICATE
    if frame.number > head + 1:
        return Placement.GAP
    return Placement.NEXT if frame.previous == chain else Placement.FORK
