"""`lezha doctor`: what it prints and how it exits, of a node that runs as well as of one that does not."""

import json
from pathlib import Path

from tests.battery.nodes import RunningNode, lezha


def codes(node: RunningNode) -> set[str]:
    done = lezha("doctor", "--home", node.home, "--json")
    assert not done.stderr
    return {one["code"] for one in json.loads(done.stdout)["findings"]}


def test_a_node_is_looked_at_whether_it_runs_or_not(tmp_path: Path) -> None:
    node = RunningNode(tmp_path, "tirana")
    assert codes(node) == {"backup", "root_key", "not_running"}
    node.start()
    try:
        assert codes(node) == {"backup", "root_key"}
    finally:
        assert node.stop() == 0


def test_what_has_to_be_done_is_said_in_words_and_by_the_exit_code(tmp_path: Path) -> None:
    node = RunningNode(tmp_path, "tirana")
    done = lezha("doctor", "--home", node.home)
    assert done.returncode == 1
    assert "keys/root.pem still lies on this machine" in done.stdout
    assert "Move it to two media offline" in done.stdout
    (node.home / "keys" / "root.pem").unlink()
    phrase = tmp_path / "phrase"
    phrase.write_text("correct horse battery\n")
    made = lezha("backup", "create", tmp_path / "a.age", "--passphrase-file", phrase, "--home", node.home)
    assert made.returncode == 0, made.stderr
    done = lezha("doctor", "--home", node.home)
    assert (done.returncode, done.stderr) == (0, "Nothing has to be done.\n")
    assert "The node does not run" in done.stdout


def test_where_there_is_no_node_it_says_so(tmp_path: Path) -> None:
    done = lezha("doctor", "--home", tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "There is no node" in done.stderr
