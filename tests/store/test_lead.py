"""One process at a time leads: the lock keeps a second one out, the epoch stops one that has lost the lock."""

import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import select, text
from tests.battery.nodes import until
from tests.store.conftest import new_url

from lezha.node.clock import utc_now
from lezha.store import schema, sequencer
from lezha.store.errors import Superseded
from lezha.store.log import Log


@pytest.fixture
def postgres(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return new_url("postgres", request, tmp_path)


@pytest.fixture
def pair(postgres: str) -> Iterator[tuple[Log, Log]]:
    """Two logs on one PostgreSQL; neither leads."""
    logs = Log(postgres, utc_now, listen=True), Log(postgres, utc_now, listen=True)
    yield logs
    for log in logs:
        log.close()


def epoch(log: Log) -> int:
    with log.read() as conn:
        return sequencer.read(conn).epoch


def subjects(log: Log) -> list[str]:
    with log.read() as conn:
        return list(conn.scalars(select(schema.events.c.subject).order_by(schema.events.c.seq)))


def event(log: Log, subject: str) -> int:
    return log.write_now(lambda tx: tx.event("tested", subject))


def cut_lead(leader: Log, words: str) -> None:
    """End the connection that holds the lock, as a server or a network does."""
    assert leader._lead is not None
    held = leader._lead.scalar(text("SELECT pg_backend_pid()"))
    with psycopg.connect(f"dbname=postgres {words}", autocommit=True) as admin:
        admin.execute("SELECT pg_terminate_backend(%s)", [held])


def test_every_lead_begins_an_epoch_on_either_engine(url: str) -> None:
    for number in (1, 2):
        log = Log(url, utc_now)
        log.lead()
        assert epoch(log) == number
        assert event(log, "led") == number
        log.close()


def test_whoever_leads_later_stops_the_earlier_one_on_sqlite_too(tmp_path: Path) -> None:
    first, second = (Log(f"sqlite:///{tmp_path / 'lezha.db'}", utc_now) for _ in range(2))
    first.lead()
    second.lead()
    with pytest.raises(Superseded):
        event(first, "late")
    assert event(second, "led") == 1
    first.close()
    second.close()


def test_a_second_leader_is_refused_and_the_first_goes_on(pair: tuple[Log, Log]) -> None:
    first, second = pair
    first.lead()
    with pytest.raises(Superseded, match="Another process runs this node's links: stop it first"):
        second.lead()
    assert (event(first, "a"), event(second, "b"), epoch(first)) == (1, 2, 1)


def test_the_lead_is_free_when_its_process_has_closed_the_log(postgres: str) -> None:
    first, second = Log(postgres, utc_now), Log(postgres, utc_now)
    first.lead()
    first.close()
    second.lead()
    assert epoch(second) == 2
    second.close()


def test_a_leader_that_lost_its_lock_to_another_writes_nothing_more_and_says_why(
    pair: tuple[Log, Log], postgres_server: str
) -> None:
    first, second = pair
    stopped = threading.Event()
    first.lead()
    first.on_superseded(stopped.set)
    event(first, "before")
    with first._hearing:  # as if it were busy: it does not take its lock again first
        cut_lead(first, postgres_server)
        until(lambda: _leads(second), 10)
    for subject in ("one", "two"):
        with pytest.raises(Superseded, match="Another process has taken the lead of this node's log"):
            event(first, subject)
    assert stopped.wait(10)
    assert event(second, "after") == 2
    assert subjects(second) == ["before", "after"]


def test_a_superseded_leader_hears_of_it_without_writing(pair: tuple[Log, Log], postgres_server: str) -> None:
    first, second = pair
    stopped = threading.Event()
    first.lead()
    first.on_superseded(stopped.set)
    with first._hearing:
        cut_lead(first, postgres_server)
        until(lambda: _leads(second), 10)
    assert stopped.wait(10)


def test_a_leader_whose_lock_was_lost_takes_it_again_if_nobody_else_has(
    pair: tuple[Log, Log], postgres_server: str
) -> None:
    first, second = pair
    first.lead()
    before = first._lead
    cut_lead(first, postgres_server)
    until(lambda: first._lead is not None and first._lead is not before, 10)
    with pytest.raises(Superseded):
        second.lead()
    assert event(first, "goes on") == 1


def _leads(log: Log) -> bool:
    try:
        log.lead()
    except Superseded:
        return False
    return True
