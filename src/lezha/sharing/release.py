"""The release kernel: may this recipient have this content under this statement?

`release` is pure, total and fail-closed. Its rules are those of docs/design.md, Release, each named where it is
applied; TLP clauses are those of FIRST's TLP 2.0.
"""

from enum import StrEnum
from typing import Final

import msgspec

from lezha.sharing.community import Communities
from lezha.sharing.terms import CommunityTerm, Terms
from lezha.sharing.tlp import Tlp, strictest


class Standing(StrEnum):
    """What a recipient is to this node's member."""

    OWN = "own"
    CONSTITUENT = "constituent"
    MEMBER = "member"


class Recipient(msgspec.Struct, frozen=True):
    """Someone who may be given objects.

    `id` is the identity id for a member, otherwise a local name. `since` is the RFC 3339 UTC time of its
    enrolment here.
    """

    id: str
    standing: Standing
    clearance: Tlp
    since: str = ""
    suspended: bool = False


class Facts(msgspec.Struct, frozen=True):
    """All that the decision about one (content, statement) depends on, apart from the recipient.

    `origin` is the member that signed the statement and `author_here` says that it is this node's own.
    `came_from` are the members that sent this statement here. `markings` are the TLP levels of the object's
    own markings; `unreadable_marking` is true if there is one that this node cannot read. `purged` says that the
    object's bytes have been destroyed here, `incomplete` that those of a companion have: then the statement can't be
    sent as it was signed.
    """

    statement: str
    content: str
    terms: Terms | None
    origin: str
    author_here: bool
    issued: str
    came_from: frozenset[str] = frozenset()
    markings: tuple[Tlp, ...] = ()
    unreadable_marking: bool = False
    recalled: bool = False
    quarantined: bool = False
    purged: bool = False
    incomplete: bool = False


class Reason(StrEnum):
    """Why something is withheld. The value is stable: it appears in `--json` and in the log."""

    QUARANTINED = "quarantined"
    PURGED = "purged"
    RECALLED = "recalled"
    EXPIRED = "expired"
    UNREADABLE_MARKING = "unreadable_marking"
    SUSPENDED = "suspended"
    NO_STATEMENT = "no_statement"
    EMPTY_AUDIENCE = "empty_audience"
    NOT_IN_AUDIENCE = "not_in_audience"
    ROSTER_UNKNOWN = "roster_unknown"
    ROSTER_BEHIND = "roster_behind"
    ROSTER_EXPIRED = "roster_expired"
    ADMITTED_LATER = "admitted_later"
    CLEARANCE = "clearance"
    CONSTITUENT_TLP = "constituent_tlp"
    CAME_FROM_THERE = "came_from_there"
    NOT_ONWARD = "not_onward"
    RELAY_TLP = "relay_tlp"

    @property
    def words(self) -> str:
        """The reason in plain words, for an analyst."""
        return _WORDS[self]

    @property
    def clause(self) -> str:
        """Where that rule is written: a heading of docs/design.md, and the clause of the standard behind it."""
        return _CLAUSES[self]


_WORDS: Final = {
    Reason.QUARANTINED: "it is in quarantine here",
    Reason.PURGED: "its bytes have been destroyed here",
    Reason.RECALLED: "its author has recalled it",
    Reason.EXPIRED: "its statement has expired",
    Reason.UNREADABLE_MARKING: "it carries a marking that this node cannot read",
    Reason.SUSPENDED: "the recipient is suspended",
    Reason.NO_STATEMENT: "no member has signed a release statement for it",
    Reason.EMPTY_AUDIENCE: "its statement names nobody",
    Reason.NOT_IN_AUDIENCE: "the recipient is not in the audience that its author signed",
    Reason.ROSTER_UNKNOWN: "this node holds no roster of the community it was published to",
    Reason.ROSTER_BEHIND: "this node's roster is older than the one its author signed by",
    Reason.ROSTER_EXPIRED: "the roster of the community it was published to has expired",
    Reason.ADMITTED_LATER: "the recipient joined after it was published, and it is not for future members",
    Reason.CLEARANCE: "the recipient is not cleared for its marking",
    Reason.CONSTITUENT_TLP: "constituents never receive AMBER+STRICT or RED (TLP 2.0)",
    Reason.CAME_FROM_THERE: "the recipient sent it here or wrote it",
    Reason.NOT_ONWARD: "its author does not let others pass it on",
    Reason.RELAY_TLP: "its TLP does not let others pass it on to this recipient",
}


