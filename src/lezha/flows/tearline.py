"""An own object is torn: a variant with less in it goes to more members, and nobody learns of the original by it.

The variant has an id of its own, drawn at random. That it comes from the original is told only to those who may know
both: by a relationship with terms of its own.
"""

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Connection

from lezha.federation.members import Members
from lezha.flows import ingest, look, publish, share
from lezha.flows.errors import FlowError
from lezha.flows.publish import Author, Outlook, Published
from lezha.flows.warn import SHOWN
from lezha.sharing.release import Facts, Released, effective_tlp
from lezha.sharing.terms import Audience, Terms
from lezha.sharing.tlp import Pap, strictest
from lezha.stix import bundle, clauses, encode, markings, objects, tearline
from lezha.stix.errors import StixError
from lezha.stix.lines import State
from lezha.stix.tearline import Dropped, Wanted
from lezha.store import contents, peers, posts, search, statements
from lezha.store.contents import Content
from lezha.store.log import Log, Tx

_LEAST_NAME: Final = 4
_PAPS: Final = list(Pap)


class Request(msgspec.Struct, frozen=True):
    """What to tear, on which terms, and what to leave out: names of properties, and ids that it names.

    `changes` are new texts for `name` and `description`.
    """

    stix_id: str
    terms: Terms
    without: tuple[str, ...] = ()
    changes: Mapping[str, str] = {}
    stop_on: tuple[str, ...] = ()


class Link(msgspec.Struct, frozen=True):
    """The relationship to the original: who gets it, and what is so in words. `id` is empty if there is none."""

    id: str
    gets: tuple[str, ...]
    words: str


class Torn(msgspec.Struct, frozen=True):
    """The tear-line, what of the original is kept and what is not, and who gets it.

    `kept` are names of properties, `named` the ids that it still names. `remarks` say what to look at again: words of
    what was left out that still stand in it, and ids that are not held here.
    """

    object: dict[str, Any]
    original: str
    kept: tuple[str, ...]
    named: tuple[str, ...]
    dropped: tuple[Dropped, ...]
    remarks: tuple[str, ...]
    published: Published
    link: Link


class _Draft(msgspec.Struct, frozen=True):
    """A tear-line before it is signed. `bond` are the relationship and its terms, None if there can be none."""

    torn: Torn
    variant: Content
    bond: tuple[Content, Terms | None] | None


def preview(log: Log, author: Author, members: Members, wanted: Request, now: str) -> Torn:
    """Say what `tear` would make and who would get it, without writing anything. Raises FlowError."""
    with log.read() as conn:
        draft = _draft(conn, author, wanted, now)
        published = publish.preview(log, author, members, _request(draft.variant, wanted), now)
        link = draft.torn.link
        if draft.bond is not None and draft.bond[1] is not None:
            outlook = publish.foresee(conn, author, draft.bond[0], draft.bond[1], now)
            link = msgspec.structs.replace(link, gets=_gets(outlook))
    return msgspec.structs.replace(draft.torn, published=published, link=link)


async def tear(log: Log, author: Author, members: Members, wanted: Request, actor: str, now: str) -> Torn:
    """Make a tear-line, sign it and its relationship to the original; return when that is durable. Raises FlowError."""

    def read() -> tuple[_Draft, publish.Draft]:
        with log.read() as conn:
            found = _draft(conn, author, wanted, now)
        return found, publish.draft(author, members, _request(found.variant, wanted))

    draft, drafted = await asyncio.to_thread(read)

    def work(tx: Tx) -> Torn:
        published = publish.write(tx, drafted, actor)
        link = _bind(tx, author, members, draft, actor)
        return msgspec.structs.replace(draft.torn, published=published, link=link)

    return await log.write(work)


