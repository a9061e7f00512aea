"""Whether this node is isolated: it sends nothing and has nothing enforced, and receives as before."""

from typing import Final

import msgspec
from sqlalchemy import Connection

from lezha.store.engine import get_meta, set_meta
from lezha.store.errors import Conflict
from lezha.store.log import Tx

ISOLATED: Final = "isolated"
"""The event that this node is isolated from now on, or is not any more."""

_META: Final = "isolation"
_CHANGED: Final = "isolation changed"


class Isolation(msgspec.Struct, frozen=True):
    """Since when, by whom and why nothing goes out."""

    at: str
    actor: str
    why: str


def present(conn: Connection) -> Isolation | None:
    """Return the isolation in force, None if there is none."""
    found = get_meta(conn, _META)
    return msgspec.json.decode(found, type=Isolation) if found else None


def begin(tx: Tx, why: str, actor: str) -> Isolation:
    """Isolate the node. Raises Conflict if it is isolated."""
    if present(tx.conn) is not None:
        raise Conflict("This node is isolated already: `lezha isolate --end` lets it send again.")
    made = Isolation(tx.at, actor, why)
    set_meta(tx.conn, _META, msgspec.json.encode(made).decode())
    set_meta(tx.conn, _CHANGED, str(tx.event(ISOLATED, "node", actor, why=why)))
    return made


def end(tx: Tx, actor: str) -> None:
    """Let the node send again. Raises Conflict if it is not isolated."""
    if present(tx.conn) is None:
        raise Conflict("This node is not isolated.")
    set_meta(tx.conn, _META, "")
    set_meta(tx.conn, _CHANGED, str(tx.event(ISOLATED, "node", actor, ended=True)))


def changed_by(conn: Connection) -> str:
    """Return by which event the node was last isolated, or ceased to be; empty if it never was."""
    return get_meta(conn, _CHANGED) or ""
