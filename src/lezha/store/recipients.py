"""Recipients as the log has them in a transaction: what was read of one before it began may not be so any more."""

from msgspec.structs import replace
from sqlalchemy import Connection

from lezha.sharing.release import Recipient, Standing
from lezha.store import constituents, peers
from lezha.store.errors import NotFound


def present(conn: Connection, recipient: Recipient) -> Recipient:
    """Return a recipient as it is now: cleared, suspended or active. Who is not in the log counts as suspended.

    Own systems are what they are given as: the log says nothing of them.
    """
    if recipient.standing is Standing.OWN:
        return recipient
    try:
        if recipient.standing is Standing.MEMBER:
            return peers.by_member(conn, recipient.id).recipient()
        return constituents.by_id(conn, recipient.id).recipient()
    except NotFound:
        return replace(recipient, suspended=True)
