"""Kill -9 and absence: what was published arrives, once, and in order."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.battery.nodes import RunningNode, many, running, until

from lezha.federation import document, frame

OBJECTS = 2500
MOMENTS = {"receiver": (1, 700, 1400), "sender": (1, 1000)}  # statements that have arrived
PATIENCE_S = 60


def held(node: RunningNode, origin: RunningNode) -> int:
    return int(node.rows("SELECT count(*) FROM statements WHERE origin = ?", origin.member)[0][0])


def wait_for_all(sender: RunningNode, receiver: RunningNode) -> None:
    until(
        lambda: held(receiver, sender) >= OBJECTS and sender.peer(receiver)["queued"] == 0,
        PATIENCE_S,
        lambda: (held(receiver, sender), sender.peer(receiver)),
    )


def assert_delivered_once_and_in_order(sender: RunningNode, receiver: RunningNode) -> None:
    view = sender.rows(
        "SELECT number, kind, ref, chain FROM views WHERE recipient = ? ORDER BY number", receiver.member
    )
    assert [number for number, *_ in view] == list(range(1, len(view) + 1))
    given = [ref for _, kind, ref, _ in view if kind == "statement"]
    arrived = receiver.rows(
        "SELECT hash, envelope FROM statements WHERE origin = ? ORDER BY seq", sender.member
    )
    assert [key for key, _ in arrived] == given
    assert len(given) == OBJECTS
    assert dict(arrived) == dict(
        sender.rows("SELECT hash, envelope FROM statements WHERE origin = ?", sender.member)
    )
    of_sender = (
        "SELECT c.hash, b.bytes FROM contents c JOIN bodies b ON b.content = c.seq "
        "JOIN statements s ON s.content = c.seq WHERE s.origin = ?"
    )
    assert sorted(receiver.rows(of_sender, sender.member)) == sorted(sender.rows(of_sender, sender.member))
    events = receiver.rows("SELECT count(*), count(DISTINCT subject) FROM events WHERE kind = 'statement'")
    assert events == [(OBJECTS, OBJECTS)]
    assert receiver.rows("SELECT member, head, chain FROM inbound") == [
        (sender.member, view[-1][0], view[-1][3])
    ]
    assert receiver.count("arrivals") == OBJECTS
    assert receiver.count("quarantine") == 0
    assert sender.count("refusals") == 0
    assert_the_last_receipt_is_for_all(sender, receiver, len(view))


def assert_the_last_receipt_is_for_all(sender: RunningNode, receiver: RunningNode, head: int) -> None:
    ((numbered, envelope),) = sender.rows("SELECT head, envelope FROM receipts ORDER BY head DESC LIMIT 1")
    keys = document.read((receiver.home / "node.json").read_bytes()).document.verification_keys()
    receipt = frame.read_receipt(envelope, keys, receiver.member, sender.member)
    assert (numbered, receipt.head, receipt.refused) == (head, head, ())


@pytest.mark.parametrize("victim", MOMENTS)
def test_a_node_killed_in_the_middle_of_a_delivery_loses_nothing_and_repeats_nothing(
    victim: str, tmp_path: Path, database: Callable[[], str]
) -> None:
    with running(tmp_path, "tirana", "podgorica", database=database) as (sender, receiver):
        killed = receiver if victim == "receiver" else sender
        sender.publish(many(OBJECTS, "wiper"), "podgorica")
        for moment in MOMENTS[victim]:
            until(lambda moment=moment: held(receiver, sender) >= moment, PATIENCE_S)  # type: ignore[misc]  # bound now
            killed.kill()
            assert held(receiver, sender) < OBJECTS, "the delivery was over before the kill"
            killed.start()
        wait_for_all(sender, receiver)
        assert (sender.stop(), receiver.stop()) == (0, 0)
        assert_delivered_once_and_in_order(sender, receiver)


def test_a_node_killed_while_it_publishes_has_written_all_of_a_bundle_or_nothing(
    tmp_path: Path, database: Callable[[], str]
) -> None:
    with running(tmp_path, "tirana", database=database) as (node,):
        for attempt, delay in enumerate((0.05, 0.25, 0.5)):
            before = held(node, node)
            raw = many(OBJECTS, f"attempt-{attempt}")
            answers: list[int] = []
            asking = threading.Thread(target=_publish, args=(node, raw, answers))
            asking.start()
            asking.join(delay)
            node.kill()
            asking.join()
            written = held(node, node) - before
            assert written in (0, OBJECTS)
            assert not answers or written == OBJECTS, "it was acknowledged and is not there"
            assert node.database or node.rows("PRAGMA integrity_check") == [("ok",)]
            node.start()


def _publish(node: RunningNode, raw: bytes, answers: list[int]) -> None:
    try:
        answer = node.call("POST", "/publish", raw, {"tlp": "amber", "to": "everyone"})
    except OSError:
        return
    answers.append(answer.status)


def test_a_peer_that_is_away_delays_nobody_else_and_gets_everything_when_it_is_back(tmp_path: Path) -> None:
    with running(tmp_path, "tirana", "podgorica", "vienna") as (sender, away, present):
        assert away.stop() == 0
        sender.publish(many(OBJECTS, "wiper"), "everyone")
        wait_for_all(sender, present)
        report = sender.peer(away)
        assert (report["delivered"], report["phase"]) == (0, "unreachable")
        assert report["queued"] + report["to_decide"] >= OBJECTS
        assert f"127.0.0.1:{away.link_port} can't be reached" in report["fault"]
        away.start()
        wait_for_all(sender, away)
        assert sender.peer(away)["fault"] == ""
        assert held(away, sender) == held(present, sender) == OBJECTS
