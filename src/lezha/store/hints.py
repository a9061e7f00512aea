"""A thread that hears of other processes' commits, by PostgreSQL's NOTIFY, and by looking once a second."""

import threading
import time
from collections.abc import Callable
from typing import Any, Final

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from lezha.store.engine import CHANNEL, said
from lezha.store.errors import StoreError

_LOOK_S: Final = 1.0
_STOP_S: Final = 0.2  # how long a thread that should end may still wait
_logger = structlog.get_logger()


class Hints:
    """Calls `look` whenever there may be something new, until `stop`. A lost connection is made again."""

    def __init__(self, engine: Engine, look: Callable[[], None]) -> None:
        self._engine = engine
        self._look = look
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lezha-hints", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread; returns when it has ended."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        import psycopg

        while not self._stopping.is_set():
            try:
                self._listen()
            except (StoreError, SQLAlchemyError, psycopg.Error) as error:
                _logger.warning("store.hints_lost", reason=said(error))
                self._stopping.wait(_LOOK_S)

    def _listen(self) -> None:
        raw = self._engine.raw_connection()
        connection: Any = raw.driver_connection
        raw.detach()
        try:
            connection.rollback()
            connection.autocommit = True
            connection.execute(f"LISTEN {CHANNEL}")
            while not self._stopping.is_set():
                self._look()
                self._await_word(connection)
        finally:
            connection.close()

    def _await_word(self, connection: Any) -> None:
        """Return when there was a hint, when it is time to look without one, or when the thread has to end."""
        end = time.monotonic() + _LOOK_S
        while not self._stopping.is_set() and time.monotonic() < end:
            if list(connection.notifies(timeout=_STOP_S, stop_after=1)):
                return
