"""A member takes back what it has published: the object, and what of its own would tell of it.

Who was ever offered a statement is told that it was recalled (`flows.share`). What can't be called back is said.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Final

import msgspec
from sqlalchemy import Connection

from lezha.federation import tombstone as signed_tombstone
from lezha.federation.members import Members
from lezha.federation.tombstone import MAX_WHY, Tombstone
from lezha.flows.errors import FlowError
from lezha.flows.publish import Author
from lezha.sharing.audience import within
from lezha.sharing.community import Communities
from lezha.sharing.release import Facts
from lezha.sharing.terms import Terms
from lezha.stix import timestamps
from lezha.stix.clauses import COMPANION_TYPES
from lezha.stix.errors import StixError
from lezha.store import (
    communities,
    constituents,
    contents,
    ledger,
    peers,
    posts,
    search,
    statements,
    tombstones,
    views,
)
from lezha.store.errors import NotFound
from lezha.store.ledger import Fate
from lezha.store.log import Log, Tx
from lezha.store.statements import Subject
from lezha.store.tombstones import Stone

_MOST: Final = 10_000  # statements in one recall: one commit
_TEAR_LINE: Final = "derived-from"


class Request(msgspec.Struct, frozen=True):
    """What a person or tool asks to be recalled: an object, or one version of it (`modified`, as it is shown).

    `why` is read by everyone who was told. With `keep_derived` what names the object stays as it is.
    """

    id: str
    version: str = ""
    why: str = ""
    keep_derived: bool = False


class Item(msgspec.Struct, frozen=True):
    """One statement that is taken back. `because` is the object that it would tell of, empty for the one asked for."""

    id: str
    type: str
    version: str
    name: str
    statement: str
    because: str


class Notice(msgspec.Struct, frozen=True):
    """What a peer hears of a recall: of how many statements, by what became of each before.

    `held` counts what it signed for and took, `offered` what is on its way to it or went void or was refused, `never`
    what it was never offered: of that it hears nothing, unless it may have it from others (`onward`).
    """

    peer: str
    state: str
    held: int
    offered: int
    never: int


class Limit(StrEnum):
    """What a recall does not reach. The value is stable: it appears in `--json`."""

    HOSTILE = "hostile"
    ONWARD = "onward"
    CONSTITUENTS = "constituents"
    BACKUPS = "backups"
    EXPORTS = "exports"
    BROUGHT = "brought"
    OTHERS = "others"
    DERIVED = "derived"
    BESIDE = "beside"


class Uncalled(msgspec.Struct, frozen=True):
    """Something that can't be called back, in words."""

    limit: Limit
    words: str


class Recalled(msgspec.Struct, frozen=True):
    """The outcome. `at` is when it was committed, empty for a preview.

    `before` counts own statements about the object that had been recalled already, `stands` are its versions that this
    member still stands for.
    """

    recalled: tuple[Item, ...]
    before: int
    stands: tuple[str, ...]
    peers: tuple[Notice, ...]
    uncalled: tuple[Uncalled, ...]
    at: str = ""


class _Plan(msgspec.Struct, frozen=True):
    """What is to be taken back, each with the object because of which; `left` says that what names it stays."""

    because: Mapping[str, str]
    facts: tuple[Facts, ...]
    before: int
    stands: tuple[str, ...]
    left: bool


def preview(log: Log, author: Author, members: Members, request: Request, now: str) -> Recalled:
    """Say what `recall` would do, without writing anything. Raises FlowError, NotFound."""
    _check(request, author)
    with log.read() as conn:
        return _outcome(conn, _plan(conn, members, request, now), members, "")


async def recall(log: Log, author: Author, members: Members, request: Request, actor: str) -> Recalled:
    """Take back this member's statements about an object and what would tell of it; return when that is durable.

    What was taken back already stays so, and is no error. Raises FlowError, NotFound.
    """
    # Who has what is looked up for each peer: the writer does not wait for that.
    now = await log.write(lambda tx: tx.at)
    outlook = await asyncio.to_thread(preview, log, author, members, request, now)
    return await log.write(lambda tx: _write(tx, author, members, request, actor, outlook))


def _check(request: Request, author: Author) -> None:
    if request.id == author.member:
        raise FlowError("This member's own identity can't be recalled: it travels with what it publishes.")
    if len(request.why) > MAX_WHY or not request.why.isprintable():
        raise FlowError(
            f"The reason may have {MAX_WHY} letters and no line breaks: all who were told of the object read it."
        )


def _write(
    tx: Tx, author: Author, members: Members, request: Request, actor: str, outlook: Recalled
) -> Recalled:
    plan = _plan(tx.conn, members, request, tx.at)
    if list(plan.because) == [one.statement for one in outlook.recalled]:
        outcome = msgspec.structs.replace(outlook, at=tx.at)
    else:  # something was published or recalled meanwhile
        outcome = _outcome(tx.conn, plan, members, tx.at)
    tombstones.add(tx, [_sign(tx, author, key, request.why) for key in plan.because], actor)
    return outcome


