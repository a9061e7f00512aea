"""Who gets an object and who does not, why, and by which rule: the kernel's answer now beside what is recorded.

Everything begins with the object that was asked about: what it costs depends on its versions, the statements about
them and the recipients, and not on what else the log holds.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Final

import msgspec
from sqlalchemy import Connection

from lezha.federation import refusals
from lezha.flows import look
from lezha.flows.look import Listed
from lezha.sharing.community import Communities
from lezha.sharing.release import (
    Facts,
    Gate,
    Reason,
    Recipient,
    Released,
    Standing,
    Withheld,
    effective_tlp,
)
from lezha.sharing.remedies import remedy
from lezha.sharing.terms import Audience
from lezha.sharing.tlp import Tlp
from lezha.stix import markings
from lezha.store import (
    communities,
    constituents,
    contents,
    ledger,
    peers,
    policies,
    posts,
    search,
    statements,
    tokens,
    told,
    tombstones,
    walk,
)
from lezha.store.errors import NotFound
from lezha.store.ledger import Fate

MOST: Final = 200
"""Statements about one version that are looked at, this member's own first."""

OWN_SYSTEMS: Final = "own systems"
SELF: Final = "self"


class Decision(msgspec.Struct, frozen=True):
    """What the rules say now of one statement and one recipient.

    `statement` is empty for what was brought here without one. `code` is that of the reason, empty where it is
    released; `clause` is where the rule is written, `remedy` what can be done about a reason.
    """

    statement: str
    released: bool
    code: str
    words: str
    clause: str
    remedy: str = ""


class Recorded(msgspec.Struct, frozen=True):
    """What the log says of one statement and one recipient, and since when.

    `state` is `offered` (numbered, no receipt yet), `given` (none but members sign receipts), `received` (its receipt
    is here), `refused`, `void` or `withheld`, and of what was taken back `recalled`, or `recall received` once its
    receipt for that is here. A constituent is told that something is `withdrawn`; what that is about is the content.
    `number` is that of the row in its view, 0 where there is none.
    """

    statement: str
    state: str
    at: str
    number: int
    words: str


class Outcome(StrEnum):
    """What is so for a recipient: what it was told before and what the rules say now. The value is stable."""

    HAS = "has"
    HAS_NOT_NOW = "has_not_now"
    WITHDRAWN = "withdrawn"
    ON_ITS_WAY = "on_its_way"
    HELD_BACK = "held_back"
    REFUSED = "refused"
    WILL = "will"
    MAY = "may"
    WITHHELD = "withheld"


class Answer(msgspec.Struct, frozen=True):
    """Whether one recipient may have one version now, and what it was told before.

    Any one statement that releases suffices; `because` is that decision, or the first of those that withhold. `state`
    is that of a peer. `outcome` is what is so altogether, as a code, and `words` say it.
    """

    name: str
    id: str
    standing: str
    state: str
    clearance: str
    may: bool
    because: Decision
    decisions: tuple[Decision, ...]
    recorded: tuple[Recorded, ...]
    outcome: Outcome
    words: str


class Mark(msgspec.Struct, frozen=True):
    """A marking that an object carries itself; `tlp` is empty if this node can't read it as a TLP label."""

    id: str
    tlp: str
    words: str


class Word(msgspec.Struct, frozen=True):
    """A statement in words: whose it is, and what it allows.

    `tlp` is what was signed, `effective_tlp` what counts, the object's own markings considered. `audience` are names,
    `came_from` those who sent it here.
    """

    statement: str
    by: str
    member: str
    own: bool
    tlp: str
    effective_tlp: str
    pap: str
    audience: tuple[str, ...]
    onward: bool
    future_members: bool
    expires: str
    issued: str
    came_from: tuple[str, ...]


class Version(msgspec.Struct, frozen=True):
    """One version of the object; `left_out` counts statements that were not looked at."""

    found: Listed
    markings: tuple[Mark, ...]
    statements: tuple[Word, ...]
    left_out: int
    recipients: tuple[Answer, ...]


