"""What is recorded for each recipient, and how much is withheld for which reason, on both engines."""

import pytest
from tests.store.examples import ALBANIA, MONTENEGRO, digest, entry, give, publish, signed

from lezha.sharing.release import Reason, Withheld
from lezha.store import statements, told, views
from lezha.store.log import Log, Tx
from lezha.store.told import Sum


def withheld(number: int, reason: Reason, own: bool = True, to: str = MONTENEGRO) -> Withheld:
    return Withheld(digest(f"statement {number}"), to, reason, own)


async def test_what_was_given_says_what_became_of_it(log: Log) -> None:
    def work(tx: Tx) -> None:
        publish(tx, 1, 2, 3, 4)
        give(tx, MONTENEGRO, *(entry(number) for number in (1, 2, 3, 4)))
        give(tx, ALBANIA, entry(1, of=4))
        views.void(tx, MONTENEGRO, [(3, withheld(3, Reason.EXPIRED))])
        views.keep_receipt(tx, MONTENEGRO, 1, b"receipt", [])
        views.keep_receipt(tx, MONTENEGRO, 3, b"receipt", [(2, "authority")])

    await log.write(work)
    with log.read() as conn:
        found = told.given(conn, [digest(f"statement {number}") for number in (1, 2, 3, 4)])
    shown = [(one.recipient, one.number, bool(one.signed), one.refused, one.void) for one in found]
    assert shown == [
        (ALBANIA, 1, False, "", ""),
        (MONTENEGRO, 1, True, "", ""),
        (MONTENEGRO, 2, True, "authority", ""),
        (MONTENEGRO, 3, True, "", "expired"),
        (MONTENEGRO, 4, False, "", ""),
    ]


async def test_the_receipt_that_first_covers_a_row_tells_when_it_was_signed_for(log: Log) -> None:
    await log.write(lambda tx: publish(tx, 1, 2))
    await log.write(lambda tx: give(tx, MONTENEGRO, entry(1), entry(2)))
    await log.write(lambda tx: views.keep_receipt(tx, MONTENEGRO, 1, b"receipt", []))
    await log.write(lambda tx: views.keep_receipt(tx, MONTENEGRO, 2, b"receipt", []))
    with log.read() as conn:
        first, second = told.given(conn, [digest("statement 1"), digest("statement 2")])
    assert first.at < first.signed < second.signed


async def test_what_is_withheld_is_told_of_those_asked_for_alone(log: Log) -> None:
    def work(tx: Tx) -> None:
        publish(tx, 1, 2)
        for to in (MONTENEGRO, ALBANIA):
            views.withhold(tx, to, [withheld(1, Reason.CLEARANCE), withheld(2, Reason.SUSPENDED)])

    await log.write(work)
    with log.read() as conn:
        found = told.withheld(conn, [digest("statement 1")], [MONTENEGRO])
        assert [(one.recipient, one.reason) for one in found] == [(MONTENEGRO, "clearance")]
        assert told.withheld(conn, [digest("statement 1")], []) == []


@pytest.mark.parametrize(("most", "counted"), [(100, 5), (5, 5), (4, 4), (1, 1)])
async def test_sums_are_counted_by_reason_and_no_further_than_asked(
    log: Log, most: int, counted: int
) -> None:
    def work(tx: Tx) -> None:
        publish(tx, *range(1, 9))
        views.withhold(tx, MONTENEGRO, [withheld(number, Reason.CLEARANCE) for number in range(1, 6)])
        views.withhold(tx, MONTENEGRO, [withheld(6, Reason.CLEARANCE, own=False)])
        views.withhold(tx, ALBANIA, [withheld(7, Reason.EXPIRED)])

    await log.write(work)
    with log.read() as conn:
        found = told.sums(conn, MONTENEGRO, "", most)
    assert sorted(found, key=lambda one: one.own) == [
        Sum(False, Reason.CLEARANCE, 1, 1),
        Sum(True, Reason.CLEARANCE, counted, counted),
    ]


async def test_sums_and_examples_begin_at_a_time_newest_first(log: Log) -> None:
    await log.write(lambda tx: publish(tx, 1, 2, 3))
    await log.write(lambda tx: views.withhold(tx, MONTENEGRO, [withheld(1, Reason.EXPIRED)]))
    since = ""

    def later(tx: Tx) -> None:
        nonlocal since
        since = tx.at
        views.withhold(tx, MONTENEGRO, [withheld(2, Reason.EXPIRED)])

    await log.write(later)
    await log.write(lambda tx: views.withhold(tx, MONTENEGRO, [withheld(3, Reason.EXPIRED)]))
    with log.read() as conn:
        (found,) = told.sums(conn, MONTENEGRO, since, 10)
        assert found == Sum(True, Reason.EXPIRED, 2, 2)
        assert [one.name for one in told.examples(conn, MONTENEGRO, found, since, 5)] == [
            "indicator 3",
            "indicator 2",
        ]
        assert [one.name for one in told.examples(conn, MONTENEGRO, found, "", 1)] == ["indicator 3"]


async def test_what_a_recipient_has_by_another_statement_is_not_counted(log: Log) -> None:
    """Any one statement that releases suffices; what was made void gave nothing."""

    def work(tx: Tx) -> None:
        publish(tx, 1, 2, 3)
        again = [signed(number + 10, content=digest(f"content {number}")) for number in (1, 2, 3)]
        statements.add(tx, again, "test")
        give(tx, MONTENEGRO, entry(1, of=11), entry(2, of=12))
        give(tx, ALBANIA, entry(1, of=13))
        views.withhold(tx, MONTENEGRO, [withheld(number, Reason.CLEARANCE) for number in (1, 2, 3)])
        views.void(tx, MONTENEGRO, [(2, withheld(12, Reason.CLEARANCE))])

    await log.write(work)
    with log.read() as conn:
        (found,) = told.sums(conn, MONTENEGRO, "", 10)
        assert (found.count, found.looked) == (2, 4), "of content 2 both statements are withheld"
        shown = told.examples(conn, MONTENEGRO, found, "", 10)
    assert {one.name for one in shown} == {"indicator 2", "indicator 3"}
