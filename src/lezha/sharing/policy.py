"""National policy: a member's own law about what may leave, asked last and able only to narrow.

The release kernel decides first, by what authors have signed. Only what it releases to a member or a constituent is
asked about here, and the answer can only turn `Released` into `Withheld`. What is asked is a small tuple, `Who` and
`What`, without ids of objects and without times, so that few answers serve for millions of objects (docs/policy.md).
"""

from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

from lezha.sharing.community import Communities
from lezha.sharing.release import (
    Facts,
    Gate,
    Reason,
    Recipient,
    Released,
    Standing,
    Withheld,
    effective_pap,
    effective_tlp,
)
from lezha.sharing.tlp import Pap, Tlp

Refusal = Callable[[Facts], str | None]
"""Says by which rule something is refused to one recipient at one moment, None if it is not."""


class Who(NamedTuple):
    """A recipient as a policy sees it; `communities` are the ids of those that it is in."""

    standing: Standing
    id: str
    clearance: Tlp
    communities: frozenset[str]


class What(NamedTuple):
    """A kind of objects under a kind of statements, as a policy sees it.

    `own` says that this member signed, `tlp` is what counts after the object's own markings. `everyone`, `communities`
    and `named` are the audience; `named` is about the very recipient.
    """

    own: bool
    origin: str
    type: str
    tlp: Tlp
    pap: Pap
    everyone: bool
    communities: frozenset[str]
    named: bool


class Policy(Protocol):
    """A policy. Total: whatever fails refuses."""

    def refusal(self, who: Who, what: What) -> str | None:
        """Say which rule refuses, for this member's own people; None if none does."""


def toward(policy: Policy | None, recipient: Recipient, communities: Communities, now: str) -> Refusal | None:
    """Return the policy toward one recipient at `now`; None if there is nothing to ask.

    Own systems are not asked about: what they are given does not leave the member. Whether a recipient is still in a
    community whose roster has expired nobody knows: the policy has to release in either case.
    """
    if policy is None or recipient.standing is Standing.OWN:
        return None
    asked = _whos(recipient, communities, now)

    def refuse(facts: Facts) -> str | None:
        kind = what(facts, recipient)
        if kind is None:
            return "what kind of object it is is not known here"
        for who in asked:
            if (why := policy.refusal(who, kind)) is not None:
                return why
        return None

    return refuse


def narrowed(outcome: Released | Withheld, facts: Facts, refuse: Refusal | None) -> Released | Withheld:
    """Return what is left of the kernel's decision about `facts` once the policy has been asked."""
    if refuse is None or isinstance(outcome, Withheld) or (why := refuse(facts)) is None:
        return outcome
    return Withheld(outcome.statement, outcome.recipient, Reason.POLICY, facts.author_here, why)


class PolicedGate(Gate):
    """A gate at which a member's national policy is asked about what the kernel releases."""

    def __init__(
        self, recipient: Recipient, communities: Communities, now: str, policy: Policy | None
    ) -> None:
        super().__init__(recipient, communities, now)
        self._refuse: Final = toward(policy, recipient, communities, now)

    def decide(self, facts: Facts) -> Released | Withheld:
        """Decide for the content and the statement of `facts`."""
        return narrowed(super().decide(facts), facts, self._refuse)


def what(facts: Facts, recipient: Recipient) -> What | None:
    """Return what kind of object and statement this is; None if that can't be said."""
    if facts.terms is None or not facts.type:
        return None
    audience = facts.terms.audience
    return What(
        facts.author_here,
        facts.origin,
        facts.type,
        effective_tlp(facts),
        effective_pap(facts),
        audience.everyone,
        frozenset(term.id for term in audience.communities),
        recipient.id in audience.members,
    )


def _whos(recipient: Recipient, communities: Communities, now: str) -> list[Who]:
    within = [one for one in communities.values() if recipient.id in one.members]
    present = frozenset(one.id for one in within if one.expires > now and not one.ended(recipient.id, now))
    may_be = frozenset(one.id for one in within)
    return [
        Who(recipient.standing, recipient.id, recipient.clearance, some)
        for some in dict.fromkeys((present, may_be))
    ]
