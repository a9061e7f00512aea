"""Imports and exports between real processes: whatever is killed, each object is there exactly once in the end."""

import hashlib
import json
import signal
import stat
import subprocess
import time
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.battery.nodes import LEZHA, RunningNode, bundle, indicator, lezha, running, until

OBJECTS = 12_000
PATIENCE_S = 60


def domain(number: int) -> bytes:
    """A tiny object, the same in every run."""
    known = uuid.uuid5(uuid.NAMESPACE_DNS, str(number))
    told = {"type": "domain-name", "spec_version": "2.1", "id": f"domain-name--{known}"}
    return json.dumps(told | {"value": f"h{number}.example"}, separators=(",", ":")).encode()


def domains(count: int) -> list[bytes]:
    return [domain(number) for number in range(count)]


@pytest.fixture
def node(tmp_path: Path) -> Iterator[RunningNode]:
    with running(tmp_path, "tirana") as (one,):
        yield one


def written(folder: Path, objects: Iterable[bytes], name: str = "feed.json") -> Path:
    path = folder / name
    path.write_bytes(bundle(objects))
    return path


def begin(
    node: RunningNode, *arguments: str | Path, stdin: int = subprocess.DEVNULL
) -> subprocess.Popen[str]:
    command = [LEZHA, *map(str, arguments), "--home", str(node.home)]
    return subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def checkpoint(file: Path) -> Path:
    return Path(f"{file}.lezha-import")


def offset(file: Path) -> int:
    return int(json.loads(checkpoint(file).read_text())["offset"]) if checkpoint(file).exists() else 0


def part_done(file: Path, process: subprocess.Popen[str], before: int = 0) -> bool:
    assert process.poll() is None, process.communicate()
    return offset(file) > before


def summary(done: subprocess.CompletedProcess[str]) -> Any:
    return json.loads(done.stdout)


def assert_holds_exactly(node: RunningNode, objects: Iterable[bytes]) -> None:
    expected = sorted((hashlib.sha256(raw).digest(), raw) for raw in objects)
    kept = node.rows(
        "SELECT hash, bytes FROM contents JOIN bodies ON content = seq WHERE stix_id <> ? ORDER BY hash",
        node.member,
    )
    assert kept == expected
    events = node.rows(
        "SELECT count(*), count(DISTINCT subject) FROM events WHERE kind IN ('content', 'posted')"
    )
    assert events == [(node.count("contents"),) * 2]


# --- interrupted imports --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_an_import_that_is_stopped_goes_on_where_it_was(
    node: RunningNode, tmp_path: Path, end: signal.Signals
) -> None:
    objects = domains(OBJECTS)
    file = written(tmp_path, objects)
    for _ in range(2):
        before = offset(file)
        process = begin(node, "import", file)
        until(lambda process=process, before=before: part_done(file, process, before), PATIENCE_S)  # type: ignore[misc]  # bound now
        process.send_signal(end)
        told = process.communicate()[1]
        assert process.returncode == (-9 if end is signal.SIGKILL else 130), told
        assert "Traceback" not in told
        assert stat.S_IMODE(checkpoint(file).stat().st_mode) == 0o600
    assert node.count("contents") < OBJECTS
    done = lezha("import", file, "--json", "--home", node.home)
    assert done.returncode == 0, done.stderr
    assert "resuming at " in done.stderr
    assert (summary(done)["taken"], summary(done)["rejected"]) == (OBJECTS, 0)
    assert not checkpoint(file).exists()
    assert_holds_exactly(node, objects)


def test_an_import_outlasts_a_node_that_is_killed_and_comes_back(node: RunningNode, tmp_path: Path) -> None:
    objects = domains(OBJECTS)
    file = written(tmp_path, objects)
    process = begin(node, "import", file, "--json")
    until(lambda: part_done(file, process), PATIENCE_S)
    node.kill()
    time.sleep(1)
    node.start()
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    assert "The node is away" in err
    assert json.loads(out)["taken"] == OBJECTS
    assert_holds_exactly(node, objects)


def test_an_import_whose_patience_ends_leaves_its_checkpoint(node: RunningNode, tmp_path: Path) -> None:
    objects = domains(OBJECTS)
    file = written(tmp_path, objects)
    process = begin(node, "import", file, "--patience", "0.5")
    until(lambda: part_done(file, process), PATIENCE_S)
    node.kill()
    err = process.communicate(timeout=PATIENCE_S)[1]
    assert process.returncode == 3, err
    assert err.splitlines()[-1].startswith("lezha: The node at ")
    assert checkpoint(file).exists()
    node.start()
    done = lezha("import", file, "--json", "--home", node.home)
    assert (done.returncode, summary(done)["taken"]) == (0, OBJECTS)
    assert_holds_exactly(node, objects)


def test_a_publication_that_is_killed_and_repeated_signs_everything_once(
    node: RunningNode, tmp_path: Path
) -> None:
    file = written(tmp_path, domains(6000))
    command = ("import", file, "--tlp", "green", "--to", "everyone")
    process = begin(node, *command)
    until(lambda: part_done(file, process), PATIENCE_S)
    process.kill()
    process.communicate()
    for _ in range(2):
        done = lezha(*command, "--json", "--home", node.home)
        assert (done.returncode, summary(done)["taken"]) == (0, 6000), done.stderr
        assert node.count("statements") == 6000


def waits(pid: int) -> bool:
    """Whether a process has started and uses no time any more."""
    before = psutil.Process(pid).cpu_times()
    time.sleep(0.5)
    return before.user > 0.2 and psutil.Process(pid).cpu_times() == before


