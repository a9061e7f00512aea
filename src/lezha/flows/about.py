"""Everything about one value: what is held under it, around it, and what hangs on that; capped, and saying so.

Nothing is correlated beforehand: there is no table of pairs that grows with the square of what is held. What is asked
for is looked up when it is asked for, so far and no further.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from sqlalchemy import Connection

from lezha.detection.lookup import lookups
from lezha.flows import look
from lezha.flows.look import Listed
from lezha.store import keys, search
from lezha.store.search import Found, Query

CAP: Final = 100
"""The most that one group shows."""

_ENDS: Final = 500


class Group(msgspec.Struct, frozen=True):
    """Some of what belongs to a value. `more` says in words what was left out; empty if nothing was."""

    what: str
    objects: list[Listed]
    more: str


class About(msgspec.Struct, frozen=True):
    """All that is known of a value here, newest first in each group. `kind` is empty if it is no observable."""

    value: str
    kind: str
    groups: list[Group]


def about(conn: Connection, written: str) -> About:
    """Return everything about an observable as people write it."""
    around = lookups(written)
    if not around:
        return About(written, "", [])
    own, *containing = around
    values = {
        "this value itself": Query(values=((own.kind.value, own.value),), by_value=True),
        "what contains it": Query(values=tuple((o.kind.value, o.value) for o in containing), by_value=True),
        "what it contains": Query(ranges=tuple(keys.within(own.kind.value, own.value)), by_value=True),
    }
    direct = {what: _some(conn, query) for what, query in values.items()}
    found = list({one.id: one for rows in direct.values() for one in rows[:CAP]}.values())
    ids = [one.id for one in found]
    naming = search.naming_any(conn, ids, CAP + 1)
    named = search.ends_of(conn, [one.hash for one in naming[:CAP]], _ENDS + 1)
    ends = [one for one in named[:_ENDS] if one not in ids]
    linked = list(search.newest(conn, ends).values())
    linked.sort(key=lambda one: -one.seq)
    seen = [one for one in naming if one.type == "sighting"]
    rest = [one for one in naming if one.type != "sighting"]
    groups = {**direct, "sightings": seen, "what names any of these": rest, "what those tie it to": linked}
    left_out = _left_out(direct, naming)
    more = {"sightings": left_out, "what names any of these": left_out, "what those tie it to": left_out}
    if len(named) > _ENDS:
        more["what those tie it to"] += (
            f"They name more than {_ENDS} objects: {_ENDS} of them were looked up.",
        )
    return About(
        own.value,
        own.kind.value,
        [_group(conn, what, rows, more.get(what, ())) for what, rows in groups.items() if rows],
    )


def _some(conn: Connection, query: Query) -> list[Found]:
    return search.find(conn, msgspec.structs.replace(query, limit=CAP + 1))


def _left_out(direct: Mapping[str, Sequence[Found]], naming: Sequence[Found]) -> tuple[str, ...]:
    """Say in sentences what was not followed from the value to what names it."""
    said = []
    if any(len(rows) > CAP for rows in direct.values()):
        said.append("Of a group above not all is shown: only what names those that are shown is followed.")
    if len(naming) > CAP:
        said.append(f"More than {CAP} objects name these: only what the newest {CAP} say is followed.")
    return tuple(said)


def _group(conn: Connection, what: str, rows: Sequence[Found], left_out: Sequence[str]) -> Group:
    said = [f"The newest {CAP} are shown; a search for the value gives all, page by page."]
    return Group(
        what, look.listed(conn, rows[:CAP]), " ".join([*(said if len(rows) > CAP else []), *left_out])
    )
