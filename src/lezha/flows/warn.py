"""What authors get wrong is said before anything is signed: who is told that they are concerned, who gets too much.

A caution stops nothing unless the author asks for that (`publish.Request.stop_on`); what must not be is rejected
elsewhere. Each is said once, with how many objects or members it is about, and the first of them.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Final

import msgspec
from sqlalchemy import Connection

from lezha.detection.constituency import Constituency
from lezha.sharing.community import Communities
from lezha.sharing.terms import Audience, Terms
from lezha.sharing.tlp import Pap, Tlp, strictest
from lezha.stix.limits import LIMITS
from lezha.stix.parse import decode_with_references
from lezha.store import communities, contents, peers, reached
from lezha.store.contents import Content
from lezha.store.peers import Peer, PeerState

SHOWN: Final = 20
"""The most objects or members that one caution names."""

_ENTRIES: Final = 5
_BARE: Final = frozenset({"marking-definition", "extension-definition", "language-content"})
_PAPS: Final = list(Pap)


class Code(StrEnum):
    """What is wrong, for tools. The value is stable."""

    OWN_IDENTITY = "own_identity"
    CONSTITUENT_IDENTITY = "constituent_identity"
    OWN_ADDRESS = "own_address"
    RED_TO_MANY = "red_to_many"
    WIDER_THAN_BEFORE = "wider_than_before"
    UNMARKED = "unmarked"
    MARKED_WIDER = "marked_wider"
    PAP_WIDER = "pap_wider"
    ONWARD_POINTLESS = "onward_pointless"
    SUSPENDED = "suspended"
    NOT_CLEARED = "not_cleared"
    NOT_LINKED = "not_linked"
    UNREADABLE_MARKING = "unreadable_marking"
    UNMATCHED = "unmatched"


class Caution(msgspec.Struct, frozen=True):
    """One thing to think about before publishing.

    `count` is how many objects or members it is about, `about` the first 20 of them: ids of objects, names of members.
    """

    code: Code
    words: str
    count: int
    about: tuple[str, ...]


class Draft(msgspec.Struct, frozen=True):
    """What is about to be published: by whom, what, on which terms, and what that member calls its own.

    `paps` are by the hash of an object what its markings say, where that can be read.
    """

    member: str
    objects: tuple[Content, ...]
    terms: Terms
    constituency: Constituency
    paps: Mapping[str, tuple[Pap, ...]] = {}


class _Ground(msgspec.Struct, frozen=True):
    draft: Draft
    present: Communities
    linked: tuple[Peer, ...]


def cautions(conn: Connection, draft: Draft) -> tuple[Caution, ...]:
    """Return what there is to think about, what matters most first."""
    ground = _Ground(draft, communities.current(conn), tuple(peers.listed(conn)))
    found = [
        *_identities(conn, draft),
        *_addresses(draft),
        *_red(draft),
        *_wider(conn, ground),
        *_markings(draft),
        *_onward(draft),
        *_members(ground),
        *_unmatched(draft),
    ]
    return tuple(found)


def _identities(conn: Connection, draft: Draft) -> Iterable[Caution]:
    named = {ref for one in draft.objects for ref in one.refs if ref.startswith("identity--")}
    ours = contents.made_by(conn, named - {draft.member}, draft.member)
    ours |= {one.stix_id for one in draft.objects if one.type == "identity" and one.creator == draft.member}
    ours.discard(draft.member)
    yield from _of_objects(
        Code.OWN_IDENTITY,
        "{n} your own organisation other than as the author: whoever gets this is told that you are concerned.",
        (one for one in draft.objects if _names_beside_author(one, draft.member)),
        ("names", "name"),
    )
    yield from _of_objects(
        Code.CONSTITUENT_IDENTITY,
        "{n} an organisation whose identity you made: whoever gets this is told that it is concerned.",
        (one for one in draft.objects if one.stix_id in ours or not ours.isdisjoint(one.refs)),
        ("is or names", "are or name"),
    )


def _names_beside_author(one: Content, member: str) -> bool:
    """Say whether an object names `member` anywhere but as its creator."""
    if member not in one.refs or (one.creator == member and one.raw.count(member.encode()) == 1):
        return False
    _, references = decode_with_references(one.raw, LIMITS)
    return any(name != "created_by_ref" and member in values for name, values in references)


def _addresses(draft: Draft) -> Iterable[Caution]:
    entries: dict[str, None] = {}
    own: list[Content] = []
    for one in draft.objects:
        hit = [
            entry
            for kind, value in (*one.observables, *one.anchors)
            if (entry := draft.constituency.entry(kind, value))
        ]
        if hit:
            own.append(one)
            entries |= dict.fromkeys(hit)
    shown = ", ".join([*list(entries)[:_ENTRIES], *(["…"] if len(entries) > _ENTRIES else [])])
    yield from _of_objects(
        Code.OWN_ADDRESS,
        f"{{n}} addresses or names of your own constituency ({shown}): whoever gets this looks for them, and may "
        "block them.",
        own,
        ("holds", "hold"),
    )


def _red(draft: Draft) -> Iterable[Caution]:
    if draft.terms.audience.everyone or draft.terms.audience.communities:
        yield from _of_objects(
            Code.RED_TO_MANY,
            "{n} TLP:RED and would go to a community or to everyone: RED is for persons that you name. Name members.",
            (one for one in draft.objects if _level(one, draft.terms) is Tlp.RED),
            ("is", "are"),
        )


def _wider(conn: Connection, ground: _Ground) -> Iterable[Caution]:
    """Say which parts of the audience have never been told anything under this TLP or a narrower one."""
    terms = ground.draft.terms
    wanted = reached.parts(terms.audience)
    if not wanted or not reached.anybody(conn):
        return
    containing = {part: [part, reached.EVERYONE, *_communities_of(ground.present, part)] for part in wanted}
    before = reached.before(conn, {one for around in containing.values() for one in around})
    new = [
        part
        for part, around in containing.items()
        if not any(level.rank >= terms.tlp.rank for one in around for level in before.get(one, ()))
    ]
    if new:
        words = (
            f"You have never published TLP:{terms.tlp.upper()} or narrower to {_listed(_names(ground, new))}: "
            "is the audience what you mean?"
        )
        yield Caution(Code.WIDER_THAN_BEFORE, words, len(new), _names(ground, new[:SHOWN]))


def _communities_of(present: Communities, member: str) -> list[str]:
    return [key for key, community in present.items() if member in community.members]


def _names(ground: _Ground, parts: Iterable[str]) -> tuple[str, ...]:
    called = {one.member: one.name for one in ground.linked} | {
        key: community.name for key, community in ground.present.items()
    }
    return tuple(called.get(one, one) for one in parts)


def _markings(draft: Draft) -> Iterable[Caution]:
    objects, terms = draft.objects, draft.terms
    yield from _of_objects(
        Code.UNREADABLE_MARKING,
        "{n} a marking that can't be read: nobody gets it. Use a standard TLP 2.0 marking.",
        (one for one in objects if one.unreadable_marking),
        ("carries", "carry"),
    )
    yield from _of_objects(
        Code.UNMARKED,
        "{n} no marking: whoever gets it by TAXII, MISP or as a file sees none. Add object_marking_refs.",
        (one for one in objects if not one.marking_ids and one.type not in _BARE),
        ("carries", "carry"),
    )
    yield from _of_objects(
        Code.MARKED_WIDER,
        f"{{n}} a wider marking than TLP:{terms.tlp.upper()} of your statement: who sees the object alone takes it for "
        "less sensitive than it is.",
        (one for one in objects if one.markings and strictest(one.markings).rank < terms.tlp.rank),
        ("carries", "carry"),
    )
    yield from _of_objects(
        Code.PAP_WIDER,
        f"{{n}} a narrower PAP than PAP:{terms.pap.upper()} of your statement: recipients may do more than it says.",
        (one for one in objects if _PAPS.index(_pap(one, draft)) > _PAPS.index(terms.pap)),
        ("carries", "carry"),
    )


def _pap(one: Content, draft: Draft) -> Pap:
    """Return the narrowest PAP of an object's markings and of its labels, where MISP writes its tags (`PAP:RED`)."""
    said = [label.lower().removeprefix("pap:") for label in one.labels if label.lower().startswith("pap:")]
    levels = [Pap("clear" if level == "white" else level) for level in said if level in {*Pap, "white"}]
    return max([*levels, *draft.paps.get(one.hash, ())], key=_PAPS.index, default=Pap.CLEAR)


