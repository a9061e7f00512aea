"""What the desk counts: right after every commit, and cheap however much is held."""

from functools import partial

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
