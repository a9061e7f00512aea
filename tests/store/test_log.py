"""The one writer: group commit, order, time, and what becomes of failures."""

import asyncio
import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, event, make_url, select
from tests.store.examples import content, digest

from lezha.node.clock import utc_now
from lezha.store import contents, engine, schema
from lezha.store.errors import Conflict, StoreError
from lezha.store.log import Committed, Log, Tx


def add(number: int) -> Callable[[Tx], int]:
    """Work that appends two events and returns the seq of the later one."""

    def work(tx: Tx) -> int:
        contents.add(tx, [content(number)], "test")
        return tx.event("tested", str(number))

    return work


def fail(tx: Tx) -> None:
    contents.add(tx, [content(999)], "test")
    raise Conflict("on purpose")


def seqs(log: Log) -> list[int]:
    with log.read() as conn:
        return list(conn.scalars(select(schema.events.c.seq).order_by(schema.events.c.seq)))


def held(log: Log, *numbers: int) -> list[bool]:
    with log.read() as conn:
        found = contents.held(conn, [digest(f"content {number}") for number in numbers])
    return [digest(f"content {number}") in found for number in numbers]


@contextmanager
def busy(log: Log) -> Iterator[None]:
    """Keep the writer occupied, so that what is asked for within goes into one commit."""
    go, started = threading.Event(), threading.Event()

    def wait(_tx: Tx) -> None:
        started.set()
        go.wait(10)

    waiting = threading.Thread(target=log.write_now, args=(wait,))
    waiting.start()
    started.wait(10)
    try:
        yield
    finally:
        go.set()
        waiting.join()


async def together(log: Log, *work: Callable[[Tx], object]) -> list[object]:
    """Have all of `work` done in one commit; give results and exceptions."""
    with busy(log):
        tasks = [asyncio.create_task(log.write(one)) for one in work]
        await asyncio.sleep(0.01)
    return await asyncio.gather(*tasks, return_exceptions=True)


async def test_work_is_durable_when_its_result_is_there(url: str) -> None:
    log = Log(url, utc_now)
    await log.write(add(1))
    log.close()
    again = Log(url, utc_now)
    assert held(again, 1) == [True]
    again.close()


async def test_what_waits_goes_into_one_commit(log: Log) -> None:
    commits: list[Committed] = []
    log.on_commit(commits.append)
    await together(log, *(add(number) for number in range(20)))
    assert [(one.first, one.last) for one in commits] == [(1, 40)]


async def test_one_failing_piece_does_not_undo_the_others(log: Log) -> None:
    await together(log, add(1), fail, add(2))
    assert held(log, 1, 999, 2) == [True, False, True]


async def test_what_a_piece_raises_reaches_who_asked_for_it(log: Log) -> None:
    first, failed, second = await together(log, add(1), fail, add(2))
    assert isinstance(failed, Conflict)
    assert (first, second) == (2, 4)


async def test_a_failed_piece_leaves_no_hole_in_the_numbers(log: Log) -> None:
    await together(log, add(1), fail, add(2), fail, add(3))
    assert seqs(log) == [1, 2, 3, 4, 5, 6]


async def test_a_piece_that_hides_an_error_of_the_database_deceives_nobody_and_stops_nothing(
    log: Log,
) -> None:
    def careless(tx: Tx) -> None:
        try:
            tx.conn.exec_driver_sql("select * from no_such_table")
        except Exception:  # noqa: BLE001  # that is the carelessness
            return

    # PostgreSQL refuses the commit of all, SQLite knows no such state.
    first, _, second = await together(log, add(1), careless, add(2))
    assert [isinstance(one, int) for one in (first, second)] == held(log, 1, 2)
    await log.write(add(3))
    assert held(log, 3) == [True]


async def test_a_piece_that_fails_alone_writes_nothing(log: Log) -> None:
    def halfway(tx: Tx) -> None:
        add(1)(tx)
        raise Conflict("halfway")

    with pytest.raises(Conflict, match="halfway"):
        await log.write(halfway)
    await log.write(add(2))
    assert held(log, 1, 2) == [False, True]
    assert seqs(log) == [1, 2]


