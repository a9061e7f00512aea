"""The one writer: group commit, events, and word of each commit to those who wait."""

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, Final, TypeVar, cast

import msgspec
from sqlalchemy import Connection, func, insert, select

from lezha.store import engine as engines
from lezha.store import schema
from lezha.store.errors import StoreError

T = TypeVar("T")

_GROUP_LIMIT: Final = 256
_Job = tuple[Callable[["Tx"], Any], "Future[Any]"]


class Committed(msgspec.Struct, frozen=True):
    """Events `first`..`last`, of these kinds, are durable since `instant` (monotonic seconds)."""

    first: int
    last: int
    kinds: frozenset[str]
    instant: float


class Tx:
    """One piece of work inside the writer's transaction. `at` is its RFC 3339 UTC time."""

    def __init__(self, conn: Connection, at: str, seq: int) -> None:
        self.conn: Final = conn
        self.at: Final = at
        self.seq = seq
        self.kinds: set[str] = set()

    def event(self, kind: str, subject: str, actor: str = "node", **detail: object) -> int:
        """Append an event and return its seq."""
        return self.events(kind, [subject], actor, **detail)[0]

    def events(self, kind: str, subjects: Sequence[str], actor: str, **detail: object) -> range:
        """Append one event for each of `subjects` and return their seqs."""
        if not subjects:
            return range(0)
        seqs = range(self.seq + 1, self.seq + 1 + len(subjects))
        common = {"at": self.at, "kind": kind, "actor": actor, "detail": msgspec.json.encode(detail).decode()}
        rows = [
            {"seq": seq, "subject": subject} | common for seq, subject in zip(seqs, subjects, strict=True)
        ]
        self.conn.execute(insert(schema.events), rows)
        self.seq = seqs[-1]
        self.kinds.add(kind)
        return seqs


class Log:
    """The database of one node.

    `clock` returns the present RFC 3339 UTC time with microseconds. Times given to transactions never go back.
    """

    def __init__(self, url: str, clock: Callable[[], str]) -> None:
        self._writer = engines.writer(url)
        try:
            engines.migrate(self._writer)
        except BaseException:
            self._writer.dispose()
            raise
        self._readers = engines.readers(url)
        self._clock = clock
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._listeners: list[Callable[[Committed], None]] = []
        with self._readers.connect() as conn:
            self._seq: int = conn.scalar(select(func.coalesce(func.max(schema.events.c.seq), 0))) or 0
            self._at: str = conn.scalar(select(func.coalesce(func.max(schema.events.c.at), ""))) or ""
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="lezha-writer", daemon=True)
        self._thread.start()

    def on_commit(self, listener: Callable[[Committed], None]) -> None:
        """Call `listener`, which may not raise, from the writer's thread after each commit that appended events."""
        self._listeners.append(listener)

    async def write(self, work: Callable[[Tx], T]) -> T:
        """Run `work` in the writer's transaction; return its result once it is durable.

        Whatever `work` raises is raised here, and nothing of it is written.
        """
        return cast(T, await asyncio.wrap_future(self._submit(work)))

    def write_now(self, work: Callable[[Tx], T]) -> T:
        """As `write`, for callers without an event loop."""
        return cast(T, self._submit(work).result())

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection that sees a snapshot of what is committed."""
        with self._readers.connect() as conn, conn.begin():
            yield conn

    def close(self) -> None:
        """Finish the work that waits, then close the database."""
        if not self._closed:
            self._closed = True
            self._jobs.put(None)
            self._thread.join()
            self._writer.dispose()
            self._readers.dispose()

    def _submit(self, work: Callable[[Tx], Any]) -> "Future[Any]":
        if self._closed:
            raise StoreError("The log is closed: the node is stopping.")
        future: Future[Any] = Future()
        self._jobs.put((work, future))
        return future

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            group = [job]
            stop = False
            while len(group) < _GROUP_LIMIT and not stop:
                try:
                    more = self._jobs.get_nowait()
                except queue.Empty:
                    break
                if more is None:
                    stop = True
                else:
                    group.append(more)
            self._commit(group)
            if stop:
                return

    def _commit(self, group: list[_Job]) -> None:
        before = self._seq
        kinds: set[str] = set()
        done: list[tuple[Future[Any], Any]] = []
        self._at = max(self._clock(), self._at)
        seq = before
        group = [job for job in group if job[1].set_running_or_notify_cancel()]
        try:
            with self._writer.begin() as conn:
                for work, future in group:
                    tx = Tx(conn, self._at, seq)
                    savepoint = conn.begin_nested()
                    try:
                        result = work(tx)
                    except Exception as error:  # noqa: BLE001  # whatever it is, it goes to whoever asked
                        savepoint.rollback()
                        future.set_exception(error)
                        continue
                    # If this fails, all fail: PostgreSQL would answer a COMMIT with a silent ROLLBACK.
                    savepoint.commit()
                    done.append((future, result))
                    seq = tx.seq
                    kinds |= tx.kinds
        except Exception as error:  # noqa: BLE001  # the commit failed: nothing was written, and all must hear of it
            for _, future in group:
                if not future.done():
                    future.set_exception(StoreError(f"Nothing was written: {error}"))
            return
        self._seq = seq
        committed = Committed(before + 1, seq, frozenset(kinds), time.monotonic())
        if seq > before:
            for listener in self._listeners:
                listener(committed)
        for future, result in done:
            future.set_result(result)
