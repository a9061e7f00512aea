"""On which shelves of a recipient something stands that it was given: the collections by which it may be told apart.

A shelf says to whom an object was published. So each recipient has only shelves that name what it knows anyhow: a
constituent none but levels of TLP, a member only communities that it is in.
"""

from collections.abc import Mapping
from typing import Final

from lezha.sharing.community import Community
from lezha.sharing.release import Recipient, Standing
from lezha.sharing.terms import Terms
from lezha.sharing.tlp import Tlp

EVERYONE: Final = "everyone"
NAMED: Final = "named"


def shelves(
    recipient: Recipient, terms: Terms, level: Tlp, communities: Mapping[str, Community]
) -> list[str]:
    """Return the names of the shelves, `whom level` each, where `whom` may be a community's id; `level` alone for a
    constituent.
    """
    if recipient.standing is Standing.CONSTITUENT:
        return [level.value]
    audience = terms.audience
    whom = [one.id for one in audience.communities if _may_know(recipient, communities.get(one.id))]
    if audience.everyone:
        whom.append(EVERYONE)
    if recipient.id in audience.members or (audience.members and recipient.standing is Standing.OWN):
        whom.append(NAMED)
    return [f"{one} {level.value}" for one in dict.fromkeys(whom)]


def _may_know(recipient: Recipient, community: Community | None) -> bool:
    if recipient.standing is Standing.OWN:
        return True
    return community is not None and recipient.id in community.members