@pytest.mark.parametrize("beside", [0, 2])
async def test_what_is_written_after_the_database_undid_a_transaction_is_not_written(
    log: Log, beside: int
) -> None:
    def careless(tx: Tx) -> None:
        tx.conn.exec_driver_sql("ROLLBACK")  # as SQLite does by itself when its disk is full

    outcomes = await together(log, *(add(number) for number in range(1, beside + 1)), careless)
    assert all(isinstance(one, StoreError) for one in outcomes), outcomes
    await log.write(add(9))
    assert held(log, 1, 2, 9) == [False, False, True]
    assert seqs(log) == [1, 2]


async def test_a_commit_that_fails_fails_all_and_writes_nothing(log: Log) -> None:
    commits = itertools.count(1)

    def refuse(_conn: Connection) -> None:
        if next(commits) > 1:  # the first is that of whoever keeps the writer busy
            raise OSError("the disk is full")

    event.listen(log._writer, "commit", refuse)
    outcomes = await together(log, add(1), add(2))
    assert [str(one) for one in outcomes] == ["Nothing was written: the disk is full"] * 2
    assert all(isinstance(one, StoreError) for one in outcomes)
    event.remove(log._writer, "commit", refuse)
    assert held(log, 1, 2) == [False, False]


async def test_after_a_failed_commit_the_numbers_go_on_without_a_hole(log: Log) -> None:
    def refuse(_conn: Connection) -> None:
        raise OSError("the disk is full")

    await log.write(add(1))
    event.listen(log._writer, "commit", refuse)
    with pytest.raises(StoreError):
        await log.write(add(2))
    event.remove(log._writer, "commit", refuse)
    await log.write(add(3))
    assert seqs(log) == [1, 2, 3, 4]


async def test_numbers_are_dense_and_in_order_whoever_writes_at_once(log: Log) -> None:
    async def write(number: int) -> object:
        await asyncio.sleep(0.001 * (number % 7))
        return await log.write(fail if number % 5 == 0 else add(number))

    await asyncio.gather(*(write(number) for number in range(200)), return_exceptions=True)
    assert seqs(log) == list(range(1, 2 * 160 + 1))


async def test_the_numbers_go_on_after_a_restart(url: str) -> None:
    for number in range(3):
        log = Log(url, utc_now)
        await log.write(add(number))
        log.close()
    last = Log(url, utc_now)
    assert seqs(last) == [1, 2, 3, 4, 5, 6]
    last.close()


async def test_times_rise_even_when_the_clock_goes_back(url: str) -> None:
    ticks = itertools.chain(
        ["2022-07-15T09:00:00.000000Z", "2022-07-15T08:00:00.000000Z"],
        itertools.repeat("2022-07-15T09:30:00.000000Z"),
    )
    log = Log(url, lambda: next(ticks))
    at = [await log.write(lambda tx: tx.at) for _ in range(3)]
    assert at == [f"2022-07-15T09:{rest}Z" for rest in ("00:00.000000", "00:00.000001", "30:00.000000")]
    log.close()


async def test_times_do_not_go_back_over_a_restart(url: str) -> None:
    log = Log(url, lambda: "2022-07-15T09:00:00.000000Z")
    await log.write(add(1))
    log.close()
    again = Log(url, lambda: "2022-07-14T09:00:00.000000Z")
    assert await again.write(lambda tx: tx.at) == "2022-07-15T09:00:00.000001Z"
    again.close()


async def test_who_gives_up_waiting_does_not_stop_the_writer(log: Log) -> None:
    with busy(log):
        tasks = [asyncio.create_task(log.write(add(number))) for number in range(10)]
        await asyncio.sleep(0.01)
        for task in tasks[::2]:
            task.cancel()
        await asyncio.sleep(0)
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(one, asyncio.CancelledError) for one in outcomes] == [True, False] * 5
    assert await log.write(add(10)) == 12


async def test_who_gives_up_while_the_work_runs_does_not_stop_the_writer(log: Log) -> None:
    started = threading.Event()
    go = threading.Event()

    def slow(tx: Tx) -> None:
        started.set()
        go.wait(10)
        tx.event("tested", "slow")

    task = asyncio.create_task(log.write(slow))
    await asyncio.to_thread(started.wait, 10)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    go.set()
    assert await log.write(lambda tx: tx.event("tested", "next")) == 2