class Explanation(msgspec.Struct, frozen=True):
    """All that can be said at the time `at` about who may have an object; versions newest first."""

    id: str
    at: str
    versions: tuple[Version, ...]


class Known(msgspec.Struct, frozen=True):
    """A recipient as people call it."""

    name: str
    state: str
    recipient: Recipient


class _Ground(msgspec.Struct, frozen=True):
    """What is the same for all versions: who there is, and what they are called."""

    present: Communities
    names: Mapping[str, str]
    recipients: tuple[Known, ...]
    gates: Mapping[str, Gate]


def explain(conn: Connection, own: str, stix_id: str, now: str, peer: str = "") -> Explanation:
    """Explain an object that is held here, to the recipient called `peer` alone if that is given. Raises NotFound."""
    ground = _ground(conn, own, now, peer)
    listed = look.listed(conn, search.versions(conn, stix_id))
    facts, left_out = _facts(conn, [one.hash for one in listed])
    recorded = _recorded(conn, facts, ground)
    marks = contents.markings(conn, [one.hash for one in listed])
    versions = tuple(
        Version(
            found=one,
            markings=tuple(_mark(marking, facts[one.hash]) for marking in marks.get(one.hash, ())),
            statements=tuple(_word(fact, ground) for fact in facts[one.hash] if fact.statement),
            left_out=left_out.get(one.hash, 0),
            recipients=tuple(
                _answer(facts[one.hash], known, recorded.get(known.recipient.id, ()), ground)
                for known in ground.recipients
            ),
        )
        for one in listed
    )
    return Explanation(stix_id, now, versions)


def recipients(conn: Connection) -> list[Known]:
    """Return everyone whom this node may give something: its own systems, and the peers by name."""
    own = [Known(OWN_SYSTEMS, "", Recipient(OWN_SYSTEMS, Standing.OWN, Tlp.RED))]
    own += [
        Known(f"sensor {one.name}", "", Recipient(f"sensor:{one.id}", Standing.OWN, Tlp.RED))
        for one in tokens.listed(conn)
        if one.role == "sensor" and not one.revoked
    ]
    served = [
        Known(one.name, "suspended" if one.suspended else "active", one.recipient())
        for one in constituents.listed(conn)
    ]
    return [*own, *served, *(Known(one.name, one.state.value, one.recipient()) for one in peers.listed(conn))]


def audience_names(audience: Audience, present: Communities, names: Mapping[str, str]) -> tuple[str, ...]:
    """Name an audience: `everyone`, communities, members; ids where no name is known here."""
    called = ["everyone"] if audience.everyone else []
    called += [present[term.id].name if term.id in present else term.id for term in audience.communities]
    return (*called, *(names.get(one, one) for one in audience.members))


def member_names(conn: Connection, own: str) -> dict[str, str]:
    """Return what members are called here by id; this node's own is `self`."""
    return {one.member: one.name for one in peers.listed(conn)} | {own: SELF}


def withheld_because(outcome: Withheld) -> Decision:
    """Say why something is withheld."""
    reason = outcome.reason
    words = f"{reason.words} ({outcome.rule})" if outcome.rule else reason.words
    return Decision(outcome.statement, False, reason.value, words, reason.clause, remedy(reason))


def released_because(outcome: Released, facts: Facts, standing: Standing) -> Decision:
    """Say by which rule something is released."""
    clause = "docs/design.md, Release"
    if standing is Standing.MEMBER and not facts.author_here:
        clause += f"; TLP 2.0, TLP:{effective_tlp(facts).upper()}"
    return Decision(outcome.statement, True, "", outcome.rule, clause)


