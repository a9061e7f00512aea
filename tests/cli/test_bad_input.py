"""What goes wrong when `lezha publish` is given the wrong thing: one clear sentence, and nothing half-written."""

import json
import os
import subprocess
import threading
from pathlib import Path

import pytest
from tests.battery.nodes import RunningNode, bundle, indicator, lezha, many, until

GOOD = indicator("good.example")
STIX_20 = b"""{"type":"bundle","id":"bundle--3f2e8f5e-8f57-4a0e-9a0e-4f2f0f4a6f11","spec_version":"2.0","objects":[
{"type":"indicator","id":"indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f","created":"2016-04-06T20:03:48.000Z",
"modified":"2016-04-06T20:03:48.000Z","labels":["malicious-activity"],"pattern":"[domain-name:value = 'a.example']",
"valid_from":"2016-01-01T00:00:00Z"}]}"""


def publish(
    node: RunningNode, file: Path | str, *options: str, to: str = "everyone"
) -> subprocess.CompletedProcess[str]:
    return lezha("publish", file, "--tlp", "green", "--to", to, "--home", node.home, *options)


def assert_refused(node: RunningNode, file: Path | str, *words: str) -> None:
    before = node.written()
    done = publish(node, file)
    assert done.returncode == 1, done
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith("lezha: ")
    assert len(done.stderr) < 500
    for word in words:
        assert word in done.stderr
    assert node.written() == before
    assert node.alive


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ('{"type":"bundle"}'.encode("utf-16"), ("it is in UTF-16", "JSON must be in UTF-8")),
        ('{"type":"bundle"}'.encode("utf-16-be"), ("it is in UTF-16", "JSON must be in UTF-8")),
        (b'{"type":"bundle","objects":[]}', ("Nothing was published: it has no objects.",)),
        (b"", ("it is empty", "check that it is the right file")),
        (b"hello, this is not JSON\n", ("not a JSON object", "RFC 8259")),
        (b'{"type":"bundle","objects":[', ("it is not JSON", "check that it is the right file")),
        (bytes(range(256)) * 64, ("not a JSON object", "RFC 8259")),
        (b'{"type":"bundle","type":"bundle","objects":[]}', ('"type" twice', "RFC 8259 §4")),
        (b'{"objects":' + b"[" * 1_000_000, ("levels", "limit depth")),
        (b'{"type":"bundle","id":"bundle--x","a":' + b'{"a":' * 500_000, ("levels", "limit depth")),
        (STIX_20, ("STIX 2.0, not 2.1", "stix2-elevator")),
        (b'<stix:STIX_Package xmlns:stix="http://stix.mitre.org/stix-1">', ("STIX 1.x in XML", "stix2-elevator")),
    ],
    ids=[
        "UTF-16", "UTF-16 without a mark", "no objects",
        "empty", "text", "cut off", "binary", "duplicate keys", "bomb of lists", "bomb of objects", "STIX 2.0",
        "STIX 1.x",
    ],
)  # fmt: skip
def test_a_file_that_is_no_bundle_is_refused_in_one_sentence(
    node: RunningNode, tmp_path: Path, raw: bytes, words: tuple[str, ...]
) -> None:
    file = tmp_path / "input.json"
    file.write_bytes(raw)
    assert_refused(node, file, f"lezha: {file}: ", *words)


def test_a_line_of_100_megabytes_is_refused(node: RunningNode, tmp_path: Path) -> None:
    file = tmp_path / "long.json"
    file.write_bytes(b'{"type":"' + b"x" * 100_000_000 + b'"}')
    assert_refused(node, file, "more than the 67,108,864 bytes", "in parts")


def test_a_line_of_100_megabytes_is_refused_by_the_node_itself(node: RunningNode) -> None:
    before = node.written()
    try:
        status = node.call("POST", "/publish", b" " * 100_000_000, {"tlp": "green", "to": "everyone"}).status
    except OSError:
        status = 413  # it may cut the connection before all is sent
    assert status == 413
    assert node.written() == before
    assert node.alive


def test_a_folder_is_refused(node: RunningNode, tmp_path: Path) -> None:
    assert_refused(node, tmp_path, "can't be read", "Is a directory")


def test_a_missing_file_is_refused(node: RunningNode, tmp_path: Path) -> None:
    assert_refused(node, tmp_path / "missing.json", "can't be read", "No such file")


def test_a_device_without_end_is_refused(node: RunningNode) -> None:
    assert_refused(node, "/dev/zero", "more than the 67,108,864 bytes")


def test_a_bundle_may_come_through_a_pipe(node: RunningNode, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writing = threading.Thread(target=pipe.write_bytes, args=(bundle([indicator("piped.example")]),))
    writing.start()
    done = publish(node, pipe)
    writing.join()
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "1 object published, 0 rejected.")


def test_a_bundle_may_come_on_standard_input(node: RunningNode) -> None:
    done = lezha(
        "publish", "-", "--tlp", "green", "--to", "everyone", "--home", node.home,
        input=bundle([indicator("stdin.example")]).decode(),
    )  # fmt: skip
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "1 object published, 0 rejected.")
    done = lezha("publish", "-", "--tlp", "green", "--to", "everyone", "--home", node.home, input="")
    assert (done.returncode, done.stderr.startswith("lezha: standard input: it is empty")) == (1, True)


