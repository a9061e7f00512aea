"""What a member is trusted with: how far its word on what to look for carries."""

from enum import StrEnum


class Trust(StrEnum):
    """What the indicators of a member are used for at most, each including what stands before it."""

    WATCH = "watch"
    """Sensors look for them."""
    PROPOSE = "propose"
    """Blocking them may be proposed to a person."""
    BLOCK = "block"
    """They may be blocked without asking anybody."""

    @property
    def rank(self) -> int:
        """Position from the least, 0, to the most."""
        return list(Trust).index(self)
