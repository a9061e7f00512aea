"""This node commits itself to its log at fixed times, and keeps what its peers commit themselves to.

A commitment is made when a time of the schedule has come, whatever happened in the log; if the node was down then, when
it is there again. It says nothing but that time and a hash that only this node can open. So a peer learns neither how
long this log is nor when it grows.

For one time a log has one commitment. What was restored from a backup does not know for which times it had committed
itself before, so it does that again only for times after its present life began: a peer that is shown another
commitment for a time that it has one for refuses it, whoever made it and why.
"""

import datetime as dt
from collections.abc import Iterable
from typing import Final

import msgspec
from securesystemslib.signer import CryptoSigner
from sqlalchemy import Connection

from lezha.federation import checkpoint
from lezha.federation.checkpoint import Checkpoint, Commitment, KnownCommitment
from lezha.federation.errors import Refused
from lezha.federation.members import Members
from lezha.store import checkpoints, lives
from lezha.store.checkpoints import Kept, Made
from lezha.store.log import Log, Tx

MOST_KEPT: Final = 20_000
"""Of one member; at one a day these are 54 years."""

_APART: Final = dt.timedelta(minutes=30)
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class Sealer(msgspec.Struct, frozen=True):
    """Whose log it is: the member, the life of the database, and the key that signs."""

    member: str
    incarnation: str
    signer: CryptoSigner


def due(hours: int, now: str) -> str:
    """Return the last time of the schedule: every so many hours, counted from 1970, in UTC."""
    period = dt.timedelta(hours=hours)
    passed = (dt.datetime.fromisoformat(now) - _EPOCH) // period
    return (_EPOCH + passed * period).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


async def commit_if_due(log: Log, sealer: Sealer, hours: int, now: str) -> Made | None:
    """Commit to the log as it is now, unless that is past for this time of the schedule; return what was made."""
    at = due(hours, now)
    with log.read() as conn:
        if is_past(conn, at):
            return None
    return await log.write(lambda tx: _commit(tx, sealer, at))


def is_past(conn: Connection, at: str) -> bool:
    """Whether this log is committed to for a time of the schedule, or may have been before it was restored."""
    return max(checkpoints.last_due(conn), lives.restored(conn)) >= at


async def make(log: Log, sealer: Sealer, actor: str) -> bytes:
    """Return the envelope of a checkpoint of the log as it is now, for people."""

    def work(tx: Tx) -> bytes:
        envelope = checkpoint.sign(_present(tx, sealer, tx.at), sealer.signer)
        checkpoints.add(tx, checkpoints.MADE, str(tx.seq), actor, Made(0, tx.at, b"", envelope, "", b""))
        return envelope

    return await log.write(work)


def check(raw: bytes, contents: Iterable[bytes], members: Members, latest: str) -> KnownCommitment:
    """Verify a commitment that a peer has sent; `latest` is the time that it may not pass. Raises Refused."""
    member = checkpoint.claimed(raw)
    keys = [one.key for one in members.keyring.values() if one.member == member]
    known = checkpoint.read_commitment(raw, keys, member)
    if any(True for _ in contents):
        raise Refused("malformed_checkpoint", "The frame of a commitment carries contents.")
    if known.commitment.at > latest:
        raise Refused("clock_ahead", f"A commitment is for {known.commitment.at}, which is still to come.")
    return known


def keep(tx: Tx, sender: str, known: KnownCommitment) -> Refused | None:
    """Keep a peer's commitment to its own log, or say why not. One that is kept already is kept once."""
    said = known.commitment
    if said.member != sender:
        return Refused("wrong_member", f"A commitment to the log of {said.member} comes from another.")
    if checkpoints.is_kept(tx.conn, sender, said.at, known.digest):
        return None  # a sender that was restored from a backup sends all again
    last, count = checkpoints.last_kept(tx.conn, sender)
    if (last and said.at < _later(last)) or count >= MOST_KEPT:
        words = f"A commitment for {said.at} comes too soon after that for {last}, or {MOST_KEPT} are kept already."
        return Refused("commitment_order", words)
    checkpoints.keep(tx, Kept(sender, said.at, known.digest, known.raw, ""))
    return None


def _later(at: str) -> str:
    return (dt.datetime.fromisoformat(at) + _APART).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _commit(tx: Tx, sealer: Sealer, at: str) -> Made | None:
    if is_past(tx.conn, at):
        return None  # another piece of this commit has done it
    number = checkpoint.nonce()
    hashed = checkpoint.commit(number, tx.seq, tx.chain)
    known = checkpoint.sign_commitment(Commitment(sealer.member, hashed, at), sealer.signer)
    envelope = checkpoint.sign(_present(tx, sealer, at), sealer.signer)
    made = Made(0, at, number, envelope, known.digest, known.raw)
    checkpoints.add(tx, checkpoints.COMMITTED, known.digest, "node", made)
    return made


def _present(tx: Tx, sealer: Sealer, at: str) -> Checkpoint:
    return Checkpoint(sealer.member, sealer.incarnation, tx.seq, tx.chain.hex(), at)