_CLAUSES: Final = {
    Reason.QUARANTINED: "docs/design.md, Authority; STIX 2.1 §3.6",
    Reason.PURGED: "docs/design.md, Purge",
    Reason.RECALLED: "docs/design.md, Release",
    Reason.EXPIRED: "docs/design.md, Release; TLP 2.0, additional sharing restrictions",
    Reason.UNREADABLE_MARKING: "docs/design.md, Release; STIX 2.1 §7.2",
    Reason.SUSPENDED: "docs/design.md, Enrolment",
    Reason.NO_STATEMENT: "docs/design.md, Log",
    Reason.EMPTY_AUDIENCE: "docs/design.md, Release; TLP 2.0, additional sharing restrictions",
    Reason.NOT_IN_AUDIENCE: "docs/design.md, Release; TLP 2.0, additional sharing restrictions",
    Reason.ROSTER_UNKNOWN: "docs/design.md, Communities",
    Reason.ROSTER_BEHIND: "docs/design.md, Communities",
    Reason.ROSTER_EXPIRED: "docs/design.md, Communities",
    Reason.ADMITTED_LATER: "docs/design.md, Release",
    Reason.CLEARANCE: "docs/design.md, Release",
    Reason.CONSTITUENT_TLP: "docs/design.md, Release; TLP 2.0, TLP:AMBER+STRICT and TLP:RED",
    Reason.CAME_FROM_THERE: "docs/design.md, Release",
    Reason.NOT_ONWARD: "docs/design.md, Release; TLP 2.0, additional sharing restrictions",
    Reason.RELAY_TLP: "docs/design.md, Release; TLP 2.0, definitions of the labels",
}


class Withheld(msgspec.Struct, frozen=True):
    """The decision not to give `statement`, which this node's own member signed or another, to `recipient`."""

    statement: str
    recipient: str
    reason: Reason
    author_here: bool = False


_SEAL: Final = object()


class Released:
    """The decision to give `content` under `statement` to `recipient`. Only `release` makes one."""

    __slots__ = ("content", "recipient", "rule", "statement")

    def __init__(self, seal: object, facts: Facts, recipient: Recipient, rule: str) -> None:
        if seal is not _SEAL:
            raise TypeError("only lezha.sharing.release.release can release")
        self.statement: Final = facts.statement
        self.content: Final = facts.content
        self.recipient: Final = recipient.id
        self.rule: Final = rule


def release(facts: Facts, recipient: Recipient, communities: Communities, now: str) -> Released | Withheld:
    """Decide whether `recipient` may be given the content of `facts` at `now` (RFC 3339 UTC).

    Any one statement that releases a content suffices; each is decided by itself.
    """
    denied = _denied_to_all(facts, now) or _denied_to_this(facts, recipient)
    if denied is not None:
        return Withheld(facts.statement, recipient.id, denied, facts.author_here)
    level = effective_tlp(facts)
    if recipient.standing is Standing.MEMBER:
        outcome = _to_member(facts, recipient, communities, now, level)
    else:
        outcome = _to_own_side(facts, recipient, level)
    if isinstance(outcome, Reason):
        return Withheld(facts.statement, recipient.id, outcome, facts.author_here)
    return Released(_SEAL, facts, recipient, outcome)


def effective_tlp(facts: Facts) -> Tlp:
    """Return the narrowest of the statement's TLP and the object's own markings: markings only narrow."""
    stated = (facts.terms.tlp,) if facts.terms is not None else ()
    return strictest((*stated, *facts.markings))


