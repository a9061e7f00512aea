"""The one row: whoever commits, threads or processes, numbers are dense, times rise, and the chain holds."""

import itertools
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Row, select
from tests.store.conftest import new_url

from lezha.node.clock import utc_now
from lezha.store import schema, sequencer
from lezha.store.errors import StoreError
from lezha.store.log import Log, Tx

ROOT = Path(__file__).parents[2]
COMMITS = 40


def events(log: Log) -> list[Row[tuple[int, str, str, str, str, str, bytes]]]:
    with log.read() as conn:
        return list(conn.execute(select(schema.events).order_by(schema.events.c.seq)))


def assert_sound(log: Log, count: int) -> None:
    """The log has `count` events: dense, each commit later than the one before, chained from the beginning."""
    found = events(log)
    assert [row.seq for row in found] == list(range(1, count + 1))
    chain = sequencer.GENESIS
    for row in found:
        chain = sequencer.link(
            chain, (row.seq, row.at, row.kind, row.subject, row.actor, row.source, row.detail)
        )
        assert row.chain == chain, row.seq
    # One subject is one commit here.
    times = list(dict.fromkeys((row.subject, row.at) for row in found))
    assert len({subject for subject, _ in times}) == len(times), "a commit has one time"
    assert all(one < after for (_, one), (_, after) in itertools.pairwise(times))
    with log.read() as conn:
        last = sequencer.read(conn)
    assert (last.seq, last.chain) == (count, chain)


def test_commits_of_several_processes_come_one_after_another(url: str) -> None:
    log = Log(url, utc_now)
    writers = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.store.writer_process", url, label, str(COMMITS)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for label in ("one", "two")
    ]
    for writer in writers:
        assert writer.stdout
        assert writer.stdout.readline() == "ready\n"
    told = [writer.communicate("go\n", timeout=60)[0] for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0]
    given = [list(map(int, one.split())) for one in told]
    assert all(one == sorted(one) for one in given)
    assert sorted(given[0] + given[1]) == list(range(1, 3 * COMMITS + 1))
    assert_sound(log, 3 * COMMITS)
    log.close()


def test_commits_of_several_threads_with_logs_of_their_own_come_one_after_another(url: str) -> None:
    logs = [Log(url, utc_now) for _ in range(3)]

    def write(log: Log, label: str) -> None:
        for number in range(COMMITS):
            subject = f"{label} {number}"
            log.write_now(lambda tx, subject=subject: tx.event("tested", subject))  # type: ignore[misc]  # bound now

    threads = [threading.Thread(target=write, args=(log, str(place))) for place, log in enumerate(logs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert_sound(logs[0], 3 * COMMITS)
    for log in logs:
        log.close()


def test_a_writer_with_a_clock_behind_the_other_s_does_not_go_back_in_time(url: str) -> None:
    ahead = Log(url, lambda: "2030-01-01T00:00:00.000000Z")
    behind = Log(url, lambda: "2020-01-01T00:00:00.000000Z")
    at = [log.write_now(lambda tx: tx.at) for log in (ahead, behind, ahead, behind)]
    assert at == [f"2030-01-01T00:00:00.00000{number}Z" for number in range(4)]
    ahead.close()
    behind.close()


def test_an_event_that_was_changed_breaks_the_chain(log: Log) -> None:
    for number in range(3):
        log.write_now(lambda tx, number=number: tx.event("tested", str(number)))  # type: ignore[misc]  # bound now
    assert_sound(log, 3)
    log.write_now(lambda tx: tx.conn.execute(schema.events.update().values(actor="somebody else")))
    with pytest.raises(AssertionError):
        assert_sound(log, 3)


@pytest.mark.needs("postgres")
@pytest.mark.parametrize("last", [True, False], ids=["before its commit", "before its last rows"])
def test_a_commit_whose_connection_is_lost_on_the_way_is_not_written(
    last: bool, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    log = Log(new_url("postgres", request, tmp_path), utc_now)

    def cut(tx: Tx) -> None:
        tx.event("tested", "cut")
        own = tx.conn.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        with log.read() as conn:
            conn.exec_driver_sql(f"SELECT pg_terminate_backend({own})")
        if not last:
            tx.event("tested", "cut")

    with pytest.raises(StoreError, match="Nothing was written"):
        log.write_now(cut)
    assert log.write_now(lambda tx: tx.event("tested", "after")) == 1
    assert_sound(log, 1)
    log.close()


@pytest.mark.needs("postgres")
def test_a_commit_that_was_written_before_its_connection_was_lost_is_told_as_written(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log(new_url("postgres", request, tmp_path), utc_now)
    heard: list[int] = []
    log.on_commit(lambda committed: heard.append(committed.last))
    dialect = log._writer.dialect
    commit = dialect.do_commit

    def lost(connection: Any) -> None:
        commit(connection)
        monkeypatch.undo()
        own = connection.driver_connection.info.backend_pid
        with log.read() as conn:
            conn.exec_driver_sql(f"SELECT pg_terminate_backend({own})")
        connection.driver_connection.execute("SELECT 1")  # its answer does not come, as that of the COMMIT

    monkeypatch.setattr(dialect, "do_commit", lost)
    assert log.write_now(lambda tx: tx.event("tested", "lost")) == 1
    assert heard == [1]
    assert_sound(log, 1)
    log.close()
