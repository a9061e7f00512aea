"""What is derived again from a log's contents is what was derived when they came."""

from collections.abc import Callable

from sqlalchemy import Connection, insert
from tests.federation.keys import TIRANA, Party
from tests.flows.alliance import Station, told
from tests.store.conftest import second
from tests.store.filling import held

from lezha.flows import rederive
from lezha.store import archive, engine, schema, texts

__all__ = ["second"]  # a fixture: an empty database of each engine


def words(conn: Connection, question: str) -> list[int]:
    query = texts.matching(conn.dialect.name, question)
    assert query is not None
    return sorted(conn.scalars(query, {"low": 0, "high": 1 << 60}).all())


async def test_a_restored_log_finds_by_value_by_reference_by_label_and_by_word(
    station: Callable[[Party], Station], second: str
) -> None:
    tirana = station(TIRANA)
    labels = {"labels": ["wiper"], "description": "Überwachung of a gateway"}
    await tirana.publish(told(TIRANA, 1, **labels), told(TIRANA, 2))
    writer = engine.writer(second)
    with tirana.log.read() as there, writer.begin() as conn:
        archive.load(conn, archive.dump(there), rederive.into_empty)
        assert held(conn) == held(there)
        assert all(held(conn)[table.name] for table in (schema.observables, schema.refs, schema.tags))
        assert words(conn, "uberwachung") == words(there, "uberwachung") != []
    writer.dispose()


async def test_what_this_program_would_refuse_stays_and_stops_nothing(
    station: Callable[[Party], Station], second: str
) -> None:
    tirana = station(TIRANA)
    await tirana.publish(told(TIRANA, 1))
    writer = engine.writer(second)

    def spoil(conn: Connection) -> None:
        row = dict.fromkeys(("stix_id", "type", "version", "creator", "name", "unmatched", "valid_until"), "")
        more = {"hash": "0" * 64, "markings": "[]", "unreadable_marking": False, "revoked": False}
        conn.execute(insert(schema.contents).values(seq=900, **row, **more))
        conn.execute(insert(schema.bodies).values(content=900, bytes=b"no object"))
        rederive.into_empty(conn)

    with tirana.log.read() as there, writer.begin() as conn:
        archive.load(conn, archive.dump(there), spoil)
        assert held(conn)[schema.observables.name] == held(there)[schema.observables.name] != []
    writer.dispose()
