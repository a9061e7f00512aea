"""The national policy in force, kept in the log: whatever decides in a transaction decides by what that one holds."""

from collections.abc import Sequence
from typing import Final

import msgspec
from sqlalchemy import Connection, insert, select

from lezha.sharing.cedar import CedarPolicy
from lezha.sharing.errors import PolicyError
from lezha.sharing.policy import PolicedGate
from lezha.sharing.release import Gate, Recipient, Standing
from lezha.store import communities, schema
from lezha.store.errors import StoreError
from lezha.store.log import Tx
from lezha.store.rows import record

_POLICIES: Final = schema.policies
_LATEST: Final = select(_POLICIES.c.hash).order_by(_POLICIES.c.seq.desc()).limit(1)
_READ: Final[dict[str, CedarPolicy]] = {}
_READ_KEPT: Final = 8


class KeptPolicy(msgspec.Struct, frozen=True):
    """A policy as it came into force by event `seq`; `hash` and `text` are empty where one was ended."""

    seq: int
    hash: str
    text: str
    at: str


def adopt(tx: Tx, wanted: CedarPolicy | None, actor: str) -> bool:
    """Put a policy into force, or none; return False if that was so before.

    It is an event that has decided anew what policy withheld. What is not sent yet is asked about once more before it
    is sent; what was sent stays sent.
    """
    digest, text = ("", "") if wanted is None else (wanted.digest, wanted.text)
    if (tx.conn.scalar(_LATEST) or "") == digest:
        return False
    seq = tx.event("policy", digest or "none", actor, rules=len(wanted.rules) if wanted else 0)
    tx.conn.execute(insert(_POLICIES).values(seq=seq, hash=digest, text=text, at=tx.at))
    return True


def current(conn: Connection) -> CedarPolicy | None:
    """Return the policy in force. Raises StoreError if there is one that can't be used: then nothing is decided."""
    digest = conn.scalar(_LATEST) or ""
    if not digest:
        return None
    if digest not in _READ:
        if len(_READ) >= _READ_KEPT:
            _READ.clear()
        _READ[digest] = _read(conn, digest)
    return _READ[digest]


def gate(conn: Connection, recipient: Recipient, now: str) -> Gate:
    """Return the kernel for one recipient at `now`, by the rosters and the policy in force. Raises StoreError.

    Whatever leaves passes such a gate; own systems, whose findings stay with the member, are not asked about.
    """
    return gates(conn, [recipient], now)[recipient.id]


def gates(conn: Connection, recipients: Sequence[Recipient], now: str) -> dict[str, Gate]:
    """Return the gate of each recipient, by its id. Raises StoreError."""
    present = communities.current(conn)
    others = any(one.standing is not Standing.OWN for one in recipients)
    asked = current(conn) if others else None
    return {
        one.id: PolicedGate(one, present, now, None if one.standing is Standing.OWN else asked)
        for one in recipients
    }


def kept(conn: Connection) -> list[KeptPolicy]:
    """Return all that were in force, the first one first."""
    rows = conn.execute(select(_POLICIES).order_by(_POLICIES.c.seq))
    return [record(row._mapping, KeptPolicy) for row in rows]


def _read(conn: Connection, digest: str) -> CedarPolicy:
    text = conn.scalar(select(_POLICIES.c.text).order_by(_POLICIES.c.seq.desc()).limit(1)) or ""
    try:
        found = CedarPolicy(text, "the policy in force")
    except PolicyError as error:
        raise StoreError(
            f"The national policy in force can't be used, so nobody is told anything: {error}"
        ) from error
    if found.digest != digest:
        raise StoreError(
            "The national policy in the log is not the one that came into force: nobody is told anything."
        )
    return found
