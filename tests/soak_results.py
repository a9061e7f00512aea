"""Keep what came of the long tests: one line of JSON for each, in bench/results/soak.jsonl, sorted by name.

A line says when a test marked `soak` was last run, on which commit, and with what result; of one with parameters all
that were run count together. What was not run keeps its line. `uncommitted` says that the files of the working tree
were not those of the commit. Only the process that reports writes, once, at the end; runs without soak tests write
nothing.
"""

import datetime as dt
import json
import os
import platform
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

RESULTS = Path("bench", "results", "soak.jsonl")


@dataclass
class Result:
    """What came of one test, over all its parameters that were run."""

    test: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0

    def count(self, outcome: str) -> None:
        """Count one more that passed, failed or was skipped."""
        setattr(self, outcome, getattr(self, outcome) + 1)


class SoakResults:
    """Collects reports of tests marked soak; workers of xdist hand theirs on."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._results: dict[str, Result] = {}
        self._failed: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a test once: when it was called, or where it did not come so far; an end that fails counts, too."""
        if "soak" not in report.keywords:
            return
        name = report.nodeid.partition("[")[0]
        result = self._results.setdefault(name, Result(name))
        result.seconds += report.duration
        if report.failed and report.nodeid not in self._failed:
            self._failed.add(report.nodeid)
            if report.when == "teardown":
                result.passed -= 1
            result.count("failed")
        elif report.when == "call" or report.skipped:
            result.count(report.outcome)

    def pytest_sessionfinish(self) -> None:
        """Put the new lines in the place of the earlier ones."""
        ran = {name: one for name, one in self._results.items() if one.passed or one.failed}
        if not ran:
            return
        path = self._root / RESULTS
        path.parent.mkdir(parents=True, exist_ok=True)
        kept = [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []
        lines = {line["test"]: line for line in kept} | {
            name: asdict(one) | {"seconds": round(one.seconds, 1)} | _here(self._root)
            for name, one in ran.items()
        }
        path.write_text("".join(f"{json.dumps(lines[name])}\n" for name in sorted(lines)), "utf-8")


def _here(root: Path) -> dict[str, object]:
    """Say when and where this is."""
    return {
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "commit": _git(root, "rev-parse", "--short=12", "HEAD"),
        "uncommitted": bool(_git(root, "status", "--porcelain", "--", "src", "tests")),
        "python": platform.python_version(),
        "cores": len(os.sched_getaffinity(0)),
    }


def _git(root: Path, *command: str) -> str:
    """Return what git says, nothing where there is no repository."""
    try:
        done = subprocess.run(["git", *command], cwd=root, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()
