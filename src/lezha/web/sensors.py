"""What a sensor may call, with its own token: fetch what to watch for, report what was seen."""

import asyncio
from typing import Annotated, Any

import msgspec
from litestar import Request, Router, get, post
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from lezha.access.rights import Principal, Right
from lezha.detection.feed import Feed, Taken
from lezha.detection.sensor import MAX_REPORTS, Batch
from lezha.flows import detect
from lezha.flows.errors import FlowError
from lezha.flows.publish import Author
from lezha.flows.witness import Witness
from lezha.node.changes import Changes
from lezha.node.clock import utc_now
from lezha.sharing.release import Recipient, Standing
from lezha.sharing.tlp import Tlp
from lezha.store import looks
from lezha.store.log import Log
from lezha.web.auth import check_still_valid, needs, who

_Request = Request[Principal, str, Any]


@get("/indicators", guards=[needs(Right.SENSE)])
async def indicators(
    request: _Request,
    log: NamedDependency[Log],
    witness: NamedDependency[Witness],
    decisive: NamedDependency[Changes],
    after: Annotated[int, QueryParameter(ge=0, le=1 << 62)] = 0,
    wait: Annotated[float, QueryParameter(ge=0, le=30)] = 0,
    incarnation: Annotated[str, QueryParameter(max_length=64)] = "",
) -> Feed:
    """Return the rows of the sensor's view after row `after`; with none, wait up to `wait` seconds for one.

    If `incarnation` is given and is not the node's any more, the answer comes at once: numbers mean something else now.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + wait
    while True:
        serial = decisive.serial
        found = await detect.feed(log, _sensor(request.user), after, utc_now())
        left = end - loop.time()
        if found.head > after or left <= 0 or incarnation not in ("", found.incarnation):
            check_still_valid(request)
            await _witnessed(request, log, witness, after, found.head)
            return found
        if not found.more:
            await decisive.beyond(serial, left)


@post("/reports", guards=[needs(Right.SENSE)], status_code=200, request_max_body_size=1 << 20)
async def reports(request: _Request, log: NamedDependency[Log], author: NamedDependency[Author]) -> Taken:
    """Take a batch of reports; the answer follows the commit, and a batch that comes twice counts once."""
    return await detect.report(log, author, _sensor(request.user), read_reports(await request.body()))


def read_reports(raw: bytes) -> Batch:
    """Read a batch of reports, bounded. Raises FlowError."""
    try:
        batch = msgspec.json.decode(raw, type=Batch)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise FlowError(f"The reports can't be read: {error}.") from error
    if len(batch.reports) > MAX_REPORTS or len(batch.id) > 100:
        raise FlowError(f"A batch may hold {MAX_REPORTS} reports.")
    return batch


async def _witnessed(request: _Request, log: Log, witness: Witness, after: int, upto: int) -> None:
    """Have it in the log which rows of its view a sensor is shown, whatever their TLP. Raises StoreError."""
    if upto <= after:
        return

    def work() -> frozenset[int]:
        with log.read() as conn:
            return looks.given(conn, _sensor(request.user).id, after, upto)

    shown = await asyncio.to_thread(work)
    await witness.saw(who(request), "sensor", f"rows {after + 1} to {upto} of its view", shown)


def _sensor(user: Principal) -> Recipient:
    # A member's own sensor is cleared to TLP:RED: what it matches stays with the member.
    return Recipient(id=f"sensor:{user.id}", standing=Standing.OWN, clearance=Tlp.RED)


router = Router(path="/api/v1/sensor", route_handlers=[indicators, reports])
