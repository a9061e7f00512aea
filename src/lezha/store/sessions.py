"""Browsers that are signed in: which token each has shown, and until when; of its cookie the digest alone."""

from typing import Final

from sqlalchemy import delete, func, insert, select
from sqlalchemy.engine import Connection

from lezha.store import schema
from lezha.store.log import Tx
from lezha.store.rows import record
from lezha.store.tokens import KeptToken

_TABLE: Final = schema.sessions


def begin(tx: Tx, digest: str, token_id: str, ends: str, most: int) -> None:
    """Keep a session. Those that have ended go, and of more than `most` those that would end first."""
    tx.conn.execute(delete(_TABLE).where(_TABLE.c.ends <= tx.at))
    beyond = tx.conn.execute(select(func.count()).select_from(_TABLE)).scalar_one() - most + 1
    if beyond > 0:
        first = select(_TABLE.c.digest).order_by(_TABLE.c.ends, _TABLE.c.digest).limit(beyond)
        tx.conn.execute(delete(_TABLE).where(_TABLE.c.digest.in_(first)))
    tx.conn.execute(insert(_TABLE).values(digest=digest, token=token_id, ends=ends))


def end(tx: Tx, digest: str) -> None:
    """Forget a session."""
    tx.conn.execute(delete(_TABLE).where(_TABLE.c.digest == digest))


def token(conn: Connection, digest: str, now: str) -> KeptToken | None:
    """Return the token of a session that has not ended, None if there is no such session or the token is revoked."""
    tokens = schema.tokens
    row = conn.execute(
        select(tokens)
        .join(_TABLE, _TABLE.c.token == tokens.c.id)
        .where(_TABLE.c.digest == digest, _TABLE.c.ends > now, tokens.c.revoked.is_(False))
    ).first()
    return None if row is None else record(row._mapping, KeptToken)
