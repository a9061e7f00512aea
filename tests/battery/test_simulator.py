"""Stories of ten nodes and a bad network, in virtual time: tests/battery/simulator.

A story that fails is told in full; `python -m tests.battery.simulator SEED` tells it again.
"""

import os
import subprocess
import sys

import pytest
from tests.battery.simulator.more import BacklogStory, MoreStory
from tests.battery.simulator.story import Story, tell

SOAK = 500
SHORT = (7,)
"""Some that take little computing."""
FOUND: dict[str, tuple[int, type[Story]]] = {
    "a restored node was refilled only when something new came": (8, Story),
    "two nodes that lost one another for long paused for half a minute more": (112, Story),
    "a restored node committed itself again for a time for which it had done so": (1049, MoreStory),
    "what an earlier life had sent arrived at a restored node after its successor, and fenced that off": (
        1109,
        BacklogStory,
    ),
    "requests that were cut were still under way at a slow node, which recorded that as too fast": (
        1418,
        BacklogStory,
    ),
    "what was packed left after a recall that was in the same commit": (1498, MoreStory),
    "what was packed left after a purge that was in the same commit": (1056, MoreStory),
    "a node that asks heard only after half a minute that a peer was restored": (14, MoreStory),
}
"""What stories have shown to be wrong, and by which seed of which kind of story."""

_FLAGS: dict[type[Story], str] = {MoreStory: "--more ", BacklogStory: "--backlog "}


def assert_well(seed: int, kind: type[Story] = Story) -> None:
    outcome = tell(seed, kind)
    more = _FLAGS.get(kind, "")
    again = f"Again, from the repository's root: .venv/bin/python -m tests.battery.simulator {more}{seed}"
    assert not outcome.faults, "\n".join([*outcome.told, *outcome.faults, again])


@pytest.mark.parametrize("seed", SHORT)
def test_all_get_what_they_may_have_once_whatever_the_network_does(seed: int) -> None:
    assert_well(seed)


@pytest.mark.parametrize("found", FOUND)
def test_what_a_story_has_shown_once_does_not_come_back(found: str) -> None:
    assert_well(*FOUND[found])


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(1000, 1000 + SOAK))
def test_all_get_what_they_may_have_once_in_many_stories(seed: int) -> None:
    assert_well(seed)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(1000, 1000 + SOAK))
def test_all_get_what_they_may_have_where_some_ask_and_some_purge(seed: int) -> None:
    assert_well(seed, MoreStory)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(1000, 1000 + SOAK))
def test_all_get_what_they_may_have_where_much_is_put_off(seed: int) -> None:
    assert_well(seed, BacklogStory)


def test_a_seed_tells_the_same_story_in_every_process() -> None:
    command = [sys.executable, "-m", "tests.battery.simulator", str(SHORT[0])]
    environment = os.environ | {"PYTHONHASHSEED": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip().endswith(f"trace {tell(SHORT[0]).trace[:16]}")
