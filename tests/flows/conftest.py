"""Members with logs of their own, in one process and without a network."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.federation.keys import Party
from tests.flows.alliance import Station
from tests.store.conftest import log, url

from lezha.node.clock import utc_now
from lezha.store.log import Log

__all__ = ["log", "url"]  # fixtures: the log on both engines


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Callable[[Party], Station]]:
    """Make stations; their logs are closed at the end."""
    made: list[Station] = []

    def make(party: Party) -> Station:
        made.append(Station(party, Log(f"sqlite:///{tmp_path / f'{len(made)}.db'}", utc_now)))
        return made[-1]

    yield make
    for one in made:
        one.log.close()
