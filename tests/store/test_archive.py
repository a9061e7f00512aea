"""All rows out of one engine and into the other: none lost, none changed, and nothing half-done."""

import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from sqlalchemy import Column, Connection, Float, Integer, Table, Text, delete, insert, inspect, select
from tests.store.examples import content
from tests.store.filling import fill, held

from lezha.store import archive, contents, engine, migrations, schema
from lezha.store.archive import Rows
from lezha.store.errors import StoreError
from lezha.store.log import Log


def filled(log: Log, rows: int = 30) -> dict[str, list[tuple[Any, ...]]]:
    log.write_now(lambda tx: fill(tx.conn, rows))
    with log.read() as conn:
        return held(conn)


def dumped(log: Log) -> list[Rows]:
    with log.read() as conn:
        return list(archive.dump(conn))


def told(blocks: list[Rows]) -> list[tuple[str, bytes]]:
    return [(block.table, bytes(row)) for block in blocks for row in block.rows]


def load(url: str, blocks: list[Rows], rebuild: Callable[[Connection], None] = lambda _conn: None) -> None:
    writer = engine.writer(url)
    try:
        with writer.begin() as conn:
            archive.load(conn, blocks, rebuild)
    finally:
        writer.dispose()


def read(url: str, what: Callable[[Connection], Any] = held) -> Any:
    readers = engine.readers(url)
    try:
        with readers.connect() as conn, conn.begin():
            return what(conn)
    finally:
        readers.dispose()


def tables(url: str) -> list[str]:
    found = read(url, lambda conn: inspect(conn).get_table_names())
    assert isinstance(found, list)
    return found


def rows(table: str, *values: object) -> Rows:
    return Rows(table, [msgspec.Raw(msgspec.msgpack.encode(one)) for one in values])


@pytest.fixture
def extra(request: pytest.FixtureRequest) -> Iterator[Table]:
    """A table more, with a number that the database gives and the column that a test asks for."""
    column = Column("value", request.param)
    table = Table("extra", schema.metadata, Column("id", Integer, primary_key=True), column)
    yield table
    schema.metadata.remove(table)


# --- there and back -------------------------------------------------------------------------------------------------


def test_every_row_of_every_table_arrives_as_it_was_in_either_engine(log: Log, second: str) -> None:
    before = filled(log)
    load(second, dumped(log))
    assert read(second) == before
    assert all(before[table] for table in archive.shape())


def test_what_is_loaded_is_a_log_that_goes_on(log: Log, second: str) -> None:
    log.write_now(lambda tx: contents.add(tx, [content(1), content(2)], "test"))
    load(second, dumped(log))
    again = Log(second, lambda: "2030-01-01T00:00:00.000000Z")
    seq = again.write_now(lambda tx: tx.event("tested", "x"))
    again.close()
    assert seq == log.write_now(lambda tx: tx.event("tested", "x"))


def test_nobody_is_signed_in_at_a_restored_node(log: Log, second: str) -> None:
    session = {"digest": "0" * 64, "token": "0123456789ab", "ends": "2030-01-01T00:00:00.000000Z"}
    log.write_now(lambda tx: tx.conn.execute(schema.sessions.insert().values(session)))
    load(second, dumped(log))
    assert read(second)[schema.sessions.name] == []


def test_the_incarnation_is_not_loaded(log: Log, second: str) -> None:
    log.write_now(lambda tx: engine.set_meta(tx.conn, "incarnation", "a"))
    load(second, dumped(log))
    assert read(second, lambda conn: engine.get_meta(conn, "incarnation")) is None
    assert read(second, lambda conn: engine.get_meta(conn, "schema")) == str(schema.VERSION)


def test_a_dump_is_one_snapshot_and_the_writer_does_not_wait_for_it(log: Log) -> None:
    log.write_now(lambda tx: contents.add(tx, [content(1)], "test"))
    before = told(dumped(log))
    with log.read() as conn:
        blocks = archive.dump(conn)
        first = next(blocks)
        log.write_now(lambda tx: contents.add(tx, [content(2)], "test"))
        assert told([first, *blocks]) == before
    assert told(dumped(log)) != before


@pytest.mark.parametrize("extra", [Text()], indirect=True)
def test_numbers_that_the_database_gives_go_on_after_those_that_were_loaded(
    extra: Table, log: Log, second: str
) -> None:
    log.write_now(lambda tx: tx.conn.execute(insert(extra), [{"id": 7, "value": "x"}]))
    load(second, dumped(log))
    writer = engine.writer(second)
    with writer.begin() as conn:
        conn.execute(insert(extra).values(value="y"))
    writer.dispose()
    assert read(second, lambda conn: conn.execute(select(extra.c.id).order_by(extra.c.id)).all()) == [
        (7,),
        (8,),
    ]


# --- derived tables -------------------------------------------------------------------------------------------------


def test_what_is_derived_is_left_out_and_rebuilt(log: Log, second: str) -> None:
    log.write_now(lambda tx: contents.add(tx, [replace(content(1), refs=("identity--x",))], "test"))
    with log.read() as conn:
        before = held(conn)
    blocks = dumped(log)
    assert schema.refs.name not in {block.table for block in blocks} | archive.shape().keys()

    def rebuild(conn: Connection) -> None:
        assert [(one.seq, one.raw) for one in contents.walk(conn, 0, 10)] == [(1, content(1).raw)]
        contents.derive(conn, [(replace(content(1), refs=("identity--x",)), 1)])

    load(second, blocks, rebuild)
    assert read(second) == before
    assert before[schema.refs.name]


