"""What the desk counts: right after every commit, and cheap however much is held."""

from functools import partial
from itertools import count

import pytest
from sqlalchemy import func, select
from tests.store.examples import MONTENEGRO, content, signed

from lezha.store import activity, contents, schema, statements
from lezha.store.log import Log, Tx


def sight(tx: Tx, number: int, *, own: bool, kind: str = "sighting") -> None:
    """Keep an object with a statement about it."""
    contents.add(tx, [content(number, type=kind)], "test")
    statements.add(tx, [signed(number, own=own, origin=MONTENEGRO)], "test")


def counts(log: Log) -> tuple[int, int]:
    with log.read() as conn:
        return activity.sighting_counts(conn)


def test_sightings_are_counted_right_after_every_commit(log: Log) -> None:
    assert counts(log) == (0, 0)
    for number in range(1, 9):
        kind = "indicator" if number % 4 == 0 else "sighting"
        log.write_now(partial(sight, number=number, own=number % 3 == 0, kind=kind))
        with log.read() as conn:
            table = schema.statements
            rows = conn.execute(
                select(table.c.own, func.count().label("number"))
                .join(schema.contents, schema.contents.c.seq == table.c.content)
                .where(schema.contents.c.type == "sighting")
                .group_by(table.c.own)
            )
            held = {bool(row.own): row.number for row in rows}
        assert counts(log) == counts(log) == (held.get(False, 0), held.get(True, 0))
    assert counts(log) == (4, 2)


def test_a_snapshot_from_before_counts_no_sighting_twice(log: Log) -> None:
    log.write_now(lambda tx: sight(tx, 1, own=False))
    with log.read() as old:
        old.execute(select(schema.contents.c.seq)).all()
        log.write_now(lambda tx: sight(tx, 2, own=False))
        assert counts(log) == (2, 0)
        activity.sighting_counts(old)
    assert counts(log) == (2, 0)


def test_a_sighting_that_was_purged_is_not_among_the_newest(log: Log) -> None:
    for number in (1, 2, 3):
        log.write_now(partial(sight, number=number, own=False))
    gone = content(2).stix_id
    log.write_now(lambda tx: contents.purge(tx, contents.held_of(tx.conn, [gone]), "a mistake", "test"))
    with log.read() as conn:
        assert [one.id for one in activity.sightings(conn, 2)] == [content(3).stix_id, content(1).stix_id]


KINDS = ("token", "peer")


def acts(log: Log, limit: int = 10, slow: bool = False) -> tuple[list[str], bool]:
    """Return the subjects of the latest acts; a `slow` look ends after its first slice."""
    with log.read() as conn:
        clock = count(0, 1000).__next__ if slow else lambda: 0
        found, complete = activity.acts(conn, KINDS, limit, clock)
    return [one.subject for one in found], complete


def do(log: Log, *subjects: str) -> None:
    """Record acts."""
    log.write_now(lambda tx: [tx.event("token", one, "admin") for one in subjects] and None)


def bring(log: Log, number: int, actor: str = "admin") -> None:
    """Record events as an import writes them."""
    log.write_now(lambda tx: tx.events("posted", ["hash"] * number, actor) and None)


@pytest.fixture
def slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the log looked through in slices of a few rows."""
    monkeypatch.setattr(activity, "_FIRST_SLICE", 8)
    monkeypatch.setattr(activity, "_LARGEST_SLICE", 16)


@pytest.mark.usefixtures("slices")
def test_acts_are_found_behind_an_import(log: Log) -> None:
    do(log, *(f"old-{number}" for number in range(12)))
    bring(log, 1000)
    do(log, "new")
    assert acts(log) == (["new", *(f"old-{number}" for number in range(11, 2, -1))], True)


@pytest.mark.usefixtures("slices")
def test_a_look_that_ran_out_of_time_says_so_and_the_next_goes_on(log: Log) -> None:
    do(log, "old")
    bring(log, 60)
    seen = [acts(log, slow=True) for _ in range(12)]
    assert seen[0] == ([], False)
    assert seen[-1] == (["old"], True)
    do(log, "new")
    assert acts(log, slow=True) == (["new", "old"], True)


@pytest.mark.usefixtures("slices")
def test_what_came_since_and_what_was_not_reached_yet_are_both_looked_for(log: Log) -> None:
    do(log, "first")
    bring(log, 30)
    do(log, "second")
    bring(log, 4)
    assert acts(log, slow=True) == (["second"], False)
    bring(log, 40)
    do(log, "third")
    assert acts(log, slow=True) == (["third", "second"], False)
    assert acts(log) == (["third", "second", "first"], True)
    do(log, "fourth")
    assert acts(log, limit=3) == (["fourth", "third", "second"], True)


@pytest.mark.usefixtures("slices")
def test_an_import_is_one_thing_however_many_commits_it_took(log: Log) -> None:
    for number in (30, 5, 7):
        bring(log, number, "admin")
    bring(log, 3, "other")
    bring(log, 1, "admin")
    with log.read() as conn:
        found, complete = activity.brought(conn, 10, lambda: 0)
    assert ([(one.actor, one.count) for one in found], complete) == ([("admin", 43), ("other", 3)], True)
    bring(log, 2, "other")
    with log.read() as conn:
        assert [(one.actor, one.count) for one in activity.brought(conn, 10, lambda: 0)[0]] == [
            ("other", 5),
            ("admin", 43),
        ]


@pytest.mark.usefixtures("slices")
def test_what_others_said_is_found_behind_ones_own_words(log: Log) -> None:
    log.write_now(partial(sight, number=1, own=False, kind="indicator"))
    for number in range(2, 60):
        log.write_now(partial(sight, number=number, own=True, kind="indicator" if number % 2 else "sighting"))
    with log.read() as conn:
        (heard,) = activity.statements(conn, 10, own=False, clock=lambda: 0)
        told = activity.statements(conn, 10, own=True, clock=lambda: 0)
    assert heard.name == "indicator 1"
    assert [one.name for one in told] == [f"indicator {number}" for number in range(59, 39, -2)]
