"""To whom this member has published, and under which TLP: a handful of rows, however many statements there are."""

from collections.abc import Iterable
from typing import Final

from sqlalchemy import Connection, select

from lezha.sharing.terms import Audience
from lezha.sharing.tlp import Tlp
from lezha.store import schema
from lezha.store.log import Tx
from lezha.store.rows import KEYS, each, insert_rows

EVERYONE: Final = "everyone"
_REACHED: Final = select(schema.reached.c.whom, schema.reached.c.tlp).where(schema.reached.c.whom.in_(KEYS))


def parts(audience: Audience) -> list[str]:
    """Return what an audience is made of: `everyone`, ids of communities, ids of members."""
    everyone = [EVERYONE] if audience.everyone else []
    return [*everyone, *(term.id for term in audience.communities), *audience.members]


def add(tx: Tx, audience: Audience, tlp: Tlp) -> None:
    """Record that this member has published to an audience under a TLP."""
    wanted = parts(audience)
    there = {whom for whom, levels in before(tx.conn, wanted).items() if tlp in levels}
    insert_rows(tx.conn, schema.reached, [(one, tlp.value, tx.at) for one in wanted if one not in there])


def before(conn: Connection, whom: Iterable[str]) -> dict[str, set[Tlp]]:
    """Return under which TLP this member has published to each of these parts of audiences."""
    found: dict[str, set[Tlp]] = {}
    for row in each(conn, _REACHED, whom):
        found.setdefault(row.whom, set()).add(Tlp(row.tlp))
    return found


def anybody(conn: Connection) -> bool:
    """Say whether this member has published to anybody at all."""
    return conn.scalar(select(schema.reached.c.whom).limit(1)) is not None
