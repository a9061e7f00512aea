"""Open a database: SQLite by default, PostgreSQL for the member that outgrows one machine."""

import time
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event, insert, select, text, update
from sqlalchemy.engine import make_url

from lezha.store import schema
from lezha.store.errors import StoreError

CHANNEL: Final = "lezha"
"""PostgreSQL's channel on which every commit says that there is something new; a hint, never more."""

# SQLite's caches in KiB. Readers share the operating system's through mmap; only the writer changes pages.
_WRITER_CACHE: Final = 98_304
_READER_CACHE: Final = 4_096
_MAPPED: Final = 1 << 36
_CHECKPOINT: Final = 16_384  # pages: a write-ahead log of 64 MiB; a busy page is brought over once, not every time
_SCRUB_TRIES: Final = 50


def writer(url: str) -> Engine:
    """Return the engine of the one writer: a commit is on disk when it returns."""
    return _engine(url, "BEGIN IMMEDIATE", _WRITER_CACHE)


def readers(url: str) -> Engine:
    """Return an engine whose transactions see a snapshot and never wait for the writer."""
    engine = _engine(url, "BEGIN", _READER_CACHE)
    # SQLite's transactions see a snapshot anyway; PostgreSQL's, by default, whatever each statement finds.
    if engine.dialect.name == "postgresql":
        return engine.execution_options(isolation_level="REPEATABLE READ")
    return engine


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


def scrub(engine: Engine) -> None:
    """Overwrite what deleted rows have left behind. Raises StoreError if something stands in the way."""
    raw = engine.raw_connection()
    try:
        if engine.dialect.name == "postgresql":
            _write_anew(raw.driver_connection)
        else:
            _empty_wal(raw.driver_connection)
    finally:
        raw.close()


def _write_anew(connection: Any) -> None:
    """Write the tables that bytes were purged from anew, with their indexes: VACUUM alone leaves bytes in pages."""
    connection.rollback()
    connection.autocommit = True
    try:
        for table in schema.PURGED:
            connection.execute(f"VACUUM FULL {table}")
        connection.execute("CHECKPOINT")
    finally:
        connection.autocommit = False


def _empty_wal(connection: Any) -> None:
    """Bring the write-ahead log into the database and cut it to nothing; it holds pages as they were."""
    for _ in range(_SCRUB_TRIES):
        busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        if not busy:
            return
        time.sleep(0.1)
    raise StoreError(
        "Somebody has been reading the database for long: what was purged is still in its log file."
    )


def get_meta(conn: Connection, name: str) -> str | None:
    """Return a value of the node's own record, or None."""
    value: str | None = conn.scalar(select(schema.meta.c.value).where(schema.meta.c.name == name))
    return value


def set_meta(conn: Connection, name: str, value: str) -> None:
    """Record a value in the node's own record, in place of an earlier one."""
    table = schema.meta
    if not conn.execute(update(table).where(table.c.name == name).values(value=value)).rowcount:
        conn.execute(insert(table).values(name=name, value=value))


def _engine(url: str, begin: str, cache: int) -> Engine:
    engine = create_engine(url, pool_size=4, max_overflow=12)
    if make_url(url).get_backend_name() == "sqlite":
        event.listen(engine, "connect", lambda connection, _record: _pragmas(connection, cache))
        event.listen(engine, "begin", lambda conn: conn.exec_driver_sql(begin))
    return engine


def _pragmas(connection: Any, cache: int) -> None:
    connection.isolation_level = None  # transactions begin where SQLAlchemy says, not where sqlite3 guesses
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "secure_delete=ON",  # what is deleted is overwritten: purging must leave nothing in free pages
        "foreign_keys=ON",
        "busy_timeout=10000",
        f"cache_size=-{cache}",
        f"mmap_size={_MAPPED}",
        f"wal_autocheckpoint={_CHECKPOINT}",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
