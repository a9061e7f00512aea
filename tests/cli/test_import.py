"""`lezha import` and `lezha export` as people meet them: what is taken, what is said of the rest, and exit codes."""

import contextlib
import fcntl
import gzip
import http.server
import json
import os
import subprocess
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.battery.nodes import RunningNode, bundle, indicator, lezha, until
from tests.cli.test_bad_input import STIX_20

from lezha.cli import writing


def bring(node: RunningNode, *arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    return lezha("import", *arguments, "--home", node.home, **options)


def some(count: int, **more: object) -> list[bytes]:
    return [indicator(f"{uuid.uuid4()}.example", **more) for _ in range(count)]


def ids(objects: list[bytes]) -> set[str]:
    return {json.loads(raw)["id"] for raw in objects}


def held(node: RunningNode, objects: list[bytes]) -> int:
    kept = {row[0] for row in node.rows("SELECT stix_id FROM contents")}
    return len(ids(objects) & kept)


# --- what is taken --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["bundle", "list", "lines", "one", "envelope", "gz", "gz by another name"])
def test_every_kind_of_file_is_taken(node: RunningNode, tmp_path: Path, kind: str) -> None:
    objects = some(1 if kind == "one" else 3)
    raw = {
        "list": b"[" + b", ".join(objects) + b"]",
        "lines": b"\n".join(objects),
        "one": objects[0],
        "envelope": b'{"more":false,"objects":[' + b",".join(objects) + b"]}",
    }.get(kind, bundle(objects))
    file = tmp_path / ("feed.json.gz" if kind == "gz" else "feed.json")
    file.write_bytes(gzip.compress(raw) if kind.startswith("gz") else raw)
    done = bring(node, file)
    assert (done.returncode, done.stderr) == (0, "")
    count = len(objects)
    expected = (
        f"{count} object{'' if count == 1 else 's'} taken ({count} new, 0 were here before), 0 rejected.\n"
    )
    assert done.stdout == expected
    assert held(node, objects) == count
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def test_stdin_and_several_files_are_taken_and_what_is_there_is_not_taken_twice(
    node: RunningNode, tmp_path: Path
) -> None:
    first, second, third = some(2), some(3), some(4)
    for name, objects in (("a.json", first), ("b.json", second)):
        (tmp_path / name).write_bytes(bundle(objects))
    both = (tmp_path / "a.json", tmp_path / "b.json")
    done = bring(node, *both, "-", input=bundle(third).decode())
    assert done.stdout == "9 objects taken (9 new, 0 were here before), 0 rejected.\n", done
    done = bring(node, *both, "--json")
    told = json.loads(done.stdout)
    assert (told["taken"], told["new"], told["unchanged"], told["rejected"]) == (5, 0, 5, 0)
    assert told["files"] == {
        str(both[0]): {"taken": 2, "rejected": 0},
        str(both[1]): {"taken": 3, "rejected": 0},
    }


def test_what_is_imported_is_told_to_nobody_unless_it_is_published(
    pair: tuple[RunningNode, ...], tmp_path: Path
) -> None:
    here, there = pair
    own, told = some(2), some(2)
    (tmp_path / "own.json").write_bytes(bundle(own))
    (tmp_path / "told.json").write_bytes(bundle(told))
    assert bring(here, tmp_path / "own.json").returncode == 0
    done = bring(here, tmp_path / "told.json", "--tlp", "green", "--to", there.name)
    assert (done.returncode, done.stdout) == (0, "2 objects published, 0 rejected.\n")
    until(lambda: held(there, told) == 2, 20)
    assert held(there, own) == 0


@pytest.mark.parametrize(
    ("options", "later"), [((), True), (("--no-future-members",), False), (("--future-members",), True)]
)
def test_later_members_get_what_is_imported_as_is_said(
    node: RunningNode, tmp_path: Path, options: tuple[str, ...], later: bool
) -> None:
    [raw] = some(1)
    file = tmp_path / "feed.json"
    file.write_bytes(bundle([raw]))
    done = bring(node, file, "--tlp", "green", "--to", "everyone", *options)
    assert done.returncode == 0, done
    [version] = node.get(f"/release/explain/{json.loads(raw)['id']}")["versions"]
    assert [one["future_members"] for one in version["statements"]] == [later]


def test_a_dry_run_asks_no_node(tmp_path: Path) -> None:
    good, bad = some(2), json.dumps(json.loads(indicator("x.example")) | {"pattern": 7}).encode()
    (tmp_path / "feed.json").write_bytes(bundle([good[0], bad, good[1]]))
    done = lezha("import", tmp_path / "feed.json", "--dry-run", "--home", tmp_path / "none")
    assert (done.returncode, done.stdout) == (1, "2 objects would be taken, 1 rejected.\n")
    assert done.stderr.startswith(f"rejected: {json.loads(bad)['id']}: ")


# --- what is rejected -----------------------------------------------------------------------------------------------


def test_a_bad_object_in_the_middle_costs_itself_alone_and_is_written_down(
    pair: tuple[RunningNode, ...], tmp_path: Path
) -> None:
    node, ally = pair
    good = some(4)
    bad = json.loads(indicator("bad.example"))
    del bad["pattern"]
    broken = indicator("nan.example").replace(b'"name"', b'"x_n": NaN, "name"')
    large = indicator("large.example", description="x" * (3 << 20))
    theirs = indicator("theirs.example", created_by_ref=ally.member)
    wrong = [json.dumps(bad).encode(), broken, large, theirs, b"[1]", b"true"]
    file, rejects = tmp_path / "feed.json", tmp_path / "rejects.jsonl"
    file.write_bytes(bundle([*good[:2], *wrong, *good[2:]]))
    done = bring(node, file, "--rejects", rejects)
    assert done.returncode == 1
    assert done.stdout == "4 objects taken (4 new, 0 were here before), 6 rejected.\n"
    assert held(node, good) == 4
    lines = [json.loads(line) for line in rejects.read_text().splitlines()]
    named = {json.loads(indicator)["id"]: clause for indicator, clause in [(wrong[0], "STIX 2.1 §4.7")]}
    assert {line["id"]: line["clause"] for line in lines if line["id"] in named} == named
    assert {line["clause"] for line in lines} >= {"RFC 8259 §6", "limit object_bytes", "lezha authority"}
    assert {line["file"] for line in lines} == {str(file)}
    assert (
        len(lines) == len([line for line in done.stderr.splitlines() if line.startswith("rejected: ")]) == 6
    )
    assert "podgorica wrote it: only podgorica can publish it" in done.stderr


def test_of_many_rejected_twenty_are_shown(node: RunningNode, tmp_path: Path) -> None:
    (tmp_path / "feed.json").write_bytes(bundle([b'{"type":"x"}'] * 30))
    done = bring(node, tmp_path / "feed.json")
    assert (done.returncode, done.stdout) == (
        1,
        "0 objects taken (0 new, 0 were here before), 30 rejected.\n",
    )
    assert len(done.stderr.splitlines()) == 21
    assert "--rejects FILE" in done.stderr
    done = bring(node, tmp_path / "feed.json", "--tlp", "green", "--to", "everyone")
    assert (done.returncode, done.stdout) == (1, "0 objects published, 30 rejected.\n")


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "it is empty"),
        (b"hello", "not a JSON object"),
        ('{"type":"bundle"}'.encode("utf-16"), "it is in UTF-16"),
        (b"<stix:STIX_Package xmlns:stix='http://stix.mitre.org/stix-1'/>", "stix2-elevator"),
        (STIX_20, "stix2-elevator"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        (gzip.compress(bundle([b"{}"]))[:-9], "ends early"),
    ],
    ids=["empty", "text", "UTF-16", "STIX 1", "STIX 2.0", "BOM", "gz cut off"],
)
def test_a_file_that_is_none_is_refused_in_one_sentence(
    node: RunningNode, tmp_path: Path, raw: bytes, words: str
) -> None:
    (tmp_path / "feed.json").write_bytes(raw)
    done = bring(node, tmp_path / "feed.json")
    assert (done.returncode, done.stdout) == (1, "")
    assert words in done.stderr.splitlines()[-1]
    assert done.stderr.splitlines()[-1].startswith("lezha: ")
    assert [path.name for path in tmp_path.iterdir()] == ["feed.json"]


