"""Open a database: SQLite by default, PostgreSQL for the member that outgrows one machine."""

import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from sqlalchemy import (
    Connection,
    Engine,
    bindparam,
    create_engine,
    event,
    exc,
    insert,
    inspect,
    select,
    text,
    update,
)
from sqlalchemy.engine import URL, make_url

from lezha.store import schema
from lezha.store.errors import NoRoom, StoreError

CHANNEL: Final = "lezha"
"""PostgreSQL's channel on which every commit says that there is something new; a hint, never more."""

# SQLite's caches in KiB. Readers share the operating system's through mmap; only the writer changes pages.
_WRITER_CACHE: Final = 98_304
_READER_CACHE: Final = 4_096
_MAPPED: Final = 1 << 36
_CHECKPOINT: Final = (
    16_384  # pages: a write-ahead log of 64 MiB; a busy page is brought over once, not every time
)
_SCRUB_TRIES: Final = 50
_MOST_TIMES: Final = 3  # that a table is written anew in vain
_INSUFFICIENT_PRIVILEGE: Final = "42501"
_LOCK_NOT_AVAILABLE: Final = "55P03"
_BUSY_MS: Final = 10_000
_STEPS: Final = 100_000  # of SQLite's machine between two looks at the clock

OUTSIDE: Final = (exc.OperationalError, exc.InterfaceError, exc.TimeoutError, sqlite3.OperationalError)
"""What the database raises where not the program is to blame: it is away, busy, stopped, or out of room."""

# Of a server: seconds until it counts as away, and until a silent connection does. libpq's words.
_PATIENCE: Final = {
    "connect_timeout": "10",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",
}
# A process that stops in the middle of a commit would hold up every other one; the server ends its transaction.
_WRITER_SETTINGS: Final = (
    "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'",
    "SELECT set_config('idle_in_transaction_session_timeout', '60s', false)",
    "SELECT set_config('tcp_keepalives_idle', '30', false)",
)
_SQLITE_NO_ROOM: Final = frozenset(
    {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE}
)
_POSTGRES_NO_ROOM: Final = "53100"  # PostgreSQL, appendix A: disk_full


def writer(url: str) -> Engine:
    """Return the engine of the one writer: a commit is on disk when it returns."""
    engine = _engine(url, "BEGIN IMMEDIATE", _WRITER_CACHE)
    if engine.dialect.name == "postgresql":
        event.listen(engine, "connect", lambda connection, _record: _writer_settings(connection))
        # Whoever has waited for the sequencer's row must then see what the one before has written.
        return engine.execution_options(isolation_level="READ COMMITTED")
    return engine


def readers(url: str) -> Engine:
    """Return an engine whose transactions see a snapshot and never wait for the writer."""
    engine = _engine(url, "BEGIN", _READER_CACHE)
    # SQLite's transactions see a snapshot anyway; PostgreSQL's, by default, whatever each statement finds.
    if engine.dialect.name == "postgresql":
        return engine.execution_options(isolation_level="REPEATABLE READ")
    return engine


def is_there(url: str) -> bool:
    """Say whether there is a database with anything in it at `url`, without making one as opening it would.

    Raises StoreError if the database is away.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        file = Path(parsed.database or "")
        return file.is_file() and file.stat().st_size > 0
    opened = _server(parsed)
    try:
        with opened.connect() as conn:
            return inspect(conn).has_table(schema.meta.name)
    except OUTSIDE as error:
        raise failure(error, "The database can't be opened") from error
    finally:
        opened.dispose()


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Give a connection that sees a snapshot. Raises StoreError if the database is away."""
    try:
        with engine.connect() as conn, conn.begin():
            yield conn
    except OUTSIDE as error:
        raise failure(error, "The database can't be read") from error


def hint(conn: Connection) -> None:
    """Tell other processes that there will be something new when this transaction has ended."""
    if conn.dialect.name == "postgresql":
        conn.exec_driver_sql(f"NOTIFY {CHANNEL}")


def hold_lead(engine: Engine) -> Connection | None:
    """Return a connection that holds the advisory lock of this schema's leader, or None if another one holds it."""
    conn = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    key = "hashtextextended('lezha ' || current_schema(), 0)"
    if conn.scalar(text(f"SELECT pg_try_advisory_lock({key})")):
        return conn
    conn.close()
    return None


def release_lead(conn: Connection) -> None:
    """Give the lock up at once, and not only when the server has noticed that the connection is gone."""
    with suppress(exc.DBAPIError):
        conn.execute(text("SELECT pg_advisory_unlock_all()"))
    conn.invalidate()  # it goes back into no pool
    conn.close()


def holds_lead(conn: Connection) -> bool:
    """Say whether a connection that `hold_lead` gave still lives; the lock goes with it."""
    try:
        conn.execute(text("SELECT 1"))
    except exc.DBAPIError:
        return False
    return True


