"""What came of each long test is kept, with the commit: of those that ran, and of no others."""

import json
import subprocess
from typing import Any

import pytest
from tests.soak_results import RESULTS
from tests.test_needs import inner as project

__all__ = ["project"]  # a fixture

TESTS = """
    import pytest

    @pytest.mark.soak
    @pytest.mark.parametrize("number", [1, 2, 3])
    def test_many(number):
        assert number != {bad}

    @pytest.mark.soak
    def test_one():
        pass

    @pytest.mark.soak
    def test_not_here():
        pytest.skip("this machine can't")

    def test_short():
        pass
"""


@pytest.fixture
def inner(project: pytest.Pytester) -> pytest.Pytester:
    """Return a project with this conftest, outside CI, in a repository with one commit."""
    project.makepyfile(TESTS.format(bad=0))
    who = ["-c", "user.name=test", "-c", "user.email=test@test.invalid"]
    for command in (["init", "-q"], ["add", "."], [*who, "commit", "-qm", "All there is."]):
        subprocess.run(["git", *command], cwd=project.path, check=True)
    return project


def kept(inner: pytest.Pytester) -> dict[str, Any]:
    lines = [json.loads(line) for line in (inner.path / RESULTS).read_text().splitlines()]
    assert [line["test"] for line in lines] == sorted(line["test"] for line in lines)
    return {line["test"].partition("::")[2]: line for line in lines}


def counts(line: dict[str, Any]) -> tuple[int, int, int]:
    return line["passed"], line["failed"], line["skipped"]


def head(inner: pytest.Pytester) -> str:
    command = ["git", "rev-parse", "HEAD"]
    done = subprocess.run(command, cwd=inner.path, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_each_long_test_that_ran_has_a_line_with_its_result_and_the_commit(inner: pytest.Pytester) -> None:
    inner.runpytest("-m", "soak")
    lines = kept(inner)
    assert {name: counts(line) for name, line in lines.items()} == {
        "test_many": (3, 0, 0),
        "test_one": (1, 0, 0),
    }
    assert head(inner).startswith(lines["test_one"]["commit"])
    assert len(lines["test_one"]["commit"]) == 12
    assert lines["test_one"]["cores"] > 0
    assert lines["test_one"]["uncommitted"] is False


def test_a_run_of_some_replaces_their_lines_and_leaves_the_others(inner: pytest.Pytester) -> None:
    inner.runpytest("-m", "soak")
    before = kept(inner)
    inner.makepyfile(TESTS.format(bad=2))
    inner.runpytest("-m", "soak", "-k", "many")
    after = kept(inner)
    assert counts(after["test_many"]) == (2, 1, 0)
    assert after["test_one"] == before["test_one"]


def test_a_test_whose_fixture_fails_has_failed_once(inner: pytest.Pytester) -> None:
    fixture = "import pytest\n@pytest.fixture\ndef bad():\n    {}\n"
    test = "@pytest.mark.soak\ndef test_it(bad):\n    pass\n"
    inner.makepyfile(
        test_before=fixture.format("raise OSError") + test,
        test_after=fixture.format("yield; raise OSError") + test,
    )
    inner.runpytest("-m", "soak", "-k", "test_it")
    found = [json.loads(line) for line in (inner.path / RESULTS).read_text().splitlines()]
    assert [counts(line) for line in found] == [(0, 1, 0)] * 2


def test_workers_of_xdist_write_one_result(inner: pytest.Pytester) -> None:
    inner.runpytest_subprocess("-m", "soak", "-n", "2")
    assert counts(kept(inner)["test_many"]) == (3, 0, 0)


def test_a_run_without_long_tests_writes_nothing(inner: pytest.Pytester) -> None:
    inner.runpytest("-m", "not soak")
    assert not (inner.path / RESULTS).exists()