def _ground(conn: Connection, own: str, now: str, peer: str) -> _Ground:
    known = recipients(conn)
    wanted = [one for one in known if one.name == peer] if peer else known
    if not wanted:
        called = ", ".join(one.name for one in known)
        raise NotFound(f"There is no recipient {peer[:60]!r} here. There are: {called}.")
    gates = policies.gates(conn, [one.recipient for one in wanted], now)
    return _Ground(communities.current(conn), member_names(conn, own), tuple(wanted), gates)


def _facts(conn: Connection, hashes: Sequence[str]) -> tuple[dict[str, list[Facts]], dict[str, int]]:
    """Return the facts about each content, at most `MOST` statements, and how many of each were left out."""
    said = search.said_about(conn, hashes)
    ranked = {key: sorted(found, key=lambda one: (not one.own, one.issued)) for key, found in said.items()}
    kept = {key: found[:MOST] for key, found in ranked.items()}
    left_out = {key: len(found) - MOST for key, found in ranked.items() if len(found) > MOST}
    by_content: dict[str, list[Facts]] = {key: [] for key in hashes}
    for one in statements.facts(conn, [said.hash for found in kept.values() for said in found]):
        by_content[one.content].append(one)
    for content, brought in posts.facts(conn, hashes).items():
        by_content[content].append(brought)
    # What came only beside something else nobody has spoken of: for own systems it is held all the same.
    bare = walk.bare_facts(conn, [key for key, found in by_content.items() if not found])
    return {key: found or [bare[key]] for key, found in by_content.items()}, left_out


def _recorded(
    conn: Connection, facts: Mapping[str, Sequence[Facts]], ground: _Ground
) -> dict[str, list[Recorded]]:
    """Return what is recorded of all this, by recipient."""
    ours = [one.recipient.id for one in ground.recipients]
    signs = {one.recipient.id for one in ground.recipients if one.recipient.standing is Standing.MEMBER}
    refs = [one.statement or content for content, found in facts.items() for one in found]
    found: dict[str, list[Recorded]] = {}
    for row in told.given(conn, refs):
        found.setdefault(row.recipient, []).append(_as_given(row, row.recipient in signs))
    served = {one.recipient.id for one in ground.recipients if one.recipient.standing is Standing.CONSTITUENT}
    for row in told.withdrawn(conn, facts) if served else ():
        if row.recipient in served:
            found.setdefault(row.recipient, []).append(_as_withdrawn(row))
    for kept in told.withheld(conn, refs, ours):
        words = Reason(kept.reason).words
        found.setdefault(kept.recipient, []).append(Recorded(kept.statement, "withheld", kept.at, 0, words))
    recalled = [one.statement for said in facts.values() for one in said if one.recalled]
    for member in signs if recalled else ():
        found.setdefault(member, []).extend(_taken_back(conn, member, recalled))
    return found


def _taken_back(conn: Connection, member: str, recalled: Sequence[str]) -> list[Recorded]:
    """Say of what a member was given and was recalled since whether it has signed for that."""
    stones = tombstones.about(conn, recalled)
    return [
        Recorded(key, line.fate.value, stones[key].at, 0, line.why)
        for key, line in ledger.lines(conn, member, recalled).items()
        if line.fate in (Fate.RECALLED, Fate.RECALL_RECEIVED)
    ]


def _as_given(row: told.Given, signs: bool) -> Recorded:
    if row.void:
        return Recorded(row.ref, "void", row.void_at, row.number, Reason(row.void).words)
    if row.refused:
        return Recorded(row.ref, "refused", row.signed, row.number, refusals.words(row.refused))
    if row.signed:
        return Recorded(row.ref, "received", row.signed, row.number, row.rule)
    return Recorded(row.ref, "offered" if signs else "given", row.at, row.number, row.rule)


def _as_withdrawn(row: told.Withdrawn) -> Recorded:
    return Recorded(row.content, "withdrawn", row.at, row.number, "it does not count any more")


