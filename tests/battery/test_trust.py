"""Two nodes, of which one sends more than the other takes: it waits, and nothing is lost."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.battery.nodes import RunningNode, as_peer, lezha, many, running, until

from lezha.federation import frame
from lezha.federation.frame import Batch
from lezha.node import identity
from lezha.node.clock import utc_now

PATIENCE_S = 60


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[RunningNode, ...]]:
    with running(tmp_path, "tirana", "podgorica") as nodes:
        yield nodes


def limit(node: RunningNode, peer: RunningNode, hourly: int | None) -> Any:
    return node.post(f"/peers/{peer.name}/limit", {"hourly": hourly})


def test_what_is_more_than_is_taken_in_an_hour_waits_and_then_arrives(pair: tuple[RunningNode, ...]) -> None:
    tirana, podgorica = pair
    limit(podgorica, tirana, 20)
    tirana.publish(many(30, "first"), "podgorica")
    until(lambda: podgorica.count("statements") == 30, PATIENCE_S, lambda: tirana.peer(podgorica))
    limit(podgorica, tirana, 7200)  # two a second: what was too much is made up for within seconds
    tirana.publish(many(40, "second"), "podgorica")
    until(lambda: tirana.peer(podgorica)["phase"] == "held back", PATIENCE_S, lambda: tirana.peer(podgorica))
    assert podgorica.count("statements") == 30
    report = tirana.peer(podgorica)
    assert "takes no more for" in report["fault"]
    assert report["queued"] == 40
    until(lambda: podgorica.count("statements") == 70, PATIENCE_S, lambda: tirana.peer(podgorica))
    until(lambda: tirana.peer(podgorica)["queued"] == 0, PATIENCE_S, lambda: tirana.peer(podgorica))
    assert tirana.peer(podgorica)["refused"] == {}
    assert podgorica.rows("SELECT actor FROM events WHERE kind = 'too fast'") == [(tirana.member,)]
    assert len(podgorica.logged("peer.too_fast")) == 1
    assert lezha("store", "check", "--home", podgorica.home).returncode == 0


def test_a_peer_that_floods_is_told_to_wait_and_hinders_nobody(
    pair: tuple[RunningNode, ...], tmp_path: Path
) -> None:
    tirana, podgorica = pair
    ((incarnation,),) = tirana.rows("SELECT value FROM meta WHERE name = 'incarnation'")
    tirana.stop()
    leaf = identity.load(tirana.home).leaf
    limit(podgorica, tirana, 5)
    greeting = frame.encode(Batch(frame.PROTOCOL, incarnation, utc_now()))
    answers = [as_peer(podgorica, leaf, "POST", "/link/v1/frames", greeting) for _ in range(9)]
    assert [one.status for one in answers] == [200] * 5 + [429] * 4
    junk = [as_peer(podgorica, leaf, "POST", "/link/v1/frames", b"\x00" * (4 << 20)) for _ in range(3)]
    # What is not read may be cut off while it is being sent.
    assert {one.status for one in junk} <= {429, 0}
    assert podgorica.alive
    limit(podgorica, tirana, None)
    with contextlib.ExitStack() as undo:
        tirana.start()
        undo.callback(tirana.stop)
        tirana.publish(many(3, "after"), "podgorica")
        until(lambda: podgorica.count("statements") == 3, PATIENCE_S, lambda: tirana.peer(podgorica))
