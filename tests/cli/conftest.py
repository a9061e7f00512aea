from collections.abc import Iterator

import pytest
from tests.battery.nodes import RunningNode, running


@pytest.fixture(scope="package")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningNode, ...]]:
    """Two nodes that are peers."""
    with running(tmp_path_factory.mktemp("pair"), "tirana", "podgorica") as nodes:
        yield nodes


@pytest.fixture
def node(pair: tuple[RunningNode, ...]) -> RunningNode:
    return pair[0]
