"""Rows of a result as structs, and rows written many at once."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import chain, islice
from typing import Any, Final, TypeVar

import msgspec
from sqlalchemy import (
    BindParameter,
    Column,
    ColumnElement,
    Connection,
    Row,
    Select,
    Table,
    bindparam,
    type_coerce,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import NullType

T = TypeVar("T")

_PARAMETERS: Final = 500  # in one IN (…); SQLite and PostgreSQL take many more


def record(row: Mapping[Any, Any], kind: type[T]) -> T:
    """Return a row (`row._mapping`) as a `kind`, whose fields are named as the columns."""
    # SQLAlchemy's column names are a subclass of str, which msgspec does not take for keys.
    return msgspec.convert({str.__str__(name): value for name, value in row.items()}, kind)


KEYS: Final[BindParameter[Any]] = bindparam("keys", expanding=True)
"""Stands in a query, built once, for the keys that `each` is given: `column.in_(KEYS)`."""


def each(conn: Connection, query: Select[Any], keys: Iterable[Any], **more: object) -> Iterator[Row[Any]]:
    """Run `query` for all of `keys`, however many, and give its rows."""
    for part in parts(keys):
        yield from conn.execute(query, {"keys": part, **more})


def each_raw(conn: Connection, question: str, keys: Iterable[Any]) -> Iterator[Any]:
    """Ask `question`, SQL that ends with a column, for all of `keys`, and give rows as the driver does.

    For what is asked for every object: SQLAlchemy takes longer to write a question down than SQLite to answer it.
    """
    postgres = conn.dialect.name == "postgresql"
    for part in parts(keys):
        if postgres:
            yield from conn.exec_driver_sql(f"{question} = ANY(%s)", (part,))
        else:
            yield from conn.exec_driver_sql(f"{question} IN ({','.join('?' * len(part))})", tuple(part))


def each_pair(conn: Connection, question: str, pairs: Iterable[tuple[str, str]]) -> Iterator[Any]:
    """Ask `question`, SQL about the rows of `asked (one, other)`, for all of `pairs`, and give rows as the driver does.

    SQLite begins with what stands before a CROSS JOIN. Two IN (…) would have it try each `one` with each `other`.
    """
    postgres = conn.dialect.name == "postgresql"
    for part in parts(pairs):
        if postgres:
            given = "SELECT * FROM unnest(%s::text[], %s::text[])"
            values: tuple[Any, ...] = tuple(map(list, zip(*part, strict=True)))
        else:
            given = f"VALUES {','.join(['(?,?)'] * len(part))}"
            values = tuple(chain.from_iterable(part))
        yield from conn.exec_driver_sql(f"WITH asked (one, other) AS ({given}) {question}", values)


def plain(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return a column as the driver gives it: a hash as bytes, on SQLite a truth as 0 or 1.

    For what is read for every object of a page: to make each value what it is for Python costs more than to read it.
    """
    named = column.name if isinstance(column, Column) else None
    return type_coerce(column, NullType()).label(named)


def parts(values: Iterable[T]) -> Iterator[list[T]]:
    """Split distinct `values` into lists that fit into one query's IN (…)."""
    left = iter(dict.fromkeys(values))
    while part := list(islice(left, _PARAMETERS)):
        yield part


def insert_rows(conn: Connection, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert rows, each with a value for every column of `table` in order, as the database's driver takes them.

    SQLAlchemy's own way costs more per row than the database's. A hash is given as bytes, not as `schema.Hex` does.
    """
    if not rows:
        return
    if conn.dialect.name == "postgresql":
        _copy_rows(conn, table, rows)
    else:
        conn.exec_driver_sql(_insert(table), list(rows))


def _copy_rows(conn: Connection, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
    """COPY takes rows several times as fast as INSERT, and needs no answer for each."""
    driver: Any = conn.connection.driver_connection
    raised: Any = conn.dialect.loaded_dbapi.Error
    try:
        with driver.cursor() as cursor, cursor.copy(_copy(table)) as copy:
            for row in rows:
                copy.write_row(row)
    except raised as error:
        # As SQLAlchemy does with what it runs itself: whoever catches its errors catches this one too.
        kind = DBAPIError.instance(_copy(table), None, error, raised, True, dialect=conn.dialect)
        raise kind from error


@cache
def _insert(table: Table) -> str:
    names = ", ".join(column.name for column in table.c)
    return f"INSERT INTO {table.name} ({names}) VALUES ({', '.join('?' * len(table.c))})"  # noqa: S608  # own names


@cache
def _copy(table: Table) -> str:
    return f"COPY {table.name} ({', '.join(column.name for column in table.c)}) FROM STDIN"
