"""All rows of the database, out of one engine and into the other.

Everything here goes by `schema.metadata`: no table and no column is named, so a new one needs nothing done here. A
table with `info={"derived": True}` holds nothing of its own: it is left out, and rebuilt by whoever loads; one with
`info={"passing": True}` is left out for good. Tables go in the order of their foreign keys, rows in the order in which
the database gives them. Values are those that SQLAlchemy Core takes and gives (str, int, bool, bytes, None), whatever a
column makes of them.
"""

from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Annotated, Any, Final

import msgspec
from sqlalchemy import Column, Connection, Row, Table, func, insert, inspect, select
from sqlalchemy.exc import SQLAlchemyError

from lezha.store import engine, migrations, schema
from lezha.store.errors import StoreError

MAX_BLOCK: Final = 32 << 20  # bytes; of rows, a refused frame is the largest, and its batch had at most 8 MiB
_BLOCK: Final = 1 << 20  # a block is closed when it has as many bytes, or so many rows
_BLOCK_ROWS: Final = 1000
_FETCHED: Final = 64  # rows at a time: they may have a megabyte each
_MAX_COLUMNS: Final = 200
_LEFT_OUT: Final = frozenset({"derived", "passing"})
_PLAIN: Final = frozenset({str, int, bool, bytes, type(None)})
_SEVERAL: Final = frozenset(
    {*range(0x80, 0xA0), *range(0xDC, 0xE0)}
)  # MessagePack: first bytes of arrays and maps

# docs/link.md, Batches and frames: it names one life of the database, and a restored one begins another.
_NOT_LOADED: Final = {schema.meta.name: frozenset({"incarnation"})}


class Rows(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="rows"):
    """Some rows of a table. Each is a MessagePack array of its values, in the order of `shape`."""

    table: str
    rows: Annotated[list[msgspec.Raw], msgspec.Meta(max_length=_BLOCK_ROWS)]


_CELLS: Final = msgspec.msgpack.Decoder(Annotated[list[msgspec.Raw], msgspec.Meta(max_length=_MAX_COLUMNS)])
_ENCODER: Final = msgspec.msgpack.Encoder()


def shape() -> dict[str, list[str]]:
    """Return the columns of each table that an archive holds."""
    return {_plain(table.name): [_plain(column.key) for column in _columns(table)] for table in _tables()}


def check(conn: Connection) -> None:
    """Raise StoreError unless the database is of this program's schema version."""
    found = None
    if inspect(conn).has_table(schema.meta.name):
        found = engine.get_meta(conn, "schema")
    if found is None:
        raise StoreError("The database is empty: there is nothing to back up.")
    if found != str(schema.VERSION):
        raise StoreError(
            f"This database has schema version {found}, this program needs {schema.VERSION}: "
            "back it up with the version of lezha that wrote it."
        )


def dump(conn: Connection) -> Generator[Rows, None, None]:
    """Give all rows, in blocks of about a megabyte, as the snapshot of `conn` has them.

    Memory does not grow with the tables. Who leaves early closes it, before the connection. Raises StoreError if a
    row can't be archived.
    """
    for table in _tables():
        yield from _blocks(conn, table)


def load(
    conn: Connection, blocks: Iterable[Rows], rebuild: Callable[[Connection], None] = lambda _conn: None
) -> None:
    """Make the tables in an empty database and insert `blocks`, then have `rebuild` fill those that are derived.

    All of it belongs to the transaction of `conn`, and nothing is there before that is committed. Raises StoreError.
    """
    check_empty(conn)
    tables = {table.name: (number, table) for number, table in enumerate(_tables())}
    reached = 0
    try:
        migrations.tables(conn)
        for block in blocks:
            number, table = tables.get(block.table, (-1, schema.meta))
            if number < reached:
                raise StoreError(f"The backup has rows of {block.table!r} where none can be.")
            reached = number
            _insert(conn, table, block)
        _continue_numbers(conn)
        rebuild(conn)
    except (SQLAlchemyError, OverflowError) as error:
        raise StoreError(f"The database refuses what is restored: {engine.said(error)}") from None


def check_empty(conn: Connection) -> None:
    """Raise StoreError if any table of lezha's holds anything."""
    there = set(inspect(conn).get_table_names())
    for table in schema.metadata.sorted_tables:
        if table.name in there and conn.execute(select(table).limit(1)).first() is not None:
            raise StoreError(
                f"The database is not empty, it has rows in {table.name!r}: restore into a new, empty one."
            )


def _tables() -> list[Table]:
    return [table for table in schema.metadata.sorted_tables if not _LEFT_OUT & table.info.keys()]


def _columns(table: Table) -> list[Column[Any]]:
    return [column for column in table.columns if column.computed is None]


def _plain(name: str) -> str:
    # SQLAlchemy's names are of a subclass of str, which msgspec does not take.
    return str.__str__(name)


def _blocks(conn: Connection, table: Table) -> Iterator[Rows]:
    name = _plain(table.name)
    rows: list[msgspec.Raw] = []
    size = 0
    # PostgreSQL: a cursor on the server. Both: never more than these rows at a time.
    query = select(*_columns(table))
    with conn.execute(query, execution_options={"stream_results": True}) as found:
        for row in found.yield_per(_FETCHED):
            raw = _row(table, row)
            if rows and (size + len(raw) > _BLOCK or len(rows) == _BLOCK_ROWS):
                yield Rows(name, rows)
                rows, size = [], 0
            rows.append(msgspec.Raw(raw))
            size += len(raw)
    if rows:
        yield Rows(name, rows)


def _row(table: Table, row: Row[Any]) -> bytes:
    if not _PLAIN.issuperset(map(type, row)):
        raise StoreError(f"A row of {table.name!r} holds a value of a kind that no backup can hold.")
    return _ENCODER.encode(tuple(row))


def _insert(conn: Connection, table: Table, block: Rows) -> None:
    names = [column.key for column in _columns(table)]
    rows = [dict(zip(names, _values(raw, table, len(names)), strict=True)) for raw in block.rows]
    if skipped := _NOT_LOADED.get(table.name):
        (key,) = table.primary_key.columns
        rows = [row for row in rows if row[key.key] not in skipped]
    if rows:
        conn.execute(insert(table), rows)


def _values(raw: msgspec.Raw, table: Table, columns: int) -> list[Any]:
    """Read a row. Only flat ones are: what an array of arrays would take in memory has no bound."""
    try:
        cells = _CELLS.decode(raw)
        if len(cells) == columns and not any(_first(cell) in _SEVERAL for cell in cells):
            values = [msgspec.msgpack.decode(cell) for cell in cells]
            if _PLAIN.issuperset(map(type, values)):
                return values
    except (msgspec.MsgspecError, ValueError):  # ValueError: text that is not UTF-8
        pass
    raise StoreError(f"The backup holds a row of {table.name!r} that can't be read.")


def _first(raw: msgspec.Raw) -> int:
    return memoryview(raw)[0]


def _continue_numbers(conn: Connection) -> None:
    """Have PostgreSQL's sequences go on after the numbers that were inserted; SQLite does so by itself."""
    if conn.dialect.name != "postgresql":
        return
    for table in _tables():
        column = table.autoincrement_column
        if column is not None:
            name = conn.dialect.identifier_preparer.format_table(table)
            sequence = func.pg_get_serial_sequence(name, column.name)
            last = select(func.coalesce(func.max(column), 0) + 1).scalar_subquery()
            conn.execute(select(func.setval(sequence, last, False)))
