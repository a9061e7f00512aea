"""Rows of a result as structs."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Final, TypeVar

import msgspec
from sqlalchemy import BindParameter, Connection, Row, Select, bindparam

T = TypeVar("T")

_PARAMETERS: Final = 500  # in one IN (…); SQLite and PostgreSQL take many more


def record(row: Mapping[Any, Any], kind: type[T]) -> T:
    """Return a row (`row._mapping`) as a `kind`, whose fields are named as the columns."""
    # SQLAlchemy's column names are a subclass of str, which msgspec does not take for keys.
    return msgspec.convert({str.__str__(name): value for name, value in row.items()}, kind)


KEYS: Final[BindParameter[Any]] = bindparam("keys", expanding=True)
"""Stands in a query, built once, for the keys that `each` is given: `column.in_(KEYS)`."""


def each(conn: Connection, query: Select[Any], keys: Iterable[str], **more: object) -> Iterator[Row[Any]]:
    """Run `query` for all of `keys`, however many, and give its rows."""
    for part in parts(keys):
        yield from conn.execute(query, {"keys": part, **more})


def parts(values: Iterable[T]) -> Iterator[list[T]]:
    """Split distinct `values` into lists that fit into one query's IN (…)."""
    left = iter(dict.fromkeys(values))
    while part := list(islice(left, _PARAMETERS)):
        yield part
