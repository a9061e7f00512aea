"""The main job as everybody runs it, and whether its checks can fail at all."""

import base64
import json
import math
import sqlite3
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.battery.nodes import lezha
from tests.cli.test_commands import documented

from lezha.cli.demo import cast as casts
from lezha.cli.demo import stage
from lezha.cli.demo.checks import found_in
from lezha.cli.errors import CliError

FREE_S = 60
HEADLESS = ("demo", "--headless", "--json")


class Played(NamedTuple):
    """How a demonstration went, by itself and with a cast of its own."""

    done: subprocess.CompletedProcess[str]
    seconds: float
    keep: Path
    recast: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    folder = tmp_path_factory.mktemp("demo")
    cast, keep = folder / "cast.toml", folder / "kept"
    cast.write_text(
        '[author]\nname = "portugal"\ntitle = "Portugal"\ncity = "lisbon"\n'
        '[outsider]\nname = "japan"\ntitle = "Japan"\ncity = "tokyo"\n'
        '[circles]\nalliance = "BLUE"\n'
    )
    with ThreadPoolExecutor() as side_by_side:
        begin = time.monotonic()
        recast = side_by_side.submit(lezha, *HEADLESS, "--cast", cast, timeout=110)
        done = lezha(*HEADLESS, "--keep", keep, timeout=110)
        return Played(done, time.monotonic() - begin, keep, recast.result())


@pytest.fixture
def told(played: Played) -> Any:
    assert played.done.returncode == 0, played.done
    return json.loads(played.done.stdout)


def test_it_ends_within_a_minute_and_says_on_stderr_what_happens(played: Played) -> None:
    assert (played.done.returncode, played.seconds < FREE_S) == (0, True), played
    assert "Tirana publishes" in played.done.stderr
    assert "Traceback" not in played.done.stderr


def test_its_document_has_the_promised_shape(told: Any) -> None:
    assert set(told) == documented()["demo",]
    assert list(told) == ["nodes", "published", "peers", "sightings_returned", "latency_ms", "checks"]
    assert told["nodes"] == ["albania", "montenegro", "austria", "kosovo"]
    assert isinstance(told["published"], int)
    assert set(told["peers"]) == {"montenegro", "austria", "kosovo"}
    for peer in told["peers"].values():
        assert set(peer) == {"delivered", "withheld"}
        assert all(isinstance(count, int) and count > 0 for count in peer["withheld"].values())
    latency = told["latency_ms"]
    assert set(latency) == {"commit_to_peer", "publish_to_first_sighting"}
    assert set(latency["commit_to_peer"]) == {"p50", "p99"}
    measured = [*latency["commit_to_peer"].values(), latency["publish_to_first_sighting"]]
    assert all(math.isfinite(value) and value > 0 for value in measured)


def test_its_figures_agree_with_one_another(told: Any) -> None:
    published, peers = told["published"], told["peers"]
    assert published > 50
    assert peers["montenegro"]["delivered"] == published
    assert 0 < peers["austria"]["delivered"] < peers["kosovo"]["delivered"] < published
    for name in ("austria", "kosovo"):
        withheld = peers[name]["withheld"]
        # Beside what was published, the sightings that came back are withheld from everyone.
        assert withheld["not_in_audience"] >= published - peers[name]["delivered"]
    assert told["sightings_returned"] >= 12


def test_at_least_eight_checks_hold(told: Any) -> None:
    checks = told["checks"]
    assert len(checks) >= 8
    assert {"vienna_holds_nothing_withheld", "pristina_holds_nothing_withheld"} <= set(checks)
    assert set(checks.values()) == {True}


def test_kept_nodes_stay_and_are_as_it_says(played: Played, told: Any) -> None:
    with closing(sqlite3.connect(f"file:{played.keep}/austria/lezha.db?mode=ro", uri=True)) as conn:
        ((held,),) = conn.execute("SELECT count(*) FROM statements").fetchall()
        types = {row[0] for row in conn.execute("SELECT DISTINCT type FROM contents")}
    assert held == told["peers"]["austria"]["delivered"]
    assert "sighting" not in types
    again = lezha(*HEADLESS, "--keep", played.keep)
    assert (again.returncode, again.stdout) == (1, "")
    assert "is there already" in again.stderr


