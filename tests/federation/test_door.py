"""Who floods the peers' listener pushes itself out, and no peer."""

import pytest

from lezha.federation.door import PER_PEER, Door, Visit, Why


class Callers:
    """Connections by name, and which of them were cut."""

    def __init__(self, door: Door) -> None:
        self.door = door
        self.cut: list[str] = []

    def come(self, name: str, address: str) -> Visit:
        return self.door.come(address, lambda: self.cut.append(name))


def test_one_address_has_so_many_strangers_and_the_oldest_gives_way() -> None:
    callers = Callers(Door(per_address=2))
    for name in ("first", "second", "third"):
        callers.come(name, "192.0.2.1")
    callers.come("another", "192.0.2.2")
    assert callers.cut == ["first"]
    assert callers.door.counted == {Why.ADDRESS: 1}
    assert callers.door.strangers == 3


def test_when_all_are_too_many_the_address_with_most_gives_way() -> None:
    callers = Callers(Door(per_address=3, strangers=4))
    callers.come("honest", "192.0.2.1")
    for number in range(3):
        callers.come(f"flood {number}", "198.51.100.1")
    callers.come("late", "203.0.113.1")
    callers.come("later", "203.0.113.2")
    assert callers.cut == ["flood 0", "flood 1"]
    assert callers.door.counted == {Why.STRANGERS: 2}


def test_who_has_shown_a_peers_certificate_is_out_of_their_reach() -> None:
    callers = Callers(Door(per_address=2, strangers=2))
    callers.door.shown(callers.come("peer", "192.0.2.1"), "identity--1")
    for number in range(100):
        callers.come(str(number), "192.0.2.1")
    assert callers.cut == [str(number) for number in range(98)]
    assert (callers.door.peers, callers.door.strangers) == (1, 2)


def test_a_peer_pushes_out_its_own_connections_alone() -> None:
    callers = Callers(Door(per_address=50))
    for member in ("identity--1", "identity--2"):
        for number in range(PER_PEER):
            callers.door.shown(callers.come(f"{member} {number}", "192.0.2.1"), member)
    callers.door.shown(callers.come("one more", "192.0.2.1"), "identity--1")
    assert callers.cut == ["identity--1 0"]
    assert callers.door.counted == {Why.PEER: 1}


def test_who_has_gone_takes_no_place_and_may_go_twice() -> None:
    callers = Callers(Door(per_address=1))
    first = callers.come("first", "192.0.2.1")
    callers.door.gone(first)
    callers.door.gone(first)
    second = callers.come("second", "192.0.2.1")
    callers.door.shown(second, "identity--1")
    callers.door.gone(second)
    callers.door.gone(second)
    assert (callers.cut, callers.door.strangers, callers.door.peers) == ([], 0, 0)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("192.0.2.1", "192.0.2.2", False),
    ],
)
def test_of_ipv6_a_whole_network_is_one_address(one: str, other: str, same: bool) -> None:  # a row
    callers = Callers(Door(per_address=1))
    callers.come("one", one)
    callers.come("other", other)
    assert callers.cut == (["one"] if same else [])


def test_what_was_cut_is_told_at_most_once_a_minute_and_then_all_of_it() -> None:
    door = Door(per_address=1)
    assert door.news(1000.0) == {}
    door.count(Why.HEAD)
    assert door.news(1000.0) == {"head": 1}
    for _ in range(1000):
        door.count(Why.HANDSHAKE)
    assert door.news(1059.0) == {}
    assert door.news(1060.0) == {"handshake": 1000}
    assert door.news(2000.0) == {}


def test_refusals_have_lines_of_their_own_up_to_a_flood() -> None:
    door = Door(per_address=1)
    assert sum(door.may_tell(1000.0) for _ in range(1000)) == 60
    assert sum(door.may_tell(1000.0 + second) for second in range(1, 106)) == 10
