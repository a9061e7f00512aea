"""Members by the names that people here call them."""

from collections.abc import Mapping

from sqlalchemy import Connection

from lezha.federation.members import Members
from lezha.flows.errors import FlowError
from lezha.store import peers


def member(conn: Connection, own: str, members: Members, written: str) -> str:
    """Return the identity id of a member: `self`, a name that is known here, or an id as it stands.

    Nothing stays nothing. What a peer is called here goes before what it calls itself. Raises FlowError.
    """
    if not written or "--" in written:
        return written
    named = _named(conn, own, members)
    found = named.get(written.lower())
    if found is None:
        known = ", ".join(sorted(named))
        raise FlowError(
            f"There is no member {written[:60]!r}. Known here: {known}; or write an identity's id."
        )
    return found


def called(conn: Connection, members: Members) -> dict[str, str]:
    """Return by identity id what members are called here: peers as they were named here, before their own names."""
    return {**members.names, **{peer.member: peer.name for peer in peers.listed(conn)}}


def _named(conn: Connection, own: str, members: Members) -> Mapping[str, str]:
    called = {name.lower(): one for one, name in members.names.items()}
    called |= {peer.name.lower(): peer.member for peer in peers.listed(conn)}
    return called | {"self": own}
