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
from lezha.flows import authority, beside, ingest, share, warn
from lezha.flows.beside import Beside
from lezha.flows.errors import FlowError, NothingTaken, Rejected, Stopped
from lezha.flows.warn import Caution
from lezha.sharing.audience import within
from lezha.sharing.community import Communities, Community
from lezha.sharing.release import Facts, Reason, Released, Standing, Withheld
from lezha.sharing.remedies import remedy
from lezha.sharing.terms import Audience, CommunityTerm, Terms
from lezha.store import communities, constituents, contents, peers, reached, statements
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
    """What one recipient gets of a publication and what not: reason -> count, by code.

    `peer` is the name of a peer, or of a constituent, as `standing` says. Of each reason there are the words, the
    clause where its rule is written, what can be done about it, and the first three objects. `rules` are those by which
    the recipient gets something.
    """

    peer: str
    standing: Standing
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

    now: str
    communities: Communities
    held: frozenset[str]
    told: dict[str, list[tuple[str, Terms]]]
    recalled: frozenset[str]
    in_conflict: frozenset[str]
    purged: frozenset[str]


class _Item(msgspec.Struct, frozen=True):
    """What is to be signed, and what goes beside it."""

    content: Content
    terms: Terms
    beside: Beside


class _Plan(msgspec.Struct, frozen=True):
    items: tuple[_Item, ...]
    rejected: tuple[Rejected, ...]
    warnings: tuple[Caution, ...]


def audience(conn: Connection, names: Sequence[str]) -> Audience:
    """Read an audience as people write it: `everyone`, names or ids of communities, names of peers.

    Raises FlowError if a name is none of these, or more than one.
    """
    # A roster that was not accepted here gives its name no meaning: anybody can send one.
    present: dict[str, list[Community]] = {}
    for community in communities.current(conn).values():
        present.setdefault(community.name.lower(), []).append(community)
        present[community.id] = [community]
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
            if len(present[key]) > 1:
                raise FlowError(
                    f"Two communities here are called {present[key][0].name!r}: write the id of the one that you mean, "
                    f"{' or '.join(one.id for one in present[key])}."
                )
            (found,) = present[key]
            terms.append(CommunityTerm(found.id, found.number))
        elif key in linked:
            members.append(linked[key].member)
        else:
            known = ", ".join(sorted({*(one for one in present if "--" not in one), *linked, "everyone"}))
            raise FlowError(f"There is no community or peer {name!r}. Known here: {known}.")
    everyone = any(name.lower() == "everyone" for name in names)
    return Audience(everyone, tuple(dict.fromkeys(terms)), tuple(dict.fromkeys(members)))


def preview(log: Log, author: Author, members: Members, request: Request, now: str) -> Published:
    """Say what `publish` would do, without writing anything. Raises NothingTaken, Stopped, FlowError."""
    drafted = draft(author, members, request)
    with log.read() as conn:
        plan = _plan(conn, drafted, now)
        facts = [_facts(one, author, now) for one in plan.items]
        outlook = _outlook(conn, facts, [one.content.stix_id for one in plan.items], now)
    taken = tuple((one.content.stix_id, "") for one in plan.items)
    return Published(taken, plan.rejected, outlook, plan.warnings)


async def publish(log: Log, author: Author, members: Members, request: Request, actor: str) -> Published:
    """Sign and write the objects of a bundle that are in order; return when that is durable.

    What this member has signed before on the same terms is taken with the statement that is there.

    Raises NothingTaken if there are none, or with `strict` if one is not, and Stopped if a caution is to stop it; then
    nothing is written.
    """
    drafted = await asyncio.to_thread(draft, author, members, request)
    return await log.write(lambda tx: write(tx, drafted, actor))


def sign(
    tx: Tx, author: Author, content: Content, terms: Terms, companions: tuple[str, ...] | None = None
) -> Signed:
    """Sign a statement of the author about a content.

    `companions` go beside it; if they are not given, that is the author's identity where the content names it.
    """
    if companions is None:
        companions = beside.of(content, terms, author.identity, {}).contents
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
    plan = _plan(tx.conn, draft, tx.at)
    fresh = contents.add(tx, [draft.author.identity, *(one.content for one in plan.items)], actor)
    before = _signed_before(tx.conn, plan)
    signed = [
        sign(tx, draft.author, one.content, one.terms, one.beside.contents)
        for one in plan.items
        if one.content.hash not in before
    ]
    statements.add(tx, signed, actor, fresh)
    reached.add(tx, draft.request.terms.audience, draft.request.terms.tlp)
    told = before | {one.content: one.hash for one in signed}
    taken = tuple((one.content.stix_id, told[one.content.hash]) for one in plan.items)
    ids = {key: stix_id for stix_id, key in taken}
    outlook = _outlook(tx.conn, statements.facts(tx.conn, list(ids)), list(ids.values()), tx.at)
    return Published(taken, plan.rejected, outlook, plan.warnings, tx.at)


