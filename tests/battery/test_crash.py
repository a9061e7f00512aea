"""A node that dies at any instant of a commit: all that was acknowledged is there once, and nothing by halves."""

import json
import random
import threading
import time
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path

import pytest
from tests.battery.nodes import RunningNode, bundle, failing, indicator, lezha

POINTS = ("within a piece", "before the commit", "after the commit")
SIZE = 7  # objects of a bundle
SHORT, SOAK = 7, 500  # kills, of a node with either database


class Story:
    """What one node was asked to publish, and what it acknowledged. Ids of objects by bundle."""

    def __init__(self, node: RunningNode) -> None:
        self.node = node
        self.asked: list[list[str]] = []
        self.acknowledged: list[list[str]] = []

    def publish(self) -> bool:
        """Publish one bundle; say whether it was acknowledged."""
        objects = [indicator(f"n{len(self.asked)}-{number}.example") for number in range(SIZE)]
        ids = [str(json.loads(raw)["id"]) for raw in objects]
        self.asked.append(ids)
        try:
            answer = self.node.call("POST", "/publish", bundle(objects), {"tlp": "amber", "to": "everyone"})
        except (OSError, HTTPException):  # it was killed before it answered, or while it did
            return False
        assert answer.status == 200, answer
        self.acknowledged.append(ids)
        return True

    def check(self) -> None:
        """Compare the log with what was acknowledged. The node may run."""
        rows = self.node.rows(
            "SELECT c.stix_id, count(*) FROM contents c JOIN statements s ON s.content = c.seq "
            "WHERE c.type = 'indicator' GROUP BY c.stix_id"
        )
        held = dict(rows)
        assert set(held.values()) <= {1}, "something is there twice"
        for ids in self.acknowledged:
            assert [held.get(one) for one in ids] == [1] * SIZE, "what was acknowledged is not there"
        for ids in self.asked:
            assert sum(one in held for one in ids) in (0, SIZE), "a bundle is there by halves"
        ((count, last),) = self.node.rows("SELECT count(*), max(seq) FROM events")
        assert count == last, "numbers have a hole"
        done = lezha("store", "check", "--home", self.node.home, "--json", timeout=600)
        assert json.loads(done.stdout)["findings"] == []


@pytest.mark.parametrize("point", POINTS)
def test_a_node_that_dies_at_one_point_of_a_commit_keeps_all_or_nothing(
    point: str, tmp_path: Path, database: Callable[[], str]
) -> None:
    node = RunningNode(tmp_path, "tirana", database=database())
    story, armed = Story(node), tmp_path / "armed"
    try:
        node.spawn(environment=failing(point, armed))
        node.ready()
        assert story.publish()
        armed.touch()
        assert not story.publish(), "it was to die before it answered"
        assert node.process is not None
        assert node.process.wait(10) == -9
        node.start()
        story.check()
        there = node.rows("SELECT count(*) FROM contents WHERE type = 'indicator'") == [(2 * SIZE,)]
        assert there == (point == "after the commit")
        assert story.publish()
        story.check()
    finally:
        if node.process is not None:
            node.kill()


def test_a_node_killed_at_random_keeps_all_that_it_acknowledged(
    tmp_path: Path, database: Callable[[], str]
) -> None:
    _kill_at_random(tmp_path, database, SHORT)


@pytest.mark.soak
def test_a_node_killed_at_random_for_long_keeps_all_that_it_acknowledged(
    tmp_path: Path, database: Callable[[], str]
) -> None:
    _kill_at_random(tmp_path, database, SOAK)


def _kill_at_random(folder: Path, database: Callable[[], str], kills: int) -> None:
    node = RunningNode(folder, "tirana", database=database())
    story = Story(node)
    seed = time.time_ns()
    moments = random.Random(seed)
    try:
        for _ in range(kills):
            node.start()
            asking = threading.Thread(target=_publish_on, args=(story,))
            asking.start()
            time.sleep(moments.uniform(0.02, 0.4))
            node.kill()
            asking.join()
        node.start()
        assert story.acknowledged, f"nothing was acknowledged at all (seed {seed})"
        story.check()
        assert story.publish()
        story.check()
    finally:
        if node.process is not None:
            node.kill()


def _publish_on(story: Story) -> None:
    while story.publish():
        pass
