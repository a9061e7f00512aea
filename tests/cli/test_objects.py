"""Objects at the command line: every condition, how to go on, everything about a value."""

import http.server
import json
import re
import shlex
import threading
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any, Final

import pytest
from tests.battery.nodes import RunningNode, bundle, indicator, lezha, until
from tests.cli.test_commands import help_of

CONDITIONS: Final = (
    "--text", "--type", "--id", "--label", "--marking", "--tlp", "--creator", "--origin", "--ref", "--sighted",
    "--not-sighted", "--revoked", "--not-revoked", "--since", "--until", "--modified-since", "--modified-until",
    "--limit", "--before", "--json",
)  # fmt: skip
SPAM: Final = "marking-definition--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"


@pytest.fixture(scope="module")
def filled(pair: tuple[RunningNode, ...]) -> RunningNode:
    """A node that holds a few objects, all of which have the label `found-by-cli`."""
    node = pair[0]
    plain: dict[str, Any] = {"labels": ["found-by-cli"]}
    old = indicator("old.cli.example", **plain)
    new = json.dumps(
        json.loads(old) | {"modified": "2027-01-01T00:00:00.000Z", "name": "new.cli.example"}
    ).encode()
    gone = indicator("gone.cli.example", **plain, revoked=True)
    words = indicator(
        "words.cli.example",
        **plain,
        description="A second wave of ROADSWEEP at Tiranë",
        created_by_ref=node.member,
    )
    for one in (old, new, gone, words):
        node.publish(bundle([one]), "everyone", tlp="green")
    return node


def ask(node: RunningNode, *arguments: str) -> CompletedProcess[str]:
    done = lezha("objects", *arguments, "--home", node.home)
    assert done.returncode == 0, done
    return done


def names(node: RunningNode, *conditions: str) -> list[str]:
    found = json.loads(ask(node, "search", "--label", "found-by-cli", *conditions, "--json").stdout)
    return [one["name"].removesuffix(".cli.example") for one in found["objects"]]


def test_help_names_every_condition_of_the_api() -> None:
    shown = help_of(("objects", "search"))
    assert [one for one in CONDITIONS if one not in shown] == []


def test_each_condition_reaches_the_node(filled: RunningNode) -> None:
    everything = ["words", "gone", "new", "old"]
    table: list[tuple[tuple[str, ...], list[str]]] = [
        ((), everything),
        (("words.cli.example",), ["words"]),
        (("words[.]cli[.]example",), ["words"]),
        (("--text", '"second wave" tirane'), ["words"]),
        (("--type", "malware"), []),
        (("--label", "other"), []),
        (("--marking", SPAM), []),
        (("--tlp", "red"), []),
        (("--creator", "self"), ["words"]),
        (("--creator", "podgorica"), []),
        (("--origin", "self"), everything),
        (("--ref", filled.member), ["words"]),
        (("--sighted",), []),
        (("--not-sighted",), everything),
        (("--revoked",), ["gone"]),
        (("--not-revoked",), ["words", "new", "old"]),
        (("--since", "2026-01-01T00:00:00Z"), everything),
        (("--until", "2020-01-01T00:00:00Z"), []),
        (("--modified-since", "2027-01-01T00:00:00Z"), ["new"]),
        (("--modified-until", "2027-01-01T00:00:00Z"), ["words", "gone", "old"]),
        (("--modified-since", "2027-01-01T00:00:00Z", "--revoked"), []),
        (("--limit", "1"), ["words"]),
    ]
    assert {conditions: names(filled, *conditions) for conditions, _ in table} == dict(table)


def test_the_table_says_what_each_version_is(filled: RunningNode) -> None:
    shown = ask(filled, "search", "--label", "found-by-cli").stdout.splitlines()
    assert shown[0].split() == ["type", "name", "id", "version", "told", "by", "state"]
    ends = [line.split("Z", 1)[1].split() for line in shown[1:]]
    assert ends == [["self", state] for state in ("current", "revoked", "current", "superseded")]


def test_the_table_names_who_told_of_what(filled: RunningNode, pair: tuple[RunningNode, ...]) -> None:
    pair[1].publish(bundle([indicator("theirs.toldby.example")]), "everyone", tlp="green")
    filled.post("/objects", json.loads(bundle([indicator("nobodys.toldby.example")])))
    until(lambda: len(filled.get("/objects", value="toldby.example")["objects"]) == 2, 20)
    shown = ask(filled, "search", "toldby.example").stdout.splitlines()
    assert {(line.split()[1], line.split()[-1]) for line in shown[1:]} == {
        ("theirs.toldby.example", "podgorica"),
        ("nobodys.toldby.example", "nobody"),
    }
    assert "podgorica" in ask(filled, "about", "theirs.toldby.example").stdout


