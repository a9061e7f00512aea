"""`lezha store check` finds nothing wrong with a log that is in order, and each kind of damage."""

from collections.abc import Callable

import pytest
from sqlalchemy import delete, insert, select, update
from tests.federation.keys import PODGORICA, TIRANA
from tests.flows.alliance import Station, batch, deliver, found, said, stream, take, told, written

from lezha.flows import check
from lezha.node.clock import utc_now
from lezha.sharing.cedar import CedarPolicy
from lezha.store import disputes, policies, schema, texts
from lezha.store.log import Log, Reader, Tx


@pytest.fixture
async def tirana(log: Log, station: Callable[..., Station]) -> Station:
    """A log, on each of the engines, with something of everything in it."""
    here, there = Station(TIRANA, log), station(PODGORICA)
    await here.links(there)
    await there.links(here)
    law = CedarPolicy("permit (principal, action, resource);")
    await here.log.write(lambda tx: policies.adopt(tx, law, "node"))
    await here.log.write(lambda tx: policies.adopt(tx, None, "node"))
    await found("NATO", here, there)
    await here.publish(
        told(TIRANA, 1, labels=["wiper"]),
        told(TIRANA, 2, pattern="[domain-name:value = 'a.example' AND ipv4-addr:value = '203.0.113.2']"),
        to=["NATO"],
    )
    await deliver(here, there)
    twice = [said(PODGORICA, written(PODGORICA, 5, description=text)) for text in ("one", "other")]
    await take(here, there, batch(*stream(*twice)))
    await here.publish(told(TIRANA, 7), to=["podgorica"])
    await here.recall(told(TIRANA, 7)["id"])
    return here


def wrong(here: Station) -> set[tuple[str, str]]:
    """Part and words of what is found."""
    return {(one.part, one.words) for one in check.check(here.log)}


def parts(here: Station) -> set[str]:
    return {part for part, _ in wrong(here)}


def test_nothing_is_wrong_with_a_log_that_is_in_order(tirana: Station) -> None:
    seen: dict[str, int] = {}
    assert list(check.check(tirana.log, seen.__setitem__)) == []
    assert {"events", "contents", "statements", "views"} <= seen.keys()
    assert check.counts(tirana.log)["contents"] == seen["contents"]


def test_it_can_be_checked_beside_a_node_without_writing(tirana: Station, url: str) -> None:
    reader = Reader(url)
    assert list(check.check(reader)) == []
    reader.close()


_contents, _events, _views = schema.contents, schema.events, schema.views


def _purged_without_substance(tx: Tx) -> None:
    bare = _contents.c.seq.not_in(select(schema.substances.c.content))
    seq = tx.conn.scalar(select(_contents.c.seq).where(bare).limit(1))
    tx.conn.execute(insert(schema.purges).values(content=seq, why="x", actor="x", at=tx.at))
    for table in (schema.bodies, schema.observables, schema.refs, schema.tags):
        tx.conn.execute(delete(table).where(table.c.content == seq))
    tx.conn.execute(update(_contents).where(_contents.c.seq == seq).values(name="", unmatched=""))


# Where it is found, and what does the damage.
DAMAGE: dict[str, tuple[str, Callable[[Tx], object]]] = {
    "a byte of a content": (
        "contents",
        lambda tx: tx.conn.execute(update(schema.bodies).values(bytes=b'{"type":"indicator"}')),
    ),
    "a policy that was changed": (
        "policies",
        lambda tx: tx.conn.execute(update(schema.policies).values(text="// other")),
    ),
    "a policy that was put into force by nothing": (
        "policies",
        lambda tx: tx.conn.execute(update(schema.policies).values(seq=schema.policies.c.seq + 1000)),
    ),
    "bytes that are missing": ("contents", lambda tx: tx.conn.execute(delete(schema.bodies))),
    "an event that was changed": (
        "events",
        lambda tx: tx.conn.execute(update(_events).where(_events.c.seq == 3).values(actor="nobody")),
    ),
    "an event that was removed": (
        "events",
        lambda tx: tx.conn.execute(delete(_events).where(_events.c.seq == 3)),
    ),
    "events cut off at the end": (
        "events",
        lambda tx: tx.conn.execute(delete(_events).where(_events.c.seq == tx.seq)),
    ),
    "a time that goes back": (
        "events",
        lambda tx: tx.conn.execute(
            update(_events).where(_events.c.seq == 4).values(at="1999-01-01T00:00:00.000000Z")
        ),
    ),
    "an observable that is missing": ("derived", lambda tx: tx.conn.execute(delete(schema.observables))),
    "a reference too many": (
        "derived",
        lambda tx: tx.conn.execute(insert(schema.refs).values(target="malware--1", content=_any(tx))),
    ),
    "a label that is missing": ("derived", lambda tx: tx.conn.execute(delete(schema.tags))),
    "a marking that was changed": (
        "derived",
        lambda tx: tx.conn.execute(update(_contents).values(markings='["clear"]')),
    ),
    "words that are missing": ("derived", lambda tx: texts.clear(tx.conn)),
    "terms beside the envelope": (
        "statements",
        lambda tx: tx.conn.execute(
            update(schema.statements).values(terms='{"tlp":"clear","audience":{"everyone":true}}')
        ),
    ),
    "an envelope": (
        "statements",
        lambda tx: tx.conn.execute(update(schema.statements).values(envelope=b"{}")),
    ),
    "a tombstone that is missing": ("events", lambda tx: tx.conn.execute(delete(schema.tombstones))),
    "a tombstone that takes back something else": (
        "tombstones",
        lambda tx: tx.conn.execute(update(schema.tombstones).values(statement="00" * 32)),
    ),
    "a row of a view that is missing": (
        "views",
        lambda tx: tx.conn.execute(delete(_views).where(_views.c.number == 2)),
    ),
    "a digest in a view": (
        "views",
        lambda tx: tx.conn.execute(update(_views).where(_views.c.number == 2).values(digest=bytes(32))),
    ),
    "what is left of what was purged": (
        "derived",
        lambda tx: tx.conn.execute(
            insert(schema.purges).values(content=_any(tx), why="x", actor="x", at=tx.at)
        ),
    ),
    "the substance of a content": (
        "derived",
        lambda tx: tx.conn.execute(update(schema.substances).values(substance="0" * 64)),
    ),
    "the substance of what was purged": ("derived", _purged_without_substance),
    "a post that is missing": ("events", lambda tx: tx.event("posted", "0" * 64, "test")),
    "how much was put aside": (
        "quarantine",
        lambda tx: tx.conn.execute(update(schema.quarantine_sizes).values(bytes=1)),
    ),
    "a dispute that is not marked": ("disputes", lambda tx: tx.conn.execute(delete(schema.disputes))),
}


def _any(tx: Tx) -> int:
    seq: int = tx.conn.execute(select(_contents.c.seq)).scalars().first() or 0
    return seq


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_found(tirana: Station, name: str) -> None:
    part, damage = DAMAGE[name]
    if name == "a dispute that is not marked":
        with tirana.log.read() as conn:
            assert disputes.listed(conn)
    tirana.log.write_now(damage)
    assert part in parts(tirana)


def test_a_clock_that_runs_while_it_checks_is_no_damage(tirana: Station) -> None:
    findings = check.check(tirana.log)
    tirana.log.write_now(lambda tx: tx.event("tested", utc_now()))
    assert list(findings) == []
