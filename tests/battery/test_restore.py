"""A node that was restored from a backup: its streams do not fork, and everybody gets everything once."""

import json
from pathlib import Path

from tests.battery.nodes import RunningNode, lezha, many, running, until

PATIENCE_S = 60


def of(node: RunningNode, origin: RunningNode) -> int:
    """How many statements of `origin` a node holds."""
    return int(node.rows("SELECT count(*) FROM statements WHERE origin = ?", origin.member)[0][0])


def found(node: RunningNode, value: str) -> int:
    """How many objects a search for an observable finds."""
    done = lezha("objects", "search", value, "--home", node.home, "--json")
    return len(json.loads(done.stdout)["objects"])


def wait(node: RunningNode, origin: RunningNode, count: int) -> None:
    until(
        lambda: of(node, origin) == count and origin.peer(node)["queued"] == 0,
        PATIENCE_S,
        lambda: (of(node, origin), origin.peer(node), origin.log.read_text()[-2000:]),
    )


def publish(node: RunningNode, count: int, label: str) -> None:
    node.publish(many(count, label), "everyone", "green")


def restored(node: RunningNode, file: Path, key: Path) -> None:
    """Lose the node's folder, and have the node again as the backup has it."""
    node.home.rename(node.home.with_name("lost"))
    done = lezha("restore", file, "--home", node.home, "--identity-file", key)
    assert done.returncode == 0, done.stderr


def test_a_restored_node_forks_nothing_and_everybody_gets_everything_once(tmp_path: Path) -> None:
    key, file = tmp_path / "backup.key", tmp_path / "tirana.age"
    recipient = lezha("backup", "keygen", "--out", key).stdout.strip()
    with running(tmp_path, "tirana", "podgorica") as (tirana, podgorica):
        publish(tirana, 300, "before")
        publish(podgorica, 20, "answer")
        wait(podgorica, tirana, 300)
        wait(tirana, podgorica, 20)

        done = lezha("backup", "create", file, "--recipient", recipient, "--home", tirana.home)
        assert done.returncode == 0, done.stderr
        publish(tirana, 5, "lost")
        publish(podgorica, 7, "meanwhile")
        wait(podgorica, tirana, 305)
        wait(tirana, podgorica, 27)

        tirana.kill()
        restored(tirana, file, key)
        assert (of(tirana, tirana), of(tirana, podgorica)) == (300, 20)
        tirana.start()
        assert [
            found(tirana, value) for value in ("before-7.example", "answer-7.example", "lost-1.example")
        ] == [1, 1, 0]
        publish(tirana, 11, "after")
        publish(podgorica, 2, "again")
        wait(podgorica, tirana, 316)
        wait(tirana, podgorica, 29)

        assert_nothing_went_wrong(tirana, podgorica)
        assert_each_came_once(podgorica, tirana, 316)
        assert_each_came_once(tirana, podgorica, 29)
        # One life of Tirana's database ended, another began; Podgorica's went on.
        heads = podgorica.rows("SELECT head FROM inbound WHERE member = ? ORDER BY head", tirana.member)
        assert heads == [(305,), (311,)]
        assert tirana.rows("SELECT head FROM inbound WHERE member = ?", podgorica.member) == [(29,)]


def assert_nothing_went_wrong(*nodes: RunningNode) -> None:
    for node in nodes:
        assert node.rows("SELECT subject FROM events WHERE kind IN ('fork', 'quarantined')") == []
        assert (node.count("quarantine"), node.count("refusals")) == (0, 0)
        assert node.logged("link.fault") == [] or {one["phase"] for one in node.logged("link.fault")} == {
            "unreachable"
        }


def assert_each_came_once(node: RunningNode, origin: RunningNode, count: int) -> None:
    told = node.rows(
        "SELECT count(*), count(DISTINCT e.subject) FROM events e JOIN statements s ON lower(hex(s.hash)) = e.subject "
        "WHERE e.kind = 'statement' AND s.origin = ?",
        origin.member,
    )
    assert told == [(count, count)]
