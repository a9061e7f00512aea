"""On which shelves something stands: on none that tells its reader what it does not know anyhow."""

import pytest

from lezha.sharing.community import Community
from lezha.sharing.release import Recipient, Standing
from lezha.sharing.shelves import shelves
from lezha.sharing.terms import Audience, CommunityTerm, Terms
from lezha.sharing.tlp import Tlp

NATO, EU = "community--1", "community--2"
TIRANA, VIENNA = "identity--1", "identity--2"
OWN = Recipient("own:red", Standing.OWN, Tlp.RED)
MINISTRY = Recipient("constituent:ministry", Standing.CONSTITUENT, Tlp.AMBER)
MEMBER = Recipient(TIRANA, Standing.MEMBER, Tlp.STRICT)
COMMUNITIES = {
    one: Community(one, name, 1, "2030-01-01T00:00:00.000000Z", {who: 1})
    for one, name, who in ((NATO, "NATO", TIRANA), (EU, "EU", VIENNA))
}
BOTH = Terms(Tlp.AMBER, Audience(communities=(CommunityTerm(NATO, 1), CommunityTerm(EU, 1))))
EVERYONE = Terms(Tlp.GREEN, Audience(everyone=True))
NAMED = Terms(Tlp.STRICT, Audience(members=(VIENNA,)))


@pytest.mark.parametrize(
    ("recipient", "terms", "expected"),
    [
        pytest.param(OWN, BOTH, [f"{NATO} amber", f"{EU} amber"], id="own systems know both communities"),
        pytest.param(OWN, EVERYONE, ["everyone green"], id="own systems, everyone"),
        pytest.param(OWN, NAMED, ["named amber+strict"], id="own systems, members by name"),
        pytest.param(MEMBER, BOTH, [f"{NATO} amber"], id="a member its own community alone"),
        pytest.param(MEMBER, EVERYONE, ["everyone green"], id="a member, everyone"),
        pytest.param(MEMBER, NAMED, [], id="a member, not what names others"),
        pytest.param(MINISTRY, BOTH, ["amber"], id="a constituent no community"),
        pytest.param(MINISTRY, EVERYONE, ["green"], id="a constituent, everyone"),
    ],
)
def test_a_shelf_says_what_its_reader_may_know(
    recipient: Recipient, terms: Terms, expected: list[str]
) -> None:
    assert shelves(recipient, terms, terms.tlp, COMMUNITIES) == expected


def test_the_level_is_the_effective_one() -> None:
    assert shelves(MINISTRY, EVERYONE, Tlp.AMBER, COMMUNITIES) == ["amber"]


def test_a_community_that_is_not_known_here_is_on_no_member_s_shelf() -> None:
    assert shelves(MEMBER, BOTH, Tlp.AMBER, {}) == []
    assert shelves(OWN, BOTH, Tlp.AMBER, {}) == [f"{NATO} amber", f"{EU} amber"]
