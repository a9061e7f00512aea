"""Word of commits between processes: each commit of each, once and in order, whatever becomes of connections."""

from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from tests.battery.nodes import until
from tests.store.conftest import new_url

from lezha.node.clock import utc_now
from lezha.store.log import Committed, Log

COMMITS = 30


class Heard:
    """A log that listens, and what its listener was told."""

    def __init__(self, url: str) -> None:
        self.log = Log(url, utc_now, listen=True)
        self.told: list[Committed] = []
        self.log.on_commit(self.told.append)

    def seqs(self) -> list[int]:
        return [seq for one in self.told for seq in range(one.first, one.last + 1)]


@pytest.fixture
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Heard]]:
    """Return what opens one more log on the same PostgreSQL."""
    url = new_url("postgres", request, tmp_path)
    made: list[Heard] = []

    def one() -> Heard:
        made.append(Heard(url))
        return made[-1]

    yield one
    for heard in made:
        heard.log.close()


def write(log: Log, kind: str) -> None:
    log.write_now(lambda tx: tx.events(kind, ["a", "b"], "test"))


def hang_up(words: str) -> int:
    """End all connections that LISTEN; return how many there were."""
    with psycopg.connect(f"dbname=postgres {words}", autocommit=True) as admin:
        found = admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"
        )
        return len(found.fetchall())


def test_each_hears_of_every_commit_of_all_once_and_in_order(make: Callable[[], Heard]) -> None:
    several = [make(), make(), make()]
    for number in range(COMMITS):
        write(several[number % 2].log, f"of {number % 2}")
    wanted = list(range(1, 2 * COMMITS + 1))
    for one in several:
        until(lambda one=one: len(one.seqs()) >= len(wanted), 40)  # type: ignore[misc]  # bound now
        assert one.seqs() == wanted
        assert frozenset[str]().union(*(committed.kinds for committed in one.told)) == {"of 0", "of 1"}


def test_word_comes_with_the_kinds_of_what_was_committed(make: Callable[[], Heard]) -> None:
    writer, listener = make(), make()
    write(writer.log, "peer")
    until(lambda: listener.seqs() == [1, 2], 40)
    assert [one.kinds for one in listener.told] == [{"peer"}]


def test_word_of_others_commits_goes_before_that_of_one_s_own(make: Callable[[], Heard]) -> None:
    writer, listener = make(), make()
    for _ in range(COMMITS):
        write(writer.log, "other")
        write(listener.log, "own")
    assert listener.seqs() == list(range(1, 4 * COMMITS + 1))


def test_nothing_is_lost_or_told_twice_when_the_listening_connection_is_cut(
    make: Callable[[], Heard], postgres_server: str
) -> None:
    writer, listener = make(), make()
    write(writer.log, "before")
    until(lambda: listener.seqs() == [1, 2], 40)
    until(lambda: hang_up(postgres_server) >= 2, 40)
    write(writer.log, "meanwhile")
    write(listener.log, "own")
    until(lambda: hang_up(postgres_server) >= 2, 40)
    write(writer.log, "after")
    for one in (writer, listener):
        until(lambda one=one: len(one.seqs()) >= 8, 40)  # type: ignore[misc]  # bound now
        assert one.seqs() == [1, 2, 3, 4, 5, 6, 7, 8]


def test_what_was_there_before_a_log_was_opened_is_no_news(make: Callable[[], Heard]) -> None:
    writer = make()
    write(writer.log, "before")
    listener = make()
    write(writer.log, "after")
    until(lambda: listener.seqs() == [3, 4], 40)


def test_a_log_on_sqlite_needs_no_thread_for_hints(tmp_path: Path) -> None:
    log = Log(f"sqlite:///{tmp_path / 'lezha.db'}", utc_now, listen=True)
    assert log._hints is None
    log.close()
