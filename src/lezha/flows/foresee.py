"""What a national policy would change if it came into force now, before it does.

The log is read once, newest first, in blocks of short transactions, so that a node can go on writing meanwhile; what
comes into it meanwhile is left out. Policies are asked about kinds of objects, so one answer serves for many. Nothing
is changed.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import lru_cache
from typing import Final, NamedTuple, Protocol

import msgspec
from sqlalchemy import Connection

from lezha.sharing import policy
from lezha.sharing.cedar import NO_RULE, CedarPolicy
from lezha.sharing.policy import Refusal
from lezha.sharing.release import Facts, Gate, Reason, Released, Withheld
from lezha.sharing.terms import Terms
from lezha.sharing.tlp import Tlp
from lezha.store import communities, constituents, kinds, peers, policies, statements, views
from lezha.store.constituents import Constituent
from lezha.store.kinds import Spoken
from lezha.store.peers import Peer, PeerState

_BLOCK: Final = 5000
_KINDS: Final = 20_000
_LAST: Final = 2**62
Progress = Callable[[int, int], None]
"""Is told how many statements were looked at, and how many there are."""


class Reads(Protocol):
    """What can be read: a `Log`, or a `Reader`."""

    def read(self) -> AbstractContextManager[Connection]:
        """Give a connection that sees a snapshot."""


class Example(msgspec.Struct, frozen=True):
    """An object that a policy changes something about, by which of its rules.

    `change` is "told" (the recipient has it and would not be told it now), "waiting" (it would not be sent any more) or
    "released" (it would be sent after all).
    """

    id: str
    type: str
    name: str
    change: str
    rule: str


class Effect(msgspec.Struct):
    """What changes for one recipient, in statements; `rules` counts what each would withhold, told or waiting."""

    told: int = 0
    waiting: int = 0
    released: int = 0
    rules: dict[str, int] = {}
    examples: list[Example] = []


class PeerEffect(Effect, kw_only=True):
    """What changes for one peer."""

    peer: str
    member: str


class ConstituentEffect(Effect, kw_only=True):
    """What changes for one constituent: `told` is what it was handed out, `waiting` what it would get on asking."""

    constituent: str


class Name(msgspec.Struct, frozen=True):
    """A member or community that a policy names; `name` is what it is called here, empty if nobody knows it here."""

    line: int
    kind: str
    id: str
    name: str


class RuleEffect(msgspec.Struct, frozen=True):
    """A rule, and how many statements it would withhold that recipients have or wait for; None for one that permits."""

    line: int
    name: str
    withholds: int | None


class Foreseen(msgspec.Struct, frozen=True):
    """What a policy would change compared with the one in force, whose hash is empty if there is none.

    `unpermitted` counts what it would withhold because no rule permits it; `permits` says that some rule permits.
    """

    sha256: str
    in_force: str
    statements: int
    permits: bool
    unpermitted: int
    rules: list[RuleEffect]
    names: list[Name]
    peers: list[PeerEffect]
    constituents: list[ConstituentEffect]


class _Turn(NamedTuple):
    """What changes for one recipient about one kind: withheld by a rule from now on, or released by none any more."""

    place: int
    withheld: bool
    rule: str


_Verdict = tuple[_Turn, ...]


def foresee(
    log: Reads,
    own: str,
    new: CedarPolicy,
    now: str,
    limit: int,
    progress: Progress = lambda _done, _all: None,
) -> Foreseen:
    """Compare `new` with the policy in force, for each recipient of the member `own`, with at most `limit` examples.

    `now` decides which rosters have expired.

    Raises StoreError.
    """
    with log.read() as conn:
        linked = [peer for peer in peers.listed(conn) if peer.state is not PeerState.PENDING]
        served = constituents.listed(conn)
        comparison = _Comparison(conn, linked, served, new, now)
        last, total = kinds.extent(conn)
        names = _names(conn, own, linked, new)
        old = policies.current(conn)
    toward_peers = [PeerEffect(peer=peer.name, member=peer.member) for peer in linked]
    toward_served = [ConstituentEffect(constituent=one.name) for one in served]
    effects: list[Effect] = [*toward_peers, *toward_served]
    done = 0
    while block := _block(log, last):
        with log.read() as conn:
            _add(conn, comparison, block, effects, limit)
        done, last = done + len(block), block[-1].seq
        progress(done, total)
    withheld = Counter[str]()
    for one in effects:
        withheld.update(one.rules)
    rules = [RuleEffect(one.line, one.name, None if one.permits else withheld[str(one)]) for one in new.rules]
    permits = any(one.permits for one in new.rules)
    return Foreseen(
        sha256=new.digest,
        in_force=old.digest if old else "",
        statements=done,
        permits=permits,
        unpermitted=withheld[NO_RULE],
        rules=rules,
        names=names,
        peers=toward_peers,
        constituents=toward_served,
    )


def _block(log: Reads, before: int) -> list[Spoken]:
    with log.read() as conn:
        return kinds.before(conn, before, _BLOCK)


class _Comparison:
    """The policy in force and a new one, asked about kinds of statements toward each recipient.

    `heads` is up to which number each has what it was given: a constituent, which signs nothing, all of it. What comes
    after its number in `undecided` is decided when it next asks, by the gate beside that number.
    """

    def __init__(
        self,
        conn: Connection,
        linked: Sequence[Peer],
        served: Sequence[Constituent],
        new: CedarPolicy,
        now: str,
    ) -> None:
        present, old = communities.current(conn), policies.current(conn)
        asking = [one.recipient() for one in served]
        recipients = [*(peer.recipient() for peer in linked), *asking]
        self.ids = [one.id for one in recipients]
        self.heads = kinds.acknowledged(conn) | {one.id: _LAST for one in asking}
        self.undecided = {
            place: (views.cursor(conn, one.id).seq, policies.gate(conn, one, now))
            for place, one in enumerate(asking, len(linked))
        }
        self._before = [policy.toward(old, one, present, now) for one in recipients]
        self._after = [policy.toward(new, one, present, now) for one in recipients]
        self._terms = lru_cache(_KINDS)(_bare)
        self._known = lru_cache(_KINDS)(self._verdict)

    def verdict(self, one: Spoken) -> _Verdict:
        """Return what would change about a statement, if a peer is told of it at all."""
        return self._known(one.type, one.origin, one.own, self._terms(one.terms), one.markings)

    def _verdict(self, stix_type: str, origin: str, own: bool, terms: Terms, markings: str) -> _Verdict:
        facts = Facts(
            statement="",
            content="",
            terms=terms,
            origin=origin,
            author_here=own,
            issued="",
            markings=msgspec.json.decode(markings, type=tuple[Tlp, ...]),
            type=stix_type,
        )
        turns: list[_Turn] = []
        for place, (before, after) in enumerate(zip(self._before, self._after, strict=True)):
            was, will_be = _asked(before, facts), _asked(after, facts)
            if (was is None) != (will_be is None):
                turns.append(_Turn(place, was is None, will_be or was or ""))
        return tuple(turns)


def _bare(text: str) -> Terms:
    """Return terms without what makes each a kind of its own: of that a policy sees nothing."""
    terms = msgspec.json.decode(text, type=Terms)
    return msgspec.structs.replace(terms, open_refs=(), expires=None)


def _asked(refuse: Refusal | None, facts: Facts) -> str | None:
    return None if refuse is None else refuse(facts)


def _add(
    conn: Connection, comparison: _Comparison, block: Sequence[Spoken], effects: Sequence[Effect], limit: int
) -> None:
    """Count what would change about a block of statements, those together about which the same would."""
    alike: dict[_Verdict, dict[str, Spoken]] = {}
    for one in block:
        if verdict := comparison.verdict(one):
            alike.setdefault(verdict, {})[one.hash] = one
    for verdict, spoken in alike.items():
        withheld = {comparison.ids[turn.place]: turn for turn in verdict if turn.withheld}
        released = {comparison.ids[turn.place]: turn for turn in verdict if not turn.withheld}
        for recipient, (told, waiting) in kinds.given(conn, spoken, list(withheld), comparison.heads).items():
            turn = withheld[recipient]
            effect = effects[turn.place]
            effect.told += told
            effect.waiting += waiting
            _withhold(effect, turn, told + waiting)
            head = comparison.heads.get(recipient, 0)
            for ref, number in kinds.rows_of(conn, spoken, recipient, limit - len(effect.examples)):
                change = "told" if number <= head else "waiting"
                effect.examples.append(_example(spoken[ref], change, turn.rule))
        for recipient, refs in kinds.withheld_by_policy(conn, spoken, list(released)).items():
            turn = released[recipient]
            _count(effects[turn.place], turn, [spoken[ref] for ref in refs], limit)
        for turn in verdict:
            if turn.place in comparison.undecided:
                seq, gate = comparison.undecided[turn.place]
                _count(effects[turn.place], turn, _undecided(conn, gate, seq, spoken.values()), limit)


def _undecided(conn: Connection, gate: Gate, after: int, spoken: Iterable[Spoken]) -> list[Spoken]:
    """Return those statements after `after` that a gate releases, or that only the policy in force withholds at it."""
    later = {one.hash: one for one in spoken if one.seq > after}
    decided = [gate.decide(one) for one in statements.facts(conn, list(later))]
    return [later[one.statement] for one in decided if _but_for_policy(one)]


def _but_for_policy(outcome: Released | Withheld) -> bool:
    """True if the rules release, whatever a policy says: it is asked last."""
    return isinstance(outcome, Released) or outcome.reason is Reason.POLICY


def _count(effect: Effect, turn: _Turn, spoken: Sequence[Spoken], limit: int) -> None:
    """Count what would be withheld though it waits, or released after all, with examples as far as there is room."""
    if turn.withheld:
        effect.waiting += len(spoken)
        _withhold(effect, turn, len(spoken))
    else:
        effect.released += len(spoken)
    change = "waiting" if turn.withheld else "released"
    for one in spoken[: max(0, limit - len(effect.examples))]:
        effect.examples.append(_example(one, change, turn.rule))


def _withhold(effect: Effect, turn: _Turn, count: int) -> None:
    if count:
        effect.rules[turn.rule] = effect.rules.get(turn.rule, 0) + count


def _example(one: Spoken, change: str, rule: str) -> Example:
    return Example(one.stix_id, one.type, one.name, change, rule)


def _names(conn: Connection, own: str, linked: Sequence[Peer], new: CedarPolicy) -> list[Name]:
    """Return what a policy names, with what it is called here: a rule about somebody unknown is about nobody."""
    rosters = communities.latest(conn, communities.current(conn))
    known: Mapping[str, Mapping[str, str]] = {
        "Community": {one.community: one.name for one in rosters},
        "Member": {member: member for one in rosters for member in one.members}
        | {peer.member: peer.name for peer in linked}
        | {own: "this member"},
    }
    return [Name(one.line, one.kind, one.id, known.get(one.kind, {}).get(one.id, "")) for one in new.named]
