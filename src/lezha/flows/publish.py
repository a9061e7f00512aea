"""An own bundle and its terms become signed statements in the log."""

import asyncio
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Final

import msgspec
from securesystemslib.signer import CryptoSigner
from sqlalchemy import Connection

from lezha.federation import statement as signed_statement
from lezha.federation.members import Members
from lezha.federation.statement import KnownStatement, Statement
from lezha.flows import authority, beside, ingest, share
from lezha.flows.beside import Beside
from lezha.flows.errors import FlowError, NothingTaken, Rejected
from lezha.sharing.audience import within
from lezha.sharing.community import Communities, Community
from lezha.sharing.release import Facts, Recipient, Released, Withheld
from lezha.sharing.terms import Audience, CommunityTerm, Terms
from lezha.store import communities, contents, peers, statements
from lezha.store.contents import Content
from lezha.store.log import Log, Tx
from lezha.store.statements import Signed

_MAX_REFS: Final = 5000  # of one object; a statement lists those that are not held, and has a size of its own
_NOT_OBJECTS: Final = ("marking-definition--", "extension-definition--")


class Author(msgspec.Struct, frozen=True):
    """On whose behalf things are signed: the member, its key, and its own identity object."""

    member: str
    signer: CryptoSigner
    identity: Content


class Request(msgspec.Struct, frozen=True):
    """What a person or tool asks to be published. `strict` takes all objects or none."""

    raw: bytes
    terms: Terms
    strict: bool = False


class Outlook(msgspec.Struct, frozen=True):
    """What one peer gets of a publication and what not: reason -> count, with the reasons in words."""

    peer: str
    gets: int
    withheld: dict[str, int]
    words: dict[str, str]
    rules: tuple[str, ...]


class Published(msgspec.Struct, frozen=True):
    """The outcome: (object id, statement) of what was taken, what was rejected, and who gets it.

    `at` is when it was committed, empty for a preview.
    """

    taken: tuple[tuple[str, str], ...]
    rejected: tuple[Rejected, ...]
    outlook: tuple[Outlook, ...]
    warnings: tuple[str, ...]
    at: str = ""


class _Draft(msgspec.Struct, frozen=True):
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
    """Say what `publish` would do, without writing anything. Raises NothingTaken, FlowError."""
    draft = _draft(author, members, request)
    with log.read() as conn:
        plan = _plan(conn, draft, now)
        outlook = _outlook(conn, [_facts(one, author, now) for one in plan.items], now)
    taken = tuple((one.content.stix_id, "") for one in plan.items)
    return Published(taken, plan.rejected, outlook, _warnings(plan))


async def publish(log: Log, author: Author, members: Members, request: Request, actor: str) -> Published:
    """Sign and write the objects of a bundle that are in order; return when that is durable.

    What this member has signed before on the same terms is taken with the statement that is there.

    Raises NothingTaken if there are none, or with `strict` if one is not; then nothing is written.
    """
    draft = await asyncio.to_thread(_draft, author, members, request)
    return await log.write(lambda tx: _write(tx, draft, actor))


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


def _draft(author: Author, members: Members, request: Request) -> _Draft:
    read, rejected = ingest.contents_of(request.raw)
    return _Draft(author, members, request, tuple(read), tuple(rejected))


def _write(tx: Tx, draft: _Draft, actor: str) -> Published:
    plan = _plan(tx.conn, draft, tx.at)
    contents.add(tx, [draft.author.identity, *(one.content for one in plan.items)], actor)
    before = _signed_before(tx.conn, plan)
    signed = [
        sign(tx, draft.author, one.content, one.terms, one.beside.contents)
        for one in plan.items
        if one.content.hash not in before
    ]
    statements.add(tx, signed, actor)
    told = before | {one.content: one.hash for one in signed}
    taken = tuple((one.content.stix_id, told[one.content.hash]) for one in plan.items)
    outlook = _outlook(
        tx.conn, statements.facts(tx.conn, list(dict.fromkeys(key for _, key in taken))), tx.at
    )
    return Published(taken, plan.rejected, outlook, _warnings(plan), tx.at)


