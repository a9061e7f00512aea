"""From every earlier version of the tables to the present one, in one transaction.

A database says its version in `meta`. An empty one gets the present tables (`schema.py`). An older one is brought up
step by step: `v2.py` brings version 1 to version 2, and so on. A step never changes once it is released; so it uses no
table of `schema.py`, whose present form is that of the newest version, but the frozen SQL beside it. The tests compare
what the steps make with what `schema.py` makes, on both engines.

What is derived from contents is not brought over: its mark in `meta` is set back, and the node derives it anew when it
starts (`flows.rederive`).
"""

from collections.abc import Callable
from typing import Final

from sqlalchemy import Connection, Engine, inspect

from lezha.store import schema, sequencer, texts
from lezha.store.engine import get_meta, set_meta
from lezha.store.errors import StoreError
from lezha.store.migrations import v2, v3

STEPS: Final[dict[int, Callable[[Connection], None]]] = {1: v2.migrate, 2: v3.migrate}
"""By the version that each starts from."""


def migrate(engine: Engine) -> None:
    """Make the tables in an empty database, or bring older ones up to the present version.

    Raises StoreError if the database belongs to a newer version of the program; then nothing is changed.
    """
    with engine.begin() as conn:
        if not inspect(conn).has_table(schema.meta.name):
            create(conn)
            return
        found = get_meta(conn, "schema") or ""
        version = int(found) if found.isascii() and found.isdigit() else 0
        if version == schema.VERSION:
            return
        if version not in STEPS:
            raise StoreError(
                f"This database has schema version {found}, this program needs {schema.VERSION}: "
                "start the version of lezha that wrote it."
            )
        while version < schema.VERSION:
            STEPS[version](conn)
            version += 1
        set_meta(conn, "schema", str(version))


def check(conn: Connection) -> None:
    """Raise StoreError unless the database has the present tables."""
    found = None
    if inspect(conn).has_table(schema.meta.name):
        found = get_meta(conn, "schema")
    if found is None:
        raise StoreError("There is no log in this database: `lezha init` makes a node.")
    if found != str(schema.VERSION):
        raise StoreError(
            f"This database has schema version {found}, this program needs {schema.VERSION}: "
            "`lezha serve` brings an older one up, and a newer one needs its own version of lezha."
        )


def create(conn: Connection) -> None:
    """Make the present tables in an empty database, with the rows that every log begins with."""
    tables(conn)
    sequencer.begin(conn)
    set_meta(conn, "schema", str(schema.VERSION))


def tables(conn: Connection) -> None:
    """Make those of the present tables that are not there, without a row."""
    schema.metadata.create_all(conn)
    if not inspect(conn).has_table(texts.TABLE):
        texts.create(conn)
