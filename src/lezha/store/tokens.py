"""Access tokens, kept as digests."""

from typing import Final

import msgspec
from sqlalchemy import Connection, bindparam, delete, insert, select, update

from lezha.access.rights import Role
from lezha.sharing.tlp import Tlp
from lezha.store import schema
from lezha.store.errors import Conflict, NotFound
from lezha.store.log import Tx
from lezha.store.rows import record

_BY_ID: Final = select(schema.tokens).where(schema.tokens.c.id == bindparam("id"))


class KeptToken(msgspec.Struct, frozen=True):
    """A token as the node keeps it. `clearance` is that of an own system, None for everybody else."""

    id: str
    name: str
    role: Role
    digest: str
    created: str
    revoked: bool = False
    clearance: Tlp | None = None


def add(
    tx: Tx, token_id: str, name: str, role: Role, digest: str, actor: str, *, clearance: Tlp | None = None
) -> None:
    """Keep a token. Raises Conflict if the name is taken."""
    table = schema.tokens
    if tx.conn.scalar(select(table.c.id).where(table.c.name == name)) is not None:
        raise Conflict(f"There is a token named {name!r} already: choose another name.")
    level = clearance.value if clearance else None
    tx.conn.execute(
        insert(table).values(
            id=token_id,
            name=name,
            role=role.value,
            digest=digest,
            created=tx.at,
            revoked=False,
            clearance=level,
        )
    )
    cleared = {"clearance": level} if level else {}
    tx.event("token", token_id, actor, name=name, role=role.value, **cleared)


def replace(tx: Tx, token_id: str, name: str, role: Role, digest: str, actor: str) -> None:
    """Keep a token instead of the one of that name, which ends, if there is one."""
    table = schema.tokens
    tx.conn.execute(delete(table).where(table.c.name == name, table.c.role == role.value))
    add(tx, token_id, name, role, digest, actor)


def revoke(tx: Tx, name: str, actor: str) -> None:
    """Revoke a token at once, and end the sessions that it began.

    Raises NotFound; Conflict if nobody would be left who may make tokens.
    """
    table, sessions = schema.tokens, schema.sessions
    if _last_administrator(tx.conn) == name:
        raise Conflict(
            f"{name!r} is the last valid administrator's token: make another one first, then revoke this one."
        )
    if not tx.conn.execute(update(table).where(table.c.name == name).values(revoked=True)).rowcount:
        raise NotFound(f"There is no token named {name!r}.")
    own = select(table.c.id).where(table.c.name == name)
    tx.conn.execute(delete(sessions).where(sessions.c.token.in_(own)))
    tx.event("token", name, actor, revoked=True)


def get(conn: Connection, token_id: str) -> KeptToken | None:
    """Return a token, or None."""
    row = conn.execute(_BY_ID, {"id": token_id}).first()
    return None if row is None else record(row._mapping, KeptToken)


def listed(conn: Connection) -> list[KeptToken]:
    """Return all tokens by name."""
    rows = conn.execute(select(schema.tokens).order_by(schema.tokens.c.name))
    return [record(row._mapping, KeptToken) for row in rows]


def _last_administrator(conn: Connection) -> str | None:
    """Return the name of the one valid token of an administrator, or None if there are more or none."""
    table = schema.tokens
    rows = conn.scalars(
        select(table.c.name).where(table.c.role == Role.ADMIN.value, ~table.c.revoked).limit(2)
    )
    found = rows.all()
    return found[0] if len(found) == 1 else None