@pytest.mark.parametrize("more", [(), ("--dry-run",)], ids=["publish", "dry run"])
def test_what_would_have_expired_already_is_refused(
    node: RunningNode, tmp_path: Path, more: tuple[str, ...]
) -> None:
    file = tmp_path / "good.json"
    file.write_bytes(bundle([GOOD]))
    before = node.written()
    done = publish(node, file, "--expires", "2020-01-01T00:00:00Z", *more)
    assert (done.returncode, done.stdout, "which is in the past" in done.stderr) == (1, "", True)
    assert node.written() == before


def test_an_audience_that_nobody_knows_is_refused_with_those_that_are_known(
    node: RunningNode, tmp_path: Path
) -> None:
    file = tmp_path / "good.json"
    file.write_bytes(bundle([GOOD]))
    before = node.written()
    done = publish(node, file, to="atlantis")
    assert (done.returncode, done.stdout) == (1, "")
    said, known = done.stderr.rstrip(".\n").split(". Known here: ")
    assert said == "lezha: There is no community or peer 'atlantis'"
    assert {"everyone", "podgorica"} <= set(known.split(", "))
    assert node.written() == before


# --- one bad object among good ones ---------------------------------------------------------------------------------


@pytest.fixture
def mixed(tmp_path: Path) -> tuple[Path, str]:
    """A bundle of three whose second object is bad, and that object's id."""
    bad = json.loads(indicator("bad.example"))
    del bad["pattern"]
    file = tmp_path / "mixed.json"
    file.write_bytes(
        bundle([indicator("first.example"), json.dumps(bad).encode(), indicator("third.example")])
    )
    return file, bad["id"]


def test_of_a_bundle_with_one_bad_object_the_rest_is_taken_and_the_bad_one_named(
    node: RunningNode, mixed: tuple[Path, str]
) -> None:
    file, bad = mixed
    before = node.count("statements")
    done = publish(node, file)
    assert done.returncode == 0
    assert done.stdout.splitlines()[0] == "2 objects published, 1 rejected."
    (line,) = (line for line in done.stderr.splitlines() if line.startswith("rejected: "))
    assert line.startswith(f"rejected: {bad}: ")
    assert "pattern" in line
    assert line.endswith("[STIX 2.1 §4.7]")
    assert node.count("statements") == before + 2
    assert node.get("/objects", id=bad)["objects"] == []


def test_strict_takes_all_or_nothing(node: RunningNode, mixed: tuple[Path, str]) -> None:
    file, bad = mixed
    before = node.written()
    done = publish(node, file, "--strict")
    assert (done.returncode, done.stdout) == (1, "")
    named, reason = done.stderr.splitlines()
    assert named.startswith(f"rejected: {bad}: ")
    assert reason.startswith("lezha: Nothing was published: 1 of the objects")
    assert node.written() == before


def test_a_dry_run_writes_nothing(node: RunningNode, mixed: tuple[Path, str]) -> None:
    file, bad = mixed
    before = node.written()
    done = publish(node, file, "--dry-run")
    assert done.returncode == 0
    assert done.stdout.splitlines()[0] == "2 objects would be published, 1 rejected."
    assert bad in done.stderr
    assert node.written() == before


def test_a_bad_object_is_named_in_json_and_stdout_stays_clean(
    node: RunningNode, mixed: tuple[Path, str]
) -> None:
    file, bad = mixed
    done = publish(node, file, "--dry-run", "--json")
    assert done.returncode == 0
    assert [(one["id"], one["clause"]) for one in json.loads(done.stdout)["rejected"]] == [
        (bad, "STIX 2.1 §4.7")
    ]


@pytest.mark.parametrize(
    ("bad", "clause"),
    [
        (GOOD.replace(b'"name"', b'"type": "indicator", "name"'), "RFC 8259 §4"),
        (GOOD.replace(b'"name"', b'"x_number": NaN, "name"'), "RFC 8259 §6"),
        (GOOD.replace(b'"name"', b'"x_deep": ' + b"[" * 100 + b"]" * 100 + b', "name"'), "limit depth"),
        (GOOD.replace(b'"name"', b'"x_large": "' + b"x" * 2_000_000 + b'", "name"'), "limit object_bytes"),
    ],
    ids=["duplicate key", "NaN", "nesting", "large"],
)
def test_an_object_that_is_no_strict_json_costs_itself_alone(
    node: RunningNode, tmp_path: Path, bad: bytes, clause: str
) -> None:
    file = tmp_path / "one-bad.json"
    file.write_bytes(bundle([indicator("beside.example"), bad]))
    done = publish(node, file, "--json")
    assert done.returncode == 0, done
    found = json.loads(done.stdout)
    assert (len(found["taken"]), [one["clause"] for one in found["rejected"]]) == (1, [clause])


def test_long_lists_of_bad_objects_are_cut_off_for_people_and_not_for_programs(
    node: RunningNode, tmp_path: Path
) -> None:
    file = tmp_path / "all-bad.json"
    file.write_bytes(bundle([b"{}"] * 30))
    before = node.written()
    done = publish(node, file)
    assert done.returncode == 1
    *_, more, reason = done.stderr.splitlines()
    assert (len(done.stderr.splitlines()), more) == (22, "… and 10 more; --json shows all.")
    assert reason == "lezha: Nothing was published: no object is in order."
    assert len(json.loads(publish(node, file, "--json").stdout)["rejected"]) == 30
    assert node.written() == before


def test_thousands_of_objects_are_published_at_once(pair: tuple[RunningNode, ...], tmp_path: Path) -> None:
    node, peer = pair
    file = tmp_path / "many.json"
    file.write_bytes(many(2000, "bulk"))
    done = publish(node, file)
    assert done.stdout.splitlines()[0] == "2000 objects published, 0 rejected."
    until(lambda: node.peer(peer)["queued"] == 0, 30)
