"""Traffic Light Protocol 2.0 (FIRST, August 2022) as an ordered scale."""

from collections.abc import Iterable
from enum import StrEnum


class Tlp(StrEnum):
    """A TLP 2.0 label, from the widest to the narrowest."""

    CLEAR = "clear"
    GREEN = "green"
    AMBER = "amber"
    STRICT = "amber+strict"
    RED = "red"

    __hash__ = str.__hash__  # Enum's own is written in Python, and levels are parts of many keys

    @property
    def rank(self) -> int:
        """Position on the scale: 0 for CLEAR, 4 for RED."""
        return _RANK[self]


_RANK = {level: rank for rank, level in enumerate(Tlp)}


def strictest(levels: Iterable[Tlp]) -> Tlp:
    """Return the narrowest of `levels`; CLEAR if there is none."""
    return max(levels, key=_RANK.__getitem__, default=Tlp.CLEAR)


class Pap(StrEnum):
    """Permissible Actions Protocol, as MISP's taxonomy defines it: what a recipient may do with a value."""

    CLEAR = "clear"
    GREEN = "green"
    AMBER = "amber"
    RED = "red"
