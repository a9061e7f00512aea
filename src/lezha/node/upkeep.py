"""What a node does by itself once a day: it purges what has been here for as long as the rules of retention say."""

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog

from lezha.flows import purge
from lezha.flows.errors import FlowError
from lezha.flows.purge import Rule
from lezha.node.clock import later, utc_now
from lezha.node.settings import Retention
from lezha.store.errors import StoreError
from lezha.store.log import Log

_FIRST_S: Final = 60.0
_DAY_S: Final = 86_400.0
_logger = structlog.get_logger()


def rules(wanted: Sequence[Retention], now: str) -> list[Rule]:
    """Return the rules of retention as they are at `now`."""
    return [Rule(one.type, one.days, later(now, days=-one.days)) for one in wanted]


async def retire(log: Log, wanted: Sequence[Retention]) -> None:
    """Purge what is due, a minute after the start and then every day, until cancelled."""
    if not wanted:
        return
    await asyncio.sleep(_FIRST_S)
    while True:
        try:
            counts = await purge.retire(log, rules(wanted, utc_now()))
            _logger.info("retention.done", purged=counts)
        except (FlowError, StoreError) as error:
            _logger.warning("retention.failed", reason=str(error))
        await asyncio.sleep(_DAY_S)
