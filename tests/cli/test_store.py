"""`lezha store` as people meet it: a damaged database is told in sentences, an unknown id by its name."""

import json
import random
import shutil
from pathlib import Path

import pytest
from tests.battery.nodes import RunningNode, bundle, indicator, lezha


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a node with some objects, which does not run."""
    node = RunningNode(tmp_path_factory.mktemp("whole"), "tirana")
    node.start()
    node.post("/objects", bundle(indicator(f"{number}.example") for number in range(1000)))
    node.stop()
    return node.home


def test_an_id_of_which_nothing_is_held_is_named(node: RunningNode) -> None:
    raw = indicator("purged.example")
    node.post("/objects", bundle([raw]))
    known, unknown = json.loads(raw)["id"], "indicator--00000000-0000-4000-8000-000000000000"
    done = lezha("store", "purge", known, unknown, "--why", "a test", "--home", node.home)
    assert (done.returncode, done.stdout) == (0, "1 version of 1 purged for good.\n")
    assert done.stderr.splitlines()[0] == f"Nothing is held here of {unknown}."


@pytest.fixture
def home(whole: Path, tmp_path: Path) -> Path:
    """A copy of it, to be damaged."""
    return Path(shutil.copytree(whole, tmp_path / "home"))


def damage(home: Path, kind: str) -> None:
    file = home / "lezha.db"
    size = file.stat().st_size
    noise = random.Random(1).randbytes(200_000)
    if kind == "junk":
        file.write_bytes(noise)
    elif kind == "cut off":
        with file.open("r+b") as opened:
            opened.truncate(size // 2)
    else:
        with file.open("r+b") as opened:
            opened.seek(size // 2)
            opened.write(noise)


@pytest.mark.parametrize("kind", ["junk", "cut off", "overwritten"])
def test_a_damaged_database_is_told_in_sentences(home: Path, kind: str) -> None:
    damage(home, kind)
    done = lezha("store", "check", "--home", home)
    assert done.returncode == 1
    assert done.stderr == (
        "The database is damaged: stop the node, put the file aside, and restore the last backup.\n"
    )
    assert "database  file" in done.stdout
    found = json.loads(lezha("store", "check", "--home", home, "--json").stdout)
    assert (found["sound"], found["findings"][0]["part"]) == (False, "database")


def test_what_lies_beside_the_damage_is_looked_at(home: Path) -> None:
    damage(home, "overwritten")
    found = json.loads(lezha("store", "check", "--home", home, "--json").stdout)["findings"]
    assert any("Page " in one["words"] for one in found)
    assert [one["words"] for one in found if one["part"] == "contents"][-1].endswith(
        "From there on this part was not looked at"
    )


@pytest.mark.parametrize("empty", [False, True])
def test_a_folder_without_a_database_is_given_none(home: Path, empty: bool) -> None:
    (home / "lezha.db").unlink()
    if empty:
        (home / "lezha.db").touch()
    done = lezha("store", "check", "--home", home)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"lezha: There is no database in {home}: is it the right folder?\n"
    assert (home / "lezha.db").exists() == empty
