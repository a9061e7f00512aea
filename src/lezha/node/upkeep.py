"""What a node does by itself: it purges by its rules, cleans up after that, and takes what has waited for its time."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

import structlog

from lezha.flows import attest, purge, quarantine, rederive
from lezha.flows.attest import Sealer
from lezha.flows.errors import FlowError
from lezha.flows.purge import Rule
from lezha.flows.vet import Receiver
from lezha.flows.witness import Witness
from lezha.node import checkpoint_files
from lezha.node.clock import later, utc_now
from lezha.node.errors import NodeError
from lezha.node.intake import latest_at
from lezha.node.settings import Retention
from lezha.store.errors import StoreError
from lezha.store.log import Log

_FIRST_S: Final = 60.0
_MINUTE_S: Final = 60.0
_HELD_S: Final = 10.0
_MORE_S: Final = 1.0
_HOUR_S: Final = 3600.0
_DAY_S: Final = 86_400.0
_logger = structlog.get_logger()


def rules(wanted: Sequence[Retention], now: str) -> list[Rule]:
    """Return the rules of retention as they are at `now`."""
    return [Rule(one.type, one.days, later(now, days=-one.days)) for one in wanted]


async def clean(log: Log) -> None:
    """Clean up after a purge that was interrupted or that somebody's reading held up, until cancelled.

    Looks every minute, and less often, down to once an hour, while it fails. What a damaged index made necessary to
    derive anew is derived anew.
    """
    pause = _MINUTE_S
    while True:
        # One does not wait for the other: a disk without room for a copy of the file has room for words.
        done = [
            await _is_done(_clean(log), "purge.not_cleaned"),
            await _is_done(_derive(log), "log.not_derived"),
        ]
        pause = _MINUTE_S if all(done) else min(2 * pause, _HOUR_S)
        await asyncio.sleep(pause)


async def _is_done(work: Awaitable[None], failed: str) -> bool:
    """Say whether some work came to its end; if it did not, log that under the name `failed`."""
    try:
        await work
    except StoreError as error:
        _logger.warning(failed, reason=str(error))
        return False
    except Exception:  # whatever it is, it is tried again
        _logger.exception(failed)
        return False
    return True


async def _clean(log: Log) -> None:
    if await purge.clean_if_due(log):
        _logger.info("purge.cleaned")


async def _derive(log: Log) -> None:
    if rederive.is_due(log):
        done = await asyncio.to_thread(rederive.everything, log)
        _logger.info("log.derived", contents=done)


async def take_held(log: Log, receiver: Callable[[], Receiver]) -> None:
    """Take what was put aside because it was dated ahead, once its time has come, until cancelled.

    That goes on while the node is isolated, as taking does: what is taken is looked for, and nothing goes out.
    """
    while True:
        done = 0
        try:
            done = await quarantine.take_due(log, receiver(), latest_at(utc_now()))
        except StoreError as error:
            _logger.warning("held.not_taken", reason=str(error))
        except Exception:  # that one waits for a person from now on
            _logger.exception("held.not_taken")
        await asyncio.sleep(_MORE_S if done else _HELD_S)


async def commit(home: Path, log: Log, sealer: Sealer, hours: int, now: Callable[[], str] = utc_now) -> None:
    """Commit to the log at each time of the schedule, and write that into the folder too, until cancelled.

    `now` is the node's clock.
    """
    if not hours:
        return
    while True:
        try:
            made = await attest.commit_if_due(log, sealer, hours, now())
            if made is not None:
                await asyncio.to_thread(checkpoint_files.write, home, made)
        except (StoreError, NodeError) as error:
            _logger.warning("checkpoint.not_made", reason=str(error))
        except Exception:  # whatever it is, it is tried again
            _logger.exception("checkpoint.not_made")
        await asyncio.sleep(_MINUTE_S)


async def witness(one: Witness) -> None:
    """Have what was counted written down soon after its hour or minute is over, until cancelled."""
    while True:
        await asyncio.sleep(_MINUTE_S)
        try:
            await one.tick()
        except StoreError as error:
            _logger.warning("witness.not_written", reason=str(error))


async def retire(log: Log, wanted: Sequence[Retention]) -> None:
    """Purge what is due, a minute after the start and then every day, until cancelled."""
    if not wanted:
        return
    await asyncio.sleep(_FIRST_S)
    while True:
        try:
            counts = await purge.retire(log, rules(wanted, utc_now()))
            _logger.info("retention.done", purged=counts)
        except FlowError as error:
            _logger.warning("retention.failed", reason=str(error))
        except Exception:  # whatever it is, the rules hold tomorrow too
            _logger.exception("retention.failed")
        await asyncio.sleep(_DAY_S)
