"""Search: what a value means, and pages that miss nothing and repeat nothing while others write."""

import asyncio
import ipaddress
import itertools
import re
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, func, select
from tests.store.examples import ALBANIA, MONTENEGRO, content, publish

from lezha.detection.lookup import lookups
from lezha.flows.look import search_objects
from lezha.node.clock import utc_now
from lezha.sharing.tlp import Tlp
from lezha.store import contents, schema, search
from lezha.store.errors import NotFound
from lezha.store.log import Log
from lezha.store.rows import insert_rows
from lezha.store.search import Query

VALUES = {
    1: ("ipv4", "203.0.113.7"),
    2: ("ipv4-net", "203.0.113.0/24"),
    3: ("ipv4-net", "203.0.0.0/16"),
    4: ("ipv4-net", "198.51.100.0/24"),
    5: ("domain", "evil.example"),
    6: ("domain", "mail.evil.example"),
    7: ("domain", "notevil.example"),
    8: ("ipv6-net", "2001:db8::/32"),
    9: ("url", "http://evil.example/a"),
}


@pytest.fixture
async def filled(log: Log) -> Log:
    kept = [
        content(number, observables=(value,), creator=ALBANIA if number < 5 else MONTENEGRO)
        for number, value in VALUES.items()
    ]
    await log.write(lambda tx: contents.add(tx, kept, "test"))
    return log


def found(log: Log, value: str = "", **query: object) -> list[int]:
    """The numbers of what is found, newest first."""
    with log.read() as conn:
        rows = search_objects(conn, Query(**query), value).found  # type: ignore[arg-type]  # each test passes what Query takes
    return [int(row.id.removeprefix("indicator--")[:8]) for row in rows]


def test_a_value_finds_itself_what_contains_it_and_what_it_contains(filled: Log) -> None:
    table = {
        "203.0.113.7": [3, 2, 1],
        "203.0.113.8": [3, 2],
        "203.1.0.1": [],
        "203.0.113.0/25": [3, 2, 1],
        "203.0.113.128/25": [3, 2],
        "203.0.0.0/8": [3, 2, 1],
        "2001::/16": [8],
        "mail.evil.example": [6, 5],
        "il.evil.example": [5],
        "WWW.Mail.Evil.Example.": [6, 5],
        "evil.example": [9, 6, 5],
        "example": [],
        "ample": [],
        "2001:db8::1": [8],
        "http://evil.example/a": [9, 5],
        "http://203.0.113.7/": [3, 2, 1],
        "http://[2001:db8::1]:81/": [8],
        "0.0.0.0/0": [4, 3, 2, 1],
        "::/0": [8],
        "nothing to look for": [],
    }
    assert {value: found(filled, value) for value in table} == table


def test_conditions_add_up(filled: Log) -> None:
    assert found(filled, creator=MONTENEGRO) == [9, 8, 7, 6, 5]
    assert found(filled, creator=MONTENEGRO, text="indicator 6") == [6]
    assert found(filled, type="malware") == []
    assert found(filled, id=content(3).stix_id) == [3]


def test_text_is_text_and_no_pattern(filled: Log) -> None:
    assert found(filled, text="INDICATOR 7") == [7]
    assert found(filled, text="%") == found(filled, text="\\") == []
    assert found(filled, text="indicator_7") == [7]  # whatever is no letter and no digit is a gap


def test_by_origin_finds_what_a_member_signed_for(log: Log) -> None:
    log.write_now(lambda tx: publish(tx, 1, 2))
    log.write_now(lambda tx: contents.add(tx, [content(3)], "test"))
    assert found(log, origin=ALBANIA) == [2, 1]
    assert found(log, origin=MONTENEGRO) == []


def test_an_object_that_is_not_held_is_said_so(log: Log) -> None:
    with log.read() as conn, pytest.raises(NotFound, match="indicator--0"):
        search.versions(conn, "indicator--0")


async def test_pages_give_every_object_once_while_others_write(log: Log) -> None:
    async def write(numbers: range) -> None:
        for number in numbers:
            await log.write(partial(contents.add, contents=[content(number)], actor="test"))

    await write(range(1, 60))
    writing = asyncio.create_task(write(range(60, 120)))
    walked: list[int] = []
    before = 0
    while True:
        with log.read() as conn:
            page = search.find(conn, Query(before=before, limit=7))
        if not page:
            break
        walked += [int(row.id.removeprefix("indicator--")[:8]) for row in page]
        before = page[-1].seq
        await asyncio.sleep(0)
    await writing
    assert walked == list(range(walked[0], 0, -1))
    assert walked[0] >= 59


# --- by value, against the rules themselves -------------------------------------------------------------------------

