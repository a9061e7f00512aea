"""Nodes on both engines."""

from collections.abc import Callable

import pytest


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest) -> Callable[[], str]:
    """Return what gives each node its database: SQLite in its folder, or a new one of PostgreSQL."""
    if request.param == "sqlite":
        return lambda: ""
    make: Callable[[], str] = request.getfixturevalue("postgres_databases")
    return make
