"""From a database of version 1, made by the program that had it, to the present one; on both engines."""

import base64
import json
import sqlite3
from importlib.resources import files
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import Boolean, Connection, MetaData, Table, inspect, select
from tests.federation.keys import PODGORICA, TIRANA
from tests.flows.alliance import Station, deliver, told

from lezha.federation import roster
from lezha.node.clock import utc_now
from lezha.sharing.trust import Trust
from lezha.store import (
    communities,
    contents,
    engine,
    inbound,
    migrations,
    peers,
    quarantine,
    schema,
    sequencer,
    statements,
    survey,
    views,
)
from lezha.store.errors import StoreError
from lezha.store.log import Log

V1 = Path(__file__).parent / "v1"


def rows_of_v1() -> dict[str, list[sqlite3.Row]]:
    db = sqlite3.connect(":memory:")
    db.row_factory = sqlite3.Row
    db.executescript((V1 / "sqlite.sql").read_text())
    names = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return {name: db.execute(f"SELECT * FROM {name}").fetchall() for name in names}


def make_v1(url: str) -> None:
    """Make a database as version 1 of the program had it."""
    if url.startswith("sqlite"):
        sqlite3.connect(url.removeprefix("sqlite:///")).executescript((V1 / "sqlite.sql").read_text())
        return
    opened = engine.writer(url)
    with opened.begin() as conn:
        _fill_postgres(conn)
    opened.dispose()


def _fill_postgres(conn: Connection) -> None:
    for statement in (V1 / "postgresql.sql").read_text().split(";\n"):
        if statement.strip():
            conn.exec_driver_sql(statement)
    told = rows_of_v1()
    there = MetaData()
    there.reflect(conn, only=list(told))
    for table in there.sorted_tables:
        flags = {column.name for column in table.c if isinstance(column.type, Boolean)}
        given = [
            {
                column.name: bool(row[column.name]) if column.name in flags else row[column.name]
                for column in table.c
            }
            for row in told[table.name]
        ]
        if given:
            conn.execute(table.insert(), given)


@pytest.fixture
def old(url: str) -> str:
    """Give the URL of a database of version 1."""
    make_v1(url)
    return url


def shape(url: str) -> dict[str, object]:
    """Tables with their columns, keys and indexes."""
    opened = engine.writer(url)
    with opened.connect() as conn:
        found = inspect(conn)
        tables: dict[str, object] = {
            name: (
                [(c["name"], str(c["type"]), c["nullable"]) for c in found.get_columns(name)],
                found.get_pk_constraint(name)["constrained_columns"],
                sorted(
                    (i["name"] or "", i["column_names"], bool(i["unique"])) for i in found.get_indexes(name)
                ),
                sorted(
                    (str(f["constrained_columns"]), f["referred_table"]) for f in found.get_foreign_keys(name)
                ),
            )
            for name in found.get_table_names()
        }
        if conn.dialect.name == "sqlite":
            sql = conn.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE name LIKE 'texts%'")
            tables["sql"] = [tuple(row) for row in sql]
    opened.dispose()
    return tables


