"""The release kernel: may this recipient have this content under this statement?

`release` is pure, total and fail-closed. Its rules are those of docs/design.md, Release, each named where it is
applied; TLP clauses are those of FIRST's TLP 2.0.
"""

from enum import StrEnum
from typing import Final

import msgspec

from lezha.sharing.community import Communities
from lezha.sharing.terms import CommunityTerm, Terms
from lezha.sharing.tlp import Pap, Tlp, strictest


class Standing(StrEnum):
    """What a recipient is to this node's member."""

    OWN = "own"
    CONSTITUENT = "constituent"
    MEMBER = "member"


class Recipient(msgspec.Struct, frozen=True):
    """Someone who may be given objects.

    `id` is the identity id for a member, otherwise a local name. `since` is the RFC 3339 UTC time of its
    enrolment here. One that is told `bare` objects sees no statements: by TAXII, for one.
    """

    id: str
    standing: Standing
    clearance: Tlp
    since: str = ""
    suspended: bool = False
    bare: bool = False


class Facts(msgspec.Struct, frozen=True):
    """All that the decision about one (content, statement) depends on, apart from the recipient.

    `origin` is the member that signed the statement and `author_here` says that it is this node's own.
    `came_from` are the members that sent this statement here. `type` is the object's STIX type, which national policy
    asks for; empty if it is not known, and then such a policy denies. `markings` and `paps` are the levels of the
    object's own markings, TLP and PAP; `unreadable_marking` is true if there is one that this node cannot read.
    `purged` says that the object's bytes have been destroyed here, `incomplete` that those of a companion have, or that
    its author has recalled that since: then the statement can't be sent as it was signed.
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
    paps: tuple[Pap, ...] = ()
    type: str = ""


class Reason(StrEnum):
    """Why something is withheld. The value is stable: it appears in `--json` and in the log."""

    QUARANTINED = "quarantined"
    PURGED = "purged"
    INCOMPLETE = "incomplete"
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
    NOT_ADMITTED_HERE = "not_admitted_here"
    MEMBERSHIP_ENDED = "membership_ended"
    ADMITTED_LATER = "admitted_later"
    CLEARANCE = "clearance"
    CONSTITUENT_TLP = "constituent_tlp"
    CAME_FROM_THERE = "came_from_there"
    NOT_ONWARD = "not_onward"
    RELAY_TLP = "relay_tlp"
    UNMARKED = "unmarked"
    POLICY = "national_policy"

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
    Reason.INCOMPLETE: "what has to go with it was recalled by its author, or destroyed here",
    Reason.RECALLED: "its author has recalled it",
    Reason.EXPIRED: "its statement has expired",
    Reason.UNREADABLE_MARKING: "it carries a marking that this node cannot read",
    Reason.SUSPENDED: "the recipient is suspended",
    Reason.NO_STATEMENT: "no member has signed a release statement for it",
    Reason.EMPTY_AUDIENCE: "its statement names nobody",
    Reason.NOT_IN_AUDIENCE: "the recipient is not in the audience that its author signed",
    Reason.ROSTER_UNKNOWN: "this node has accepted no roster of the community it was published to",
    Reason.ROSTER_BEHIND: "this node's roster is older than the one its author signed by",
    Reason.ROSTER_EXPIRED: "the roster of the community it was published to has expired",
    Reason.NOT_ADMITTED_HERE: "the recipient's admission to the community waits for this node's approval",
    Reason.MEMBERSHIP_ENDED: "the recipient's membership in the community was for a time, which is over",
    Reason.ADMITTED_LATER: "the recipient joined after it was published, and it is not for future members",
    Reason.CLEARANCE: "the recipient is not cleared for its marking",
    Reason.CONSTITUENT_TLP: "constituents never receive AMBER+STRICT or RED (TLP 2.0)",
    Reason.CAME_FROM_THERE: "the recipient sent it here or wrote it",
    Reason.NOT_ONWARD: "its author does not let others pass it on",
    Reason.RELAY_TLP: "its TLP does not let others pass it on to this recipient",
    Reason.UNMARKED: "the recipient sees the object alone, which carries no marking as strict as its statement",
    Reason.POLICY: "this member's national policy forbids it",
}


_CLAUSES: Final = {
    Reason.QUARANTINED: "docs/design.md, Authority; STIX 2.1 §3.6",
    Reason.PURGED: "docs/design.md, Purge",
    Reason.INCOMPLETE: "docs/design.md, Recall",
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
    Reason.NOT_ADMITTED_HERE: "docs/design.md, Communities",
    Reason.MEMBERSHIP_ENDED: "docs/design.md, Communities",
    Reason.ADMITTED_LATER: "docs/design.md, Release",
    Reason.CLEARANCE: "docs/design.md, Release",
    Reason.CONSTITUENT_TLP: "docs/design.md, Release; TLP 2.0, TLP:AMBER+STRICT and TLP:RED",
    Reason.CAME_FROM_THERE: "docs/design.md, Release",
    Reason.NOT_ONWARD: "docs/design.md, Release; TLP 2.0, additional sharing restrictions",
    Reason.RELAY_TLP: "docs/design.md, Release; TLP 2.0, definitions of the labels",
    Reason.UNMARKED: "docs/design.md, Release; STIX 2.1 §7.2",
    Reason.POLICY: "docs/design.md, Release",
}


class Withheld(msgspec.Struct, frozen=True):
    """The decision not to give `statement`, which this node's own member signed or another, to `recipient`.

    `rule` is that of the national policy which decided, if one did; for this member's own people only.
    """

    statement: str
    recipient: str
    reason: Reason
    author_here: bool = False
    rule: str = ""


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
    return Gate(recipient, communities, now).decide(facts)


def effective_tlp(facts: Facts) -> Tlp:
    """Return the narrowest of the statement's TLP and the object's own markings: markings only narrow."""
    return _narrowest(facts.terms, facts.markings)


def effective_pap(facts: Facts) -> Pap:
    """Return the narrowest of the statement's PAP and the object's own: what recipients may do with its values."""
    stated = (facts.terms.pap,) if facts.terms is not None else ()
    return max((*stated, *facts.paps), key=list(Pap).index, default=Pap.CLEAR)


class Gate:
    """The kernel for one recipient at one moment, for any number of decisions.

    What was decided for the same terms is not worked out again: that depends on nothing else but what the key of
    `_known` holds. A gate is for one moment; it does not hear of rosters and suspensions that come later.
    """

    def __init__(self, recipient: Recipient, communities: Communities, now: str) -> None:
        self.recipient: Final = recipient
        self.communities: Final = communities
        self._now: Final = now
        self._known: Final[dict[_Case, Reason | str]] = {}

    def decide(self, facts: Facts) -> Released | Withheld:
        """Decide for the content and the statement of `facts`."""
        over = facts.quarantined or facts.purged or facts.recalled
        outcome: Reason | str | None = _denied_to_all(facts) if over else self._denied_to_this(facts)
        if outcome is None:
            case = (facts.terms, facts.markings, facts.author_here, self.recipient.since <= facts.issued)
            outcome = self._known.get(case)
            if outcome is None:
                outcome = self._by_terms(*case)
                if not isinstance(outcome, Reason) and self._says_too_little(facts):
                    outcome = Reason.UNMARKED
                if len(self._known) < _MOST_KNOWN:
                    self._known[case] = outcome
        if isinstance(outcome, Reason):
            return Withheld(facts.statement, self.recipient.id, outcome, facts.author_here)
        return Released(_SEAL, facts, self.recipient, outcome)

    def _denied_to_this(self, facts: Facts) -> Reason | None:
        recipient = self.recipient
        if recipient.suspended:
            return Reason.SUSPENDED
        # An unknown or unreadable marking denies (docs/design.md, Release). It may say RED, and no more than that: what
        # is cleared for RED of a member's own systems, whose findings stay with the member, may have it.
        to_red = recipient.standing is Standing.OWN and recipient.clearance is Tlp.RED
        if facts.unreadable_marking and not to_red:
            return Reason.UNREADABLE_MARKING
        # Own systems are given what is held, all others what was signed.
        if facts.incomplete and recipient.standing is not Standing.OWN:
            return Reason.INCOMPLETE
        if recipient.standing is not Standing.MEMBER:
            return None
        if facts.terms is None:
            return Reason.NO_STATEMENT
        wrote_or_sent = recipient.id == facts.origin or recipient.id in facts.came_from
        return Reason.CAME_FROM_THERE if wrote_or_sent else None

    def _by_terms(
        self, terms: Terms | None, markings: tuple[Tlp, ...], author_here: bool, enrolled: bool
    ) -> Reason | str:
        """Return the rule by which terms and markings let the recipient have it, or why they do not.

        `enrolled` says that the recipient was enrolled here when the statement was issued.
        """
        level = _narrowest(terms, markings)
        if terms is not None and terms.expires is not None and terms.expires <= self._now:
            return Reason.EXPIRED
        if terms is None or self.recipient.standing is not Standing.MEMBER:
            return self._to_own_side(terms, level)
        rule = self._in_audience(terms, enrolled)
        if isinstance(rule, Reason):
            return rule
        if level.rank > self.recipient.clearance.rank:
            return Reason.CLEARANCE
        if author_here:
            return rule
        if not terms.onward:
            return Reason.NOT_ONWARD
        if not self._may_relay(terms, level):
            return Reason.RELAY_TLP
        return f"{rule}; passed on as TLP:{level.upper()} allows"

    def _says_too_little(self, facts: Facts) -> bool:
        """True if all that the recipient will see says less than the statement about how it must be handled."""
        if not self.recipient.bare or self.recipient.standing is Standing.OWN or facts.terms is None:
            return False
        return strictest(facts.markings).rank < facts.terms.tlp.rank

    def _to_own_side(self, terms: Terms | None, level: Tlp) -> Reason | str:
        recipient = self.recipient
        if recipient.standing is Standing.CONSTITUENT:
            if terms is None:
                return Reason.NO_STATEMENT
            if terms.audience.empty:
                return Reason.EMPTY_AUDIENCE
            # TLP 2.0: AMBER reaches clients; AMBER+STRICT stays inside the organisation, RED with individuals.
            if level.rank > Tlp.AMBER.rank:
                return Reason.CONSTITUENT_TLP
        if level.rank > recipient.clearance.rank:
            return Reason.CLEARANCE
        return f"{recipient.standing.value} system, cleared to TLP:{recipient.clearance.upper()}"

    def _in_audience(self, terms: Terms, enrolled: bool) -> Reason | str:
        audience = terms.audience
        if audience.empty:
            return Reason.EMPTY_AUDIENCE
        if self.recipient.id in audience.members:
            return "named in the audience"
        reason = Reason.NOT_IN_AUDIENCE
        if audience.everyone:
            if terms.future_members or enrolled:
                return "published to everyone"
            reason = Reason.ADMITTED_LATER
        for term in audience.communities:
            outcome = self._by_community(terms, term)
            if isinstance(outcome, str) and not isinstance(outcome, Reason):
                return outcome
            reason = outcome or reason
        return reason

    def _by_community(self, terms: Terms, term: CommunityTerm) -> Reason | str | None:
        """Return the rule by which a community lets the recipient in, why it would not, or None if it is no member."""
        community = self.communities.get(term.id)
        if community is None:
            return Reason.ROSTER_UNKNOWN
        if community.number < term.floor:
            return Reason.ROSTER_BEHIND
        if self.recipient.id in community.waiting:
            return Reason.NOT_ADMITTED_HERE
        admitted = community.members.get(self.recipient.id)
        if admitted is None:
            return None
        if community.expires <= self._now:
            # An expired roster holds that community's objects (docs/design.md, Release).
            return Reason.ROSTER_EXPIRED
        if community.ended(self.recipient.id, self._now):
            return Reason.MEMBERSHIP_ENDED
        if admitted > term.floor and not terms.future_members:
            return Reason.ADMITTED_LATER
        return f"member of {community.name}, roster {community.number}"

    def _may_relay(self, terms: Terms, level: Tlp) -> bool:
        # TLP 2.0: CLEAR without limit; GREEN within the community; AMBER only to those whom the author names.
        if level is Tlp.CLEAR:
            return True
        if level.rank > Tlp.AMBER.rank:
            return False
        if self.recipient.id in terms.audience.members:
            return True
        return level is Tlp.GREEN and any(
            not isinstance(self._by_community(terms, term), Reason | None)
            for term in terms.audience.communities
        )


_MOST_KNOWN: Final = 65_536
_Case = tuple[Terms | None, tuple[Tlp, ...], bool, bool]
"""Terms, the object's own markings, whether the author is this member, whether the recipient was enrolled then."""


def _denied_to_all(facts: Facts) -> Reason:
    if facts.quarantined:
        return Reason.QUARANTINED
    return Reason.PURGED if facts.purged else Reason.RECALLED


def _narrowest(terms: Terms | None, markings: tuple[Tlp, ...]) -> Tlp:
    return strictest(markings if terms is None else (terms.tlp, *markings))