@pytest.mark.parametrize("packed", [False, True])
def test_of_a_file_that_is_cut_off_what_is_there_is_taken(
    node: RunningNode, tmp_path: Path, packed: bool
) -> None:
    objects = some(2500)
    raw = bundle(objects)[:-40]
    file = tmp_path / "feed.json"
    file.write_bytes(gzip.compress(raw) if packed else raw)
    done = bring(node, file)
    assert (done.returncode, done.stdout) == (1, "")
    told, why = done.stderr.splitlines()
    assert told == "Before the error: 2,499 objects taken (2,499 new, 0 were here before), 0 rejected."
    assert f"it ends at byte {len(raw):,} before the list of objects does" in why
    assert held(node, objects) == 2499
    done = bring(node, file, "--json")
    document = json.loads(done.stdout)
    assert (done.returncode, document["taken"], document["new"]) == (1, 2499, 0)
    assert why == f"lezha: {document['error']}"
    file.write_bytes(bundle(objects))
    assert bring(node, file).stdout == "2,500 objects taken (1 new, 2,499 were here before), 0 rejected.\n"


# --- files that are there already -----------------------------------------------------------------------------------


@pytest.mark.parametrize("other", ["the same", "a hard link", "a symbolic link"])
@pytest.mark.parametrize("option", ["--rejects", "--state"])
def test_no_import_writes_over_its_own_input(tmp_path: Path, option: str, other: str) -> None:
    file, named = tmp_path / "feed.json", tmp_path / "feed.json" if other == "the same" else tmp_path / "x"
    file.write_bytes(raw := bundle(some(1)))
    if other == "a hard link":
        named.hardlink_to(file)
    elif other == "a symbolic link":
        named.symlink_to(file)
    done = lezha(
        "import", file, option, named, "--restart", "--url", "http://127.0.0.1:1", "--token-file", file
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"lezha: {named} is {file} itself, which would be lost: choose another name.\n"
    assert file.read_bytes() == raw


def test_what_another_import_rejected_is_not_lost(node: RunningNode, tmp_path: Path) -> None:
    file, rejects = tmp_path / "feed.json", tmp_path / "rejects.jsonl"
    file.write_bytes(bundle([b'{"type":"x"}']))
    assert bring(node, file, "--rejects", rejects).returncode == 1
    kept = rejects.read_bytes()
    objects = some(1)
    file.write_bytes(bundle(objects))
    done = bring(node, file, "--rejects", rejects)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{rejects} is there already" in done.stderr
    assert (rejects.read_bytes(), held(node, objects)) == (kept, 0)


def test_an_import_that_goes_on_with_other_rejects_loses_none(
    node: RunningNode, half: tuple[Path, Path], tmp_path: Path
) -> None:
    file, kept = half
    foreign = tmp_path / "foreign"
    foreign.write_text("mine\n")
    done = go_on(node, file, kept, "--rejects", foreign)
    assert (done.returncode, foreign.read_text()) == (1, "mine\n")
    assert "not of an import that goes on" in done.stderr
    assert go_on(node, file, kept, "--rejects", tmp_path / "second").returncode == 1
    assert [len((tmp_path / name).read_text().splitlines()) for name in ("rejects", "second")] == [1, 1]


def test_rejects_and_checkpoint_are_two_files_and_no_pipe(tmp_path: Path) -> None:
    file, pipe = tmp_path / "feed.json", tmp_path / "pipe"
    file.write_bytes(bundle(some(1)))
    os.mkfifo(pipe)
    home = ("--home", tmp_path)
    done = lezha("import", file, "--state", tmp_path / "x", "--rejects", tmp_path / "x", *home)
    assert (done.returncode, "can't be the checkpoint as well" in done.stderr) == (1, True)
    done = lezha("import", file, "--rejects", pipe, *home)
    assert (done.returncode, "no regular file" in done.stderr) == (1, True)


# --- wrong usage ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        ("--tlp", "green"), ("--to", "everyone"), ("--patience", "-1"), (), ("--pap", "green"), ("--onward",),
        ("--expires", "2999-01-01T00:00:00Z"), ("--no-future-members",),
    ],
)  # fmt: skip
def test_half_a_publication_is_wrong_usage(node: RunningNode, options: tuple[str, ...]) -> None:
    files = ("/dev/null",) if options else ()
    assert bring(node, *files, *options).returncode == 2


