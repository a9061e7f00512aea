"""Rows for every table, whatever tables there are."""

import hashlib
import random
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Boolean, Column, Connection, Integer, LargeBinary, String, Table, insert, select

from lezha.store import archive, schema

NUL_FREE = "".join(chr(number) for number in (*range(1, 0x180), 0x1F600, 0x10FFFF))
_BYTES = 200
_FIRST = 1000  # whatever has a number is beyond what is there already


def fill(conn: Connection, rows: int, size: int = _BYTES) -> None:
    """Put `rows` new rows into every table; foreign keys hold. `size` is how long bytes are."""
    made: dict[str, list[dict[str, Any]]] = {}
    for table in schema.metadata.sorted_tables:
        if (
            table.name in archive.shape() and table is not schema.sequencer
        ):  # which has the one row that it may have
            made[table.name] = [_row(table, number, made, size) for number in range(rows)]
            conn.execute(insert(table), made[table.name])


def held(conn: Connection) -> dict[str, list[tuple[Any, ...]]]:
    """Return all rows of all tables, sorted; the incarnation left out."""
    return {
        table.name: sorted(map(tuple, conn.execute(select(table))), key=repr)
        for table in schema.metadata.sorted_tables
    } | {schema.meta.name: sorted(_meta(conn))}


def _meta(conn: Connection) -> Iterator[tuple[Any, ...]]:
    return (tuple(row) for row in conn.execute(select(schema.meta)) if row.name != "incarnation")


def _row(table: Table, number: int, made: dict[str, list[dict[str, Any]]], size: int) -> dict[str, Any]:
    return {column.key: _value(column, number, made, size) for column in table.columns}


def _value(column: Column[Any], number: int, made: dict[str, list[dict[str, Any]]], size: int) -> Any:
    for key in column.foreign_keys:
        return made[key.column.table.name][number][key.column.key]
    if column.nullable and number % 3 == 0:
        return None
    if isinstance(column.type, schema.Hex):
        return hashlib.sha256(column.name.encode() + bytes([number % 256, number // 256])).hexdigest()
    if isinstance(column.type, Boolean):
        return number % 2 == 0
    if isinstance(column.type, Integer):
        return number + _FIRST
    if isinstance(column.type, LargeBinary):
        return bytes([0, 255, number % 256]) + random.Random(number).randbytes(size)
    if isinstance(column.type, String):
        return f"{number:06d}{NUL_FREE}"[: column.type.length or 400]
    raise AssertionError(f"no value for {column}")