async def test_a_listener_hears_of_commits_with_events_only(log: Log) -> None:
    heard: list[Committed] = []
    log.on_commit(heard.append)
    await log.write(lambda tx: tx.at)
    await log.write(add(1))
    assert [one.kinds for one in heard] == [{"content", "tested"}]


async def test_a_reader_sees_what_was_there_when_it_began(log: Log) -> None:
    await log.write(add(1))
    with log.read() as conn:
        assert contents.held(conn, [digest("content 1"), digest("content 2")]) == {digest("content 1")}
        await log.write(add(2))
        assert contents.held(conn, [digest("content 1"), digest("content 2")]) == {digest("content 1")}


async def test_a_reader_does_not_wait_for_the_writer(log: Log) -> None:
    await log.write(add(1))
    with busy(log):
        assert held(log, 1) == [True]


async def test_closing_finishes_the_work_that_waits(url: str) -> None:
    log = Log(url, utc_now)
    with busy(log):
        tasks = [asyncio.create_task(log.write(add(number))) for number in range(3)]
        await asyncio.sleep(0.01)
        closing = threading.Thread(target=log.close)
        closing.start()
    closing.join()
    assert await asyncio.gather(*tasks) == [2, 4, 6]


async def test_a_closed_log_says_so(log: Log) -> None:
    log.close()
    with pytest.raises(StoreError, match="closed"):
        await log.write(add(1))


def test_a_database_of_another_version_is_refused(url: str) -> None:
    Log(url, utc_now).close()
    writer = engine.writer(url)
    with writer.begin() as conn:
        conn.execute(schema.meta.update().where(schema.meta.c.name == "schema").values(value="999"))
    writer.dispose()
    with pytest.raises(StoreError, match="schema version 999"):
        Log(url, utc_now)


def test_a_node_s_own_record_has_one_value_a_name(log: Log) -> None:
    for value in ("a", "b"):
        log.write_now(lambda tx, value=value: engine.set_meta(tx.conn, "incarnation", value))  # type: ignore[misc]  # bound now
    with log.read() as conn:
        assert engine.get_meta(conn, "incarnation") == "b"
        assert engine.get_meta(conn, "other") is None


@pytest.fixture
def guest_url(postgres_url: str) -> Iterator[str]:
    """Give the URL of a user without rights, and take the user away again."""
    admin = engine.writer(postgres_url)
    guest = make_url(postgres_url).update_query_dict({"user": "lezha_guest"})
    with admin.begin() as conn:
        conn.exec_driver_sql("CREATE ROLE lezha_guest LOGIN")
    yield guest.render_as_string(hide_password=False)
    with admin.begin() as conn:
        conn.exec_driver_sql("DROP OWNED BY lezha_guest")
        conn.exec_driver_sql("DROP ROLE lezha_guest")
    admin.dispose()


def grant(url: str, rights: str) -> None:
    admin = engine.writer(url)
    with admin.begin() as conn:
        here = conn.exec_driver_sql("SELECT current_schema()").scalar_one()
        conn.exec_driver_sql(f"GRANT {rights.format(here=here)} TO lezha_guest")
    admin.dispose()


def test_a_user_that_can_t_clean_postgresql_s_tables_is_not_told_that_they_are_clean(
    postgres_url: str, guest_url: str
) -> None:
    Log(postgres_url, utc_now).close()
    grant(postgres_url, "USAGE ON SCHEMA {here}")
    grant(postgres_url, "SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {here}")
    guest = Log(guest_url, utc_now)
    with pytest.raises(StoreError, match="own its tables"):
        guest.scrub()
    guest.close()


def test_that_postgresql_stops_while_it_cleans_its_tables_is_said(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log(postgres_url, utc_now)

    def stop(connection: Any, _table: str) -> bool:
        connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        return False

    with monkeypatch.context() as patch:
        patch.setattr(engine, "_seen_by_others", stop)
        with pytest.raises(StoreError, match="still in the database's files: terminating connection"):
            log.scrub()
    log.scrub()
    log.close()


def test_the_node_s_user_needs_to_own_its_tables_and_no_more(postgres_url: str, guest_url: str) -> None:
    grant(postgres_url, "ALL ON SCHEMA {here}")
    guest = Log(guest_url, utc_now)
    guest.write_now(add(1))
    guest.scrub()
    guest.close()
