"""The one writer: group commit, events, and word of each commit to those who wait."""

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, NamedTuple, TypeVar, cast

import msgspec
import structlog
from sqlalchemy import Connection, Engine, Transaction, select
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from lezha.store import engine as engines
from lezha.store import migrations, schema, sequencer
from lezha.store.errors import StoreError, Superseded
from lezha.store.hints import Hints
from lezha.store.rows import insert_rows
from lezha.store.sequencer import Position

T = TypeVar("T")

_GROUP_LIMIT: Final = 256
_LEAD_S: Final = 2.0  # until a server has noticed that whoever led before was killed
_MAX_SOURCE: Final = 64
_SOURCE: Final = ContextVar("lezha_source", default="")
_logger = structlog.get_logger()


@contextmanager
def asked_from(source: str) -> Iterator[None]:
    """Have all that is written within, by whichever flow, say that it was asked for from `source`, a remote address.

    It goes with the task, and into the threads that the task waits for.
    """
    token = _SOURCE.set(source[:_MAX_SOURCE])
    try:
        yield
    finally:
        _SOURCE.reset(token)


class Committed(msgspec.Struct, frozen=True):
    """Events `first`..`last`, of these kinds, are durable since `instant` (monotonic seconds).

    `actors` have caused them. Of what another process committed, `instant` is when this one heard of it; who caused it,
    and how long it took, is not known.
    """

    first: int
    last: int
    kinds: frozenset[str]
    instant: float
    took_s: float | None = None
    actors: frozenset[str] = frozenset()


class Tx:
    """One piece of work inside the writer's transaction. `at` is its RFC 3339 UTC time, `source` from where it came."""

    def __init__(self, conn: Connection, at: str, seq: int, chain: bytes, source: str = "") -> None:
        self.conn: Final = conn
        self.at: Final = at
        self.source = source
        self.seq = seq
        self.chain = chain
        self.kinds: set[str] = set()
        self.actors: set[str] = set()

    def event(self, kind: str, subject: str, actor: str = "node", **detail: object) -> int:
        """Append an event and return its seq."""
        return self.events(kind, [subject], actor, **detail)[0]

    def events(self, kind: str, subjects: Sequence[str], actor: str, **detail: object) -> range:
        """Append one event for each of `subjects` and return their seqs."""
        if not subjects:
            return range(0)
        seqs = range(self.seq + 1, self.seq + 1 + len(subjects))
        text = msgspec.json.encode(detail).decode()
        chain, at, source, link = self.chain, self.at, self.source, sequencer.link
        rows: list[tuple[object, ...]] = []
        for seq, subject in zip(seqs, subjects, strict=True):
            event = (seq, at, kind, subject, actor, source, text)
            chain = link(chain, event)
            rows.append((*event, chain))
        insert_rows(self.conn, schema.events, rows)
        self.seq, self.chain = seqs[-1], chain
        self.kinds.add(kind)
        self.actors.add(actor)
        return seqs


