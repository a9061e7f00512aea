"""The main job as everybody runs it, and whether its checks can fail at all."""

import base64
import json
import math
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.battery.nodes import lezha

from lezha.cli.demo import cast as casts
from lezha.cli.demo.checks import found_in
from lezha.cli.errors import CliError

FREE_S = 60


def played(*options: str | Path) -> tuple[subprocess.CompletedProcess[str], float]:
    begin = time.monotonic()
    done = lezha("demo", "--headless", "--json", *options, timeout=110)
    return done, time.monotonic() - begin


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], float, Path]:
    keep = tmp_path_factory.mktemp("demo") / "kept"
    return (*played("--keep", keep), keep)


@pytest.fixture
def told(demo: tuple[subprocess.CompletedProcess[str], float, Path]) -> Any:
    assert demo[0].returncode == 0, demo[0]
    return json.loads(demo[0].stdout)


def test_it_ends_well_within_a_minute_and_says_on_stderr_what_happens(
    demo: tuple[subprocess.CompletedProcess[str], float, Path],
) -> None:
    done, seconds, _ = demo
    assert (done.returncode, seconds < FREE_S) == (0, True), (done, seconds)
    assert "Tirana publishes" in done.stderr
    assert "Traceback" not in done.stderr


def test_its_document_has_the_promised_shape(told: Any) -> None:
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


def test_kept_nodes_stay_and_are_as_it_says(
    demo: tuple[subprocess.CompletedProcess[str], float, Path], told: Any
) -> None:
    keep = demo[2]
    with closing(sqlite3.connect(f"file:{keep}/austria/lezha.db?mode=ro", uri=True)) as conn:
        ((held,),) = conn.execute("SELECT count(*) FROM statements").fetchall()
        types = {row[0] for row in conn.execute("SELECT DISTINCT type FROM contents")}
    assert held == told["peers"]["austria"]["delivered"]
    assert "sighting" not in types
    again = lezha("demo", "--headless", "--json", "--keep", keep)
    assert (again.returncode, again.stdout) == (1, "")
    assert "is there already" in again.stderr


def test_a_cast_renames_members_and_circles(tmp_path: Path) -> None:
    cast = tmp_path / "cast.toml"
    cast.write_text(
        '[author]\nname = "portugal"\ntitle = "Portugal"\ncity = "lisbon"\n'
        '[outsider]\nname = "japan"\ntitle = "Japan"\ncity = "tokyo"\n'
        '[circles]\nalliance = "BLUE"\n'
    )
    done, _ = played("--cast", cast)
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
