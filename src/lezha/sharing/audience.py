"""Audiences compared: may an object that names another be told to these?"""

from collections.abc import Iterable, Sequence

from lezha.sharing.community import Communities, Community
from lezha.sharing.terms import CommunityTerm, Terms


def within(inner: Terms, outer: Iterable[tuple[str, Terms]], communities: Communities, now: str) -> bool:
    """True if everyone in the audience of `inner` has, by the author's hand or knowledge, what `outer` gives.

    `outer` lists (origin, terms) of each live statement about the object that is named; an origin always has
    what it wrote. Members are those of the rosters at `now`, and whoever may be admitted later counts where the terms
    are for future members. Communities do not nest: one lies within another only if it is the same, or the other
    audience is everyone (docs/design.md, References).
    """
    members: set[str] = set()
    whole: dict[str, list[tuple[CommunityTerm, Terms]]] = {}
    for origin, terms in outer:
        if terms.audience.everyone:
            return True
        members.add(origin)
        members.update(terms.audience.members)
        for term in terms.audience.communities:
            whole.setdefault(term.id, []).append((term, terms))
            members.update(_given(communities.get(term.id), term, terms, now))
    if inner.audience.everyone:
        return False
    if not all(
        _covered(inner, term, whole.get(term.id, ()), communities) for term in inner.audience.communities
    ):
        return False
    return set(inner.audience.members) <= members


def _given(community: Community | None, term: CommunityTerm, terms: Terms, now: str) -> Iterable[str]:
    """Give the members whom a community lets in at `now`, as the release kernel would."""
    if community is None or community.number < term.floor or community.expires <= now:
        return
    for member, admitted in community.members.items():
        if not community.ended(member, now) and (terms.future_members or admitted <= term.floor):
            yield member


def _covered(
    inner: Terms, term: CommunityTerm, outer: Sequence[tuple[CommunityTerm, Terms]], communities: Communities
) -> bool:
    """True if whoever a community lets in by `inner` it lets in by one of the `outer` terms too."""
    community = communities.get(term.id)
    newest = term.floor
    if community is not None and community.number >= term.floor:
        # Terms whose roster has not come yet let nobody in: whom that roster removed would learn of the object.
        outer = [(other, terms) for other, terms in outer if other.floor <= community.number]
        # A later roster that admitted nobody, a mere renewal, parts nobody.
        newest = community.newest
    return any(
        terms.future_members or (not inner.future_members and min(term.floor, newest) <= other.floor)
        for other, terms in outer
    )
