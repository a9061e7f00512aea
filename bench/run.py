"""Measure the figures: one JSON line each on stdout, progress on stderr.

    python -m bench.run [NAME ...]

A script of figures is a module of this folder with a function `figures() -> Iterator[Figure]`. It measures its
peers and limits in the same run, because absolute numbers only say how fast today's machine is. Exit status: 0 when
every script ran to its end (a goal that was missed is in its line: `"met": false`), 1 when one failed, 2 when a
name is unknown.
"""

import os
import platform
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import cast

from bench.figure import Figure

HERE = Path(__file__).parent
NOT_FIGURES = {"figure", "run"}


def main(only: Sequence[str]) -> int:
    """Run the scripts named, or all, and return the exit status."""
    wanted = [name for group in only for name in group.split(",") if name]
    unknown = set(wanted) - set(scripts())
    if unknown:
        say(f"No such script in bench/: {', '.join(sorted(unknown))}. There are: {', '.join(scripts())}.")
        return 2
    say(environment())
    failed = [name for name in wanted or scripts() if not run(name)]
    if failed:
        say(f"Failed: {', '.join(failed)}.")
    return 1 if failed else 0


def scripts() -> list[str]:
    """Name the modules of this folder that yield figures, in alphabetical order."""
    modules = sorted(path for path in HERE.glob("*.py") if path.stem not in NOT_FIGURES)
    return [path.stem for path in modules if "\ndef figures(" in path.read_text(encoding="utf-8")]


def run(name: str) -> bool:
    """Print each figure of one script as soon as it is there; return whether the script ran to its end."""
    say(f"{name} ...")
    began = time.monotonic()
    try:
        figures = cast("Callable[[], Iterator[Figure]]", import_module(f"bench.{name}").figures)
        for figure in figures():
            print(figure.line(), flush=True)
    except Exception:  # noqa: BLE001  # one script that fails must not cost the figures of the others
        traceback.print_exc(file=sys.stderr)
        return False
    say(f"{name} took {time.monotonic() - began:.1f} s.")
    return True


def environment() -> str:
    """Describe what the figures depend on: interpreter, cores, and what one durable write costs here."""
    cores = len(os.sched_getaffinity(0))
    p50, p99 = fdatasync(Path(tempfile.gettempdir()))
    return (
        f"Python {platform.python_version()}, {platform.machine()}, {cores} cores; "
        f"4 KiB written and synced in {tempfile.gettempdir()}: p50 {p50:.2f} ms, p99 {p99:.2f} ms."
    )


def fdatasync(folder: Path, times: int = 200) -> tuple[float, float]:
    """Measure appending 4 KiB and making it durable in the folder; return p50 and p99 in milliseconds."""
    took = []
    with tempfile.NamedTemporaryFile(dir=folder, buffering=0) as file:
        for _ in range(times):
            began = time.perf_counter()
            file.write(b"\0" * 4096)
            os.fdatasync(file.fileno())
            took.append((time.perf_counter() - began) * 1000)
    took.sort()
    return took[times // 2], took[times * 99 // 100]


def say(text: str) -> None:
    """Tell whoever waits, on stderr."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