# Few bits and few names, so that they meet.
v4 = st.integers(0, 15).map(lambda bits: ipaddress.IPv4Address((0xCB007100 & ~0xF) | bits))
v6 = st.integers(0, 15).map(lambda bits: ipaddress.IPv6Address((0x20010DB8 << 96) | bits))
edges = st.sampled_from(["0.0.0.0", "255.255.255.255", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"]).map(
    ipaddress.ip_address
)
hosts = st.one_of(v4, v6, edges)
nets = st.builds(
    lambda host, cut: ipaddress.ip_network((host, host.max_prefixlen - cut), strict=False),
    hosts,
    st.sampled_from([1, 2, 3, 8, 24]),
)
names = st.sampled_from(
    [
        "evil.example",
        "mail.evil.example",
        "a.mail.evil.example",
        "notevil.example",
        "vil.example",
        "evil.example.org",
    ]
)
written = st.one_of(
    hosts.map(str),
    nets.map(str),
    names,
    st.builds("{}@{}".format, st.sampled_from(["a", "b"]), names),
    st.builds(
        "{}://{}{}".format, st.sampled_from(["http", "https"]), names, st.sampled_from(["/", "/a", ":81/"])
    ),
    st.builds("http://{}/a".format, v4),
    st.builds("http://[{}]:81/".format, v6),
)


def canonical(value: str) -> tuple[str, str]:
    (own, *_) = lookups(value)
    return own.kind.value, own.value


def belongs(asked: tuple[str, str], held: tuple[str, str]) -> bool:
    """The rule: what is the same, contains it, or lies within it; of a URL or mail address, what contains its host."""
    (kind, value), (other, text) = asked, held
    if asked == held:
        return True
    if kind.startswith("ip") and other.startswith("ip"):
        one, two = ipaddress.ip_network(value), ipaddress.ip_network(text)
        return one.version == two.version and (one.subnet_of(two) or two.subnet_of(one))  # type: ignore[arg-type]  # of one version
    if kind in ("url", "email"):
        at = host_of(kind, value)
        contained = canonical(at) if other in ("domain", "ipv4", "ipv6", "ipv4-net", "ipv6-net") else asked
        return contained != asked and belongs(contained, held) and not text.endswith(f".{at}")
    if kind != "domain":
        return False
    if other == "domain":
        return value.endswith(f".{text}") or text.endswith(f".{value}")
    return other in ("url", "email") and host_of(other, text) == value


def host_of(kind: str, value: str) -> str:
    return value.rpartition("@")[2] if kind == "email" else urlsplit(value).hostname or ""


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    held=st.lists(written, min_size=1, max_size=12, unique=True),
    asked=st.lists(written, min_size=1, max_size=6),
)
def test_by_value_finds_what_the_rules_say_and_nothing_else(
    log: Log, held: list[str], asked: list[str]
) -> None:
    with log._writer.connect() as conn, conn.begin() as all_of_it:
        for number, value in enumerate(held, 1):
            row = content(number, observables=(canonical(value),))
            insert_rows(conn, schema.contents, [contents._row(row, number)])
            contents.derive(conn, [(row, number)])
        for value in asked:
            rows = search_objects(conn, Query(limit=1000), value).found
            expected = [n for n, one in enumerate(held, 1) if belongs(canonical(value), canonical(one))]
            assert sorted(row.seq for row in rows) == expected, (value, held)
        all_of_it.rollback()


# --- every condition ------------------------------------------------------------------------------------------------

SEEN = content(1).stix_id


@pytest.fixture
def varied(log: Log) -> Log:
    """Six objects, in three commits, the last of which is a sighting of the first."""

    def some(*kept: contents.Content) -> str:
        return log.write_now(lambda tx: (contents.add(tx, kept, "test"), tx.at)[1])

    some(
        content(1, labels=("wiper",), marking_ids=("marking-definition--1",), markings=(Tlp.AMBER,)),
        content(2, labels=("wiper", "exercise"), refs=("malware--1",), revoked=True),
    )
    some(
        content(3, creator=MONTENEGRO, version="2023-01-01T00:00:00.000000Z", markings=(Tlp.STRICT,)),
        content(4, creator=MONTENEGRO, version="", type="ipv4-addr"),
    )
    some(content(5, type="sighting", refs=(SEEN,)), content(6, refs=("malware--1", SEEN)))
    return log


def times(log: Log) -> list[str]:
    with log.read() as conn:
        return list(conn.scalars(select(schema.events.c.at).distinct().order_by(schema.events.c.at)))


