"""An own bundle and its terms become signed statements in the log."""

import asyncio
from collections import Counter, deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Final

import msgspec
from securesystemslib.signer import CryptoSigner
from sqlalchemy import Connection

from lezha.detection.constituency import Constituency
from lezha.federation import statement as signed_statement
from lezha.federation.members import Members
from lezha.federation.statement import KnownStatement, Statement
from lezha.flows import authority, ingest, share, warn
from lezha.flows.errors import FlowError, NothingTaken, Rejected, Stopped
from lezha.flows.warn import Caution
from lezha.sharing.audience import within
from lezha.sharing.community import Communities, Community
from lezha.sharing.release import Facts, Reason, Released, Withheld
from lezha.sharing.remedies import remedy
from lezha.sharing.terms import Audience, CommunityTerm, Terms
from lezha.store import communities, contents, peers, reached, statements
from lezha.store.contents import Content
from lezha.store.log import Log, Tx
from lezha.store.statements import Signed

_MAX_REFS: Final = 5000  # of one object; a statement lists those that are not held, and has a size of its own
_NOT_OBJECTS: Final = ("marking-definition--", "extension-definition--")
_EXAMPLES: Final = 3
ANY: Final = "any"
"""Stands for every code of a caution."""


class Author(msgspec.Struct, frozen=True):
    """On whose behalf things are signed: the member, its key, its own identity object, and whom it looks after."""

    member: str
    signer: CryptoSigner
    identity: Content
    constituency: Constituency = Constituency()


class Request(msgspec.Struct, frozen=True):
    """What a person or tool asks to be published.

    `strict` takes all objects or none. `stop_on` are codes of cautions (`warn.Code`, or `any`) by which nothing is
    published.
    """

    raw: bytes
    terms: Terms
    strict: bool = False
    stop_on: tuple[str, ...] = ()


class Outlook(msgspec.Struct, frozen=True):
    """What one peer gets of a publication and what not: reason -> count, by code.

    Of each reason there are the words, the clause where its rule is written, what can be done about it, and the first
    three objects. `rules` are those by which the peer gets something.
    """

    peer: str
    gets: int
    withheld: dict[str, int]
    words: dict[str, str]
    rules: tuple[str, ...]
    clauses: dict[str, str]
    remedies: dict[str, str]
    examples: dict[str, tuple[str, ...]]


class Published(msgspec.Struct, frozen=True):
    """The outcome: (object id, statement) of what was taken, what was rejected, who gets it, and what to think about.

    `at` is when it was committed, empty for a preview.
    """

    taken: tuple[tuple[str, str], ...]
    rejected: tuple[Rejected, ...]
    outlook: tuple[Outlook, ...]
    warnings: tuple[Caution, ...]
    at: str = ""


class Draft(msgspec.Struct, frozen=True):
    """A request that has been read; nothing in the log has been looked at yet."""

    author: Author
    members: Members
    request: Request
    contents: tuple[Content, ...]
    rejected: tuple[Rejected, ...]


class _Ground(msgspec.Struct, frozen=True):
    """What is known before a plan is made: of the objects that the given ones name, and of their earlier versions."""

    communities: Communities
    held: frozenset[str]
    told: dict[str, list[tuple[str, Audience]]]
    in_conflict: frozenset[str]
    purged: frozenset[str]


class _Plan(msgspec.Struct, frozen=True):
    objects: tuple[tuple[Content, Terms], ...]
    rejected: tuple[Rejected, ...]
    warnings: tuple[Caution, ...]


