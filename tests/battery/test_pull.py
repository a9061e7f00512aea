"""A node that nobody can connect to asks its peers for what they have: real processes, real TLS."""

import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.battery.nodes import RunningNode, bundle, indicator, link, many, until

Two = tuple[RunningNode, RunningNode]


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Two]:
    """Tirana, and Shkoder behind a firewall."""
    nodes = RunningNode(tmp_path, "tirana"), RunningNode(tmp_path, "shkoder", reachable=False)
    try:
        for node in nodes:
            node.start()
        link(*nodes)
        yield nodes
    finally:
        for node in nodes:
            if node.process is not None:
                node.kill()


def held(node: RunningNode, label: str = "") -> int:
    return int(node.rows("SELECT count(*) FROM contents WHERE name LIKE ?", f"{label}%")[0][0])


def arrives(node: RunningNode, label: str, count: int, sender: RunningNode) -> None:
    until(
        lambda: held(node, label) == count, 40, lambda: (sender.get("/peers"), node.log.read_text()[-2000:])
    )


def test_both_are_told_though_only_one_can_connect(two: Two) -> None:
    tirana, shkoder = two
    with closing(socket.socket()) as probe:
        assert probe.connect_ex(("127.0.0.1", shkoder.link_port)) != 0, "it listens for nobody"
    tirana.publish(bundle([indicator("first.example")]), "shkoder")
    arrives(shkoder, "first", 1, tirana)
    shkoder.publish(bundle([indicator("back.example")]), "tirana")
    arrives(tirana, "back", 1, shkoder)
    until(lambda: tirana.peer(shkoder)["delivered"] == 1, 20, lambda: tirana.get("/peers"))
    assert tirana.peer(shkoder)["last_receipt"]


def test_whatever_is_killed_nothing_is_lost_and_nothing_comes_twice(two: Two) -> None:
    tirana, shkoder = two
    tirana.publish(many(300, "one"), "shkoder")
    shkoder.kill()
    tirana.publish(many(300, "two"), "shkoder")
    shkoder.start()
    tirana.kill()
    tirana.start()
    tirana.publish(many(3, "three"), "shkoder")
    for label, count in (("one", 300), ("two", 300), ("three", 3)):
        arrives(shkoder, label, count, tirana)
    until(lambda: tirana.peer(shkoder)["queued"] == 0, 20, lambda: tirana.get("/peers"))
    ((heads,),) = shkoder.rows("SELECT sum(head) FROM inbound WHERE member = ?", tirana.member)
    ((numbered,),) = tirana.rows("SELECT max(number) FROM views WHERE recipient = ?", shkoder.member)
    assert heads == numbered == 603
    assert shkoder.count("quarantine") == 0


def test_a_node_that_stops_answers_the_question_that_waits_and_makes_no_mistake(two: Two) -> None:
    tirana, shkoder = two
    tirana.publish(bundle([indicator("first.example")]), "shkoder")
    arrives(shkoder, "first", 1, tirana)
    until(lambda: tirana.peer(shkoder)["queued"] == 0, 20, lambda: tirana.get("/peers"))
    tirana.stop()
    told = tirana.log.read_text()
    assert "Traceback" not in told, told[-2000:]
    assert "[error" not in told, told[-2000:]