def failure(error: Exception, outcome: str) -> StoreError:
    """Return what the database raised as an error that says the `outcome` and the reason, without values."""
    if _no_room(getattr(error, "orig", None) or error):
        return NoRoom(
            f"{outcome}: the disk of the database is full ({said(error)}). Make room, and ask again."
        )
    return StoreError(f"{outcome}: {said(error)}")


def said(error: Exception) -> str:
    """Return what the database said, in one line, without the statement and its values."""
    cause = getattr(error, "orig", None) or error
    return " ".join(str(cause).split())[:300] or type(cause).__name__


def scrub(engine: Engine, in_turn: Callable[[Callable[[], None]], None]) -> None:
    """Overwrite what deleted rows have left behind; `in_turn` does what no other writing may come between.

    Raises StoreError if something stands in the way.
    """
    driver: Any = engine.dialect.loaded_dbapi  # what it raises comes as it is: SQLAlchemy has no part in this
    try:
        with closing(engine.raw_connection()) as raw:
            if engine.dialect.name == "postgresql":
                _write_anew(raw.driver_connection)
                return
            _empty_wal(
                raw.driver_connection
            )  # that nobody reads for long is found out before the work is done
            in_turn(lambda: _vacuum(engine))
            _empty_wal(raw.driver_connection)
    except (*OUTSIDE, driver.OperationalError) as error:
        raise failure(error, "What was purged is still in the database's files") from error


def _vacuum(engine: Engine) -> None:
    """Write SQLite's file anew: when pages are split or joined, copies of rows stay in the gaps.

    Needs room for two copies of it, one of them in a temporary file (SQLite, VACUUM).
    """
    raw = engine.raw_connection()
    connection: Any = raw.driver_connection
    try:
        connection.execute("PRAGMA temp_store=FILE")
        connection.execute("VACUUM")
    finally:
        connection.execute("PRAGMA temp_store=MEMORY")
        raw.close()


def _write_anew(connection: Any) -> None:
    """Write the tables that bytes were purged from anew, with their indexes: VACUUM alone leaves bytes in pages.

    Deleted rows that a transaction anywhere in the database may still see are copied, too: such tables come again. It
    waits for no reader: all others would have to wait behind it.
    """
    connection.rollback()
    connection.autocommit = True
    try:
        connection.execute("SET lock_timeout = '500ms'")
        purged = connection.execute("SELECT pg_current_xact_id()::text").fetchone()[0]
        left = list(schema.PURGED)
        times = 0
        for _ in range(_SCRUB_TRIES):
            if not _reading_since_before(connection, purged):
                left = [table for table in left if _in_use(connection, table)]
                times += 1
            if not left:
                _checkpoint(connection)
                return
            if times == _MOST_TIMES:
                break
            time.sleep(0.1)
    finally:
        if not connection.closed:
            connection.execute("RESET lock_timeout")
            connection.autocommit = False
    raise StoreError(
        "Somebody has been reading the database for long: what was purged is still in its files."
    )


def _checkpoint(connection: Any) -> None:
    """Have the names of the old files removed now; they were cut to nothing when the new ones took their place."""
    try:
        connection.execute("CHECKPOINT")
    except Exception as error:
        if (
            getattr(error, "sqlstate", "") != _INSUFFICIENT_PRIVILEGE
        ):  # PostgreSQL does it within minutes by itself
            raise


def _reading_since_before(connection: Any, purged: str) -> bool:
    """Say whether others may still see what was there before a transaction number, as far as this user may know."""
    return bool(connection.execute(_OLD_SNAPSHOTS, (purged,)).fetchone()[0])


_OLD_SNAPSHOTS: Final = """
    SELECT coalesce(max(age(xmin)), 0) > age(%s::xid8::xid)
    FROM (
        SELECT backend_xmin AS xmin FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()
        UNION ALL SELECT transaction FROM pg_prepared_xacts WHERE database = current_database()
        UNION ALL SELECT xmin FROM pg_replication_slots
    ) AS others
    WHERE xmin IS NOT NULL
"""


def _in_use(connection: Any, table: str) -> bool:
    """Write a table anew, and say whether somebody stood in the way."""
    try:
        return _seen_by_others(connection, table)
    except Exception as error:
        if getattr(error, "sqlstate", "") == _LOCK_NOT_AVAILABLE:
            return True
        raise


def _seen_by_others(connection: Any, table: str) -> bool:
    """Write a table anew, and say whether deleted rows had to be copied. Only VERBOSE tells, in words."""
    told: list[str] = []

    def hear(notice: Any) -> None:
        told.append(notice.message_detail or "")

    before = _file_of(connection, table)
    connection.add_notice_handler(hear)
    try:
        connection.execute(f"VACUUM (FULL, VERBOSE) {table}")
    finally:
        connection.remove_notice_handler(hear)
    if _file_of(connection, table) == before:
        raise StoreError(
            f"PostgreSQL has not written the table {table} anew, so that what was purged is still in its files: the "
            "user that the node connects as has to own its tables."
        )
    # "%.0f dead row versions cannot be removed yet.", in whatever language the server speaks.
    return any(int(number[0]) > 0 for one in told if (number := re.search(r"\d+", one)))


