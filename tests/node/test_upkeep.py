"""What a node does by itself, again and again until it succeeds."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from tests.federation.keys import TIRANA
from tests.flows.alliance import Station, told
from tests.store.conftest import log, url

from lezha.flows import check, purge, rederive
from lezha.node import checkpoint_files, upkeep
from lezha.store import engine
from lezha.store.checkpoints import Made
from lezha.store.errors import StoreError
from lezha.store.log import Log

__all__ = ["log", "url"]  # fixtures: the log on both engines


@asynccontextmanager
async def cleaning(log: Log, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Have what a node does every minute done all the time."""
    monkeypatch.setattr(upkeep, "_MINUTE_S", 0.01)
    monkeypatch.setattr(upkeep, "_HOUR_S", 0.01)
    task = asyncio.create_task(upkeep.clean(log))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(there: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not there():  # noqa: ASYNC110  # the node announces this to nobody
            await asyncio.sleep(0.01)


def is_cleaning_due(log: Log) -> bool:
    with log.read() as conn:
        return bool(engine.get_meta(conn, purge._DUE))


async def test_files_that_can_t_be_cleaned_keep_no_index_of_words_from_being_made_anew(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    tirana = Station(TIRANA, log)
    await tirana.publish(told(TIRANA, 1), told(TIRANA, 2))

    def full(_log: Log) -> None:
        raise StoreError("there is no room for a copy")

    with monkeypatch.context() as patch:
        patch.setattr(Log, "scrub", full)
        with pytest.raises(StoreError, match="no room"):
            await purge.purge(log, tirana.member, [told(TIRANA, 1)["id"]], "a mistake", "officer")
        await log.write(rederive.words_anew)
        async with cleaning(log, patch):
            await until(lambda: not rederive.is_due(log))
    assert is_cleaning_due(log)
    async with cleaning(log, monkeypatch):
        await until(lambda: not is_cleaning_due(log))
    assert list(check.check(log)) == []


def test_a_checkpoint_that_a_restored_database_has_forgotten_stays_in_the_folder(tmp_path: Path) -> None:
    at = "2026-03-01T12:00:00.000000Z"
    made = [Made(0, at, bytes([one]) * 32, b"{}", f"{one}" * 64, b"{}") for one in (1, 2)]
    for one in made:
        checkpoint_files.write(tmp_path, one)
    kept = [one for _, one in checkpoint_files.openings(tmp_path)]
    assert sorted(kept, key=lambda one: one.digest) == made
