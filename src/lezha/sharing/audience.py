"""Audiences compared: may an object that names another be told to these?"""

from collections.abc import Iterable

from lezha.sharing.community import Communities
from lezha.sharing.terms import Audience


def within(inner: Audience, outer: Iterable[tuple[str, Audience]], communities: Communities) -> bool:
    """True if everyone in `inner` has, by the author's hand or knowledge, what the `outer` statements give.

    `outer` lists (origin, audience) of each live statement about the object that is named; an origin always has
    what it wrote. Communities do not nest: one lies within another only if it is the same, or the other
    audience is everyone (docs/design.md, References).
    """
    members: set[str] = set()
    whole: set[str] = set()
    for origin, audience in outer:
        if audience.everyone:
            return True
        members.add(origin)
        members.update(audience.members)
        for term in audience.communities:
            whole.add(term.id)
            community = communities.get(term.id)
            members.update(community.members if community else ())
    if inner.everyone or any(term.id not in whole for term in inner.communities):
        return False
    return set(inner.members) <= members
