"""Views: dense numbers that never change, reasons, cursors and receipts."""

from functools import partial

import pytest
from tests.store.examples import ALBANIA, MONTENEGRO, digest, entry, give, publish, signed

from lezha.sharing.release import Reason, Withheld
from lezha.store import views
from lezha.store.log import Log
from lezha.store.views import GENESIS, Head


async def test_an_empty_view_begins_at_nothing(log: Log) -> None:
    with log.read() as conn:
        assert views.head(conn, MONTENEGRO) == Head(0, GENESIS)
        assert views.entry(conn, MONTENEGRO, 1) is None


async def test_each_recipient_has_numbers_of_its_own(log: Log) -> None:
    await log.write(lambda tx: give(tx, MONTENEGRO, entry(1), entry(2)))
    await log.write(lambda tx: give(tx, ALBANIA, entry(1, of=2)))
    with log.read() as conn:
        assert views.head(conn, MONTENEGRO) == Head(2, bytes([2]) * 32)
        assert views.head(conn, ALBANIA) == Head(1, bytes([1]) * 32)


async def test_rows_come_in_order_from_where_one_stopped(log: Log) -> None:
    await log.write(lambda tx: give(tx, MONTENEGRO, *(entry(number) for number in (3, 1, 5, 2, 4))))
    with log.read() as conn:
        assert views.entries(conn, MONTENEGRO, 0, 2) == [entry(1), entry(2)]
        assert views.entries(conn, MONTENEGRO, 2, 10) == [entry(3), entry(4), entry(5)]
        assert views.entries(conn, MONTENEGRO, 5, 10) == []
        assert views.entry(conn, MONTENEGRO, 4) == entry(4)


async def test_a_number_is_given_once(log: Log) -> None:
    await log.write(lambda tx: give(tx, MONTENEGRO, entry(1)))
    with pytest.raises(Exception, match=r"(?i)unique"):
        await log.write(lambda tx: give(tx, MONTENEGRO, entry(1, of=2)))


async def test_a_row_that_was_made_void_stays_so_and_its_statement_may_get_a_new_number(log: Log) -> None:
    await log.write(lambda tx: publish(tx, 1, 2))
    await log.write(lambda tx: give(tx, MONTENEGRO, entry(1), entry(2)))
    await log.write(lambda tx: views.void(tx, MONTENEGRO, [(1, withheld(1, Reason.EXPIRED))]))
    await log.write(lambda tx: give(tx, MONTENEGRO, entry(3, of=1)))
    with log.read() as conn:
        assert views.voided(conn, MONTENEGRO, 0) == {1}
        assert views.voided(conn, MONTENEGRO, 1) == views.voided(conn, ALBANIA, 0) == set()
        assert views.reason(conn, MONTENEGRO, signed(1).hash) is Reason.EXPIRED
        assert views.find(conn, MONTENEGRO, signed(1).hash) == entry(3, of=1)
        assert [views.taken_upto(conn, MONTENEGRO, number) for number in (1, 2, 3)] == [0, 1, 2]


async def test_what_was_offered_is_known(log: Log) -> None:
    await log.write(lambda tx: give(tx, MONTENEGRO, entry(1)))
    refs = [digest("statement 1"), digest("statement 2")]
    with log.read() as conn:
        assert views.offered(conn, MONTENEGRO, refs) == {refs[0]}
        assert views.offered(conn, ALBANIA, refs) == set()
        assert views.find(conn, MONTENEGRO, refs[0]) == entry(1)
        assert views.find(conn, MONTENEGRO, refs[1]) is None


def withheld(number: int, reason: Reason) -> Withheld:
    return Withheld(signed(number).hash, MONTENEGRO, reason, author_here=number != 2)


async def test_reasons_are_kept_in_the_order_of_the_log_and_counted(log: Log) -> None:
    await log.write(lambda tx: publish(tx, 1, 2, 3))
    decisions = [
        withheld(number, reason) for number, reason in ((3, Reason.CLEARANCE), (1, Reason.NOT_ONWARD))
    ]
    await log.write(lambda tx: views.withhold(tx, MONTENEGRO, [*decisions, withheld(2, Reason.CLEARANCE)]))
    with log.read() as conn:
        assert list(views.withheld_from(conn, MONTENEGRO).items()) == [
            (signed(1).hash, Reason.NOT_ONWARD),
            (signed(2).hash, Reason.CLEARANCE),
            (signed(3).hash, Reason.CLEARANCE),
        ]
        assert views.withheld_counts(conn, MONTENEGRO, own=True) == {"not_onward": 1, "clearance": 1}
        assert views.withheld_counts(conn, MONTENEGRO, own=False) == {"clearance": 1}
        assert views.reason(conn, MONTENEGRO, signed(1).hash) is Reason.NOT_ONWARD
        assert views.withheld_from(conn, ALBANIA) == {}


async def test_a_reason_is_forgotten_when_the_statement_is_given(log: Log) -> None:
    await log.write(lambda tx: publish(tx, 1, 2))
    decisions = [withheld(number, Reason.CLEARANCE) for number in (1, 2)]
    await log.write(lambda tx: views.withhold(tx, MONTENEGRO, decisions))
    await log.write(lambda tx: views.no_longer_withheld(tx, MONTENEGRO, [signed(1).hash]))
    with log.read() as conn:
        assert list(views.withheld_from(conn, MONTENEGRO)) == [signed(2).hash]


async def test_a_cursor_moves_for_each_recipient(log: Log) -> None:
    for seq in (3, 7):
        await log.write(partial(views.move_cursor, recipient=MONTENEGRO, seq=seq))
    with log.read() as conn:
        assert (views.cursor(conn, MONTENEGRO), views.cursor(conn, ALBANIA)) == (7, 0)


async def test_changes_are_the_events_of_some_kinds_in_order(log: Log) -> None:
    await log.write(lambda tx: publish(tx, 1, 2))
    with log.read() as conn:
        found = views.changes(conn, 0, ["statement"], 10)
        assert [(one.seq, one.subject) for one in found] == [(3, signed(1).hash), (4, signed(2).hash)]
        assert views.changes(conn, 3, ["statement", "roster"], 10) == found[1:]
        assert views.changes(conn, 0, ["statement"], 1) == found[:1]


async def test_a_receipt_that_acknowledges_nothing_new_is_not_kept(log: Log) -> None:
    for envelope in (b"first", b"second"):
        refused = [(2, "authority")]
        await log.write(
            partial(
                views.keep_receipt, recipient=MONTENEGRO, head_number=2, envelope=envelope, refused=refused
            )
        )
    await log.write(
        lambda tx: views.keep_receipt(tx, MONTENEGRO, 5, b"third", [(2, "authority"), (4, "companion")])
    )
    with log.read() as conn:
        assert views.acknowledged(conn, MONTENEGRO)[0] == 5
        assert views.acknowledged(conn, ALBANIA) == (0, "")
        assert views.refused_counts(conn, MONTENEGRO) == {"authority": 1, "companion": 1}
        assert len(views.changes(conn, 0, ["receipt"], 10)) == 2