def test_what_the_node_refuses_as_a_whole_is_told_and_can_be_tried_again(
    node: RunningNode, tmp_path: Path
) -> None:
    (tmp_path / "feed.json").write_bytes(bundle(some(1)))
    done = bring(node, tmp_path / "feed.json", "--tlp", "green", "--to", "atlantis")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1].startswith("lezha: There is no community or peer 'atlantis'")
    assert bring(node, tmp_path / "feed.json").returncode == 0


def test_a_file_that_cannot_be_read_is_refused(node: RunningNode, tmp_path: Path) -> None:
    for name in ("missing.json", "."):
        done = bring(node, tmp_path / name)
        assert (done.returncode, done.stdout) == (1, "")
        assert "can't be read" in done.stderr


# --- checkpoints ----------------------------------------------------------------------------------------------------


@pytest.fixture
def half(pair: tuple[RunningNode, ...], tmp_path: Path) -> tuple[Path, Path]:
    """A file and its checkpoint, taken in the middle: 2,000 of 3,000 are behind, one of them rejected."""
    objects = some(3000)
    objects[100] = objects[2100] = b"{}"
    file = tmp_path / "feed.json"
    file.write_bytes(b"[" + b",".join(objects) + b"]")
    kept = tmp_path / "kept"
    with stand_in(pair[0], answers=2) as url:
        token = pair[0].home / "admin.token"
        done = lezha(
            "import", file, "--patience", "0", "--rejects", tmp_path / "rejects", "--state", kept,
            "--url", url, "--token-file", token,
        )  # fmt: skip
    assert done.returncode == 3, done.stderr
    return file, kept


