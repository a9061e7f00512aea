"""Stories of ten nodes and a bad network, in virtual time: tests/battery/simulator.

A story that fails is told in full; `python -m tests.battery.simulator SEED` tells it again.
"""

import os
import subprocess
import sys

import pytest
from tests.battery.simulator.story import tell

SOAK = 500
SHORT = (2, 14, 18)
"""Some that take little computing."""


def assert_well(seed: int) -> None:
    outcome = tell(seed)
    again = f"Again, from the repository's root: .venv/bin/python -m tests.battery.simulator {seed}"
    assert not outcome.faults, "\n".join([*outcome.told, *outcome.faults, again])


@pytest.mark.parametrize("seed", SHORT)
def test_all_get_what_they_may_have_once_whatever_the_network_does(seed: int) -> None:
    assert_well(seed)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(1000, 1000 + SOAK))
def test_all_get_what_they_may_have_once_in_many_stories(seed: int) -> None:
    assert_well(seed)


def test_a_seed_tells_the_same_story_in_every_process() -> None:
    def trace(hash_seed: str) -> str:
        command = [sys.executable, "-m", "tests.battery.simulator", str(SHORT[0])]
        path = os.pathsep.join(sys.path)
        environment = os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": path}
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        return done.stdout.rpartition("trace ")[2]

    assert trace("1") == trace("2")
