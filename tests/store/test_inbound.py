"""What peers have sent here."""

from functools import partial

from tests.store.examples import ALBANIA, MONTENEGRO

from lezha.store import inbound
from lezha.store.inbound import Quarantined
from lezha.store.log import Log
from lezha.store.views import GENESIS, Head


def aside(number: int, code: str = "authority") -> Quarantined:
    return Quarantined(MONTENEGRO, "one", number, code, "why", b"frame")


async def test_each_incarnation_of_a_peer_has_a_stream_of_its_own(log: Log) -> None:
    heads = {"one": Head(7, b"a" * 32), "two": Head(3, b"b" * 32)}
    for incarnation, head in [("one", Head(2, GENESIS)), *heads.items()]:
        await log.write(partial(inbound.move, member=MONTENEGRO, incarnation=incarnation, to=head))
    with log.read() as conn:
        assert {key: inbound.head(conn, MONTENEGRO, key) for key in heads} == heads
        assert (
            inbound.head(conn, MONTENEGRO, "three") == inbound.head(conn, ALBANIA, "one") == Head(0, GENESIS)
        )
        assert inbound.received(conn, MONTENEGRO)[0] == 10
        assert inbound.received(conn, ALBANIA) == (0, "")


async def test_refusals_are_told_by_number(log: Log) -> None:
    for one in (aside(5), aside(2, "companion"), aside(9)):
        await log.write(partial(inbound.put_aside, item=one))
    with log.read() as conn:
        assert inbound.refusals(conn, MONTENEGRO, "one", 2) == [(5, "authority"), (9, "authority")]
        assert inbound.refusals(conn, MONTENEGRO, "two", 0) == []
        assert inbound.put_aside_counts(conn, MONTENEGRO) == {"authority": 2, "companion": 1}