def test_each_condition_finds_its_own(varied: Log) -> None:
    first, second, third = times(varied)
    table: list[tuple[dict[str, object], list[int]]] = [
        ({"label": "wiper"}, [2, 1]),
        ({"label": "wip"}, []),
        ({"marking": "marking-definition--1"}, [1]),
        ({"tlp": "amber"}, [1]),
        ({"tlp": "amber+strict"}, [3]),
        ({"creator": MONTENEGRO}, [4, 3]),
        ({"ref": "malware--1"}, [6, 2]),
        ({"ref": SEEN}, [6, 5]),
        ({"sighted": True}, [1]),
        ({"sighted": False, "type": "indicator"}, [6, 3, 2]),
        ({"revoked": True}, [2]),
        ({"revoked": False, "label": "wiper"}, [1]),
        ({"since": second}, [6, 5, 4, 3]),
        ({"until": second}, [2, 1]),
        ({"since": second, "until": third}, [4, 3]),
        ({"since": first}, [6, 5, 4, 3, 2, 1]),
        ({"since": "9999"}, []),
        ({"until": first}, []),
        ({"modified_since": "2023-01-01T00:00:00.000000Z"}, [3]),
        ({"modified_until": "2023-01-01T00:00:00.000000Z", "creator": MONTENEGRO}, []),
        ({"label": "wiper", "ref": "malware--1", "text": "indicator"}, [2]),
        ({"label": "'; DROP TABLE tags; --"}, []),
    ]
    for query, numbers in table:
        assert found(varied, **query) == numbers, query  # type: ignore[arg-type]  # as in found


def test_who_made_a_sighting_and_where_it_was_made_is_not_what_was_seen(log: Log) -> None:
    who, where = content(1, type="identity"), content(2, type="location")
    what, seen = content(3, type="observed-data"), content(4)
    refs = (who.stix_id, where.stix_id, what.stix_id, seen.stix_id)
    sighting = content(5, type="sighting", refs=refs)
    log.write_now(lambda tx: contents.add(tx, [who, where, what, seen, sighting], "test"))
    assert found(log, sighted=True) == [4]
    assert found(log, sighted=False) == [5, 3, 2, 1]


FIELDS = ("id", "type", "label", "marking", "tlp", "creator", "origin", "ref", "since", "until")


@pytest.mark.parametrize("hostile", ["\0", "a\0b", "'", '"', "\\", "%", "_", "\ud800", "👁", "x" * 100_000])
@pytest.mark.parametrize("field", [*FIELDS, "modified_since", "modified_until", "text"])
def test_no_condition_breaks_anything(varied: Log, field: str, hostile: str) -> None:
    found(varied, **{field: hostile})
    found(varied, **{field: hostile}, text=hostile) if field != "text" else found(varied, hostile)
    for value in (f"http://evil.example/{hostile}", f"{hostile}@evil.example", f"{hostile}.evil.example"):
        found(varied, value)


_SELECTIVE: tuple[dict[str, object], ...] = (
    {"value": "203.0.113.7"}, {"value": "203.0.113.0/24"}, {"value": "evil.example"}, {"text": "wiper"},
    {"id": SEEN}, {"label": "wiper"}, {"marking": "marking-definition--1"}, {"ref": SEEN}, {"origin": ALBANIA},
)  # fmt: skip


@pytest.mark.parametrize("beside", [{}, {"type": "indicator"}, {"creator": ALBANIA}, {"revoked": True}])
@pytest.mark.parametrize("query", _SELECTIVE, ids=lambda query: next(iter(query)))
def test_sqlite_looks_at_nothing_but_what_is_asked_for(
    tmp_path: Path, query: dict[str, object], beside: dict[str, object]
) -> None:
    asked: list[tuple[str, Any]] = []
    with closing(Log(f"sqlite:///{tmp_path / 'lezha.db'}", utc_now)) as log:
        log.write_now(lambda tx: publish(tx, 1))
        with log.read() as conn:
            event.listen(conn, "before_cursor_execute", lambda *given: asked.append((given[2], given[3])))
            asking = {name: one for name, one in (query | beside).items() if name != "value"}
            search_objects(conn, Query(**asking), str(query.get("value", "")))  # type: ignore[arg-type]  # as in found
            statement, values = next(
                one for one in asked if "contents.markings" not in one[0] and "LIMIT" in one[0]
            )
            plan = [row[3] for row in conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)]
    assert plan
    for step in plan:
        assert not re.match(r"SCAN (?!texts VIRTUAL TABLE INDEX 0:M)", step), plan
        if step.startswith("SEARCH contents"):
            assert re.search(r"(rowid|seq)=\?", step), plan


def test_every_pair_of_conditions_finds_what_both_find(varied: Log) -> None:
    _, second, third = times(varied)
    conditions: list[dict[str, object]] = [
        {"label": "wiper"}, {"creator": MONTENEGRO}, {"ref": SEEN}, {"sighted": False}, {"revoked": False},
        {"since": second}, {"until": third}, {"type": "indicator"}, {"text": "indicator"}, {"tlp": "amber"},
        {"modified_since": "2022-07-15T09:00:00.000000Z"}, {"modified_until": "2022-12-31"}, {"id": SEEN},
    ]  # fmt: skip
    alone = [set(found(varied, **one)) for one in conditions]  # type: ignore[arg-type]  # as in found
    for (one, these), (other, those) in itertools.combinations(zip(conditions, alone, strict=True), 2):
        assert set(found(varied, **one, **other)) == these & those, (one, other)  # type: ignore[arg-type]  # as above


