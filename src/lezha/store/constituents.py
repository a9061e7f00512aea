"""Constituents: whom this member serves, a ministry or a bank, that receive and do not send."""

import msgspec
from sqlalchemy import Connection, RowMapping, insert, select, update

from lezha.sharing.release import Recipient, Standing
from lezha.sharing.tlp import Tlp
from lezha.store import schema
from lezha.store.errors import Conflict, NotFound
from lezha.store.log import Tx
from lezha.store.rows import record

_TABLE = schema.constituents


class Constituent(msgspec.Struct, frozen=True):
    """A constituent; its token has the same name. It never receives AMBER+STRICT or RED, whatever its clearance."""

    name: str
    title: str
    clearance: Tlp
    suspended: bool
    since: str

    def recipient(self) -> Recipient:
        """This constituent as the release kernel sees it."""
        return Recipient(
            id=recipient_id(self.name),
            standing=Standing.CONSTITUENT,
            clearance=self.clearance,
            since=self.since,
            suspended=self.suspended,
        )


def recipient_id(name: str) -> str:
    """Return the id of the view of the constituent of that name, which no member has."""
    return f"constituent:{name}"


def is_one(recipient: str) -> bool:
    """True if this is the id of the view of a constituent."""
    return recipient.startswith(recipient_id(""))


def add(tx: Tx, name: str, title: str, clearance: Tlp, actor: str) -> None:
    """Add a constituent. Raises Conflict if there is one of that name."""
    if tx.conn.scalar(select(_TABLE.c.name).where(_TABLE.c.name == name)) is not None:
        raise Conflict(f"There is a constituent {name!r} already: choose another name.")
    row = {"name": name, "title": title, "clearance": clearance.value, "suspended": False, "since": tx.at}
    tx.conn.execute(insert(_TABLE).values(**row))
    tx.event("constituent", recipient_id(name), actor, title=title, clearance=clearance.value)


def change(tx: Tx, name: str, actor: str, **changes: object) -> None:
    """Change its clearance or suspend it; decisions are made anew. Raises NotFound."""
    by_name(tx.conn, name)
    tx.conn.execute(update(_TABLE).where(_TABLE.c.name == name).values(**changes))
    tx.event("constituent", recipient_id(name), actor, **changes)


def by_name(conn: Connection, name: str) -> Constituent:
    """Return the constituent of that name. Raises NotFound."""
    row = conn.execute(select(_TABLE).where(_TABLE.c.name == name)).one_or_none()
    if row is None:
        raise NotFound(f"There is no constituent {name!r}: `lezha constituent list` shows those there are.")
    return _constituent(row._mapping)


def by_id(conn: Connection, recipient: str) -> Constituent:
    """Return the constituent whose view has this id. Raises NotFound."""
    name = recipient.removeprefix(recipient_id(""))
    found = by_name(conn, name)
    if recipient != recipient_id(name):
        raise NotFound(f"{recipient!r} is the id of no constituent.")
    return found


def listed(conn: Connection) -> list[Constituent]:
    """Return all constituents by name."""
    return [_constituent(row._mapping) for row in conn.execute(select(_TABLE).order_by(_TABLE.c.name))]


def _constituent(row: RowMapping) -> Constituent:
    return record(row, Constituent)