def _bind(tx: Tx, author: Author, members: Members, draft: _Draft, actor: str) -> Link:
    """Write the relationship to the original: signed for those who may know both, else for own systems alone."""
    if draft.bond is None:
        return draft.torn.link
    bond, terms = draft.bond
    if terms is None:
        posts.add(tx, contents.add(tx, [bond], actor, kind="posted"), [], actor)
        return draft.torn.link
    request = publish.Request(bundle.write([bond.raw]), terms, strict=True)
    done = publish.write(tx, publish.draft(author, members, request), actor)
    return msgspec.structs.replace(draft.torn.link, gets=_gets(done.outlook))


def _request(variant: Content, wanted: Request) -> publish.Request:
    return publish.Request(bundle.write([variant.raw]), wanted.terms, strict=True, stop_on=wanted.stop_on)


def _gets(outlook: Sequence[Outlook]) -> tuple[str, ...]:
    return tuple(one.peer for one in outlook if one.gets)


def _draft(conn: Connection, author: Author, wanted: Request, now: str) -> _Draft:
    original, data = _original(conn, author.member, wanted.stix_id)
    made, dropped = _cut(conn, author.member, original, data, wanted, now)
    variant = _checked(made)
    link, bond = _bond(conn, author, original, variant, wanted.terms, now)
    named = tuple(ref for ref in variant.refs if ref != author.member)
    torn = Torn(
        object=made,
        original=original,
        kept=tuple(name for name in tearline.kept(made) if name not in wanted.changes),
        named=named,
        dropped=tuple(dropped),
        remarks=tuple(_remarks(conn, made, named, dropped)),
        published=Published((), (), (), ()),
        link=link,
    )
    return _Draft(torn, variant, bond)


def _original(conn: Connection, member: str, stix_id: str) -> tuple[str, dict[str, Any]]:
    """Return the id and what is in the version that counts of an own object. Raises FlowError, NotFound."""
    versions = look.listed(conn, search.versions(conn, stix_id))
    if why := tearline.refuse(versions[0].type):
        raise FlowError(f"{stix_id} can't be torn: {why}.")
    if not versions[0].creator:
        raise FlowError(
            f"{stix_id} names no author, and a tear-line says whose it is: publish a later version that names this "
            f"member, {member}, as created_by_ref."
        )
    if versions[0].creator != member:
        raise FlowError(f"{stix_id} is not this member's own: ask its author for a tear-line.")
    current = [one for one in versions if one.state is State.CURRENT]
    if not current:
        why = versions[0].barred or versions[0].state.value
        raise FlowError(f"No version of {stix_id} counts ({why}): there is nothing to make a tear-line of.")
    raw = contents.raw(conn, current[0].hash)
    return stix_id, objects.reread(raw).data


def _cut(
    conn: Connection, member: str, original: str, data: dict[str, Any], wanted: Request, now: str
) -> tuple[dict[str, Any], list[Dropped]]:
    """Leave out what the author says, what is marked as narrower, and what not everyone in the audience may know."""
    said = "left out by its author"
    refs = {one: said for one in wanted.without if objects.is_id(one)}
    properties = {one: said for one in wanted.without if not objects.is_id(one)}
    if fixed := sorted(properties.keys() & tearline.FIXED) or sorted(refs.keys() & {member}):
        raise FlowError(f"{fixed[0]!r} can't be left out: a tear-line has that of its own.")
    plan = Wanted(
        id=f"{data['type']}--{uuid.uuid4()}",
        now=f"{now[:23]}Z",
        level=wanted.terms.tlp.value,
        properties=properties,
        refs=refs,
        changes=wanted.changes,
    )
    try:
        made, dropped = tearline.tear(data, plan)
        named = [ref for ref in objects.reread(encode(made)).refs if ref != member]
        hidden = publish.unknown_to(conn, named, wanted.terms, now)
        # An object that names itself would tell of the original.
        hidden += [original] if original in named and original not in hidden else []
        if hidden:
            why = "not everyone in this audience may know it"
            made, dropped = tearline.tear(
                data, msgspec.structs.replace(plan, refs=refs | dict.fromkeys(hidden, why))
            )
    except ValueError as error:
        raise FlowError(f"{original} can't be torn like that: {error}.") from error
    return made, dropped