def audience(conn: Connection, names: Sequence[str]) -> Audience:
    """Read an audience as people write it: `everyone`, names of communities, names of peers.

    Raises FlowError if a name is neither or both.
    """
    present: dict[str, Community] = {}
    for community in communities.current(conn).values():
        # A roster that was not accepted here gives its name no meaning: anybody can send one.
        if community.members and present.setdefault(community.name.lower(), community) is not community:
            raise FlowError(
                f"Two communities here are called {community.name!r}: `lezha community list` shows both."
            )
    linked = {peer.name.lower(): peer for peer in peers.listed(conn)}
    terms: list[CommunityTerm] = []
    members: list[str] = []
    for name in names:
        key = name.lower()
        if key == "everyone":
            continue
        if key in present and key in linked:
            raise FlowError(f"{name!r} is both a community and a peer: rename the peer.")
        if key in present:
            terms.append(CommunityTerm(present[key].id, present[key].number))
        elif key in linked:
            members.append(linked[key].member)
        else:
            known = ", ".join(sorted([*present, *linked, "everyone"]))
            raise FlowError(f"There is no community or peer {name!r}. Known here: {known}.")
    everyone = any(name.lower() == "everyone" for name in names)
    return Audience(everyone, tuple(dict.fromkeys(terms)), tuple(dict.fromkeys(members)))


def preview(log: Log, author: Author, members: Members, request: Request, now: str) -> Published:
    """Say what `publish` would do, without writing anything. Raises NothingTaken, Stopped, FlowError."""
    drafted = draft(author, members, request)
    with log.read() as conn:
        plan = _plan(conn, drafted)
        facts = [prospective(content, terms, author, now) for content, terms in plan.objects]
        outlook = _outlook(conn, facts, [content.stix_id for content, _ in plan.objects], now)
    taken = tuple((content.stix_id, "") for content, _ in plan.objects)
    return Published(taken, plan.rejected, outlook, plan.warnings)


async def publish(log: Log, author: Author, members: Members, request: Request, actor: str) -> Published:
    """Sign and write the objects of a bundle that are in order; return when that is durable.

    What this member has signed before on the same terms is taken with the statement that is there.

    Raises NothingTaken if there are none, or with `strict` if one is not, and Stopped if a caution is to stop it; then
    nothing is written.
    """
    drafted = await asyncio.to_thread(draft, author, members, request)
    return await log.write(lambda tx: write(tx, drafted, actor))


def sign(tx: Tx, author: Author, content: Content, terms: Terms) -> Signed:
    """Sign a statement of the author about a content, its identity as companion where the content names it."""
    companions = (author.identity.hash,) if author.member in (content.creator, *content.refs) else ()
    known: KnownStatement = signed_statement.sign(
        Statement(
            member=author.member,
            content=content.hash,
            object_id=content.stix_id,
            object_version=content.version,
            issued=tx.at,
            terms=terms,
            companions=companions,
        ),
        author.signer,
    )
    return Signed(known.digest, content.hash, author.member, True, terms, tx.at, known.raw, companions)


def draft(author: Author, members: Members, request: Request) -> Draft:
    """Read a request. Raises NothingTaken."""
    read, rejected = ingest.contents_of(request.raw)
    return Draft(author, members, request, tuple(read), tuple(rejected))


def write(tx: Tx, draft: Draft, actor: str) -> Published:
    """Write a draft as `publish` does, in a transaction that has more to do."""
    plan = _plan(tx.conn, draft)
    contents.add(tx, [draft.author.identity, *(content for content, _ in plan.objects)], actor)
    before = _signed_before(tx.conn, plan)
    signed = [
        sign(tx, draft.author, content, terms)
        for content, terms in plan.objects
        if content.hash not in before
    ]
    statements.add(tx, signed, actor)
    reached.add(tx, draft.request.terms.audience, draft.request.terms.tlp)
    told = before | {one.content: one.hash for one in signed}
    taken = tuple((content.stix_id, told[content.hash]) for content, _ in plan.objects)
    ids = {key: stix_id for stix_id, key in taken}
    outlook = _outlook(tx.conn, statements.facts(tx.conn, list(ids)), list(ids.values()), tx.at)
    return Published(taken, plan.rejected, outlook, plan.warnings, tx.at)