def _plan(conn: Connection, draft: Draft, now: str) -> _Plan:
    request = draft.request
    ground = _ground(conn, draft.contents, now)
    fit, unfit = _sorted_out(draft, ground)
    refused = [*draft.rejected, *unfit]
    if refused and request.strict:
        raise NothingTaken(f"Nothing was published: {len(refused)} of the objects are not in order.", refused)
    if not fit:
        why = "no object is in order" if refused else "it has no objects"
        raise NothingTaken(f"Nothing was published: {why}.", refused)
    here = ground.held | {draft.author.member} | {content.stix_id for content in fit}
    there = beside.known(conn, draft.members, fit)
    items: list[_Item] = []
    for content in fit:
        terms = msgspec.structs.replace(request.terms, open_refs=_open_refs(content, here))
        items.append(_Item(content, terms, beside.of(content, terms, draft.author.identity, there)))
    return _Plan(tuple(items), tuple(refused), _cautions(conn, draft, items))


def _cautions(conn: Connection, draft: Draft, items: Sequence[_Item]) -> tuple[Caution, ...]:
    """Return what there is to think about. Raises Stopped if the author asked to be stopped by any of it."""
    author, request = draft.author, draft.request
    if unknown := set(request.stop_on) - {ANY, *warn.Code}:
        known = ", ".join([ANY, *warn.Code])
        raise FlowError(f"There is no warning {min(unknown)[:60]!r} to stop on. There are: {known}.")
    paps = {one.content.hash: one.beside.said.paps for one in items if one.beside.said is not None}
    read = tuple(map(_as_read, items))
    found = warn.cautions(conn, warn.Draft(author.member, read, request.terms, author.constituency, paps))
    stopping = [one for one in found if ANY in request.stop_on or one.code in request.stop_on]
    if stopping:
        raise Stopped(f"Nothing was published: {stopping[0].words}", found)
    return found


def _as_read(one: _Item) -> Content:
    """Return a content with the levels of all its markings, as far as they can be read."""
    said = one.beside.said
    levels = one.content.markings + (said.levels if said else ())
    return msgspec.structs.replace(one.content, markings=levels, unreadable_marking=said is None)


def _signed_before(conn: Connection, plan: _Plan) -> dict[str, str]:
    """Return content -> statement for what this member has signed already on the same terms.

    Signing it again would change nothing, except for peers enrolled since then where it is for everyone present.
    """
    wanted = {one.content.hash: one for one in plan.items}
    enrolled = max((peer.since for peer in peers.listed(conn)), default="")
    found: dict[str, str] = {}
    for one in statements.facts(conn, statements.own_about(conn, wanted)):
        item = wanted[one.content]
        terms = item.terms
        same = (
            one.terms is not None and msgspec.structs.replace(one.terms, open_refs=terms.open_refs) == terms
        )
        overtaken = terms.audience.everyone and not terms.future_members and enrolled > one.issued
        now_readable = one.unreadable_marking and item.beside.said is not None
        if same and not (overtaken or now_readable or one.recalled or one.quarantined or one.incomplete):
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


def _ground(conn: Connection, read: Sequence[Content], now: str) -> _Ground:
    targets = {target for content in read for target in content.refs}
    return _Ground(
        now=now,
        communities=communities.current(conn),
        held=frozenset(contents.ids_held(conn, targets)),
        told=(told := _told(conn, targets)),
        recalled=frozenset(target for target, said in told.items() if not said),
        in_conflict=authority.conflicts(conn, read),
        purged=frozenset(contents.purged(conn, (one.hash for one in read))),
    )


