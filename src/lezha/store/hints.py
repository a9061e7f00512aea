"""A thread that hears of other processes' commits, by PostgreSQL's NOTIFY, and by looking once a second."""

import threading
from collections.abc import Callable
from typing import Any, Final

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from lezha.store.engine import CHANNEL

_LOOK_S: Final = 1.0
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
            except (SQLAlchemyError, psycopg.Error) as error:
                _logger.warning("store.hints_lost", reason=str(error))
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
                for _ in connection.notifies(timeout=_LOOK_S, stop_after=1):
                    pass
        finally:
            connection.close()
