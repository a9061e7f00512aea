"""What became of requests to add objects, for a day: whoever asked may ask again (TAXII 2.1 §4.3)."""

from sqlalchemy import Connection, delete, insert, select

from lezha.store import schema
from lezha.store.errors import NotFound
from lezha.store.log import Tx

_TABLE = schema.statuses


def keep(tx: Tx, status: str, client: str, answer: bytes, until: str) -> None:
    """Keep the answer to a request of a client; forget those of before the time `until`."""
    tx.conn.execute(delete(_TABLE).where(_TABLE.c.at < until))
    tx.conn.execute(insert(_TABLE).values(id=status, client=client, at=tx.at, answer=answer))


def get(conn: Connection, status: str, client: str) -> bytes:
    """Return what a client was answered. Raises NotFound, also if it was another client."""
    asked = select(_TABLE.c.answer).where(_TABLE.c.id == status, _TABLE.c.client == client)
    found: bytes | None = conn.scalar(asked)
    if found is None:
        raise NotFound("There is no such status: one is kept for a day, and for who asked.")
    return found