def _told(conn: Connection, targets: Iterable[str]) -> dict[str, list[tuple[str, Terms]]]:
    """Return who told of each of some objects, and on which terms, as far as that was not recalled."""
    about = statements.about_any(conn, targets)
    facts = {
        one.statement: one for one in statements.facts(conn, [key for keys in about.values() for key in keys])
    }
    return {
        target: [
            (facts[key].origin, terms)
            for key in keys
            if (terms := facts[key].terms) is not None and not facts[key].recalled
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
    terms = draft.request.terms
    for target in content.refs:
        told = [
            *ground.told.get(target, []),
            *([(draft.author.member, terms)] if target in beside else []),
        ]
        if target in ground.recalled and not told:
            reason = f"it names {target}, which was recalled: this would go on telling of it."
            return Rejected(content.stix_id, "lezha references", reason)
        if not _may_know(terms, target, told, ground.held, ground.communities, ground.now):
            reason = (
                f"it names {target}, which not everyone in this audience may know, those who join it later included: "
                "narrow the audience, or publish that object to it too."
            )
            return Rejected(content.stix_id, "lezha references", reason)
    return None


def _may_know(
    terms: Terms,
    target: str,
    told: Sequence[tuple[str, Terms]],
    held: AbstractSet[str],
    present: Communities,
    now: str,
) -> bool:
    """Say whether an object that names `target` may be told on these terms (docs/design.md, References)."""
    if not told:
        return target not in held or target.startswith("identity--")
    return within(terms, told, present, now)


def unknown_to(conn: Connection, targets: Collection[str], terms: Terms, now: str) -> list[str]:
    """Return those of `targets` that not everyone may know whom these terms let in."""
    told, held, present = (
        _told(conn, targets),
        set(contents.ids_held(conn, targets)),
        communities.current(conn),
    )
    return [one for one in targets if not _may_know(terms, one, told.get(one, ()), held, present, now)]


def foresee(
    conn: Connection, author: Author, content: Content, terms: Terms, now: str
) -> tuple[Outlook, ...]:
    """Say what each recipient would get of one content on some terms, if it may be published at all."""
    return _outlook(conn, [prospective(content, terms, author, now)], [content.stix_id], now)


def _open_refs(content: Content, here: AbstractSet[str]) -> tuple[str, ...]:
    return tuple(ref for ref in content.refs if ref not in here and not ref.startswith(_NOT_OBJECTS))


def prospective(content: Content, terms: Terms, author: Author, now: str) -> Facts:
    """Return the facts as they would be if the author signed these terms now, with nothing beside but its identity."""
    return _facts(_Item(content, terms, beside.of(content, terms, author.identity, {})), author, now)


def _facts(one: _Item, author: Author, now: str) -> Facts:
    said = one.beside.said
    return Facts(
        statement="",
        content=one.content.hash,
        terms=one.terms,
        origin=author.member,
        author_here=True,
        issued=now,
        markings=one.content.markings + (said.levels if said else ()),
        paps=said.paps if said else (),
        unreadable_marking=said is None,
        type=one.content.type,
    )


def _outlook(conn: Connection, facts: Sequence[Facts], ids: Sequence[str], now: str) -> tuple[Outlook, ...]:
    """Say what each peer and each constituent gets of statements about the objects `ids`, in that order."""
    linked = [(one.name, one.recipient()) for one in peers.listed(conn)]
    served = [(one.name, one.recipient()) for one in constituents.listed(conn)]
    return tuple(
        _toward(name, recipient.standing, share.preview(conn, facts, [recipient], now), ids)
        for name, recipient in (*linked, *served)
    )


def _toward(
    name: str, standing: Standing, decisions: Sequence[Released | Withheld], ids: Sequence[str]
) -> Outlook:
    denied: dict[Reason, list[str]] = {}
    for one, stix_id in zip(decisions, ids, strict=True):
        if isinstance(one, Withheld):
            denied.setdefault(one.reason, []).append(stix_id)
    return Outlook(
        peer=name,
        standing=standing,
        gets=len(decisions) - sum(map(len, denied.values())),
        withheld={reason.value: len(objects) for reason, objects in denied.items()},
        words={reason.value: reason.words for reason in denied},
        rules=tuple(dict.fromkeys(one.rule for one in decisions if isinstance(one, Released))),
        clauses={reason.value: reason.clause for reason in denied},
        remedies={reason.value: remedy(reason) for reason in denied},
        examples={reason.value: tuple(objects[:_EXAMPLES]) for reason, objects in denied.items()},
    )
