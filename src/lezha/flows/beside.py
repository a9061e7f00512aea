"""What travels beside an object, so that others can read it: who wrote it, and what its own markings say."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec
from sqlalchemy import Connection

from lezha.federation.members import Members
from lezha.federation.statement import MAX_COMPANIONS
from lezha.flows import ingest
from lezha.sharing.terms import Terms
from lezha.sharing.tlp import strictest
from lezha.stix import markings, objects
from lezha.store import contents, definitions
from lezha.store.contents import Content
from lezha.store.definitions import Said

_IDENTITY: Final = "identity"
_DEFINITION: Final = "marking-definition"
Known = Mapping[str, Sequence[Content]]
"""Object id -> the contents that may stand for it beside others."""


class Beside(msgspec.Struct, frozen=True):
    """What goes with one object: contents by hash, and what its markings say; None if that can't be read."""

    contents: tuple[str, ...]
    said: Said | None


def known(conn: Connection, members: Members, given: Sequence[Content]) -> Known:
    """Return what is known of the creators and the marking definitions that `given` name.

    That is what is among `given`, and what this member has brought here or signed: what others tell of an id does not
    stand beside this member's word. Members send their own identity themselves.
    """
    wanted = {marking for one in given for marking in one.marking_ids if not markings.is_standard(marking)}
    wanted |= {one.creator for one in given if one.creator and one.creator not in members.identities}
    found: dict[str, list[Content]] = {}
    for one in given:
        if one.stix_id in wanted and one.type in (_IDENTITY, _DEFINITION):
            found.setdefault(one.stix_id, []).append(one)
    for raw in contents.own_bytes_of(conn, wanted, (_IDENTITY, _DEFINITION)):
        one = ingest.content(objects.reread(raw))
        found.setdefault(one.stix_id, []).append(one)
    return found


def of(content: Content, terms: Terms, author: Content, there: Known) -> Beside:
    """Return what goes beside `content` when `author`, by its identity object, signs `terms` for it.

    What is itself marked more narrowly than the object is told stays behind, and so does what there are two of: then
    the marking can't be read. Too many to send (`MAX_COMPANIONS`) are so as well.
    """
    own = [author.hash] if author.stix_id in (content.creator, *content.refs) else []
    creator = (
        [] if own and content.creator == author.stix_id else _latest(_told(content.creator, terms, there))
    )
    named = [marking for marking in content.marking_ids if not markings.is_standard(marking)]
    given = [one for marking in named for one in _told(marking, terms, there)]
    said = definitions.together(named, [(one.stix_id, one.raw) for one in given])
    with_it = list(dict.fromkeys([*own, *(one.hash for one in given)]))
    if said is None or len(with_it) > MAX_COMPANIONS:
        return Beside(tuple(own), None if named else Said())
    # The name of its creator is of use, and no more.
    with_it += creator if len(with_it) < MAX_COMPANIONS else []
    return Beside(tuple(dict.fromkeys(with_it)), said)


def _told(stix_id: str, terms: Terms, there: Known) -> list[Content]:
    return [
        one
        for one in there.get(stix_id, ())
        if not one.unreadable_marking and strictest((terms.tlp, *one.markings)) is terms.tlp
    ]


def _latest(told: Iterable[Content]) -> list[str]:
    return [max(told, key=lambda one: (one.version, one.hash)).hash] if (told := list(told)) else []
