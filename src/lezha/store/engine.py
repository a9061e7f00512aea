"""Open a database: SQLite by default, PostgreSQL for the member that outgrows one machine."""

from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, insert, inspect, select
from sqlalchemy.engine import make_url

from lezha.store import schema
from lezha.store.errors import StoreError


def writer(url: str) -> Engine:
    """Return the engine of the one writer: a commit is on disk when it returns."""
    return _engine(url, "BEGIN IMMEDIATE")


def readers(url: str) -> Engine:
    """Return an engine whose transactions see a snapshot and never wait for the writer."""
    engine = _engine(url, "BEGIN")
    # SQLite's transactions see a snapshot anyway; PostgreSQL's, by default, whatever each statement finds.
    return engine.execution_options(isolation_level="REPEATABLE READ") if _is_postgres(url) else engine


def migrate(engine: Engine) -> None:
    """Make the tables in an empty database, or check that they are those of this program.

    Raises StoreError if the database belongs to another version.
    """
    with engine.begin() as conn:
        if not inspect(conn).has_table(schema.meta.name):
            schema.metadata.create_all(conn)
            conn.execute(insert(schema.meta).values(name="schema", value=str(schema.VERSION)))
            return
        found = get_meta(conn, "schema")
    if found != str(schema.VERSION):
        raise StoreError(
            f"This database has schema version {found}, this program needs {schema.VERSION}: "
            "start the version of lezha that wrote it."
        )


def get_meta(conn: Connection, name: str) -> str | None:
    """Return a value of the node's own record, or None."""
    value: str | None = conn.scalar(select(schema.meta.c.value).where(schema.meta.c.name == name))
    return value


def set_meta(conn: Connection, name: str, value: str) -> None:
    """Record a value once; a second time is an error of the caller."""
    conn.execute(insert(schema.meta).values(name=name, value=value))


def _engine(url: str, begin: str) -> Engine:
    engine = create_engine(url, pool_size=4, max_overflow=12)
    if make_url(url).get_backend_name() == "sqlite":
        event.listen(engine, "connect", _pragmas)
        event.listen(engine, "begin", lambda conn: conn.exec_driver_sql(begin))
    return engine


def _is_postgres(url: str) -> bool:
    return make_url(url).get_backend_name() == "postgresql"


def _pragmas(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # transactions begin where SQLAlchemy says, not where sqlite3 guesses
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "busy_timeout=10000",
        "cache_size=-65536",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