def _sign(tx: Tx, author: Author, statement: str, why: str) -> Stone:
    known = signed_tombstone.sign(Tombstone(author.member, statement, tx.at, why), author.signer)
    return Stone(known.digest, statement, author.member, tx.at, why, "", known.raw)


# --- what is to be taken back ---------------------------------------------------------------------------------------


def _plan(conn: Connection, members: Members, request: Request, now: str) -> _Plan:
    own, versions = _own(conn, members, request.id)
    version = _version(request.version)
    if version not in ("", *versions.values()):
        there = ", ".join(sorted(set(versions.values())))
        raise NotFound(f"This member published no version {request.version!r} of {request.id}, but {there}.")
    asked = [one for one in own if version in ("", versions[one.content])]
    because = {one.statement: "" for one in asked if not one.recalled}
    stands = {versions[one.content] for one in own if not one.recalled and one.statement not in because}
    left = request.keep_derived and bool(statements.own_naming(conn, request.id, 1))
    if not request.keep_derived:
        because |= _Derived(conn, because, now).follow(request.id)
    return _Plan(
        because,
        tuple(statements.facts(conn, list(because))),
        sum(one.recalled for one in asked),
        tuple(sorted(stands)),
        left,
    )


def _own(conn: Connection, members: Members, stix_id: str) -> tuple[Sequence[Facts], Mapping[str, str]]:
    """Return this member's statements about an object, and the version of each of their contents.

    Raises FlowError, NotFound.
    """
    search.versions(conn, stix_id)  # something of it is held
    said = statements.facts(conn, statements.about(conn, stix_id))
    own = [one for one in said if one.author_here]
    if not own:
        raise FlowError(_not_ours(stix_id, [one.origin for one in said], members))
    versions = {one.hash: one.version for one in search.by_hash(conn, [one.content for one in own])}
    return own, versions


def _version(written: str) -> str:
    """Return a version as it is kept, however many digits of its second were written."""
    try:
        return timestamps.normalise(written) if written else ""
    except StixError:
        return written


def _not_ours(stix_id: str, origins: Sequence[str], members: Members) -> str:
    purge = f'`lezha store purge {stix_id} --why "…"` destroys the bytes here.'
    if not origins:
        return f"Nobody was told of {stix_id}: it was never published, so there is nothing to recall. {purge}"
    names = " and ".join(dict.fromkeys(members.names.get(one, one) for one in origins))
    return f"{stix_id} is the word of {names}: only who signed it can recall it. Ask them to. {purge}"


class _Derived:
    """Finds what of this member's own would go on telling of what is taken back, one thing after another.

    An object tells of those that it names (docs/design.md, References). So what names something goes with it, unless
    all who may have it may know what it names by what still stands. What was told to nobody tells nobody. A tear-line
    goes with the object from which it was derived.
    """

    def __init__(self, conn: Connection, taken: Iterable[str], now: str) -> None:
        self._conn = conn
        self._now = now
        self._communities: Communities = communities.current(conn)
        self._taken = set(taken)

    def follow(self, stix_id: str) -> dict[str, str]:
        """Return statement -> the object because of which it goes. Raises FlowError if it is too much."""
        found: dict[str, str] = {}
        ask = deque([stix_id])
        while ask:
            target = ask.popleft()
            standing = self._standing(target)
            fresh = [one for one in self._naming(target) if self._tells(one, standing)]
            if not any(origin_here for _, _, origin_here in standing):
                fresh += self._torn_off(target)
            for one in fresh:
                found[one.statement] = target
                self._taken.add(one.statement)
            if len(self._taken) > _MOST:
                raise self._too_much(stix_id)
            contents_of = [one.content for one in fresh]
            ask.extend(dict.fromkeys(one.stix_id for one in statements.subjects_of(self._conn, contents_of)))
        return found

    def _standing(self, target: str) -> list[tuple[str, Terms, bool]]:
        said = statements.facts(self._conn, statements.about(self._conn, target))
        return [
            (one.origin, one.terms, one.author_here)
            for one in said
            if one.terms is not None and not one.recalled and one.statement not in self._taken
        ]

    def _naming(self, target: str) -> list[Facts]:
        naming = statements.own_naming(self._conn, target, _MOST + 1)
        if len(naming) > _MOST:
            raise self._too_much(target)
        return self._live(naming)

    def _too_much(self, stix_id: str) -> FlowError:
        return FlowError(
            f"More than {_MOST:,} statements hang on {stix_id}: recall what names it in parts, "
            "or leave it with --keep-derived."
        )

    def _tells(self, one: Facts, standing: Sequence[tuple[str, Terms, bool]]) -> bool:
        told = [(origin, known) for origin, known, _ in standing]
        # Nobody is within any audience.
        return one.terms is not None and not within(one.terms, told, self._communities, self._now)

    def _torn_off(self, target: str) -> list[Facts]:
        """Return what this member signed of tear-lines that were derived from an object."""
        ties = contents.bytes_of(self._conn, statements.own_ties(self._conn, target))
        sources = {source for raw in ties.values() if (source := _source(raw, target))}
        about = statements.about_any(self._conn, sources - {target})
        own = self._live([key for keys in about.values() for key in keys])
        return [one for one in own if one.author_here]

    def _live(self, keys: Sequence[str]) -> list[Facts]:
        left = [key for key in dict.fromkeys(keys) if key not in self._taken]
        return [one for one in statements.facts(self._conn, left) if not one.recalled]


