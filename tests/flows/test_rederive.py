"""What is derived again from a log's contents is what was derived when they came."""

from collections.abc import Callable

import pytest
from sqlalchemy import Connection, insert
from tests.federation.keys import TIRANA, Party
from tests.flows.alliance import Station, told
from tests.store.conftest import second
from tests.store.filling import held

from lezha.flows import check, rederive
from lezha.node.clock import utc_now
from lezha.store import archive, engine, schema, texts
from lezha.store.log import Log

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


async def test_a_log_that_was_backed_up_while_it_was_derived_anew_is_derived_from_the_beginning(
    station: Callable[[Party], Station], second: str
) -> None:
    tirana = station(TIRANA)
    await tirana.publish(told(TIRANA, 1), told(TIRANA, 2))
    await tirana.log.write(rederive._begin)
    await tirana.log.write(lambda tx: engine.set_meta(tx.conn, "derived upto", "1"))
    writer = engine.writer(second)
    with tirana.log.read() as there, writer.begin() as conn:
        archive.load(conn, archive.dump(there), rederive.into_empty)
    writer.dispose()
    log = Log(second, utc_now)
    assert rederive.is_due(log)
    assert rederive.everything(log) == 3  # with the identity of Tirana
    assert not rederive.is_due(log)
    with tirana.log.read() as there, log.read() as conn:
        assert held(conn)[schema.observables.name] == held(there)[schema.observables.name] != []
        assert len(words(conn, "203.0.113.1")) == 1
    log.close()


async def test_an_index_of_words_that_is_emptied_while_it_is_derived_anew_is_derived_from_the_beginning(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    tirana = Station(TIRANA, log)
    await tirana.publish(*(told(TIRANA, number) for number in range(5)))
    monkeypatch.setattr(rederive, "_BLOCK", 2)
    emptied: list[int] = []

    def empty(done: int) -> None:
        if not emptied:
            emptied.append(done)
            log.write_now(rederive.words_anew)

    rederive.everything(log, empty)
    assert emptied == [2]
    assert not rederive.is_due(log)
    assert list(check.check(log)) == []
