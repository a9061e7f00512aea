"""A green run in CI has run everything; elsewhere, what could not run is named."""

import os
import sys
from pathlib import Path

import psycopg
import pytest

CONFTEST = Path(__file__).with_name("conftest.py").read_text(encoding="utf-8")
MISSING = """
    import pytest

    @pytest.mark.needs("a-tool-that-nobody-has")
    def test_with_the_tool():
        raise AssertionError("ran without its tool")

    def test_beside_it():
        pass
"""


@pytest.fixture
def inner(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """Return a project with this conftest, outside CI."""
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    pytester.makeconftest(CONFTEST)
    pytester.makeini(
        "[pytest]\nmarkers =\n needs(*tools): what the test needs\n soak: runs for long\n"
        "asyncio_default_fixture_loop_scope = function\n"
    )
    return pytester


def test_a_test_whose_tool_is_missing_is_named_with_its_reason(inner: pytest.Pytester) -> None:
    inner.makepyfile(MISSING)
    result = inner.runpytest()
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(
        [
            "*= not run on this machine =*",
            "needs a-tool-that-nobody-has: a-tool-that-nobody-has is not on PATH*",
            "  *::test_with_the_tool",
        ]
    )
    assert result.ret == pytest.ExitCode.OK


def test_a_missing_tool_fails_the_run_in_ci(inner: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    inner.makepyfile(MISSING)
    result = inner.runpytest()
    result.stdout.fnmatch_lines(["*not run on this machine, which fails the run because CI=true*"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_any_other_skip_is_named_and_fails_the_run_in_ci(
    inner: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    inner.makepyfile(
        test_by_itself="import pytest\ndef test_one(): pytest.skip('tired')",
        test_by_mark="import pytest\n@pytest.mark.skipif(True, reason='marked')\ndef test_one(): pass",
        test_module="import pytest\npytest.skip('nothing here', allow_module_level=True)",
    )
    result = inner.runpytest()
    result.stdout.fnmatch_lines(
        [
            "marked",
            "  test_by_mark.py::test_one",
            "nothing here",
            "  test_module.py",
            "tired",
            "  test_by_itself.py::test_one",
        ]
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_a_skip_in_a_worker_of_xdist_fails_the_run_in_ci(
    inner: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    inner.makepyfile(MISSING)
    assert inner.runpytest_subprocess("-n", "1").ret == pytest.ExitCode.TESTS_FAILED


def test_a_run_that_lacks_nothing_passes_in_ci(
    inner: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    inner.makepyfile('import pytest\n\n@pytest.mark.needs("python3")\ndef test_one(): pass\n')
    result = inner.runpytest()
    result.stdout.no_fnmatch_line("*not run on this machine*")
    assert result.ret == pytest.ExitCode.OK


@pytest.mark.parametrize("turn", ["first", "second"])
def test_each_test_has_a_database_of_its_own(postgres_url: str, turn: str) -> None:
    with psycopg.connect(postgres_url.replace("+psycopg", "")) as connection:
        connection.execute("CREATE TABLE turns (turn text)")
        connection.execute("INSERT INTO turns VALUES (%s)", [turn])
        assert connection.execute("SELECT turn FROM turns").fetchall() == [(turn,)]