def test_an_import_that_waits_for_a_pipe_ends_with_ctrl_c(node: RunningNode) -> None:
    process = begin(node, "import", "-", stdin=subprocess.PIPE)
    until(lambda: waits(process.pid), 20)
    process.send_signal(signal.SIGINT)
    until(lambda: process.poll() is not None, 5)
    assert (process.returncode, process.communicate()) == (130, ("", "lezha: interrupted\n"))


# --- memory ---------------------------------------------------------------------------------------------------------


def peak_mib(node: RunningNode, *arguments: str | Path) -> float:
    """Run a command and return the most memory that it had."""
    process = begin(node, *arguments)
    most = 0
    while process.poll() is None:
        status = Path(f"/proc/{process.pid}/status").read_text()
        if "VmHWM" in status:
            most = int(status.partition("VmHWM:")[2].split()[0])
        time.sleep(0.01)
    out, err = process.communicate()
    assert process.returncode == 0, (out, err)
    return most / 1024


@pytest.mark.parametrize("count", [50_000, pytest.param(1_000_000, marks=pytest.mark.soak)])
def test_memory_does_not_grow_with_the_file(node: RunningNode, tmp_path: Path, count: int) -> None:
    small = written(tmp_path, domains(2000), "small.json")
    large = tmp_path / "large.json"
    with large.open("wb") as file:
        file.write(b'{"type":"bundle","objects":[' + domain(0))
        for number in range(1, count):
            file.write(b"," + domain(number))
        file.write(b"]}")
    little = peak_mib(node, "import", small)
    assert peak_mib(node, "import", large) < little + 30
    assert node.count("contents") == count
    out = tmp_path / "out.json"
    assert peak_mib(node, "export", "--out", out) < little + 60
    assert out.stat().st_size > large.stat().st_size
    assert node.process is not None
    assert psutil.Process(node.process.pid).memory_info().rss < 600 << 20


# --- exports --------------------------------------------------------------------------------------------------------


def parts(path: Path) -> list[bytes]:
    """The objects of a bundle, byte for byte."""
    from lezha.stix.stream import Element, Splitter

    splitter = Splitter()
    found = [one for one in splitter.feed(path.read_bytes()) if isinstance(one, Element)]
    splitter.finish()
    return [one.raw for one in found]


def folder(within: Path, name: str) -> Path:
    (within / name).mkdir()
    return within / name


def test_what_is_exported_and_imported_elsewhere_is_the_same_byte_for_byte(tmp_path: Path) -> None:
    pretty = [
        json.dumps(json.loads(indicator(f"{n}.example")), indent=n % 3 or None).encode() for n in range(30)
    ]
    with (
        running(folder(tmp_path, "a"), "tirana") as (here,),
        running(folder(tmp_path, "b"), "vienna") as (there,),
    ):
        assert lezha("import", written(tmp_path, pretty), "--home", here.home).returncode == 0
        here.publish(bundle([indicator("told.example")]), "everyone")
        out = tmp_path / "out.json"
        done = lezha("export", "--out", out, "--json", "--home", here.home)
        assert (done.returncode, summary(done)["objects"]) == (0, 32), done
        assert stat.S_IMODE(out.stat().st_mode) == 0o600
        assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "feed.json", "out.json"]
        assert lezha("import", out, "--home", there.home).returncode == 0
        held = "SELECT hash, stix_id, version, creator, bytes FROM contents JOIN bodies ON content = seq ORDER BY hash"
        assert there.rows(held) == here.rows(held)
        assert json.loads(out.read_text())["type"] == "bundle"


def test_an_export_during_an_import_has_each_object_at_most_once(node: RunningNode, tmp_path: Path) -> None:
    objects = domains(OBJECTS)
    file = written(tmp_path, objects)
    seen: list[list[bytes]] = []
    process = begin(node, "import", file)
    until(lambda: part_done(file, process), PATIENCE_S)
    while process.poll() is None:
        out = tmp_path / f"out-{len(seen)}.json"
        assert lezha("export", "--out", out, "--home", node.home).returncode == 0
        seen.append(parts(out))
    assert process.communicate()
    assert process.returncode == 0
    assert seen
    for one in seen:
        assert len(one) == len(set(one))
        assert one == objects[: len(one)]


@pytest.mark.parametrize("options", [(), ("--lines",)])
@pytest.mark.parametrize("victim", ["node", "command"])
def test_an_export_that_is_cut_off_goes_on_where_it_was(
    node: RunningNode, tmp_path: Path, victim: str, options: tuple[str, ...]
) -> None:
    large = [
        indicator(f"{number}.example", description=f"{number} " + "x" * 40_000) for number in range(1500)
    ]
    assert lezha("import", written(tmp_path, large), "--home", node.home).returncode == 0
    out = tmp_path / "out.json"
    state = Path(f"{out}.lezha-export")
    process = begin(node, "export", "--out", out, "--json", *options)
    until(lambda: state.exists() or process.poll() is not None, PATIENCE_S)
    assert state.exists()
    if victim == "command":
        process.kill()
        process.communicate()
        with Path(f"{out}.part").open("ab") as file:
            file.write(b"half an object")
        done = lezha("export", "--out", out, "--json", *options, "--home", node.home)
        assert "resuming after" in done.stderr
        assert done.returncode == 0, done.stderr
    else:
        node.kill()
        node.start()
        _, err = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0, err
    assert not state.exists()
    assert parts(out) == large
