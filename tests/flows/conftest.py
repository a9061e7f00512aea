"""Members with logs of their own, in one process and without a network."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.federation.keys import Party
from tests.flows.alliance import Station
from tests.store.conftest import log, second, url

from lezha.node.clock import utc_now
from lezha.store.log import Log

__all__ = ["log", "second", "url"]  # fixtures: the log on both engines


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give an empty log's file: copying it is ten times as fast as making one."""
    path = tmp_path_factory.mktemp("empty") / "lezha.db"
    Log(f"sqlite:///{path}", utc_now).close()
    return path


@pytest.fixture
def station(tmp_path: Path, empty: Path) -> Iterator[Callable[[Party], Station]]:
    """Make stations; their logs are closed at the end."""
    made: list[Station] = []

    def make(party: Party) -> Station:
        path = shutil.copyfile(empty, tmp_path / f"{len(made)}.db")
        made.append(Station(party, Log(f"sqlite:///{path}", utc_now)))
        return made[-1]

    yield make
    for one in made:
        one.log.close()