def _plan(conn: Connection, draft: Draft) -> _Plan:
    request = draft.request
    ground = _ground(conn, draft.contents)
    fit, unfit = _sorted_out(draft, ground)
    refused = [*draft.rejected, *unfit]
    if refused and request.strict:
        raise NothingTaken(f"Nothing was published: {len(refused)} of the objects are not in order.", refused)
    if not fit:
        why = "no object is in order" if refused else "it has no objects"
        raise NothingTaken(f"Nothing was published: {why}.", refused)
    here = ground.held | {draft.author.member} | {content.stix_id for content in fit}
    plan = [
        (content, msgspec.structs.replace(request.terms, open_refs=_open_refs(content, here)))
        for content in fit
    ]
    return _Plan(tuple(plan), tuple(refused), _cautions(conn, draft, fit))


def _cautions(conn: Connection, draft: Draft, fit: Sequence[Content]) -> tuple[Caution, ...]:
    """Return what there is to think about. Raises Stopped if the author asked to be stopped by any of it."""
    author, request = draft.author, draft.request
    if unknown := set(request.stop_on) - {ANY, *warn.Code}:
        known = ", ".join([ANY, *warn.Code])
        raise FlowError(f"There is no warning {min(unknown)[:60]!r} to stop on. There are: {known}.")
    found = warn.cautions(conn, warn.Draft(author.member, tuple(fit), request.terms, author.constituency))
    stopping = [one for one in found if ANY in request.stop_on or one.code in request.stop_on]
    if stopping:
        raise Stopped(f"Nothing was published: {stopping[0].words}", found)
    return found


def _signed_before(conn: Connection, plan: _Plan) -> dict[str, str]:
    """Return content -> statement for what this member has signed already on the same terms.

    Signing it again would change nothing, except for peers enrolled since then where it is for everyone present.
    """
    wanted = {content.hash: terms for content, terms in plan.objects}
    enrolled = max((peer.since for peer in peers.listed(conn)), default="")
    found: dict[str, str] = {}
    for one in statements.facts(conn, statements.own_about(conn, wanted)):
        terms = wanted[one.content]
        same = (
            one.terms is not None and msgspec.structs.replace(one.terms, open_refs=terms.open_refs) == terms
        )
        overtaken = terms.audience.everyone and not terms.future_members and enrolled > one.issued
        if same and not (overtaken or one.recalled or one.quarantined):
            found[one.content] = one.statement
    return found


def _sorted_out(draft: Draft, ground: _Ground) -> tuple[list[Content], list[Rejected]]:
    """Tell apart what may be signed and what not.

    What is signed in the same go counts as told, so whatever is rejected may take with it what names it.
    """
    reasons = {content.hash: _unfit(draft, content, ground) for content in draft.contents}
    distinct = {one.hash: one for one in draft.contents}
    beside = Counter(one.stix_id for key, one in distinct.items() if reasons[key] is None)
    naming: dict[str, list[Content]] = {}
    for one in distinct.values():
        for target in one.refs:
            naming.setdefault(target, []).append(one)
    ask: deque[Content] = deque(distinct.values())
    while ask:
        one = ask.popleft()
        if reasons[one.hash] is None and (reason := _wider_than_named(draft, one, ground, beside)):
            reasons[one.hash] = reason
            beside[one.stix_id] -= 1
            if not beside[one.stix_id]:
                del beside[one.stix_id]
                ask.extend(naming.get(one.stix_id, ()))
    fit = [one for one in draft.contents if reasons[one.hash] is None]
    return fit, [reason for one in draft.contents if (reason := reasons[one.hash]) is not None]


def _ground(conn: Connection, read: Sequence[Content]) -> _Ground:
    targets = {target for content in read for target in content.refs}
    return _Ground(
        communities=communities.current(conn),
        held=frozenset(contents.ids_held(conn, targets)),
        told=_told(conn, targets),
        in_conflict=authority.conflicts(conn, read),
        purged=frozenset(contents.purged(conn, (one.hash for one in read))),
    )


def _told(conn: Connection, targets: Iterable[str]) -> dict[str, list[tuple[str, Audience]]]:
    """Return who told of each of some objects, and whom."""
    about = statements.about_any(conn, targets)
    facts = {
        one.statement: one for one in statements.facts(conn, [key for keys in about.values() for key in keys])
    }
    return {
        target: [
            (facts[key].origin, terms.audience) for key in keys if (terms := facts[key].terms) is not None
        ]
        for target, keys in about.items()
    }


