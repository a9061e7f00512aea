"""What clients bring by TAXII: into the log as their word, for own systems; and out again, unless it was published."""

import asyncio
import uuid
from typing import Final

import msgspec

from lezha.federation.members import Members
from lezha.flows import ingest
from lezha.flows.errors import FlowError, Rejected
from lezha.flows.ingest import Taken
from lezha.store import posts, statuses, walk
from lezha.store.errors import NotFound
from lezha.store.log import Log, Tx
from lezha.taxii import dates
from lezha.taxii.filters import Versions
from lezha.taxii.resources import Status, StatusDetail

_KEPT_MICROSECONDS: Final = 24 * 3600 * 1_000_000
_INLINE_BYTES: Final = 32 << 10


class Published(FlowError):
    """What is to be taken back is published, or was brought by somebody else."""


async def deposit(log: Log, members: Members, member: str, raw: bytes, client: str) -> bytes:
    """Take the objects of an envelope as the word of `client`; return the status, which is complete, as JSON.

    They are durable then. What is wrong with one object costs that object alone. Raises NothingTaken if the envelope
    can't be taken apart.
    """
    if len(raw) <= _INLINE_BYTES:  # to hand little over to a thread costs more than to read it
        read, rejected = ingest.contents_of(raw, alone=False)
    else:
        read, rejected = await asyncio.to_thread(ingest.contents_of, raw, alone=False)

    def work(tx: Tx) -> bytes:
        taken = ingest.take_in(tx, members, member, read, rejected, client)
        status = _status(taken, tx.at)
        answer = msgspec.json.encode(status)
        statuses.keep(tx, status.id, client, answer, dates.write(dates.read(tx.at) - _KEPT_MICROSECONDS))
        return answer

    return await log.write(work)


async def withdraw(log: Log, client: str, stix_id: str, versions: Versions) -> int:
    """Take back what `client` has brought of an object and nobody has published; return how many versions those are.

    Raises NotFound if there is nothing of it, Published if it may not be taken back.
    """

    def work(tx: Tx) -> int:
        own = posts.brought_by(tx.conn, client, stix_id)
        wanted = _wanted(own, versions)
        if not wanted:
            raise NotFound("There is no such object in this collection.")
        if walk.published(tx.conn, wanted):
            raise Published(
                "This member has published it: a coordinator can recall it, nobody can delete it."
            )
        posts.remove(tx, wanted, client)
        return len(wanted)

    return await log.write(work)


def _status(taken: Taken, at: str) -> Status:
    done = taken.new + taken.unchanged
    return Status(
        id=str(uuid.uuid4()),
        status="complete",
        request_timestamp=at,
        total_count=done + taken.refused,
        success_count=done,
        failure_count=taken.refused,
        failures=tuple(_failure(one, at) for one in taken.rejected),
    )


def _failure(one: Rejected, at: str) -> StatusDetail:
    clause = f" ({one.clause})" if one.clause else ""
    return StatusDetail(one.id or "unknown", at, f"{one.reason}{clause}")


def _wanted(own: dict[str, str], versions: Versions) -> list[str]:
    """Return which of some versions are asked for, by content."""
    ordered = sorted(own, key=lambda key: own[key])
    if versions.all or not ordered:
        return ordered
    wanted = [key for key in ordered if own[key] in versions.exact]
    if versions.first:
        wanted.append(ordered[0])
    if versions.last:
        wanted.append(ordered[-1])
    return list(dict.fromkeys(wanted))
