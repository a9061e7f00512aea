"""Real nodes whose keys change: nothing is refused, nothing is lost, and what a thief signs counts nowhere."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.battery.nodes import RunningNode, bundle, indicator, lezha, running, until

Two = tuple[RunningNode, RunningNode]


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Two]:
    with running(tmp_path, "tirana", "podgorica") as nodes:
        for one in nodes:
            shutil.move(one.home / "keys" / "root.pem", tmp_path / f"{one.name}-root.pem")
        yield nodes[0], nodes[1]


def root_of(node: RunningNode) -> Path:
    return node.home.parent / f"{node.name}-root.pem"


def rotate(node: RunningNode, *arguments: str | Path) -> None:
    done = lezha("identity", "rotate", *arguments, "--root-key", root_of(node), "--home", node.home)
    assert done.returncode == 0, done.stderr


def restart(node: RunningNode) -> None:
    node.stop()
    node.start()


def shown(node: RunningNode) -> dict[str, object]:
    done = lezha("identity", "show", "--home", node.home, "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


def changed_over(node: RunningNode, peer: RunningNode, number: int) -> None:
    """Wait until a peer has taken a document, and start the node again: it uses what was prepared."""
    held = "SELECT number FROM peers WHERE member = ?"
    until(lambda: peer.rows(held, node.member)[0][0] == number, 20, lambda: node.get("/peers"))
    until(lambda: node.peer(peer)["queued"] == 0, 20, lambda: node.get("/peers"))
    restart(node)
    assert shown(node)["prepared"] == []


def tell(node: RunningNode, to: RunningNode, value: str) -> None:
    node.publish(bundle([indicator(value)]), to.name)
    held = "SELECT count(*) FROM contents WHERE name = ?"
    until(
        lambda: to.rows(held, value)[0][0] == 1, 20, lambda: (node.get("/peers"), to.log.read_text()[-2000:])
    )


def refused(node: RunningNode) -> int:
    return int(node.rows("SELECT count(*) FROM quarantine")[0][0])


def test_the_signing_key_and_the_tls_root_change_while_the_link_runs(two: Two) -> None:
    tirana, podgorica = two
    tell(tirana, podgorica, "before.example")
    first = shown(tirana)
    rotate(tirana, "signing")
    rotate(tirana, "tls")
    restart(tirana)
    tell(tirana, podgorica, "announced.example")
    changed_over(tirana, podgorica, 3)
    after = shown(tirana)
    assert after["signing"] != first["signing"]
    for turn in range(2):
        tell(tirana, podgorica, f"changed-{turn}.example")
        tell(podgorica, tirana, f"back-{turn}.example")
        restart(podgorica)
    done = lezha("identity", "renew", "--root-key", root_of(tirana), "--home", tirana.home)
    assert done.returncode == 0, done.stderr
    restart(tirana)
    tell(tirana, podgorica, "renewed.example")
    tell(podgorica, tirana, "back.example")
    assert (refused(tirana), refused(podgorica)) == (0, 0)


def test_a_thief_of_the_signing_key_is_believed_nowhere_any_more(two: Two) -> None:
    tirana, podgorica = two
    tell(tirana, podgorica, "honest.example")
    tell(tirana, podgorica, "thief.example")
    ((since,),) = podgorica.rows("SELECT max(at) FROM statements")
    rotate(tirana, "signing", "--compromised-since", since)
    restart(tirana)
    tell(tirana, podgorica, "new-key.example")
    assert refused(podgorica) == 0
    spoilt = podgorica.rows(
        "SELECT c.name FROM discredited d JOIN statements s ON s.seq = d.statement JOIN contents c ON c.seq = s.content"
    )
    assert [name for (name,) in spoilt] == ["thief.example"]


def test_an_older_document_in_the_folder_is_noticed_when_the_node_starts(two: Two) -> None:
    tirana, _ = two
    before = (tirana.home / "node.json").read_bytes()
    done = lezha("identity", "renew", "--root-key", root_of(tirana), "--home", tirana.home)
    assert done.returncode == 0, done.stderr
    restart(tirana)
    tirana.stop()
    (tirana.home / "node.json").write_bytes(before)
    started = lezha("serve", "--home", tirana.home)
    assert (started.returncode, "peers were told of 2" in started.stderr) == (1, True), started.stderr
    assert "Traceback" not in started.stderr


def test_a_root_that_is_lost_is_replaced_by_meeting_again(two: Two, tmp_path: Path) -> None:
    tirana, podgorica = two
    root_of(tirana).unlink()
    done = lezha("identity", "replace-root", tmp_path / "new-root.pem", "--home", tirana.home)
    assert done.returncode == 0, done.stderr
    restart(tirana)
    tell(tirana, podgorica, "by-the-old-keys.example")
    assert [code for (code,) in podgorica.rows("SELECT code FROM quarantine")] == ["changed_root"]
    made = podgorica.post("/peers/invite", {"name": "tirana", "again": True})
    there = tirana.post("/peers/accept", {"invitation": made["invitation"]})
    assert there["name"] == "podgorica"
    assert podgorica.get("/peers/tirana/phrase")["phrase"] == there["phrase"]
    podgorica.post("/peers/confirm", {"name": "tirana", "phrase": there["phrase"]})
    tirana.post("/peers/confirm", {"name": "podgorica", "phrase": there["phrase"]})
    shutil.move(tmp_path / "new-root.pem", root_of(tirana))
    rotate(tirana, "signing")
    restart(tirana)
    changed_over(tirana, podgorica, 3)
    tell(tirana, podgorica, "by-the-new-key.example")
    tell(podgorica, tirana, "back.example")
    assert refused(podgorica) == 1
    assert shown(tirana)["number"] == 3