def _onward(draft: Draft) -> Iterable[Caution]:
    if draft.terms.onward:
        yield from _of_objects(
            Code.ONWARD_POINTLESS,
            "{n} narrower than TLP:AMBER, which nobody may pass on (TLP 2.0): letting it be passed on does nothing.",
            (one for one in draft.objects if _level(one, draft.terms).rank > Tlp.AMBER.rank),
            ("is", "are"),
        )


def _members(ground: _Ground) -> Iterable[Caution]:
    """Say who of the audience gets nothing, whatever its author means."""
    draft = ground.draft
    addressed = [one for one in ground.linked if _addressed(one.member, draft.terms.audience, ground.present)]
    levels = {_level(one, draft.terms).rank for one in draft.objects}
    idle = [one for one in addressed if one.state is not PeerState.ACTIVE]
    low = [one for one in addressed if one not in idle and one.clearance.rank < max(levels, default=0)]
    yield from _of_members(
        Code.SUSPENDED, "{n} in the audience and suspended or not confirmed: they get nothing.", idle
    )
    yield from _of_members(
        Code.NOT_CLEARED,
        "{n} in the audience and not cleared for all of this: they get it in part or not.",
        low,
    )
    linked = {one.member for one in ground.linked}
    strangers = {
        member
        for term in draft.terms.audience.communities
        if term.id in ground.present
        for member in ground.present[term.id].members
        if member not in linked and member != draft.member
    }
    if strangers:
        count = len(strangers)
        words = (
            f"{count} member{' has' if count == 1 else 's have'} no link with this node: what you publish does not "
            "reach them from here."
        )
        yield Caution(Code.NOT_LINKED, words, count, tuple(sorted(strangers)[:SHOWN]))


