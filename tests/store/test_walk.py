"""The log read from one end to the other, on both engines."""

import pytest
from tests.store.examples import content, signed

from lezha.sharing.release import Recipient, Released, Standing, release
from lezha.sharing.tlp import Tlp
from lezha.store import contents, search, statements, walk
from lezha.store.log import Log

OWN = Recipient("export:1", Standing.OWN, Tlp.RED)


@pytest.fixture
def five(log: Log) -> Log:
    """Five contents, the third of another type; the second has a statement."""
    for number in range(1, 6):
        made = content(number, type="malware" if number == 3 else "indicator", markings=(Tlp.AMBER,))
        log.write_now(lambda tx, made=made: contents.add(tx, [made], "test"))  # type: ignore[misc]  # bound now
    log.write_now(lambda tx: statements.add(tx, [signed(2)], "test"))
    return log


def test_steps_are_in_order_and_lie_within_what_was_asked(five: Log) -> None:
    with five.read() as conn:
        every = walk.steps(conn, 0, walk.head(conn), "", 100)
        assert [one.content for one in every] == [content(number).hash for number in range(1, 6)]
        assert walk.steps(conn, every[0].seq, every[3].seq, "", 2) == every[1:3]
        assert walk.steps(conn, 0, every[3].seq, "", 100) == every[:4]
        assert [one.seq for one in walk.steps(conn, 0, every[4].seq, "malware", 9)] == [every[2].seq]
        assert (every[0].size, every[0].facts.terms, every[0].facts.markings) == (7, None, (Tlp.AMBER,))


def test_an_empty_log_has_no_steps(log: Log) -> None:
    with log.read() as conn:
        assert (walk.head(conn), walk.steps(conn, 0, 9, "", 9), search.last_before(conn, "9")) == (0, [], 0)


def test_a_time_is_found_in_the_log(five: Log) -> None:
    from sqlalchemy import select

    from lezha.store import schema

    with five.read() as conn:
        times = [row.at for row in conn.execute(select(schema.events.c.at).order_by(schema.events.c.seq))]
        for at in ("", *times, "9999"):
            assert search.last_before(conn, at) == sum(one < at for one in times)


def test_statements_and_bytes_are_found_by_content(five: Log) -> None:
    with five.read() as conn:
        every = walk.steps(conn, 0, walk.head(conn), "", 100)
        assert walk.statements_about(conn, [one.content for one in every]) == {
            content(2).hash: [signed(2).hash]
        }
        decisions = [release(one.facts, OWN, {}, "") for one in reversed(every)]
        assert all(isinstance(one, Released) for one in decisions)