def _denied_to_all(facts: Facts, now: str) -> Reason | None:
    if facts.quarantined:
        return Reason.QUARANTINED
    if facts.purged:
        return Reason.PURGED
    if facts.recalled:
        return Reason.RECALLED
    if facts.terms is not None and facts.terms.expires is not None and facts.terms.expires <= now:
        return Reason.EXPIRED
    # An unknown or unreadable marking denies (docs/design.md, Release).
    return Reason.UNREADABLE_MARKING if facts.unreadable_marking else None


def _denied_to_this(facts: Facts, recipient: Recipient) -> Reason | None:
    if recipient.suspended:
        return Reason.SUSPENDED
    # Own systems are given what is held, all others what was signed.
    return Reason.PURGED if facts.incomplete and recipient.standing is not Standing.OWN else None


def _to_own_side(facts: Facts, recipient: Recipient, level: Tlp) -> Reason | str:
    if recipient.standing is Standing.CONSTITUENT:
        if facts.terms is None:
            return Reason.NO_STATEMENT
        if facts.terms.audience.empty:
            return Reason.EMPTY_AUDIENCE
        # TLP 2.0: AMBER reaches clients; AMBER+STRICT stays inside the organisation, RED with individuals.
        if level.rank > Tlp.AMBER.rank:
            return Reason.CONSTITUENT_TLP
    if level.rank > recipient.clearance.rank:
        return Reason.CLEARANCE
    return f"{recipient.standing.value} system, cleared to TLP:{recipient.clearance.upper()}"


def _to_member(
    facts: Facts, recipient: Recipient, communities: Communities, now: str, level: Tlp
) -> Reason | str:
    if facts.terms is None:
        return Reason.NO_STATEMENT
    if recipient.id == facts.origin or recipient.id in facts.came_from:
        return Reason.CAME_FROM_THERE
    rule = _in_audience(facts, facts.terms, recipient, communities, now)
    if isinstance(rule, Reason):
        return rule
    if level.rank > recipient.clearance.rank:
        return Reason.CLEARANCE
    if facts.author_here:
        return rule
    if not facts.terms.onward:
        return Reason.NOT_ONWARD
    if not _may_relay(facts.terms, recipient, communities, now, level):
        return Reason.RELAY_TLP
    return f"{rule}; passed on as TLP:{level.upper()} allows"


def _in_audience(
    facts: Facts, terms: Terms, recipient: Recipient, communities: Communities, now: str
) -> Reason | str:
    audience = terms.audience
    if audience.empty:
        return Reason.EMPTY_AUDIENCE
    if recipient.id in audience.members:
        return "named in the audience"
    reason = Reason.NOT_IN_AUDIENCE
    if audience.everyone:
        if terms.future_members or recipient.since <= facts.issued:
            return "published to everyone"
        reason = Reason.ADMITTED_LATER
    for term in audience.communities:
        outcome = _by_community(terms, term, recipient, communities, now)
        if isinstance(outcome, str) and not isinstance(outcome, Reason):
            return outcome
        reason = outcome or reason
    return reason


def _by_community(
    terms: Terms, term: CommunityTerm, recipient: Recipient, communities: Communities, now: str
) -> Reason | str | None:
    """Return the rule by which a community lets the recipient in, why it would not, or None if it is not a member."""
    community = communities.get(term.id)
    if community is None:
        return Reason.ROSTER_UNKNOWN
    if community.number < term.floor:
        return Reason.ROSTER_BEHIND
    if recipient.id not in community.members:
        return None
    if community.expires <= now:
        # An expired roster holds that community's objects (docs/design.md, Release).
        return Reason.ROSTER_EXPIRED
    if community.members[recipient.id] > term.floor and not terms.future_members:
        return Reason.ADMITTED_LATER
    return f"member of {community.name}, roster {community.number}"


def _may_relay(terms: Terms, recipient: Recipient, communities: Communities, now: str, level: Tlp) -> bool:
    # TLP 2.0: CLEAR without limit; GREEN within the community; AMBER only to those whom the author names.
    if level is Tlp.CLEAR:
        return True
    if level.rank > Tlp.AMBER.rank:
        return False
    if recipient.id in terms.audience.members:
        return True
    return level is Tlp.GREEN and any(
        not isinstance(_by_community(terms, term, recipient, communities, now), Reason | None)
        for term in terms.audience.communities
    )