class _Tie(msgspec.Struct, frozen=True):
    relationship_type: str = ""
    source_ref: str = ""
    target_ref: str = ""


def _source(raw: bytes, target: str) -> str:
    """Return what a relationship says was derived from `target`; nothing if it says something else."""
    try:
        tie = msgspec.json.decode(raw, type=_Tie)
    except msgspec.MsgspecError:
        return ""
    return tie.source_ref if (tie.relationship_type, tie.target_ref) == (_TEAR_LINE, target) else ""


# --- what comes of it -----------------------------------------------------------------------------------------------


def _outcome(conn: Connection, plan: _Plan, members: Members, at: str) -> Recalled:
    about = statements.subjects(conn, plan.because)
    return Recalled(
        recalled=tuple(_items(conn, plan, about)),
        before=plan.before,
        stands=plan.stands,
        peers=tuple(_notices(conn, list(plan.because))),
        uncalled=tuple(_uncalled(conn, plan, about, members)) if about else (),
        at=at,
    )


def _items(conn: Connection, plan: _Plan, about: Sequence[Subject]) -> Iterable[Item]:
    shown = {one.hash: one for one in search.by_hash(conn, [one.content for one in about])}
    subjects = {one.statement: one for one in about}
    for key, because in plan.because.items():
        one = shown[subjects[key].content]
        yield Item(one.id, one.type, one.version, one.name, key, because)


def _notices(conn: Connection, taken: Sequence[str]) -> Iterable[Notice]:
    for peer in peers.listed(conn):
        fates = Counter(line.fate for line in ledger.lines(conn, peer.member, taken).values())
        held, withheld = fates[Fate.RECEIVED], fates[Fate.WITHHELD]
        offered = fates.total() - held - withheld
        yield Notice(peer.name, peer.state.value, held, offered, len(taken) - held - offered)


def _uncalled(
    conn: Connection, plan: _Plan, about: Sequence[Subject], members: Members
) -> Iterable[Uncalled]:
    yield Uncalled(Limit.HOSTILE, "A peer that keeps it all the same, or has copied it, can't be forced.")
    if any(one.terms is not None and one.terms.onward for one in plan.facts):
        words = (
            "Peers were allowed to pass it on. They are to pass the recall on to whom they told, "
            "and this node can't see whether they do."
        )
        yield Uncalled(Limit.ONWARD, words)
    served = [
        one.name
        for one in constituents.listed(conn)
        if views.offered(conn, one.recipient().id, list(plan.because))
    ]
    if served:
        words = f"{', '.join(served)} may have it: a constituent hears of the recall when it next asks."
        yield Uncalled(Limit.CONSTITUENTS, words)
    words = (
        "Files that were written by `lezha export`, and what other systems have fetched over HTTP: "
        "`lezha audit report --looks --object ID` says who was given it, if it is above TLP:GREEN."
    )
    yield Uncalled(Limit.EXPORTS, words)
    yield Uncalled(Limit.BACKUPS, "Backups, here and at the peers; and its bytes here until they are purged.")
    bytes_of = list(dict.fromkeys(one.content for one in about))
    said = [one.statement for one in statements.subjects_of(conn, bytes_of) if one.statement]
    others = {
        members.names.get(one.origin, one.origin)
        for one in statements.facts(conn, said)
        if not (one.author_here or one.recalled)
    }
    if others:
        words = f"The word of {' and '.join(sorted(others))}, who said the same: it stands beside yours."
        yield Uncalled(Limit.OTHERS, words)
    if posts.brought(conn, bytes_of):
        yield Uncalled(
            Limit.BROUGHT, "It was also brought here without a statement: own systems go on with that."
        )
    if plan.left:
        words = "What names it stays, as you asked: whoever has that can see that it existed."
        yield Uncalled(Limit.DERIVED, words)
    if _carried(conn, plan, about):
        words = (
            "It went beside other objects that name it. Who has those has it too; nobody else is given them until "
            "you publish them again."
        )
        yield Uncalled(Limit.BESIDE, words)


def _carried(conn: Connection, plan: _Plan, about: Sequence[Subject]) -> bool:
    """Say whether what is taken back went beside anything that stays."""
    beside = {one.content for one in about if one.stix_id.partition("--")[0] in COMPANION_TYPES}
    carrying = statements.own_carrying(conn, beside, len(plan.because) + 1)
    return any(key not in plan.because for key in carrying)
