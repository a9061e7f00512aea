"""Kills the process that imports it, as a loss of power would, at one point of a commit. Tests put it on PYTHONPATH.

LEZHA_TEST_FAILPOINT is `point:file`: the process dies at `point` as soon as `file` is there. One point is a worse
fault than death: that nothing is synced, by which a test of the test sees that it would see that.

Nothing of this is in the program: the log is wrapped from outside when it is imported.
"""

import os
import signal
from pathlib import Path
from typing import Any

from sqlalchemy import event

from lezha.store import engine, log

POINT, _, FILE = os.environ["LEZHA_TEST_FAILPOINT"].partition(":")


def die_if_armed(*_: Any) -> None:
    """Die without a word, if the file is there; it is taken away, so that the next life goes on."""
    if Path(FILE).exists():
        Path(FILE).unlink()
        os.kill(os.getpid(), signal.SIGKILL)


class DyingTx(log.Tx):
    """A transaction that dies after its second set of events."""

    sets = 0

    def events(self, *arguments: Any, **detail: Any) -> range:
        """Append events; the second time, die."""
        done = super().events(*arguments, **detail)
        self.sets += 1
        if self.sets == 2:
            die_if_armed()
        return done


class DyingLog(log.Log):
    """A log that dies before its commits, or between a commit and the answer."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        if POINT == "before the commit":
            event.listen(self._writer, "commit", die_if_armed)

    def _tell(self, *committed: Any) -> None:
        if POINT == "after the commit":
            die_if_armed()
        super()._tell(*committed)


if POINT == "nothing is synced":
    pragmas = engine._pragmas

    def _careless(connection: Any, cache: int) -> None:
        pragmas(connection, cache)
        connection.execute("PRAGMA synchronous=OFF")

    engine._pragmas = _careless

log.Log = DyingLog  # type: ignore[misc]  # that is the purpose
if POINT == "within a piece":
    log.Tx = DyingTx  # type: ignore[misc]  # that is the purpose