def _checked(made: Mapping[str, Any]) -> Content:
    try:
        return ingest.content(objects.read(encode(made)))
    except StixError as error:
        raise FlowError(
            f"What would be left is no valid STIX: {error.message} [{error.clause}]. Leave out less, or set a text."
        ) from error


def _bond(
    conn: Connection, author: Author, original: str, variant: Content, terms: Terms, now: str
) -> tuple[Link, tuple[Content, Terms | None] | None]:
    """Return how the original and its tear-line are tied: for whom, in words, and by what."""
    if variant.type in clauses.RELATIONSHIP_OBJECTS:
        # STIX 2.1 §5.1: a relationship ties SDOs and SCOs together.
        return Link(
            "", (), "STIX has no relationship between relationships or sightings: nothing ties the two."
        ), None
    told = statements.facts(conn, statements.about(conn, original))
    reached = _released(conn, [publish.prospective(variant, terms, author, now)], now)
    shared = {one.statement: reached & _released(conn, [one], now) for one in told if one.author_here}
    know = {member for members in shared.values() for member in members}
    # What nobody of them has the original by has no say in how they are told where it comes from.
    own = [one for one in told if shared.get(one.statement)]
    tlp = strictest((terms.tlp, *map(effective_tlp, own)))
    content = _relationship(author.member, original, variant.stix_id, tlp.value, now)
    if not know:
        words = "that it comes from the original is for own systems only: nobody may have both"
        return Link(content.stix_id, (), words), (content, None)
    words = "that it comes from the original is told by name to those who may have both now"
    signed = [one.terms for one in own if one.terms is not None]
    bond = Terms(
        tlp=tlp,
        audience=Audience(members=tuple(sorted(know))),
        pap=max((terms.pap, *(one.pap for one in signed)), key=_PAPS.index),
        expires=min((one.expires for one in (terms, *signed) if one.expires is not None), default=None),
    )
    return Link(content.stix_id, (), words), (content, bond)


def _released(conn: Connection, facts: Sequence[Facts], now: str) -> set[str]:
    """Return the peers who may have what any of these facts is about."""
    recipients = [one.recipient() for one in peers.listed(conn)]
    return {one.recipient for one in share.preview(conn, facts, recipients, now) if isinstance(one, Released)}


def _relationship(member: str, original: str, variant: str, level: str, now: str) -> Content:
    # STIX 2.1 §3.7, common relationships: derived-from, of a source from a target of the same type.
    return ingest.content(
        objects.read(
            encode(
                {
                    "type": "relationship",
                    "spec_version": "2.1",
                    "id": f"relationship--{uuid.uuid4()}",
                    "created_by_ref": member,
                    "created": f"{now[:23]}Z",
                    "modified": f"{now[:23]}Z",
                    "relationship_type": "derived-from",
                    "source_ref": variant,
                    "target_ref": original,
                    "object_marking_refs": [markings.TLP2_IDS[level]],
                }
            )
        )
    )


def _remarks(
    conn: Connection, made: Mapping[str, Any], named: Sequence[str], dropped: Sequence[Dropped]
) -> list[str]:
    """Return what the author should look at again."""
    gone = [one.what for one in dropped if objects.is_id(one.what)]
    words = {one: one for one in gone} | {
        one: name for one, name in search.names(conn, gone).items() if len(name) >= _LEAST_NAME
    }
    texts = [(key, text.casefold()) for key, value in made.items() for text in tearline.texts(value)]
    said = [
        f"Its {key} still says {word!r}, which stands for {one}: change it, or leave it out."
        for one in gone
        for word in dict.fromkeys((one, words[one]))
        for key in dict.fromkeys(key for key, text in texts if word.casefold() in text)
    ]
    absent = sorted(set(named) - contents.ids_held(conn, named))
    if absent:
        shown = ", ".join(absent[:SHOWN])
        said.append(f"It names {shown}, not held here: whether the audience may know it can't be checked.")
    return said[:SHOWN]