def _unfit(draft: Draft, content: Content, ground: _Ground) -> Rejected | None:
    refused = authority.unfit(draft.author.member, draft.members, content, ground.in_conflict)
    if content.hash in ground.purged:
        return authority.purged(content)
    if refused is None and len(content.refs) > _MAX_REFS:
        why = f"it names {len(content.refs)} objects; {_MAX_REFS} are allowed: publish it in parts."
        return Rejected(content.stix_id, "lezha limits", why)
    return refused


def _wider_than_named(
    draft: Draft, content: Content, ground: _Ground, beside: Mapping[str, int]
) -> Rejected | None:
    audience = draft.request.terms.audience
    for target in content.refs:
        told = [
            *ground.told.get(target, []),
            *([(draft.author.member, audience)] if target in beside else []),
        ]
        if not _may_know(audience, target, told, ground.held, ground.communities):
            reason = f"it names {target}, which not everyone in this audience may know: narrow the audience."
            return Rejected(content.stix_id, "lezha references", reason)
    return None


def _may_know(
    audience: Audience,
    target: str,
    told: Sequence[tuple[str, Audience]],
    held: AbstractSet[str],
    present: Communities,
) -> bool:
    """Say whether an object that names `target` may be told to an audience (docs/design.md, References)."""
    if not told:
        return target not in held or target.startswith("identity--")
    return within(audience, told, present)


def unknown_to(conn: Connection, targets: Collection[str], audience: Audience) -> list[str]:
    """Return those of `targets` that not everyone in an audience may know."""
    told, held, present = _told(conn, targets), contents.ids_held(conn, targets), communities.current(conn)
    return [one for one in targets if not _may_know(audience, one, told.get(one, ()), set(held), present)]


def foresee(
    conn: Connection, author: Author, content: Content, terms: Terms, now: str
) -> tuple[Outlook, ...]:
    """Say what each peer would get of one content on some terms, whatever else must be so that it may be published."""
    return _outlook(conn, [prospective(content, terms, author, now)], [content.stix_id], now)


def _open_refs(content: Content, here: AbstractSet[str]) -> tuple[str, ...]:
    return tuple(ref for ref in content.refs if ref not in here and not ref.startswith(_NOT_OBJECTS))


def prospective(content: Content, terms: Terms, author: Author, now: str) -> Facts:
    """Return the facts as they would be if the author signed these terms now."""
    return Facts(
        statement="",
        content=content.hash,
        terms=terms,
        origin=author.member,
        author_here=True,
        issued=now,
        markings=content.markings,
        unreadable_marking=content.unreadable_marking,
    )


def _outlook(conn: Connection, facts: Sequence[Facts], ids: Sequence[str], now: str) -> tuple[Outlook, ...]:
    """Say what each peer gets of statements about the objects `ids`, in that order."""
    return tuple(
        _of_peer(peer.name, share.preview(conn, facts, [peer.recipient()], now), ids)
        for peer in peers.listed(conn)
    )


def _of_peer(name: str, decisions: Sequence[Released | Withheld], ids: Sequence[str]) -> Outlook:
    denied: dict[Reason, list[str]] = {}
    for one, stix_id in zip(decisions, ids, strict=True):
        if isinstance(one, Withheld):
            denied.setdefault(one.reason, []).append(stix_id)
    return Outlook(
        peer=name,
        gets=len(decisions) - sum(map(len, denied.values())),
        withheld={reason.value: len(objects) for reason, objects in denied.items()},
        words={reason.value: reason.words for reason in denied},
        rules=tuple(dict.fromkeys(one.rule for one in decisions if isinstance(one, Released))),
        clauses={reason.value: reason.clause for reason in denied},
        remedies={reason.value: remedy(reason) for reason in denied},
        examples={reason.value: tuple(objects[:_EXAMPLES]) for reason, objects in denied.items()},
    )