class Reader:
    """The database of one node, for reading only: beside a node that runs, or without one.

    Raises StoreError if it is not of this program's version, or not there.
    """

    def __init__(self, url: str) -> None:
        if not engines.is_there(url):
            raise StoreError("There is no log in this database: `lezha init` makes a node.")
        self._readers = engines.readers(url)
        try:
            with self.read() as conn:
                migrations.check(conn)
        except BaseException:
            self._readers.dispose()
            raise

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection that sees a snapshot of what is committed."""
        with engines.reading(self._readers) as conn:
            yield conn

    def close(self) -> None:
        """Close the database."""
        self._readers.dispose()


class _Job(NamedTuple):
    """A piece of work that goes into a commit, with others or alone."""

    work: Callable[[Tx], Any]
    future: "Future[Any]"
    source: str


class _Apart(NamedTuple):
    """Work that no commit may come between."""

    work: Callable[[], None]
    future: "Future[None]"

    def do(self) -> None:
        """Do it, and give what comes of it to who asked."""
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            self.work()
        except Exception as error:  # noqa: BLE001  # whatever it is, it goes to whoever asked
            self.future.set_exception(error)
        else:
            self.future.set_result(None)


class _Done(msgspec.Struct, frozen=True):
    """What a transaction holds when all that is left to do is to commit it."""

    before: Position
    after: Position
    kinds: frozenset[str]
    actors: frozenset[str]
    results: list[tuple["Future[Any]", Any]]


class Log:
    """The database of one node.

    `clock` returns the present RFC 3339 UTC time with microseconds. Every commit gets a later time than the one before.
    Several processes may have one database open; with `listen` this one hears of what the others commit (PostgreSQL).
    Without `upgrade` a database of an older version is refused, as one of a newer version always is.
    """

    def __init__(
        self, url: str, clock: Callable[[], str], *, listen: bool = False, upgrade: bool = True
    ) -> None:
        self._writer = engines.writer(url)
        self._readers = engines.readers(url)
        self._listeners: list[Callable[[Committed], None]] = []
        self._losers: list[Callable[[], None]] = []
        self._hearing = threading.Lock()
        try:
            self._heard = self._open(upgrade)
        except BaseException:
            self._writer.dispose()
            self._readers.dispose()
            raise
        self._clock = clock
        self._jobs: queue.SimpleQueue[_Job | _Apart | None] = queue.SimpleQueue()
        self._epoch: int | None = None
        self._superseded = False
        self._closed = False
        self._lead: Connection | None = None
        self._thread = threading.Thread(target=self._run, name="lezha-writer", daemon=True)
        self._thread.start()
        self._hints = Hints(self._readers, self._hear) if listen and _is_postgres(self._writer) else None

    def on_commit(self, listener: Callable[[Committed], None]) -> None:
        """Call `listener`, which may not raise, after each commit that appended events, from a thread of the log."""
        self._listeners.append(listener)

    def on_superseded(self, listener: Callable[[], None]) -> None:
        """Call `listener`, which may not raise, once another process has taken the lead, from a thread of the log."""
        self._losers.append(listener)

    def lead(self) -> None:
        """Become the process that runs the links. Raises Superseded if another one does.

        From then on, every commit fails with Superseded if another process has taken the lead meanwhile. SQLite's
        database lies in one node's folder, whose lock file has the same purpose; there the epoch alone rises.
        """
        if _is_postgres(self._writer):
            end = time.monotonic() + _LEAD_S
            while (held := engines.hold_lead(self._writer)) is None and time.monotonic() < end:
                time.sleep(_LEAD_S / 20)
            self._lead = held
            if held is None:
                raise Superseded("Another process runs this node's links: stop it first.")
        self._epoch = self.write_now(lambda tx: sequencer.raise_epoch(tx.conn))

    async def write(self, work: Callable[[Tx], T]) -> T:
        """Run `work` in the writer's transaction; return its result once it is durable.

        Whatever `work` raises is raised here, and nothing of it is written.
        """
        return await self.submit(work)

    def submit(self, work: Callable[[Tx], T]) -> "asyncio.Future[T]":
        """As `write`, with a place in the writer's queue before this returns: what is asked for later is done later."""
        return asyncio.wrap_future(self._submit(work))

    def write_now(self, work: Callable[[Tx], T]) -> T:
        """As `write`, for callers without an event loop."""
        return cast(T, self._submit(work).result())

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection that sees a snapshot of what is committed. Raises StoreError if the database is away."""
        with engines.reading(self._readers) as conn:
            yield conn

    def scrub(self) -> None:
        """Overwrite what deleted rows have left behind in the database's files.

        The files are written anew: what is to be written meanwhile waits, on PostgreSQL also what is to be read
        (docs/design.md, Purge). Raises StoreError if readers or another process stand in the way: try again later.
        """
        engines.scrub(self._writer, self._in_turn)

    def close(self) -> None:
        """Finish the work that waits, then close the database."""
        if not self._closed:
            self._closed = True
            self._jobs.put(None)
            self._thread.join()
            self._refuse_the_rest()
            if self._hints is not None:
                self._hints.stop()
            if self._lead is not None:
                engines.release_lead(self._lead)
            self._writer.dispose()
            self._readers.dispose()

    def _open(self, upgrade: bool) -> int:
        """Have the present tables there; return where the log has come to. Raises StoreError."""
        try:
            if upgrade:
                migrations.migrate(self._writer)
        except engines.OUTSIDE as error:
            raise engines.failure(error, "The database can't be opened") from error
        with self.read() as conn:
            migrations.check(conn)
            return sequencer.read(conn).seq

    def _refuse_the_rest(self) -> None:
        """Answer whoever asked in the moment of closing."""
        while not self._jobs.empty():
            job = self._jobs.get()
            if job is not None and job.future.set_running_or_notify_cancel():
                job.future.set_exception(StoreError("The log is closed: the node is stopping."))

    def _submit(self, work: Callable[[Tx], Any]) -> "Future[Any]":
        return self._put(lambda future: _Job(work, future, _SOURCE.get()))

    def _in_turn(self, work: Callable[[], None]) -> None:
        """Do what is done outside of a transaction while nothing else is written."""
        self._put(lambda future: _Apart(work, future)).result()

    def _put(self, job: "Callable[[Future[Any]], _Job | _Apart]") -> "Future[Any]":
        if self._closed:
            raise StoreError("The log is closed: the node is stopping.")
        future: Future[Any] = Future()
        self._jobs.put(job(future))
        return future

    def _run(self) -> None:
        then: list[_Job | _Apart | None] = []  # taken out of the queue, and not for the commit before
        while (job := then.pop() if then else self._jobs.get()) is not None:
            if isinstance(job, _Apart):
                job.do()
                continue
            group = [job]
            while len(group) < _GROUP_LIMIT and not then and not self._jobs.empty():
                more = self._jobs.get()
                if isinstance(more, _Job):
                    group.append(more)
                else:
                    then.append(more)
            self._commit([one for one in group if one.future.set_running_or_notify_cancel()])

    def _commit(self, group: list[_Job]) -> None:
        done: _Done | None = None
        begun = time.monotonic()
        try:
            with self._writer.begin() as conn:
                done = self._work(conn, self._take(conn), group)
        except Exception as error:  # noqa: BLE001  # the commit failed: all must hear of it
            if done is None or (failed := self._uncertain(error, done)):
                failed = failed if done else _refused(error)
                for one in group:
                    if not one.future.done():
                        one.future.set_exception(failed)
                return
        self._tell(done, time.monotonic() - begun)
        for future, result in done.results:
            future.set_result(result)

    def _take(self, conn: Connection) -> Position:
        """Wait for this log's turn to commit. Raises Superseded if it has lost the lead."""
        position = sequencer.take(conn)
        if self._epoch is not None and position.epoch != self._epoch:
            self._lose()
            raise Superseded("Another process has taken the lead of this node's log: this one must stop.")
        return position

    def _work(self, conn: Connection, before: Position, group: list[_Job]) -> _Done:
        """Do each piece so that it can be undone alone: in a savepoint, unless there is no other.

        For a savepoint SQLite copies every page that is changed: a third of what a large piece costs.
        """
        at = sequencer.after(before.at, self._clock())
        position = msgspec.structs.replace(before, at=at)
        kinds: set[str] = set()
        actors: set[str] = set()
        results: list[tuple[Future[Any], Any]] = []
        for work, future, source in group:
            tx = Tx(conn, at, position.seq, position.chain, source)
            savepoint = conn.begin_nested() if len(group) > 1 else None
            try:
                result = work(tx)
            except Exception as error:  # noqa: BLE001  # whatever it is, it goes to whoever asked
                _undo(savepoint or conn.get_transaction(), error)
                future.set_exception(_as_ours(error))
                continue
            # If this fails, all fail: PostgreSQL would answer a COMMIT with a silent ROLLBACK.
            if savepoint is not None:
                savepoint.commit()
            engines.require_transaction(conn)
            results.append((future, result))
            position = msgspec.structs.replace(position, seq=tx.seq, chain=tx.chain)
            kinds |= tx.kinds
            actors |= tx.actors
        if results:
            sequencer.put(conn, position)
        if position.seq > before.seq:
            engines.hint(conn)
        return _Done(before, position, frozenset(kinds), frozenset(actors), results)

    def _uncertain(self, error: Exception, done: _Done) -> StoreError | None:
        """Return what to say after a commit that failed, or None if it was written all the same.

        A server that is lost in the middle of a COMMIT may have written it or not. Its chain tells.
        """
        if not isinstance(error, DBAPIError) or not error.connection_invalidated:
            return _refused(error)
        try:
            with self._writer.begin() as conn:
                present = sequencer.take(conn)  # the lost transaction, if it lives still, has to end first
                if done.after.seq > done.before.seq:
                    written = sequencer.chain_at(conn, done.after.seq) == done.after.chain
                    return None if written else _refused(error)
            if present.at <= done.after.at:
                return None if present.at == done.after.at else _refused(error)
        except engines.OUTSIDE:
            pass  # it is still away
        return StoreError(
            "The database was lost while this was being committed, and whether it was written is not known: look, "
            f"and ask again if it was not ({engines.said(error)})."
        )

    def _tell(self, done: _Done, took_s: float) -> None:
        """Tell listeners of this process's commit, and before of what others have committed since the last."""
        before, last = done.before.seq, done.after.seq
        with self._hearing:
            try:
                if before > self._heard:
                    self._tell_of_others(before)
            except StoreError as error:
                # Whoever looks next tells of all that is missing: nothing may be told out of order.
                _logger.warning("store.unheard", reason=str(error))
                return
            if last > max(before, self._heard):
                instant = time.monotonic()
                self._announce(Committed(before + 1, last, done.kinds, instant, took_s, done.actors))

    def _hear(self) -> None:
        """Tell listeners of what other processes have committed, and whether one of them has taken the lead."""
        with self.read() as conn:
            position = sequencer.read(conn)
        with self._hearing:
            if position.seq > self._heard:
                self._tell_of_others(position.seq)
        if self._epoch is None:
            return
        if position.epoch > self._epoch:
            self._lose()
        elif self._lead is None or not engines.holds_lead(self._lead):
            self._lead = engines.hold_lead(self._writer)
            _logger.warning("store.lead_lock_lost", held_again=self._lead is not None)

    def _lose(self) -> None:
        if not self._superseded:
            self._superseded = True
            _logger.error("store.superseded", epoch=self._epoch)
            for listener in self._losers:
                listener()

    def _tell_of_others(self, last: int) -> None:
        table = schema.events
        with self.read() as conn:
            found = conn.scalars(
                select(table.c.kind).where(table.c.seq > self._heard, table.c.seq <= last).distinct()
            )
            kinds = frozenset(found)
        self._announce(Committed(self._heard + 1, last, kinds, time.monotonic()))

    def _announce(self, committed: Committed) -> None:
        self._heard = committed.last
        for listener in self._listeners:
            listener(committed)


def _undo(piece: Transaction | None, error: Exception) -> None:
    """Undo one piece. Raises `error` if that can't be done: a full disk makes SQLite undo the whole transaction."""
    try:
        if piece is not None:
            piece.rollback()
    except SQLAlchemyError as lost:
        raise error from lost


def _refused(error: Exception) -> StoreError:
    """Return why nothing was written."""
    return error if isinstance(error, StoreError) else engines.failure(error, "Nothing was written")


def _as_ours(error: Exception) -> Exception:
    """Return what one piece raised; if the database is to blame, as an error of this room."""
    return _refused(error) if isinstance(error, engines.OUTSIDE) else error


def _is_postgres(engine: Engine) -> bool:
    return engine.dialect.name == "postgresql"