def _answer(facts: Sequence[Facts], known: Known, recorded: Iterable[Recorded], ground: _Ground) -> Answer:
    recipient = known.recipient
    decisions = tuple(_decision(one, recipient, ground) for one in facts)
    because = next((one for one in decisions if one.released), decisions[0])
    about = {key for one in facts for key in (one.statement, one.content)}
    here = tuple(one for one in recorded if one.statement in about)
    outcome = _outcome(because, here, recipient.standing)
    return Answer(
        name=known.name,
        id=recipient.id,
        standing=recipient.standing.value,
        state=known.state,
        clearance=recipient.clearance.value,
        may=because.released,
        because=because,
        decisions=decisions,
        recorded=here,
        outcome=outcome,
        words=_SENTENCES[outcome].format(why=because.words),
    )


def _decision(facts: Facts, recipient: Recipient, ground: _Ground) -> Decision:
    outcome = ground.gates[recipient.id].decide(facts)
    if isinstance(outcome, Withheld):
        return withheld_because(outcome)
    return released_because(outcome, facts, recipient.standing)


_HAS: Final = frozenset({"received", "given"})
_SENTENCES: Final = {
    Outcome.HAS: "has it",
    Outcome.HAS_NOT_NOW: "has it, and would not get it now: {why}",
    Outcome.WITHDRAWN: "was given it, and told since that it does not count any more: {why}",
    Outcome.ON_ITS_WAY: "on its way",
    Outcome.HELD_BACK: "was on its way, and is held back: {why}",
    Outcome.REFUSED: "was sent it and refused it",
    Outcome.WILL: "will get it once its link has looked at it",
    Outcome.MAY: "may have it",
    Outcome.WITHHELD: "does not get it: {why}",
}


def _outcome(because: Decision, recorded: Sequence[Recorded], standing: Standing) -> Outcome:
    """Put what has been and what is so now together, for the duty officer."""
    states = {one.state for one in recorded}
    if any(_still(one, recorded) for one in recorded if one.state in _HAS):
        return Outcome.HAS if because.released else Outcome.HAS_NOT_NOW
    if "offered" in states:
        return Outcome.ON_ITS_WAY if because.released else Outcome.HELD_BACK
    if "refused" in states:
        return Outcome.REFUSED
    if not because.released:
        return Outcome.WITHDRAWN if states & _HAS else Outcome.WITHHELD
    return Outcome.WILL if standing is Standing.MEMBER else Outcome.MAY


def _still(given: Recorded, recorded: Sequence[Recorded]) -> bool:
    """Say whether a recipient may still go by what it was given: it was not told since that it does not count."""
    return not any(
        (one.state == "recall received" and one.statement == given.statement)
        or (one.state == "withdrawn" and one.number > given.number)
        for one in recorded
    )


def _mark(marking_id: str, facts: Sequence[Facts]) -> Mark:
    level = markings.tlp_level(marking_id)
    if level is not None:
        return Mark(marking_id, level, f"TLP:{level.upper()}")
    said = [one for one in facts if one.statement]
    if said and not any(one.unreadable_marking for one in said):
        return Mark(marking_id, "", "read by the definition that its author sent beside it")
    return Mark(marking_id, "", "can't be read here, so it goes to nobody else")


def _word(facts: Facts, ground: _Ground) -> Word:
    terms = facts.terms
    assert terms is not None, "a statement has terms"
    return Word(
        statement=facts.statement,
        by=ground.names.get(facts.origin, facts.origin),
        member=facts.origin,
        own=facts.author_here,
        tlp=terms.tlp.value,
        effective_tlp=effective_tlp(facts).value,
        pap=terms.pap.value,
        audience=audience_names(terms.audience, ground.present, ground.names),
        onward=terms.onward,
        future_members=terms.future_members,
        expires=terms.expires or "",
        issued=facts.issued,
        came_from=tuple(sorted(ground.names.get(one, one) for one in facts.came_from)),
    )
