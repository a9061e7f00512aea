"""`lezha audit` between two nodes: what a peer keeps opens to the log that was, and to no other."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.battery.nodes import RunningNode, bundle, indicator, lezha, link, until


def setting(node: RunningNode, hours: int) -> None:
    """Change how often a node commits itself to its log, as its operator does: in the file."""
    file = node.home / "lezha.toml"
    lines = [line for line in file.read_text().splitlines() if not line.startswith("checkpoint_hours")]
    file.write_text("\n".join([*lines, f"checkpoint_hours = {hours}"]) + "\n")


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningNode, RunningNode]]:
    """Two peers. The first one has told the second of an object, and has committed itself to its log since."""
    folder = tmp_path_factory.mktemp("audit")
    here, there = RunningNode(folder, "tirana"), RunningNode(folder, "podgorica")
    setting(here, 0)
    try:
        here.start()
        there.start()
        link(here, there)
        here.publish(bundle([indicator("audited.example")]), "everyone")
        until(lambda: here.peer(there)["delivered"] == 1, 30)
        here.stop()
        setting(here, 24)
        here.start()
        until(lambda: there.count("kept_commitments") == 1, 60)
        until(lambda: here.peer(there)["queued"] == 0, 30)
        yield here, there
    finally:
        for one in (here, there):
            if one.process is not None:
                one.kill()


def test_a_peers_copy_proves_the_log_until_somebody_touches_it(
    nodes: tuple[RunningNode, RunningNode], tmp_path: Path
) -> None:
    here, there = nodes
    kept, checkpoint = tmp_path / "tirana.kept", tmp_path / "tirana.checkpoint"
    done = lezha("audit", "kept", "--peer", "tirana", "--out", kept, "--home", there.home)
    assert (done.returncode, done.stdout) == (0, f"{kept} holds 1 commitment of tirana.\n")
    assert lezha("audit", "checkpoint", "--out", checkpoint, "--home", here.home).returncode == 0
    ask = ["audit", "verify", "--peer-copy", str(kept), "--checkpoint", str(checkpoint), "--json"]
    sound = lezha(*ask, "--home", here.home)
    assert sound.returncode == 0, sound
    found = json.loads(sound.stdout)
    # The peer's copy, the file in the folder, the checkpoint; and from the database two and the commitment of one.
    assert (found["sound"], found["outside"], found["fitting"]) == (True, 3, 6)
    (told,) = [one for one in report(here, "--peer", "podgorica") if one["kind"] == "statement"]
    assert (told["state"], told["tlp"]) == ("received", "amber")
    here.stop()
    with closing(sqlite3.connect(here.home / "lezha.db")) as db, db:
        db.execute("UPDATE events SET actor = 'nobody' WHERE seq = 3")
    wrong = lezha(*ask, "--home", here.home)
    assert wrong.returncode == 1
    assert json.loads(wrong.stdout)["findings"][0]["subject"] == "3"


def report(node: RunningNode, *options: str) -> list[dict[str, str]]:
    done = lezha("audit", "report", *options, "--json", "--home", node.home)
    assert done.returncode == 0, done
    return list(json.loads(done.stdout))


def test_what_was_changed_in_the_settings_is_in_the_log(nodes: tuple[RunningNode, RunningNode]) -> None:
    rows = nodes[0].rows("SELECT detail FROM events WHERE kind = 'settings' ORDER BY seq")
    assert json.loads(rows[-1][0]) == {"changed": {"checkpoint_hours": "24"}, "gone": []}
    assert len(rows) == 2


def test_a_copy_of_another_log_is_refused(nodes: tuple[RunningNode, RunningNode], tmp_path: Path) -> None:
    copy = tmp_path / "x.kept"
    copy.write_text(json.dumps({"member": nodes[1].member, "kept": []}))
    done = lezha("audit", "verify", "--peer-copy", copy, "--home", nodes[0].home)
    assert (done.returncode, done.stdout) == (1, "")
    assert "is about the log of" in done.stderr


@pytest.mark.parametrize("options", [[], ["--peer", "x", "--looks"], ["--peer", "x", "--by", "arta"]])
def test_a_report_needs_to_know_of_what(nodes: tuple[RunningNode, RunningNode], options: list[str]) -> None:
    assert lezha("audit", "report", *options, "--home", nodes[0].home).returncode == 2
