"""When each peer was heard of, kept over restarts and for other processes of the node."""

from typing import Final

import msgspec
from sqlalchemy import Connection

from lezha.federation import contact
from lezha.federation.contact import Contact, Contacts
from lezha.store import engine
from lezha.store.log import Tx

_KEPT: Final = "contacts"
FRESH_S: Final = 90.0
"""What was noted longer ago was noted by a process that does not run any more, or hangs."""


def kept(conn: Connection) -> Contacts:
    """Return what was noted last."""
    return msgspec.json.decode(engine.get_meta(conn, _KEPT) or "{}", type=Contacts)


def keep(tx: Tx, noted: Contacts) -> None:
    """Keep what was noted. It is no event: nobody did anything."""
    engine.set_meta(tx.conn, _KEPT, msgspec.json.encode(noted).decode())


def of(noted: Contacts, member: str, heard: str = "") -> Contact:
    """Return what is known of one peer that was heard of at `heard`, or when it was noted."""
    found = noted.peers.get(member, Contact())
    return msgspec.structs.replace(found, heard=max(found.heard, heard))


def judged_at(noted: Contacts, now: str) -> str:
    """Return as of when peers can be judged: now, or when this node last listened."""
    return now if contact.seconds(noted.noted, now) <= FRESH_S else noted.noted