def _file_of(connection: Any, table: str) -> int:
    number: int = connection.execute("SELECT pg_relation_filenode(%s::regclass)", (table,)).fetchone()[0]
    return number


def _empty_wal(connection: Any) -> None:
    """Bring the write-ahead log into the database and cut it to nothing; it holds pages as they were."""
    # The checkpoint holds the writer's lock while it waits for readers: it must not wait, but come again.
    connection.execute("PRAGMA busy_timeout=0")
    try:
        for _ in range(_SCRUB_TRIES):
            if not _busy(connection):
                return
            time.sleep(0.1)
    finally:
        connection.execute(f"PRAGMA busy_timeout={_BUSY_MS}")
    raise StoreError(
        "Somebody has been reading the database for long: what was purged is still in its log file."
    )


def _busy(connection: Any) -> bool:
    try:
        return bool(connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0])
    except sqlite3.OperationalError:  # somebody else is writing
        return True


def size(conn: Connection) -> int:
    """Return how many bytes the database has, without what waits in SQLite's write-ahead log."""
    if conn.dialect.name == "postgresql":
        return int(conn.scalar(text("SELECT pg_database_size(current_database())")) or 0)
    pages, each = (conn.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("page_count", "page_size"))
    return int(pages or 0) * int(each or 0)


def quick_check(conn: Connection, seconds: float) -> list[str] | None:
    """Return what SQLite finds wrong with its file, or None if that takes longer. PostgreSQL looks after its own."""
    if conn.dialect.name == "postgresql":
        return []
    driver: Any = conn.connection.driver_connection
    end = time.monotonic() + seconds
    driver.set_progress_handler(lambda: time.monotonic() > end, _STEPS)
    try:
        found = [str(row[0]) for row in driver.execute("PRAGMA quick_check(10)")]
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
        return None
    finally:
        driver.set_progress_handler(None, 0)
    return [] if found == ["ok"] else found


def require_transaction(conn: Connection) -> None:
    """Raise StoreError if the database has ended the transaction by itself, as SQLite does when the disk is full.

    What would be written then would be written at once, piece by piece.
    """
    driver: Any = conn.connection.driver_connection
    within = (
        driver.in_transaction if conn.dialect.name == "sqlite" else driver.info.transaction_status != _IDLE
    )
    if not within:
        raise StoreError("The database has undone the transaction: nothing was written. Is its disk full?")


_IDLE: Final = 0  # libpq's PQTRANS_IDLE


_META: Final = select(schema.meta.c.value).where(schema.meta.c.name == bindparam("name"))


def get_meta(conn: Connection, name: str) -> str | None:
    """Return a value of the node's own record, or None."""
    value: str | None = conn.scalar(_META, {"name": name})
    return value


def set_meta(conn: Connection, name: str, value: str) -> None:
    """Record a value in the node's own record, in place of an earlier one."""
    table = schema.meta
    if not conn.execute(update(table).where(table.c.name == name).values(value=value)).rowcount:
        conn.execute(insert(table).values(name=name, value=value))


def _engine(url: str, begin: str, cache: int) -> Engine:
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return _server(parsed)
    engine = create_engine(parsed, pool_size=4, max_overflow=12, hide_parameters=True)
    event.listen(engine, "connect", lambda connection, _record: _pragmas(connection, cache))
    event.listen(engine, "begin", lambda conn: conn.exec_driver_sql(begin))
    return engine


def _server(url: URL) -> Engine:
    # Errors go to logs and to people: the values of a statement belong to neither.
    options: dict[str, Any] = {
        "pool_size": 4,
        "max_overflow": 12,
        "pool_pre_ping": True,
        "hide_parameters": True,
    }
    try:
        return create_engine(_patient(url), **options)
    except ModuleNotFoundError as error:
        raise StoreError(
            f"PostgreSQL needs {error.name}, which is not installed: pip install 'lezha[postgres]'."
        ) from error


def _patient(url: URL) -> URL:
    return url.update_query_dict({name: value for name, value in _PATIENCE.items() if name not in url.query})


def _no_room(cause: BaseException) -> bool:
    if isinstance(cause, sqlite3.Error):
        return getattr(cause, "sqlite_errorcode", 0) in _SQLITE_NO_ROOM
    return getattr(cause, "sqlstate", "") == _POSTGRES_NO_ROOM


def _writer_settings(connection: Any) -> None:
    for statement in _WRITER_SETTINGS:
        connection.execute(statement)
    connection.commit()


def _pragmas(connection: Any, cache: int) -> None:
    connection.isolation_level = None  # transactions begin where SQLAlchemy says, not where sqlite3 guesses
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "secure_delete=ON",  # what is deleted is overwritten: purging must leave nothing in free pages
        "temp_store=MEMORY",  # what a savepoint keeps for going back must not lie in files of its own
        "foreign_keys=ON",
        f"busy_timeout={_BUSY_MS}",
        f"cache_size=-{cache}",
        f"mmap_size={_MAPPED}",
        f"wal_autocheckpoint={_CHECKPOINT}",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