def _addressed(member: str, audience: Audience, present: Communities) -> bool:
    return (
        audience.everyone
        or member in audience.members
        or any(term.id in present and member in present[term.id].members for term in audience.communities)
    )


def _unmatched(draft: Draft) -> Iterable[Caution]:
    unmatched = [one for one in draft.objects if one.unmatched]
    reasons = list(dict.fromkeys(one.unmatched for one in unmatched))
    more = f" and {len(reasons) - 1} more reasons" if len(reasons) > 1 else ""
    yield from _of_objects(
        Code.UNMATCHED,
        f"{{n}} be matched live: {reasons[0] if reasons else ''}{more}",
        unmatched,
        ("can't", "can't"),
    )


def _level(one: Content, terms: Terms) -> Tlp:
    return strictest((terms.tlp, *one.markings))


def _of_objects(
    code: Code, words: str, objects: Iterable[Content], verb: tuple[str, str]
) -> Iterable[Caution]:
    return _of(code, words, [one.stix_id for one in objects], "object", verb)


def _of_members(code: Code, words: str, members: Sequence[Peer]) -> Iterable[Caution]:
    called = [one.name for one in members]
    return _of(code, words, called, "", ("is", "are"))


def _of(code: Code, words: str, about: Sequence[str], noun: str, verb: tuple[str, str]) -> Iterable[Caution]:
    if not about:
        return
    count = len(about)
    who = f"{count:,} {noun if count == 1 else noun + 's'}" if noun else _listed(about)
    said = words.replace("{n}", f"{who} {verb[0] if count == 1 else verb[1]}")
    yield Caution(code, said, count, tuple(about[:SHOWN]))


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_ENTRIES])
    return f"{shown} and {len(names) - _ENTRIES:,} more" if len(names) > _ENTRIES else shown