@contextlib.contextmanager
def stand_in(node: RunningNode, answers: int) -> Iterator[str]:
    """A door to a node that lets so many calls pass and is then shut."""

    class Door(http.server.BaseHTTPRequestHandler):
        left = answers

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            if Door.left <= 0:
                self.connection.close()
                return
            Door.left -= 1
            answer = node.call("POST", self.path.removeprefix("/api/v1"), raw)
            self.send_response(answer.status)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Door) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def state(kept: Path) -> Any:
    return json.loads(kept.read_text())


def go_on(
    node: RunningNode, file: Path, kept: Path, *options: str | Path
) -> subprocess.CompletedProcess[str]:
    """The same command; the checkpoint is told that the door was the node."""
    kept.write_text(json.dumps(state(kept) | {"how": str(node.home.resolve())}))
    return bring(node, file, "--state", kept, *options)


def test_what_another_command_is_writing_is_left_alone(
    node: RunningNode, half: tuple[Path, Path], tmp_path: Path
) -> None:
    rejects, part = tmp_path / "rejects", tmp_path / "all.json.part"
    before = rejects.read_bytes()
    with rejects.open("rb") as one, part.open("wb") as other:
        fcntl.flock(one, fcntl.LOCK_EX)
        fcntl.flock(other, fcntl.LOCK_EX)
        taken = go_on(node, *half, "--rejects", rejects)
        written = lezha("export", "--restart", "--out", tmp_path / "all.json", "--home", node.home)
    for done, path in ((taken, rejects), (written, part)):
        assert (done.returncode, done.stdout) == (1, "")
        assert f"{path} is being written by another command: wait until it has ended." in done.stderr
    assert (rejects.read_bytes(), part.read_bytes()) == (before, b"")


def test_a_file_that_got_its_name_meanwhile_is_not_written_over(tmp_path: Path) -> None:
    part, whole = tmp_path / "x.part", tmp_path / "x"
    part.write_bytes(b"whole")
    kept = fcntl.flock

    def renamed(file: Any, how: int) -> None:
        if not whole.exists():
            part.rename(whole)
        kept(file, how)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fcntl, "flock", renamed)
        with writing.alone(part, 0o600) as file:
            file.write(b"new")
    assert (whole.read_bytes(), part.read_bytes()) == (b"whole", b"new")