def test_counts_by_type_are_right_after_every_commit(log: Log) -> None:
    def counts() -> dict[str, int]:
        with log.read() as conn:
            return search.count_by_type(conn)

    assert counts() == {}
    for number in range(1, 8):
        kind = "sighting" if number % 3 == 0 else "indicator"
        log.write_now(partial(contents.add, contents=[content(number, type=kind)], actor="test"))
        with log.read() as conn:
            table = schema.contents
            rows = conn.execute(select(table.c.type, func.count().label("n")).group_by(table.c.type)).all()
        assert counts() == counts() == {row.type: row.n for row in rows}
    assert list(counts()) == ["indicator", "sighting"]


def test_a_snapshot_from_before_does_not_count_anything_twice(log: Log) -> None:
    log.write_now(lambda tx: contents.add(tx, [content(1)], "test"))
    with log.read() as old:
        old.execute(select(schema.contents.c.seq)).all()
        log.write_now(lambda tx: contents.add(tx, [content(2)], "test"))
        with log.read() as new:
            assert search.count_by_type(new) == {"indicator": 2}
        search.count_by_type(old)
    with log.read() as conn:
        assert search.count_by_type(conn) == {"indicator": 2}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    limit=st.integers(1, 9),
    query=st.sampled_from([{}, {"label": "a"}, {"text": "indicator"}, {"creator": ALBANIA}]),
)
def test_a_walk_sees_each_object_once_and_in_order(large: Log, limit: int, query: dict[str, str]) -> None:
    walked: list[int] = []
    before = 0
    while True:
        with large.read() as conn:
            page = search.page(conn, Query(before=before, limit=limit, **query))  # type: ignore[arg-type]  # strings
        walked += [one.seq for one in page.found]
        if not before:  # others write meanwhile
            large.write_now(lambda tx: contents.add(tx, [content(10_000 + tx.seq, labels=("a",))], "test"))
        if not page.next:
            break
        before = page.next
    assert walked == sorted(set(walked), reverse=True)
    assert len(walked) >= 40


@pytest.fixture
def large(log: Log) -> Log:
    log.write_now(
        lambda tx: contents.add(tx, [content(number, labels=("a",)) for number in range(1, 41)], "test")
    )
    return log


def test_a_page_whose_time_is_over_says_where_to_go_on(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "_FIRST_SLICE", 8)
    monkeypatch.setattr(search, "_GROWTH", 1)
    log.write_now(
        lambda tx: contents.add(
            tx,
            [content(number, labels=("rare",) if number in (3, 30) else ()) for number in range(1, 41)],
            "test",
        )
    )
    ticks = itertools.count(0, 10)
    walked, pages, before = [], 0, 0
    while True:
        with log.read() as conn:
            page = search.page(conn, Query(label="rare", before=before), clock=lambda: float(next(ticks)))
        walked += [int(one.id.removeprefix("indicator--")[:8]) for one in page.found]
        pages += 1
        if not page.next:
            break
        before = page.next
    assert (walked, pages) == ([30, 3], 5)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    limit=st.integers(1, 12),
    first_slice=st.integers(1, 50),
    growth=st.integers(1, 4),
    tick=st.sampled_from([0.0, 0.7, 5.0]),
    query=st.sampled_from([{}, {"label": "a"}, {"text": "indicator"}, {"label": "nowhere"}]),
)
def test_wherever_pages_end_a_walk_sees_everything_once_while_others_write(
    large: Log, limit: int, first_slice: int, growth: int, tick: float, query: dict[str, str]
) -> None:
    with large.read() as conn:
        expected = [one.seq for one in search.find(conn, Query(limit=1000, **query))]  # type: ignore[arg-type]  # strings
    walked: list[int] = []
    before, now = 0, itertools.count(0, tick)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "_FIRST_SLICE", first_slice)
        patch.setattr(search, "_GROWTH", growth)
        while True:
            with large.read() as conn:
                page = search.page(conn, Query(before=before, limit=limit, **query), lambda: next(now))  # type: ignore[arg-type]  # strings
            assert len(page.found) <= limit
            walked += [one.seq for one in page.found]
            if not before:
                large.write_now(
                    lambda tx: contents.add(tx, [content(10_000 + tx.seq, labels=("a",))], "test")
                )
            if not page.next:
                break
            assert not before or page.next < before, "it gets on, even if it finds nothing"
            before = page.next
    assert walked == expected