def test_a_cast_renames_members_and_circles(played: Played) -> None:
    done = played.recast
    assert done.returncode == 0, done
    told = json.loads(done.stdout)
    assert told["nodes"] == ["portugal", "montenegro", "japan", "kosovo"]
    assert told["checks"]["tokyo_holds_nothing_withheld"] is True
    assert "vienna_holds_nothing_withheld" not in told["checks"]
    assert "Lisbon publishes" in done.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[author", "is not a cast"),
        ('[author]\nname = "x"\n', "is not a cast"),
        ('[villain]\nname = "x"\ntitle = "X"\ncity = "y"\n', "is not a cast"),
        ('[circles]\nalliance = "EU"\n', "the same name"),
    ],
    ids=["no TOML", "half an actor", "unknown part", "one name twice"],
)
def test_a_cast_that_cannot_play_is_refused_in_one_sentence(tmp_path: Path, text: str, words: str) -> None:
    cast = tmp_path / "cast.toml"
    cast.write_text(text)
    with pytest.raises(CliError, match=words) as refused:
        casts.read(cast)
    assert refused.value.exit_code == 1


def test_a_check_that_fails_fails_the_demonstration_and_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def play(*_: object, **__: object) -> dict[str, bool]:
        return {"phrases_agree": True, "databases_are_sound": False}

    monkeypatch.setattr(stage, "_play", play)
    with pytest.raises(CliError, match="these checks fail: databases_are_sound") as failed:
        stage.play(None, None, headless=True, json=True)
    assert failed.value.exit_code == 1
    assert json.loads(capsys.readouterr().out)["checks"]["databases_are_sound"] is False


# --- a check that cannot fail is worth nothing ----------------------------------------------------------------------

SECRET = "0f5a3f4e-planted.example"
OTHER = "never-planted.example"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "vienna"
    (folder / "keys").mkdir(parents=True)
    with closing(sqlite3.connect(folder / "lezha.db")) as conn:
        conn.execute("CREATE TABLE contents (hash TEXT, bytes BLOB)")
        conn.execute("INSERT INTO contents VALUES ('h', x'00')")
        conn.commit()
    return folder


def insert(home: Path, value: object) -> None:
    with closing(sqlite3.connect(home / "lezha.db")) as conn:
        conn.execute("INSERT INTO contents VALUES ('i', ?)", (value,))
        conn.commit()


def test_the_search_finds_nothing_where_nothing_is(home: Path) -> None:
    assert found_in(home, [SECRET, OTHER]) == set()


@pytest.mark.parametrize("name", ["stray.json", "keys/stray.pem", "lezha.db-wal"])
def test_the_search_finds_a_value_in_any_file(home: Path, name: str) -> None:
    (home / name).write_text(f"xx{SECRET.upper()}yy")
    # A real write-ahead log would be read by SQLite; this one is only looked at.
    if name.endswith("-wal"):
        (home / name).rename(home / "old-wal")
    assert found_in(home, [SECRET, OTHER]) == {SECRET}


def test_the_search_finds_a_value_in_the_nodes_log(home: Path) -> None:
    (home.parent / "vienna.log").write_text(f'{{"event":"x","id":"{SECRET}"}}\n')
    assert found_in(home, [SECRET, OTHER]) == {SECRET}


@pytest.mark.parametrize("kind", [str, str.encode])
def test_the_search_finds_a_value_in_a_cell(home: Path, kind: Any) -> None:
    insert(home, kind(f"before {SECRET} after"))
    assert found_in(home, [SECRET, OTHER]) == {SECRET}


@pytest.mark.parametrize("lead", range(3))
def test_the_search_finds_a_value_inside_a_signed_envelope(home: Path, lead: int) -> None:
    payload = base64.b64encode(b"x" * lead + f'{{"object_id":"{SECRET}"}}'.encode()).decode()
    insert(home, json.dumps({"payload": payload}).encode())
    assert found_in(home, [SECRET, OTHER]) == {SECRET}


def test_the_search_finds_a_value_larger_than_a_page_of_the_database(home: Path) -> None:
    insert(home, b"x" * 5000 + SECRET.encode() + b"x" * 5000)
    assert found_in(home, [SECRET, OTHER]) == {SECRET}