def test_an_import_that_was_interrupted_goes_on_and_writes_down_each_rejected_once(
    node: RunningNode, half: tuple[Path, Path], tmp_path: Path
) -> None:
    file, kept = half
    assert state(kept)["counts"][str(file)]["taken"] == 1999
    with (tmp_path / "rejects").open("ab") as rejects:
        rejects.write(b"written, but not known to be")
    done = go_on(node, file, kept, "--rejects", tmp_path / "rejects")
    assert "resuming at 66 %, 2,000 objects done; --restart begins anew" in done.stderr
    assert done.stdout == "2,998 objects taken (2,998 new, 0 were here before), 2 rejected.\n"
    assert len([json.loads(line) for line in (tmp_path / "rejects").read_text().splitlines()]) == 2
    assert not kept.exists()


def test_a_file_that_has_changed_in_between_is_refused(node: RunningNode, half: tuple[Path, Path]) -> None:
    file, kept = half
    file.write_bytes(file.read_bytes() + b"\n")
    done = go_on(node, file, kept)
    assert (done.returncode, done.stdout) == (1, "")
    assert "has changed since the import that was interrupted: --restart begins anew" in done.stderr
    done = go_on(node, file, kept, "--restart")
    assert done.stdout == "2,998 objects taken (999 new, 1,999 were here before), 2 rejected.\n"


