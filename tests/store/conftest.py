"""The log on both of its engines."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from lezha.node.clock import utc_now
from lezha.store.log import Log

_schemas = count(1)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the URL of an empty database, once of each engine.

    In PostgreSQL it is an empty schema of one database: that is made ten times as fast as a database.
    """
    return new_url(request.param, request, tmp_path / "lezha.db")


@pytest.fixture(params=["sqlite", "postgres"])
def second(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the URL of another empty database, once of each engine."""
    return new_url(request.param, request, tmp_path / "second.db")


def new_url(engine: str, request: pytest.FixtureRequest, file: Path) -> str:
    """Return the URL of an empty database: SQLite in `file`, or PostgreSQL."""
    if engine == "sqlite":
        return f"sqlite:///{file}"
    import psycopg

    words = str(request.getfixturevalue("postgres_server"))
    schema = f"test_{next(_schemas)}"
    with psycopg.connect(f"dbname=postgres {words}", autocommit=True) as admin:
        admin.execute(f"CREATE SCHEMA {schema}".encode())
    return "&".join(["postgresql+psycopg:///postgres?options=-csearch_path%3D" + schema, *words.split()])


@pytest.fixture
def log(url: str) -> Iterator[Log]:
    """Give an empty log."""
    opened = Log(url, utc_now)
    try:
        yield opened
    finally:
        opened.close()