def _plan(conn: Connection, draft: _Draft, now: str) -> _Plan:
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
    return _Plan(tuple(items), tuple(refused))


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
        if same and not (overtaken or now_readable or one.recalled or one.quarantined):
            found[one.content] = one.statement
    return found


def _sorted_out(draft: _Draft, ground: _Ground) -> tuple[list[Content], list[Rejected]]:
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
    about = statements.about_any(conn, targets)
    facts = {
        one.statement: one for one in statements.facts(conn, [key for keys in about.values() for key in keys])
    }
    told = {
        target: [
            (facts[key].origin, terms)
            for key in keys
            if (terms := facts[key].terms) is not None and not facts[key].recalled
        ]
        for target, keys in about.items()
    }
    return _Ground(
        now=now,
        communities=communities.current(conn),
        held=frozenset(contents.ids_held(conn, targets)),
        told=told,
        recalled=frozenset(target for target, said in told.items() if not said),
        in_conflict=authority.conflicts(conn, read),
        purged=frozenset(contents.purged(conn, (one.hash for one in read))),
    )


def _unfit(draft: _Draft, content: Content, ground: _Ground) -> Rejected | None:
    refused = authority.unfit(draft.author.member, draft.members, content, ground.in_conflict)
    if content.hash in ground.purged:
        return authority.purged(content)
    if refused is None and len(content.refs) > _MAX_REFS:
        why = f"it names {len(content.refs)} objects; {_MAX_REFS} are allowed: publish it in parts."
        return Rejected(content.stix_id, "lezha limits", why)
    return refused


def _wider_than_named(
    draft: _Draft, content: Content, ground: _Ground, beside: Mapping[str, int]
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
        own_only = not told and target in ground.held and not target.startswith("identity--")
        if own_only or (told and not within(terms, told, ground.communities, ground.now)):
            reason = (
                f"it names {target}, which not everyone in this audience may know, those who join it later included: "
                "narrow the audience, or publish that object to it too."
            )
            return Rejected(content.stix_id, "lezha references", reason)
    return None


def _open_refs(content: Content, here: AbstractSet[str]) -> tuple[str, ...]:
    return tuple(ref for ref in content.refs if ref not in here and not ref.startswith(_NOT_OBJECTS))


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


def _outlook(conn: Connection, facts: Sequence[Facts], now: str) -> tuple[Outlook, ...]:
    linked = peers.listed(conn)
    found: list[Outlook] = []
    for peer in linked:
        recipient: Recipient = peer.recipient()
        decisions = share.preview(conn, facts, [recipient], now)
        withheld = [one.reason for one in decisions if isinstance(one, Withheld)]
        rules = dict.fromkeys(one.rule for one in decisions if isinstance(one, Released))
        found.append(
            Outlook(
                peer=peer.name,
                gets=len(decisions) - len(withheld),
                withheld={reason.value: withheld.count(reason) for reason in dict.fromkeys(withheld)},
                words={reason.value: reason.words for reason in dict.fromkeys(withheld)},
                rules=tuple(rules),
            )
        )
    return tuple(found)


def _warnings(plan: _Plan) -> tuple[str, ...]:
    unmatched = [one.content for one in plan.items if one.content.unmatched]
    warnings = [f"{content.stix_id} can't be matched live: {content.unmatched}" for content in unmatched[:20]]
    if len(unmatched) > len(warnings):
        warnings.append(f"… and {len(unmatched) - len(warnings)} more that can't be matched live")
    unreadable = [one.content.stix_id for one in plan.items if one.beside.said is None]
    warnings += [
        f"{stix_id} carries a marking that can't be read: nobody gets it." for stix_id in unreadable[:20]
    ]
    return tuple(warnings)
