"""No bytes from outside make a decoder raise what it must not: tests/fuzz/targets.py has the list of them.

`make test` tries what is in the corpus and some thousand changes of it; `make soak` has atheris look for more.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.fuzz.corpus import changed, inputs, large
from tests.fuzz.targets import TARGETS

CHANGED = 200
RUNS = 10_000_000 // len(TARGETS)
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", TARGETS)
def test_what_a_decoder_begins_with_is_read(name: str) -> None:
    TARGETS[name].read(TARGETS[name].seeds[0])


@pytest.mark.parametrize("name", TARGETS)
def test_a_decoder_raises_only_what_it_may(name: str) -> None:
    target = TARGETS[name]
    for raw in [*inputs(name), *changed(name, CHANGED), *large(name)]:
        target.try_out(raw)


@pytest.mark.soak
@pytest.mark.needs("atheris")
@pytest.mark.parametrize("name", TARGETS)
def test_a_decoder_raises_only_what_it_may_for_long(name: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.fuzz", name, str(RUNS)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout[-4000:]}{done.stderr[-8000:]}"
    assert f"Done {RUNS} runs" in done.stderr
