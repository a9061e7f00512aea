"""What a member says about one content when it signs a release statement."""

from typing import Annotated

import msgspec

from lezha.sharing.tlp import Pap, Tlp

Time = Annotated[
    str, msgspec.Meta(pattern=r"\A\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z\Z", description="RFC 3339 UTC")
]
"""A time as nodes write it, with microseconds: the only form that they take, so that text compares as time does."""


class CommunityTerm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A community of the audience and the number of its roster when the author signed.

    The number is a floor: an older roster may not be used to decide, and members admitted by a later one
    receive the object only where `Terms.future_members` says so.
    """

    id: str
    floor: int


class Audience(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The members that may be told. Empty means nobody."""

    everyone: bool = False
    communities: tuple[CommunityTerm, ...] = ()
    members: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """True if no recipient can be in this audience."""
        return not (self.everyone or self.communities or self.members)


class Terms(msgspec.Struct, frozen=True, cache_hash=True, forbid_unknown_fields=True):
    """The handling that the author demands.

    `expires` is the time after which no node sends the object; `onward` lets recipients relay it
    where TLP allows; `open_refs` lists the objects that it names and that the author did not hold.
    """

    tlp: Tlp
    audience: Audience
    pap: Pap = Pap.GREEN
    onward: bool = False
    future_members: bool = False
    expires: Time | None = None
    open_refs: tuple[str, ...] = ()
