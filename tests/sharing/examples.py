"""A decision to start from, which releases; each test changes what it is about."""

from typing import Any

import msgspec

from lezha.sharing.community import Community
from lezha.sharing.release import Facts, Reason, Recipient, Released, Standing, Withheld, release
from lezha.sharing.terms import Audience, CommunityTerm, Terms
from lezha.sharing.tlp import Tlp

ALBANIA = "identity--a1000000-0000-4000-8000-000000000000"
MONTENEGRO = "identity--c1000000-0000-4000-8000-000000000000"
AUSTRIA = "identity--a7000000-0000-4000-8000-000000000000"
KOSOVO = "identity--b1000000-0000-4000-8000-000000000000"
NATO, EU, WB6 = "community--nato", "community--eu", "community--wb6"

BEFORE, ISSUED, NOW, LATER = (f"2022-07-{day}T09:00:00.000000Z" for day in (10, 14, 15, 20))


def community(key: str, members: dict[str, int], number: int = 3, expires: str = LATER) -> Community:
    return Community(key, key.removeprefix("community--").upper(), number, expires, members)


ROSTERS = {
    NATO: community(NATO, {ALBANIA: 1, MONTENEGRO: 1}),
    EU: community(EU, {AUSTRIA: 1}),
    WB6: community(WB6, {ALBANIA: 1, MONTENEGRO: 1, KOSOVO: 1}),
}

TO_NATO = Audience(communities=(CommunityTerm(NATO, 3),))
TO_ALL = Audience(everyone=True)
TO_MONTENEGRO = Audience(members=(MONTENEGRO,))

ALLY = Recipient(MONTENEGRO, Standing.MEMBER, Tlp.RED, since=BEFORE)
OWN_SYSTEM = Recipient("sensor:1", Standing.OWN, Tlp.RED)
MINISTRY = Recipient("ministry", Standing.CONSTITUENT, Tlp.RED)

AMBER = Terms(tlp=Tlp.AMBER, audience=TO_NATO)


def facts(terms: Terms | None = AMBER, **changes: Any) -> Facts:
    """Albania's own statement, AMBER to NATO."""
    plain = Facts(
        statement="statement", content="content", terms=terms, origin=ALBANIA, author_here=True, issued=ISSUED
    )
    return msgspec.structs.replace(plain, **changes)


def terms(tlp: Tlp = Tlp.AMBER, audience: Audience = TO_NATO, **changes: Any) -> Terms:
    return Terms(tlp=tlp, audience=audience, **changes)


def why(one: Facts, recipient: Recipient = ALLY, rosters: dict[str, Community] = ROSTERS) -> Reason | None:
    """Why it is withheld; None if it is released."""
    outcome = release(one, recipient, rosters, NOW)
    assert (outcome.statement, outcome.recipient) == (one.statement, recipient.id)
    return outcome.reason if isinstance(outcome, Withheld) else None


def rule(one: Facts, recipient: Recipient = ALLY) -> str:
    """By which rule it is released."""
    outcome = release(one, recipient, ROSTERS, NOW)
    assert isinstance(outcome, Released)
    return outcome.rule
