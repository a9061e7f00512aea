"""How far a long command has come: a bar in a terminal, a line every ten seconds elsewhere, always on stderr."""

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from rich.filesize import decimal
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from lezha.cli.console import err, note

_EVERY_S: Final = 10.0


def told_in_terminal() -> Callable[[str, int], None]:
    """Return what shows in a terminal, on one line, which part of something a command is at, and how far."""
    if not sys.stderr.isatty():
        return lambda _part, _done: None
    return lambda part, done: print(f"\r{part}: {done:,} ", end="", file=sys.stderr, flush=True)


class Progress:
    """Tell of bytes and objects. `total` is how many bytes there are, None where nobody knows."""

    def __init__(self, total: int | None, done: int = 0, objects: int = 0) -> None:
        self._total = total
        self._first = objects
        self._began = self._told = time.monotonic()
        self._bar: Bar | None = None
        if err.is_terminal:
            told = TextColumn("{task.fields[told]}")
            columns = (BarColumn(), told) if total is None else (BarColumn(), told, TimeRemainingColumn())
            self._bar = Bar(*columns, console=err)
            self._task = self._bar.add_task("", total=total, completed=done, told="")

    def __enter__(self) -> Self:
        """Begin to tell."""
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Stop telling."""
        if self._bar is not None:
            self._bar.stop()

    def tell(self, done: int, objects: int) -> None:
        """Tell that `done` bytes and `objects` are behind."""
        now = time.monotonic()
        rate = (objects - self._first) / max(now - self._began, 0.001)
        share = f" ({100 * done // self._total} %)" if self._total else ""
        told = f"{decimal(done)}{share}, {objects:,} objects, {rate:,.0f}/s"
        if self._bar is not None:
            self._bar.update(self._task, completed=done, told=told)
        elif now - self._told >= _EVERY_S:
            self._told = now
            note(told)
