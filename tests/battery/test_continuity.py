"""A node that is isolated, and one whose identity a laptop elsewhere takes over: nothing lost, nothing doubled."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.battery.nodes import RunningNode, bundle, free_port, indicator, lezha, many, running, until

Two = tuple[RunningNode, RunningNode]


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Two]:
    with running(tmp_path, "tirana", "podgorica") as nodes:
        yield nodes[0], nodes[1]


def held(node: RunningNode, label: str) -> int:
    return int(node.rows("SELECT count(*) FROM contents WHERE name LIKE ?", f"{label}%")[0][0])


def arrives(node: RunningNode, label: str, count: int, *others: RunningNode) -> None:
    until(lambda: held(node, label) == count, 40, lambda: [one.get("/peers") for one in others])


def say(node: RunningNode, *arguments: str) -> str:
    done = lezha("isolate", *arguments, "--home", node.home)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_isolated_node_sends_nothing_receives_all_and_sends_what_waited(two: Two) -> None:
    tirana, podgorica = two
    tirana.publish(bundle([indicator("before.example")]), "podgorica")
    arrives(podgorica, "before", 1, tirana)
    assert "isolated since" in say(tirana, "--reason", "a laptop is missing")
    tirana.publish(many(30, "waits"), "podgorica")
    podgorica.publish(bundle([indicator("comes.example")]), "tirana")
    arrives(tirana, "comes", 1, podgorica)
    until(lambda: tirana.peer(podgorica)["phase"] == "isolated", 20, lambda: tirana.get("/peers"))
    tirana.stop()
    tirana.start()
    until(lambda: tirana.peer(podgorica)["queued"] == 30, 20, lambda: tirana.get("/peers"))
    assert (tirana.peer(podgorica)["phase"], held(podgorica, "waits")) == ("isolated", 0)
    assert "a laptop is missing" in say(tirana, "--status")
    assert "not isolated" in say(tirana, "--end")
    arrives(podgorica, "waits", 30, tirana)
    kinds = [kind for (kind,) in tirana.rows("SELECT kind FROM events WHERE kind = 'isolated'")]
    assert len(kinds) == 2


def test_a_laptop_takes_over_and_the_old_node_is_fenced_off(two: Two, tmp_path: Path) -> None:
    tirana, podgorica = two
    tirana.publish(many(20, "first"), "podgorica")
    arrives(podgorica, "first", 20, tirana)
    laptop = restored(tirana, tmp_path)
    # After the backup, and so unknown to the laptop.
    podgorica.publish(bundle([indicator("after-the-backup.example")]), "tirana")
    arrives(tirana, "after-the-backup", 1, podgorica)
    tirana.kill()
    try:
        laptop.start()
        laptop.publish(many(20, "laptop"), "podgorica")
        arrives(podgorica, "laptop", 20, laptop)
        # It asks for what is there for it, since nobody can connect to it under the old address.
        arrives(laptop, "after-the-backup", 1, podgorica)
        podgorica.publish(bundle([indicator("to-the-laptop.example")]), "tirana")
        arrives(laptop, "to-the-laptop", 1, podgorica)
        tirana.start()
        tirana.publish(bundle([indicator("from-the-past.example")]), "podgorica")
        until(lambda: tirana.peer(podgorica)["phase"] == "fenced off", 20, lambda: tirana.get("/peers"))
        assert held(podgorica, "from-the-past") == 0
        laptop.publish(bundle([indicator("still.example")]), "podgorica")
        arrives(podgorica, "still", 1, laptop)
        assert held(podgorica, "first") == 20
        assert podgorica.count("quarantine") == 0
        twice = "SELECT count(*) FROM statements GROUP BY content HAVING count(*) > 1"
        assert podgorica.rows(twice) == []
    finally:
        if laptop.process is not None:
            laptop.kill()


def restored(node: RunningNode, folder: Path) -> RunningNode:
    """Restore a backup of a node that runs into another folder, as on a laptop elsewhere; not started."""
    key, file, other = folder / "backup.key", folder / "node.age", folder / "laptop"
    made = lezha("backup", "keygen", "--out", key, "--json")
    assert made.returncode == 0, made.stderr
    public = json.loads(made.stdout)["recipient"]
    made = lezha("backup", "create", file, "--recipient", public, "--home", node.home)
    assert made.returncode == 0, made.stderr
    made = lezha("restore", file, "--identity-file", key, "--home", other)
    assert made.returncode == 0, made.stderr
    laptop = copy.copy(node)
    laptop.process, laptop.home, laptop.log = None, other, folder / "laptop.log"
    laptop.port, laptop.link_port = free_port(), free_port()
    laptop.url = f"http://127.0.0.1:{laptop.port}"
    settings = (
        (other / "lezha.toml").read_text().replace(f"127.0.0.1:{node.port}", f"127.0.0.1:{laptop.port}")
    )
    listen = f'link_listen = "127.0.0.1:{node.link_port}"'
    settings = settings.replace(listen, f'link_listen = "127.0.0.1:{laptop.link_port}"')
    (other / "lezha.toml").write_text(settings.replace("pull = false", "pull = true"))
    return laptop