def test_what_the_steps_make_is_what_a_new_database_is(
    old: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    Log(old, utc_now).close()
    fresh = f"sqlite:///{tmp_path / 'fresh.db'}"
    if old.startswith("postgresql"):
        fresh = request.getfixturevalue("postgres_url")
    Log(fresh, utc_now).close()
    assert shape(old) == shape(fresh)


def test_nothing_is_lost_on_the_way(old: str) -> None:
    before = rows_of_v1()
    log = Log(old, utc_now)
    with log.read() as conn:
        for name, rows in before.items():
            if name in ("meta", "observables", "refs"):
                continue
            table = schema.metadata.tables[name]
            if name != "events":
                assert len(conn.execute(select(table)).all()) == len(rows), name
        kept = {row["hash"]: row["bytes"] for row in before["contents"]}
        assert contents.bytes_of(conn, kept) == kept
        kept_events = conn.execute(select(schema.events).order_by(schema.events.c.seq)).all()
        events = [(*row[:5], row.detail) for row in kept_events]
        there = len(before["events"])
        assert events[:there] == [tuple(row) for row in before["events"]]
        assert {kind for _, _, kind, *_ in events[there:]} <= {"released", "voided"}
        views_before = [
            (row["recipient"], row["number"], row["ref"], row["digest"]) for row in before["views"]
        ]
        table = schema.views
        columns = (table.c.recipient, table.c.number, table.c.ref, table.c.digest)
        assert sorted(map(tuple, conn.execute(select(*columns)))) == sorted(views_before)
    log.close()


def test_who_was_admitted_before_stays_so_by_the_roster_that_admitted_it(old: str) -> None:
    log = Log(old, utc_now)
    with log.read() as conn:
        (community,) = communities.current(conn).values()
        (kept,) = communities.latest(conn, [community.id])
    assert community.members == kept.members == roster.read(kept.envelope).roster.admitted
    assert (len(community.members), community.waiting, community.until) == (2, {}, {})
    log.close()


def test_to_whom_this_member_has_published_is_known(old: str) -> None:
    own = [json.loads(row["terms"]) for row in rows_of_v1()["statements"] if row["own"]]
    wanted = {
        (one, terms["tlp"])
        for terms in own
        for one in (
            *(["everyone"] if terms["audience"]["everyone"] else []),
            *(term["id"] for term in terms["audience"]["communities"]),
            *terms["audience"]["members"],
        )
    }
    assert wanted
    log = Log(old, utc_now)
    with log.read() as conn:
        assert {(row.whom, row.tlp) for row in conn.execute(select(schema.reached))} == wanted
    log.close()


def test_the_events_are_chained_from_the_first_on(old: str) -> None:
    log = Log(old, utc_now)
    log.write_now(lambda tx: tx.event("tested", "ë"))
    with log.read() as conn:
        chain = sequencer.GENESIS
        for row in conn.execute(select(schema.events).order_by(schema.events.c.seq)):
            chain = sequencer.link(chain, tuple(row)[:7])
            assert row.chain == chain
        assert sequencer.read(conn).chain == chain
    log.close()


async def test_a_node_goes_on_where_it_was(old: str, tmp_path: Path) -> None:
    log, other = Log(old, utc_now), Log(f"sqlite:///{tmp_path / 'other.db'}", utc_now)
    tirana, podgorica = Station(TIRANA, log), Station(PODGORICA, other)
    await podgorica.links(tirana)
    with log.read() as conn:
        before = views.head(conn, podgorica.member).number
    await tirana.publish(told(TIRANA, 40))
    receipt = await deliver(tirana, podgorica)
    assert (receipt.head, receipt.refused) == (before + 1, ())
    assert podgorica.holds(told(TIRANA, 1)["id"], told(TIRANA, 40)["id"]) == [True, True]
    with log.read() as conn:
        found = statements.about(conn, told(TIRANA, 1)["id"])
        assert statements.facts(conn, found)[0].origin == tirana.member
    log.close()
    other.close()


def test_a_step_that_fails_changes_nothing(old: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(conn: Connection) -> None:
        migrations.v2.migrate(conn)
        raise StoreError("on purpose")

    monkeypatch.setitem(migrations.STEPS, 1, fail)
    before = shape(old)
    with pytest.raises(StoreError, match="on purpose"):
        Log(old, utc_now)
    assert shape(old) == before
    monkeypatch.undo()
    Log(old, utc_now).close()


def test_every_version_from_the_first_on_has_a_step() -> None:
    assert list(migrations.STEPS) == list(range(1, schema.VERSION))
    assert isinstance(schema.meta, Table)


def test_what_was_put_aside_can_be_purged_by_its_name(old: str) -> None:
    log = Log(old, utc_now)
    name = "indicator--00000008-0000-4000-8000-000000000000"
    assert log.write_now(lambda tx: inbound.forget(tx.conn, [name])) == [name]
    with log.read() as conn:
        assert conn.scalar(select(schema.quarantine.c.frame)) == b""
    log.close()


# Number -> what a frame carried that had been put aside, and what the statement with it spoke of; then its names.
ASIDE: dict[int, tuple[bytes, str, list[int]]] = {
    11: (b'{"x_first":{"id":"%d"},"id":"%d"}', "", [2]),
    12: (b'{"id":"%d","id":"%d"}', "", [1, 2]),
    13: (b'{"id":"%d","x":{"id":"%d"', "", [1, 2]),
    14: (b"\xff", "3", [3]),
    15: (b'{"id":"%d"}', "3", [1, 3]),
}


def name_of(number: int) -> str:
    return f"tool--{number:08d}-0000-4000-8000-0000000000AA"


def aside(number: int) -> bytes:
    raw, of, _ = ASIDE[number]
    for one in (1, 2):
        raw = raw.replace(b"%d", name_of(one).encode(), 1)
    payload = base64.b64encode(b'{"object_id":"%s"}' % name_of(int(of)).encode()).decode() if of else "?"
    envelope = msgspec.json.encode({"payload": payload})
    return msgspec.msgpack.encode((number, "statement", bytes(32), envelope, (raw,)))


def test_what_had_been_put_aside_is_found_by_every_name_that_it_gives_itself(old: str) -> None:
    opened = engine.writer(old)
    mark = "?" if old.startswith("sqlite") else "%s"
    row = "INSERT INTO quarantine (member, incarnation, number, code, detail, frame, at) VALUES "
    with opened.begin() as conn:
        for number in ASIDE:
            values = ("m", "i", number, "invalid_object", "", aside(number), "")
            conn.exec_driver_sql(f"{row} ({', '.join([mark] * 7)})", values)
    opened.dispose()
    log = Log(old, utc_now)
    ids = schema.quarantined_ids
    with log.read() as conn:
        rows = conn.execute(select(ids.c.number, ids.c.stix_id).where(ids.c.member == "m")).all()
        assert survey.sizes_that_differ(conn) == []
    log.close()
    assert sorted(map(tuple, rows)) == [
        (number, name_of(one)) for number, (_, _, names) in ASIDE.items() for one in names
    ]


def test_of_what_had_not_been_kept_no_words_stay_that_quote_it(old: str) -> None:
    opened = engine.writer(old)
    row = "INSERT INTO quarantine (member, incarnation, number, code, detail, frame, at) VALUES "
    with opened.begin() as conn:
        empty = "x''" if old.startswith("sqlite") else "''"
        conn.exec_driver_sql(f"{row} ('m', 'i', 1, 'invalid_object', '\"quoted\" is wrong', {empty}, '')")
    opened.dispose()
    log = Log(old, utc_now)
    table = schema.quarantine
    with log.read() as conn:
        assert conn.scalars(select(table.c.detail).where(table.c.member == "m")).all() == ["not kept"]
    log.close()


@pytest.fixture
def second_version(url: str) -> str:
    """Give the URL of a database of version 2, with a peer and what it sent and was refused."""
    opened = engine.writer(url)
    with opened.begin() as conn:
        frozen = files("lezha.store.migrations").joinpath(f"v2.{conn.dialect.name}.sql").read_text()
        for statement in frozen.split(";\n"):
            if statement.strip():
                conn.exec_driver_sql(statement)
        schema.meta.create(conn)
        sequencer.begin(conn)
        engine.set_meta(conn, "schema", "2")
        empty = "x''" if conn.dialect.name == "sqlite" else "''"
        conn.exec_driver_sql(
            "INSERT INTO peers (member, name, state, phrase, clearance, since, number, endpoint, document) "
            f"VALUES ('m', 'podgorica', 'active', '', 'green', '', 1, '', {empty})"
        )
        for number, at in ((1, "2026-03-02"), (2, "2026-03-01"), (3, "2026-03-03")):
            conn.exec_driver_sql(
                "INSERT INTO quarantine (member, incarnation, number, code, detail, frame, at) "
                f"VALUES ('m', 'i', {number}, 'authority', 'why', {empty}, '{at}')"
            )
    opened.dispose()
    return url


def test_what_was_put_aside_before_can_be_named_and_comes_before_what_is_put_aside_later(
    second_version: str,
) -> None:
    log = Log(second_version, utc_now)
    log.write_now(lambda tx: tx.events("quarantined", ["m"] * 3, "m"))
    late = inbound.Quarantined("m", "i", 4, "authority", "why", b"")
    log.write_now(lambda tx: inbound.put_aside(tx, [late]))
    with log.read() as conn:
        asides = quarantine.listed(conn, limit=9)
        assert [one.number for one in asides] == [4, 3, 1, 2]
        assert [quarantine.get(conn, one.seq) for one in asides] == asides
    log.close()


def test_a_peer_that_was_there_is_watched_and_no_more(second_version: str) -> None:
    log = Log(second_version, utc_now)
    with log.read() as conn:
        [peer] = peers.listed(conn)
    assert (peer.name, peer.trust, peer.hourly) == ("podgorica", Trust.WATCH, None)
    log.close()


def test_the_step_from_version_2_makes_what_a_new_database_is(second_version: str, tmp_path: Path) -> None:
    Log(second_version, utc_now).close()
    if second_version.startswith("sqlite"):
        Log(f"sqlite:///{tmp_path / 'fresh.db'}", utc_now).close()
        assert shape(second_version) == shape(f"sqlite:///{tmp_path / 'fresh.db'}")