def test_if_rebuilding_fails_nothing_is_there(log: Log, second: str) -> None:
    filled(log)

    def rebuild(_conn: Connection) -> None:
        raise StoreError("on purpose")

    with pytest.raises(StoreError, match="on purpose"):
        load(second, dumped(log), rebuild)
    assert tables(second) == []


# --- what is refused ------------------------------------------------------------------------------------------------


def test_a_database_that_holds_anything_is_refused(log: Log, url: str) -> None:
    before = filled(log)
    with pytest.raises(StoreError, match="not empty"):
        load(url, dumped(log))
    assert read(url) == before


def test_tables_without_a_row_are_no_hindrance(log: Log, second: str) -> None:
    before = filled(log, 3)
    writer = engine.writer(second)
    migrations.migrate(writer)
    with writer.begin() as conn:
        for table in schema.metadata.sorted_tables:
            conn.execute(delete(table))
    writer.dispose()
    load(second, dumped(log))
    assert read(second) == before


@pytest.mark.parametrize(
    ("block", "words"),
    [
        (rows("nonsense", ["a"]), "'nonsense' where none can be"),
        (rows("meta", ["a"]), "row of 'meta' that can't be read"),
        (rows("meta", ["a", "b", "c"]), "row of 'meta' that can't be read"),
        (rows("meta", ["a", ["b"]]), "row of 'meta' that can't be read"),
        (rows("meta", ["a", {"b": 1}]), "row of 'meta' that can't be read"),
        (rows("meta", ["a", 1.5]), "row of 'meta' that can't be read"),
        (rows("meta", "ab"), "row of 'meta' that can't be read"),
        (rows("meta", {"name": "a", "value": "b"}), "row of 'meta' that can't be read"),
        (Rows("meta", [msgspec.Raw(b"\x92\xa1a\xa1\xff")]), "row of 'meta' that can't be read"),
        (Rows("meta", [msgspec.Raw(b"\xdd\xff\xff\xff\xff")]), "row of 'meta' that can't be read"),
        (rows("meta", ["schema", "1"], ["schema", "1"]), "The database refuses what is restored"),
        (rows("cursors", ["a", 1 << 63, None, None, 0]), "The database refuses what is restored"),
        (rows("cursors", ["a", None, None, None, 0]), "The database refuses what is restored"),
    ],
    ids=lambda given: given if isinstance(given, str) else given.table,
)
def test_rows_that_cannot_be_are_refused_and_nothing_is_there(url: str, block: Rows, words: str) -> None:
    with pytest.raises(StoreError, match=words):
        load(url, [block])
    assert tables(url) == []


def test_tables_out_of_order_are_refused_and_nothing_is_there(log: Log, second: str) -> None:
    filled(log, 3)
    free = [block for block in dumped(log) if not schema.metadata.tables[block.table].foreign_keys]
    with pytest.raises(StoreError, match="where none can be"):
        load(second, free[::-1])
    assert tables(second) == []


def test_an_error_of_the_database_tells_no_values(url: str) -> None:
    with pytest.raises(StoreError) as caught:
        load(url, [rows("cursors", ["a secret", None, None, None, 0])])
    assert "INSERT" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("extra", [Float()], indirect=True)
def test_a_value_of_another_kind_is_refused_when_it_is_dumped(extra: Table, log: Log) -> None:
    log.write_now(lambda tx: tx.conn.execute(insert(extra).values(id=1, value=1.5)))
    with pytest.raises(StoreError, match="of a kind that no backup can hold"):
        dumped(log)


def test_an_empty_database_is_nothing_to_back_up(url: str) -> None:
    with pytest.raises(StoreError, match="nothing to back up"):
        read(url, archive.check)


def test_a_database_of_another_version_is_not_backed_up(log: Log, url: str) -> None:
    log.write_now(
        lambda tx: tx.conn.execute(
            schema.meta.update().where(schema.meta.c.name == "schema").values(value="999")
        )
    )
    with pytest.raises(StoreError, match="schema version 999"):
        read(url, archive.check)


# --- size -----------------------------------------------------------------------------------------------------------


def test_memory_does_not_grow_with_the_tables(log: Log) -> None:
    # A dump only: what a row takes while it is read is the same for each.
    log.write_now(lambda tx: fill(tx.conn, 100, size=5000))
    peaks = []
    for more in (0, 2000):
        log.write_now(lambda tx, more=more: _grow(tx.conn, more))  # type: ignore[misc]  # mypy infers no such default
        tracemalloc.start()
        with log.read() as conn:
            size = sum(len(bytes(row)) for block in archive.dump(conn) for row in block.rows)
        peaks.append((size, tracemalloc.get_traced_memory()[1]))
        tracemalloc.stop()
    (small, first), (large, second) = peaks
    assert large > small + (9 << 20)
    assert second < first + (5 << 20)


def _grow(conn: Connection, rows: int) -> None:
    if rows:
        conn.execute(
            insert(schema.inbound),
            [
                {"member": f"more {n}", "incarnation": "x", "head": 1, "chain": bytes(5000), "at": "x"}
                for n in range(rows)
            ],
        )
