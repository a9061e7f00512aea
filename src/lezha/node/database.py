"""The database that a node is given: where it is, whether it can be used, and the log in it."""

import contextlib
import sqlite3
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from lezha.node import settings as node_settings
from lezha.node.clock import utc_now
from lezha.node.errors import NodeError
from lezha.node.settings import DATABASE, Settings
from lezha.store import engine
from lezha.store.log import Log

_OLDEST: Final = 14
_DRIVER: Final = "psycopg"
_DRIVERS: Final = ("postgresql", "postgresql+psycopg")


def open_log(home: Path, settings: Settings, *, leads: bool = True, new: bool = False) -> Log:
    """Open the log of the node in `home`. One that does not lead hears of others and upgrades nothing.

    Only a `new` node may find its database empty. Raises NodeError, StoreError.
    """
    url = node_settings.database(home, settings)
    if settings.database:
        check_url(settings.database)
    elif not leads:
        raise NodeError(
            "This node's database is SQLite, which one process at a time may have: several need PostgreSQL, "
            "which `lezha init --database` sets up, or `lezha restore --database` from a backup."
        )
    with answering(url):
        if not new and not engine.is_there(url):
            where = "the database that its settings name" if settings.database else home / DATABASE
            raise NodeError(
                f"The database of this node is gone: there is nothing in {where}. "
                "`lezha restore` makes it again from a backup, in a new folder."
            )
        return Log(url, utc_now, listen=True, upgrade=leads)


def check_url(database: str) -> None:
    """Raise NodeError unless this is the URL of a PostgreSQL database."""
    try:
        driver = make_url(database).drivername
    except (SQLAlchemyError, ValueError):  # the latter for a port that is no number
        driver = ""
    if driver not in _DRIVERS:
        raise NodeError(
            "--database must be the URL of a PostgreSQL database, as postgresql+psycopg://user@host/name; "
            "without it the node gets an SQLite database in its folder."
        )


def check_new(database: str) -> None:
    """Raise NodeError or StoreError unless this PostgreSQL database can be reached and used, and is empty."""
    check_url(database)
    with answering(database):
        opened = engine.writer(database)
        try:
            with opened.connect() as conn:
                _check_server(conn)
                _check_empty(conn)
        finally:
            opened.dispose()


@contextlib.contextmanager
def answering(url: str) -> Iterator[None]:
    """Say in one sentence, without its password, what is wrong with a database. Raises NodeError."""
    if make_url(url).get_backend_name() == "postgresql" and find_spec(_DRIVER) is None:
        raise NodeError(
            f"PostgreSQL needs {_DRIVER}, which is not installed: pip install 'lezha[postgres]', or in a checkout "
            ".venv/bin/pip install -e '.[postgres]'."
        )
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error) as error:  # the latter while a connection is being set up
        made = make_url(url)
        words = engine.said(error)
        for secret in filter(None, (made.password, made.query.get("password"))):
            words = words.replace(str(secret), "***")
        where = made.difference_update_query(["password"]).render_as_string(hide_password=True)
        raise NodeError(f"The database {where} can't be used: {words}") from None


def _check_server(conn: Connection) -> None:
    version = int(conn.scalar(text("SHOW server_version_num")) or 0) // 10_000
    if version < _OLDEST:
        raise NodeError(f"The database's server is PostgreSQL {version}: {_OLDEST} or newer is needed.")
    encoding = conn.scalar(text("SHOW server_encoding"))
    if encoding != "UTF8":
        raise NodeError(
            f"The database's encoding is {encoding}: UTF8 is needed (CREATE DATABASE … ENCODING 'UTF8')."
        )
    if not conn.scalar(text("SELECT has_schema_privilege(current_schema(), 'CREATE')")):
        raise NodeError(
            "The database's user may not make tables there: let it own the database (CREATE DATABASE … OWNER …)."
        )


def _check_empty(conn: Connection) -> None:
    if found := sorted(inspect(conn).get_table_names()):
        raise NodeError(
            f"The database is not empty, it has a table {found[0]!r}: a node is made in a new database, "
            "never over another one."
        )
