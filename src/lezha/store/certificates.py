"""Certificates by which tools show who they are, each bound to a token; what that token may the tool may."""

from typing import Final

from sqlalchemy import Connection, bindparam, insert, select

from lezha.store import schema, tokens
from lezha.store.errors import Conflict, NotFound
from lezha.store.log import Tx

ADDED: Final = "certificate"
"""The event that a certificate was bound to a token."""
_TABLE = schema.certificates
_BY_FINGERPRINT: Final = select(_TABLE.c.token).where(_TABLE.c.fingerprint == bindparam("fingerprint"))


def add(tx: Tx, name: str, fingerprint: str, der: bytes, actor: str) -> None:
    """Bind a certificate to the token of that name. Raises NotFound, Conflict if it is bound already."""
    found = next((one for one in tokens.listed(tx.conn) if one.name == name), None)
    if found is None or found.revoked:
        raise NotFound(f"There is no valid token named {name!r}: `lezha token list` shows those there are.")
    if tx.conn.scalar(_BY_FINGERPRINT, {"fingerprint": fingerprint}) is not None:
        raise Conflict("This certificate is bound to a token already.")
    tx.conn.execute(insert(_TABLE).values(fingerprint=fingerprint, token=found.id, der=der, at=tx.at))
    tx.event(ADDED, found.id, actor, name=name, fingerprint=fingerprint)


def token(conn: Connection, fingerprint: str) -> str | None:
    """Return the id of the token to which a certificate is bound, by its SHA-256; None if there is none."""
    found: str | None = conn.scalar(_BY_FINGERPRINT, {"fingerprint": fingerprint})
    return found


def listed(conn: Connection) -> list[bytes]:
    """Return all certificates (DER)."""
    return list(conn.scalars(select(_TABLE.c.der).order_by(_TABLE.c.at, _TABLE.c.fingerprint)))
