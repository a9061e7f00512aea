"""Communities as the release kernel sees them: who is in, by which roster, until when.

Communities overlap and do not nest: membership in one says nothing about another (docs/design.md, Words).
"""

from collections.abc import Mapping

import msgspec


class Community(msgspec.Struct, frozen=True):
    """One community by its current roster, as far as this node has approved it.

    `members` maps a member's identity id to the roster number that admitted it. Members of the latest roster
    whose admission is not yet approved here are in `waiting` instead; removals count at once. `until` says of those
    whose membership is for a time when it ends (RFC 3339 UTC): from then on they are out, without any further roster.
    """

    id: str
    name: str
    number: int
    expires: str
    members: Mapping[str, int]
    until: Mapping[str, str] = {}
    waiting: Mapping[str, int] = {}

    def ended(self, member: str, now: str) -> bool:
        """True if the membership of `member` was for a time, and that time is over."""
        until = self.until.get(member)
        return until is not None and until <= now

    @property
    def newest(self) -> int:
        """The number of the roster that admitted the newest of all members of the present one."""
        return max((*self.members.values(), *self.waiting.values()), default=0)


Communities = Mapping[str, Community]