def test_other_options_do_not_go_on_with_an_import(node: RunningNode, half: tuple[Path, Path]) -> None:
    file, kept = half
    done = go_on(node, file, kept, "--tlp", "green", "--to", "everyone")
    assert (done.returncode, done.stdout) == (1, "")
    assert "other files, options or another node" in done.stderr
    for raw in (b"{}", b'{"how": "\xff"}', b'{"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"):
        kept.write_bytes(raw)
        done = bring(node, file, "--state", kept)
        assert done.stderr == f"lezha: {kept} is not a checkpoint of this command: --restart begins anew.\n"


def test_a_batch_that_the_node_finds_too_large_is_sent_in_parts(tmp_path: Path) -> None:
    small = RunningNode(tmp_path, "vienna", max_bundle_bytes=200_000)
    objects = [*some(300, description="x" * 3000), *some(1, description="x" * 300_000)]
    (tmp_path / "feed.json").write_bytes(bundle(objects))
    try:
        small.start()
        done = bring(small, tmp_path / "feed.json", "--patience", "5")
    finally:
        small.kill()
    assert done.returncode == 1, done.stderr
    assert done.stdout == "300 objects taken (300 new, 0 were here before), 1 rejected.\n"
    assert "max_bundle_bytes" in done.stderr


def test_a_pipe_has_no_checkpoint(node: RunningNode, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    objects = some(1200)
    writing = threading.Thread(target=pipe.write_bytes, args=(bundle(objects),))
    writing.start()
    done = bring(node, pipe)
    writing.join()
    assert (done.returncode, held(node, objects)) == (0, 1200)
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


# --- export ---------------------------------------------------------------------------------------------------------


def test_an_export_on_stdout_is_one_bundle_or_one_object_a_line(node: RunningNode, tmp_path: Path) -> None:
    raw = json.dumps(json.loads(indicator("pretty.example", name="p\nq")), indent=2)
    (tmp_path / "feed.json").write_text(raw)
    assert bring(node, tmp_path / "feed.json").returncode == 0
    whole = lezha("export", "--home", node.home)
    assert (whole.returncode, raw in whole.stdout) == (0, True)
    lines = lezha("export", "--lines", "--home", node.home)
    read = [json.loads(line) for line in lines.stdout.splitlines()]
    assert read == json.loads(whole.stdout)["objects"]
    assert "had line breaks, which are blanks now" in lines.stderr
    assert f"{len(read):,} objects written." in lines.stderr


def test_an_export_of_nothing_is_a_bundle_without_a_list(node: RunningNode) -> None:
    done = lezha("export", "--type", "x-nothing", "--home", node.home)
    assert set(json.loads(done.stdout)) == {"type", "id"}
    assert lezha("export", "--type", "x-nothing", "--lines", "--home", node.home).stdout == ""


def test_a_preview_for_a_peer_holds_what_that_peer_is_given(
    pair: tuple[RunningNode, ...], tmp_path: Path
) -> None:
    here, there = pair
    told = some(2)
    here.publish(bundle(told), there.name)
    here.publish(
        bundle(some(1, object_marking_refs=["marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1"])),
        "everyone",
        "red",
    )
    out = tmp_path / "preview.json"
    done = lezha("export", "--for", there.name, "--out", out, "--json", "--home", here.home)
    summary = json.loads(done.stdout)
    got = {one["id"] for one in json.loads(out.read_text())["objects"]}
    assert ids(told) <= got
    assert summary["withheld"]["clearance"] >= 1
    until(lambda: here.peer(there)["queued"] == 0, 20)
    given = {row[0] for row in there.rows(
        "SELECT c.stix_id FROM contents c JOIN statements s ON s.content = c.seq WHERE s.origin = ?", here.member
    )}  # fmt: skip
    assert got == given


def test_an_export_takes_a_time_as_so_long_ago(node: RunningNode, tmp_path: Path) -> None:
    (tmp_path / "feed.json").write_bytes(bundle(objects := some(1)))
    assert bring(node, tmp_path / "feed.json").returncode == 0
    done = lezha("export", "--since", "1h", "--lines", "--home", node.home)
    assert (done.returncode, objects[0].decode() in done.stdout) == (0, True)
    assert lezha("export", "--since", "0h", "--lines", "--home", node.home).stdout == ""


def test_an_export_that_goes_on_means_the_same_time(node: RunningNode, tmp_path: Path) -> None:
    before = "2020-01-01T00:00:00.000000Z"
    how = f"{node.home.resolve()}; lines=True; {{'since': '24h'}}"
    (tmp_path / "x.lezha-export").write_text(json.dumps({"how": how, "since": before}))
    (tmp_path / "x.part").touch()
    done = lezha("export", "--since", "24h", "--lines", "--out", tmp_path / "x", "--home", node.home)
    assert (done.returncode, "resuming after 0 objects" in done.stderr) == (0, True)
    assert (tmp_path / "x").read_text() == lezha("export", "--lines", "--home", node.home).stdout


def test_wrong_exports_are_refused(node: RunningNode, tmp_path: Path) -> None:
    assert lezha("export", "--json", "--home", node.home).returncode == 2
    done = lezha("export", "--for", "atlantis", "--home", node.home)
    assert (done.returncode, done.stdout) == (1, "")
    done = lezha("export", "--since", "yesterday", "--home", node.home)
    assert (done.returncode, done.stdout, "is not a time" in done.stderr) == (1, "", True)
    done = lezha("export", "--out", tmp_path / "no" / "x.json", "--home", node.home)
    assert (done.returncode, "can't be written" in done.stderr) == (1, True)


def test_an_export_replaces_no_pipe_and_no_folder(node: RunningNode, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("pipe")
    before = sorted(tmp_path.iterdir())
    for name in ("pipe", "folder", "link"):
        done = lezha("export", "--out", tmp_path / name, "--home", node.home)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == (
            f"lezha: {tmp_path / name} is no regular file: name a file, or - for standard output.\n"
        )
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "pipe").is_fifo()


def test_an_export_follows_a_symbolic_link(node: RunningNode, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to("there/all.json")
    for _ in range(2):
        assert lezha("export", "--out", tmp_path / "link", "--home", node.home).returncode == 0
        assert json.loads((tmp_path / "there" / "all.json").read_bytes())["type"] == "bundle"
    assert (tmp_path / "link").is_symlink()
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["all.json"]


def test_an_export_to_a_dash_is_one_to_stdout(node: RunningNode, tmp_path: Path) -> None:
    done = lezha("export", "--out", "-", "--lines", "--home", node.home, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, lezha("export", "--lines", "--home", node.home).stdout)
    assert [*tmp_path.iterdir()] == []
    assert lezha("export", "--out", "-", "--json", "--home", node.home).returncode == 2


def test_an_export_writes_over_no_file_that_is_half_of_something_else(
    node: RunningNode, tmp_path: Path
) -> None:
    (tmp_path / "all.json.part").write_text("mine")
    done = lezha("export", "--out", tmp_path / "all.json", "--home", node.home)
    assert (done.returncode, (tmp_path / "all.json.part").read_text()) == (1, "mine")
    assert "--restart writes over it" in done.stderr
