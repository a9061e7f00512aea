"""Communities as the release kernel sees them: who is in, by which roster, until when.

Communities overlap and do not nest: membership in one says nothing about another (docs/design.md, Words).
"""

from collections.abc import Mapping

import msgspec


class Community(msgspec.Struct, frozen=True):
    """One community by its current roster, as far as this node has approved it.

    `members` maps a member's identity id to the roster number that admitted it. Members of the latest roster
    whose admission is not yet approved here are absent; removals count at once.
    """

    id: str
    name: str
    number: int
    expires: str
    members: Mapping[str, int]


Communities = Mapping[str, Community]