def test_of_an_object_that_travels_beside_others_it_is_not_said_that_nobody_was_told(
    filled: RunningNode,
) -> None:
    done = lezha("objects", "show", filled.member, "--home", filled.home)
    assert "Nobody was told" not in done.stdout + done.stderr
    assert "No member has signed a statement about it." in done.stdout + done.stderr


def test_times_may_be_so_many_hours_days_or_weeks_ago(filled: RunningNode) -> None:
    everything = ["words", "gone", "new", "old"]
    assert names(filled, "--since", "24h") == names(filled, "--since", "2w") == everything
    assert names(filled, "--until", "1h") == []
    assert names(filled, "--modified-until", "1d", "--since", "7d") == ["words", "gone", "old"]


def test_to_go_on_names_the_time_that_was_meant_when_it_was_asked(filled: RunningNode) -> None:
    done = ask(filled, "search", "--label", "found-by-cli", "--limit", "1", "--since", "24h")
    assert re.search(r"--since \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z ", done.stderr)


def test_a_page_says_how_to_go_on_and_that_works(filled: RunningNode) -> None:
    walked: list[str] = []
    command = ["search", "--label", "found-by-cli", "--limit", "1"]
    while True:
        done = ask(filled, *command)
        walked += [line.split()[1] for line in done.stdout.splitlines()[1:]]
        if "There is more." not in done.stderr:
            break
        (line,) = [line for line in done.stderr.splitlines() if line.startswith("To go on: ")]
        command = shlex.split(line.removeprefix("To go on: "))[2:]
    assert walked == [f"{one}.cli.example" for one in ("words", "gone", "new", "old")]


class _Slow(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"objects": [], "next": 77}')

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def slow() -> Iterator[str]:
    """The address of what answers as a node that found nothing in the time it had."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Slow) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_page_that_ended_because_of_time_says_so_and_how_to_go_on(slow: str, tmp_path: Path) -> None:
    token = tmp_path / "a.token"
    token.write_text("lzh_a_b")
    query = [
        "--text",
        "a rare 'word'",
        "--not-sighted",
        "--modified-since",
        "2026-01-01T00:00:00Z",
        "--",
        "-x",
    ]
    done = lezha("objects", "search", "--url", slow, "--token-file", token, *query)
    assert (done.returncode, done.stdout) == (0, "")
    assert "Nothing was found so far." in done.stderr
    assert "ended because its time was over" in done.stderr
    line = done.stderr.splitlines()[-1].removeprefix("To go on: ")
    assert shlex.split(line) == [
        "lezha", "objects", "search", "--text", "a rare 'word'", "--not-sighted",
        "--modified-since", "2026-01-01T00:00:00Z", "--before", "77", "--", "-x",
    ]  # fmt: skip


def test_what_is_no_value_is_said_so_with_what_to_do(filled: RunningNode) -> None:
    done = ask(filled, "search", "second wave")
    assert (done.stdout, "second wave is no address" in done.stderr, "--text" in done.stderr) == (
        "",
        True,
        True,
    )


@pytest.mark.parametrize("option", ["--since", "--until", "--modified-since", "--modified-until"])
def test_what_is_no_time_is_said_so(filled: RunningNode, option: str) -> None:
    for written in ("yesterday", "24", "-1h", "1.5d", "99999d", "3m"):
        done = lezha("objects", "search", f"{option}={written}", "--home", filled.home)
        assert (done.returncode, done.stdout) == (1, "")
        assert "is not a time" in done.stderr


def test_about_prints_each_group_under_its_heading(filled: RunningNode) -> None:
    shown = ask(filled, "about", "CLI.example.").stdout
    assert shown.startswith("What it contains:\n")
    assert "words.cli.example" in shown
    itself = ask(filled, "about", "words.cli.example").stdout
    assert itself.startswith("This value itself:\n")


def test_about_says_what_it_left_out(filled: RunningNode) -> None:
    filled.publish(bundle([indicator("many.example") for _ in range(101)]), "everyone")
    done = ask(filled, "about", "many.example")
    assert "The newest 100 are shown" in done.stderr
    assert done.stdout.count("indicator--") == 100


@pytest.mark.parametrize(
    ("value", "words"),
    [("192.0.2.200", "Nothing is held here about 192.0.2.200."), ("no value", "no value is no address")],
)
def test_about_says_that_there_is_nothing(filled: RunningNode, value: str, words: str) -> None:
    done = ask(filled, "about", value)
    assert done.stdout == ""
    assert words in done.stderr


def test_about_is_one_document_for_programs(filled: RunningNode) -> None:
    found = json.loads(ask(filled, "about", "words.cli.example", "--json").stdout)
    assert set(found) == {"value", "kind", "groups"}
    (group, *_) = found["groups"]
    assert (group["what"], group["objects"][0]["state"]) == ("this value itself", "current")
