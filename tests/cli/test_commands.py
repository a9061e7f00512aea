"""All commands as a user meets them: help, exit codes, JSON, and what is hidden from whom."""

import http.server
import json
import os
import re
import resource
import stat
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from tests.battery.nodes import LEZHA, RunningNode, bundle, indicator, lezha
from tests.battery.test_hostile import HostilePeer
from tests.conftest import ROOT
from tests.web.test_tools import certificate_of, pem

from lezha.cli.commands import app

PLAIN = re.compile(r"\x1b\[[0-9;]*m")


def leaves(group: typer.Typer, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for command in group.registered_commands:
        assert command.callback
        yield (*path, command.name or command.callback.__name__)
    for inner in group.registered_groups:
        assert inner.typer_instance
        assert inner.name
        yield from leaves(inner.typer_instance, (*path, inner.name))


COMMANDS = sorted(leaves(app))


def help_of(path: tuple[str, ...]) -> str:
    from typer.testing import CliRunner

    shown = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": "200", "TERM": "dumb"})
    assert shown.exit_code == 0
    return PLAIN.sub("", shown.output)


# --- help -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_shows_an_example_that_begins_with_the_command(path: tuple[str, ...]) -> None:
    assert f"Example: lezha {' '.join(path)}" in help_of(path)


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_that_prints_takes_json(path: tuple[str, ...]) -> None:
    # These two run until they are stopped, and print nothing on stdout.
    assert ("--json" in help_of(path)) != (path in {("serve",), ("sensor",)})


def test_help_and_version_are_real() -> None:
    assert lezha("--version").stdout.startswith("lezha ")
    done = lezha("--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert all(path[0] in done.stdout for path in COMMANDS)


# --- exit codes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["launch"],
        ["publish"],
        ["peer", "confirm"],
        ["init", "--name", "tirana", "--endpoint", "http://192.0.2.10"],
        ["init", "--name", "../tirana", "--endpoint", "https://192.0.2.10:8441"],
        ["peer", "list", "--url", "http://127.0.0.1:8440"],
        ["import", "/dev/null", "--patience", "nan"],
        *(["sensor", "--follow", "/x.log", "--node", "http://127.0.0.1:1", "--token-file", "/x", "--window", window]
          for window in ("nan", "-1", "inf", "1e9")),
        ["sensor", "--follow", "/x.log", "--node", "nowhere", "--token-file", "/x"],
        ["sensor", "--follow", "/x.log", "--node", "http://127.0.0.1:1", "--token-file", "/x", "--reader", "pcap"],
    ],
    ids=lambda arguments: " ".join(arguments[:2]) or "nothing",
)  # fmt: skip
def test_wrong_usage_is_2(arguments: list[str], tmp_path: Path) -> None:
    done = lezha(*arguments, env={**os.environ, "LEZHA_HOME": str(tmp_path / "none")})
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        [b"publish", b"x.json", b"--tlp", b"clear", b"--to", b"podgorica\xe9"],
        [b"store", b"purge", b"tool--1", b"--why", b"caf\xe9"],
        [b"export", b"--for", b"podgorica\xe9"],
        [b"objects", b"search", b"--origin", b"podgorica\xe9"],
    ],
    ids=lambda arguments: arguments[0].decode(),
)
def test_an_argument_that_is_no_text_is_not_taken_for_another_one(
    node: RunningNode, arguments: list[bytes], tmp_path: Path
) -> None:
    (tmp_path / "x.json").write_bytes(bundle([indicator("latin.example")]))
    before = node.written()
    command = [os.fsencode(LEZHA), *arguments, b"--home", os.fsencode(node.home)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"lezha: An argument is not text in UTF-8: {arguments[-1]!r}.\n"
    assert node.written() == before


def test_a_peer_is_not_confirmed_without_a_phrase(node: RunningNode) -> None:
    done = lezha("peer", "confirm", "podgorica", "--home", node.home, stdin=subprocess.DEVNULL)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--phrase" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["objects", "show", "indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"], "indicator--8e2e2d2b"),
        (["objects", "show", ""], "'' is no name and no id."),
        (["peer", "phrase", ".."], "'..' is no name and no id."),
        (["peer", "phrase", "atlantis"], "atlantis"),
        (["community", "sign", str(ROOT / "README.md")], "README.md is no roster"),
        (["peer", "accept", "no invitation"], "This is not an invitation"),
        (["peer", "invite", "podgorica"], "There is a peer 'podgorica' already"),
        (["peer", "confirm", "podgorica", "--phrase", "1 2 3"], "podgorica is active, not pending"),
        (["community", "accept", "/dev/null"], "/dev/null is no roster"),
        (["community", "sign", "/nowhere/nato.roster"], "No such file"),
        (["token", "revoke", "nobody"], "nobody"),
        (["token", "create", "x", "--role", "sensor", "--out", "/nowhere/x.token"], "can't be written"),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else None,
)
def test_what_the_node_refuses_is_1_in_one_sentence(
    node: RunningNode, arguments: list[str], words: str
) -> None:
    before = node.written()
    done = lezha(*arguments, "--home", node.home)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("lezha: ")
    assert words in line
    assert node.written() == before


@pytest.mark.parametrize("kind", ["file", "dangling link"])
@pytest.mark.parametrize(
    "arguments",
    [
        ["community", "create", "nato", "--member", "self"],
        ["token", "create", "somebody", "--role", "sensor"],
        ["backup", "keygen"],
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_a_file_that_is_there_is_not_written_over(
    node: RunningNode, tmp_path: Path, arguments: list[str], kind: str
) -> None:
    there = tmp_path / "there"
    there.write_text("mine") if kind == "file" else there.symlink_to("nowhere")
    before = node.written()
    home = [] if arguments[0] == "backup" else ["--home", str(node.home)]
    done = lezha(*arguments, "--out", there, *home)
    assert (done.returncode, done.stdout) == (1, "")
    assert str(there) in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
    assert there.is_symlink() or there.read_text() == "mine"
    assert node.written() == before


def test_a_folder_without_a_node_is_1_and_says_what_makes_one(tmp_path: Path) -> None:
    done = lezha("peer", "list", "--home", tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"lezha: There is no node in {tmp_path}: `lezha init` makes one.\n"


def test_a_file_where_the_folder_should_be_is_1(tmp_path: Path) -> None:
    (tmp_path / "lezha.toml").touch()
    for command in (["peer", "list"], ["store", "check"], ["serve"]):
        done = lezha(*command, "--home", tmp_path / "lezha.toml")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == f"lezha: {tmp_path / 'lezha.toml'} is a file: name the node's folder.\n"


def test_a_demonstration_in_a_folder_that_can_t_be_made_is_1(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = lezha("demo", "--headless", "--keep", tmp_path / "file" / "x")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"lezha: {tmp_path / 'file' / 'x'} can't be made: Not a directory.\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["peer", "list"],
        ["peer", "list", "--json"],
        ["objects", "search", "--json"],
        ["export"],
    ],
    ids=" ".join,
)
def test_an_output_that_takes_nothing_is_1(node: RunningNode, tmp_path: Path, arguments: list[str]) -> None:
    home = [] if arguments[0].startswith("-") else ["--home", str(node.home)]
    with (tmp_path / "out").open("wb") as full:
        done = subprocess.run(
            [LEZHA, *arguments, *home],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)),
        )
    assert (done.returncode, done.stderr) == (1, "lezha: The output can't be written: File too large.\n")


@pytest.mark.parametrize("arguments", [["peer", "list", "--json"], ["export"]], ids=" ".join)
def test_who_has_read_enough_is_told_nothing(node: RunningNode, arguments: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as pipe:
        command = [LEZHA, *arguments, "--home", str(node.home)]
        done = subprocess.run(command, stdout=pipe, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (1, b"")


@pytest.mark.parametrize("there", [False, True])
def test_a_node_that_is_not_made_leaves_the_folder_as_it_was(tmp_path: Path, there: bool) -> None:
    home = tmp_path / "new" / "node"
    if there:
        home.mkdir(parents=True)
    database = "postgresql+psycopg://nobody@127.0.0.1:1/none"
    named = ("--name", "x", "--endpoint", "https://192.0.2.1")
    done = lezha("init", *named, "--home", home, "--database", database)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1)
    assert list(tmp_path.rglob("*")) == ([tmp_path / "new", home] if there else [])


def test_an_invitation_that_is_used_up_is_called_that(pair: tuple[RunningNode, ...], tmp_path: Path) -> None:
    guest = RunningNode(tmp_path, "graz")
    try:
        guest.start()
        made = pair[0].post("/peers/invite", {"name": "graz"})
        assert lezha("peer", "accept", made["invitation"], "--home", guest.home).returncode == 0
        lezha("peer", "remove", "tirana", "--home", guest.home)
        done = lezha("peer", "accept", made["invitation"], "--home", guest.home)
    finally:
        guest.kill()
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"lezha: The node at https://127.0.0.1:{pair[0].link_port} says that this invitation is used up, withdrawn "
        "or expired: ask for a new one.\n"
    )
    pair[0].post("/peers/graz/remove", {})


def test_a_node_that_does_not_run_is_3(tmp_path: Path) -> None:
    stopped = RunningNode(tmp_path, "stopped")
    done = lezha("peer", "list", "--home", stopped.home)
    assert (done.returncode, done.stdout) == (3, "")
    assert f"The node at {stopped.url} can't be reached: is `lezha serve` running?" in done.stderr


def test_something_else_than_a_node_is_3(tmp_path: Path) -> None:
    token = tmp_path / "a.token"
    token.write_text("lzh_a_b")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Other) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        done = lezha("peer", "list", "--url", url, "--token-file", token)
        server.shutdown()
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == f"lezha: What answers at {url} is not a node of lezha.\n"


class _Other(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>Welcome to nginx!</html>")

    def log_message(self, *_: object) -> None: ...


def test_a_wrong_token_is_1(node: RunningNode, tmp_path: Path) -> None:
    token = tmp_path / "wrong.token"
    token.write_text("lzh_000000000000_" + "A" * 43)
    done = lezha("peer", "list", "--url", node.url, "--token-file", token)
    assert (done.returncode, done.stderr) == (1, "lezha: A valid token is needed.\n")


@pytest.mark.parametrize("raw", [b"", b"\xff\xfe\x00", b"two\nlines\n", b"x" * 10_000])
def test_a_file_that_holds_no_token_is_1(node: RunningNode, tmp_path: Path, raw: bytes) -> None:
    token = tmp_path / "no.token"
    token.write_bytes(raw)
    done = lezha("peer", "list", "--url", node.url, "--token-file", token)
    assert (done.returncode, done.stderr) == (
        1, f"lezha: {token} holds no token: `lezha token create` makes one.\n",
    )  # fmt: skip


# --- init and serve -------------------------------------------------------------------------------------------------


def init(home: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return lezha(
        "init", "--name", "tirana", "--endpoint", "https://192.0.2.10:8441", "--home", home, *options
    )


def test_a_new_node_keeps_its_secrets_from_others(tmp_path: Path) -> None:
    home = tmp_path / "node"
    done = init(home, "--json")
    assert set(json.loads(done.stdout)) == {"member", "home", "document"}
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    for path in home.rglob("*"):
        assert not path.stat().st_mode & 0o077, path
    kept = (home / "admin.token").read_text().strip().split("_", 2)[2]
    for path in home.rglob("*"):
        if path.is_file() and path.name != "admin.token":
            assert kept.encode() not in path.read_bytes(), path


def test_init_refuses_a_folder_that_is_not_empty(tmp_path: Path) -> None:
    (tmp_path / "thesis.odt").touch()
    done = init(tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "is not empty" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.odt"]


def test_init_refuses_a_file_and_a_node_that_is_there(tmp_path: Path, node: RunningNode) -> None:
    file = tmp_path / "file"
    file.touch()
    assert init(file).returncode == 1
    before = {path: path.read_bytes() for path in node.home.rglob("*.pem")}
    assert init(node.home).returncode == 1
    assert {path: path.read_bytes() for path in node.home.rglob("*.pem")} == before


def test_a_node_does_not_run_twice(node: RunningNode) -> None:
    done = lezha("serve", "--home", node.home)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert f"can't listen on 127.0.0.1:{node.port}" in line
    moved = (node.home / "lezha.toml").read_text()
    try:
        (node.home / "lezha.toml").write_text(
            re.sub(r'listen = "127.0.0.1:\d+"', 'listen = "127.0.0.1:0"', moved)
        )
        again = lezha("serve", "--home", node.home)
    finally:
        (node.home / "lezha.toml").write_text(moved)
    assert again.returncode == 1
    assert again.stderr == f"lezha: The node in {node.home} is running already.\n"
    assert node.alive


# --- tokens ---------------------------------------------------------------------------------------------------------


def test_a_token_goes_into_a_file_that_its_owner_alone_can_read_and_works_until_it_is_revoked(
    node: RunningNode, tmp_path: Path
) -> None:
    out = tmp_path / "analyst.token"
    create = [
        "token",
        "create",
        "analyst-1",
        "--role",
        "analyst",
        "--out",
        str(out),
        "--home",
        str(node.home),
    ]
    done = lezha(*create)
    assert (done.returncode, done.stdout) == (0, f"The token is in {out}.\n")
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    secret = out.read_text().strip()
    assert secret not in done.stdout + done.stderr
    assert lezha("objects", "search", "--url", node.url, "--token-file", out).returncode == 0
    refused = lezha("peer", "invite", "vienna", "--url", node.url, "--token-file", out)
    assert (refused.returncode, refused.stderr) == (
        1, "lezha: The token 'analyst-1' (analyst) may not do this.\n",
    )  # fmt: skip
    assert lezha(*create).returncode == 1, "it would overwrite a file"
    assert out.read_text().strip() == secret
    assert lezha("token", "revoke", "analyst-1", "--home", node.home).stdout == "analyst-1 is revoked.\n"
    gone = lezha("objects", "search", "--url", node.url, "--token-file", out)
    assert (gone.returncode, gone.stderr) == (1, "lezha: A valid token is needed.\n")


# --- what others wrote ----------------------------------------------------------------------------------------------


HOSTILE = "\x1b[2J\x1b]0;owned\x07 \x9b31m \u202etxt.exe [bold red]x[/wrong] [link=http://evil.example]y[/link] :smile:"


def test_a_hostile_name_is_shown_and_never_obeyed(node: RunningNode) -> None:
    hostile = indicator("hostile.example", name=HOSTILE)
    stix_id = json.loads(hostile)["id"]
    node.publish(bundle([hostile]), "everyone")
    for arguments in (["search", "--id", stix_id], ["show", stix_id]):
        for terminal in ({"FORCE_COLOR": "1", "COLUMNS": "400", "TERM": "xterm"}, {"NO_COLOR": "1"}):
            done = lezha("objects", *arguments, "--home", node.home, env={**os.environ, **terminal})
            assert done.returncode == 0, done.stderr
            shown = PLAIN.sub("", done.stdout + done.stderr)  # the colours of headings are ours
            assert not [letter for letter in shown if not letter.isprintable() and letter != "\n"]
            unfolded = " ".join(shown.split())
            assert "\\x1b[2J\\x1b]0;owned\\x07 \\x9b31m \\x202etxt.exe [bold red]x[/wrong]" in unfolded
            assert ":smile:" in unfolded
        raw = lezha("objects", *arguments, "--home", node.home, "--json").stdout
        assert not [letter for letter in raw if not letter.isprintable() and letter != "\n"]
        assert HOSTILE in _texts(json.loads(raw))


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for one in value.values() for text in _texts(one)]
    if isinstance(value, list):
        return [text for one in value for text in _texts(one)]
    return [value] if isinstance(value, str) else []


# --- JSON -----------------------------------------------------------------------------------------------------------


class Printed:
    """Run commands with --json and keep what each printed by its name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.done: dict[tuple[str, ...], Any] = {}

    def by(self, node: RunningNode, *arguments: str | Path) -> Any:
        return self.run(*arguments, "--home", node.home)

    def run(self, *arguments: str | Path) -> Any:
        result = lezha(*arguments, "--json")
        # Of `doctor` 1 says that there is something to do.
        assert result.returncode == 0 or (arguments[0], result.returncode) == ("doctor", 1), result
        name = tuple(map(str, arguments[: 2 if arguments[0] in _GROUPS else 1]))
        self.done[name] = json.loads(result.stdout)
        return self.done[name]


@pytest.mark.timeout(300)
def test_json_of_every_command_is_one_document_and_stdout_is_clean(
    pair: tuple[RunningNode, ...], tmp_path: Path
) -> None:
    here, guest, printed = pair[0], RunningNode(tmp_path, "vienna"), Printed(tmp_path)
    try:
        guest.start()
        _link_and_unlink(printed, here, guest)
        _found_a_community(printed, here)
        _publish_and_find(printed, here)
        _carry(printed, here, guest)
        _put_aside(printed, here, guest)
        _audit(printed, here, tmp_path)
        _policy(printed, here, tmp_path)
    finally:
        guest.kill()
    printed.run("init", "--name", "x", "--endpoint", "https://192.0.2.1", "--home", tmp_path / "new")
    _change_keys(printed, tmp_path / "new")
    _back_up_and_restore(printed, here)
    # The demonstration has a test of its own; the other two print nothing on stdout.
    for command, keys in documented().items():
        assert command == ("demo",) or set(printed.done[command]) == keys, command
    assert set(printed.done) | {("demo",), ("serve",), ("sensor",)} == set(COMMANDS)


def _carry(printed: Printed, here: RunningNode, guest: RunningNode) -> None:
    """Vienna has removed Tirana, and they meet anew."""
    made = printed.by(here, "peer", "invite", "vienna", "--again")
    there = printed.by(guest, "peer", "accept", made["invitation"])
    for node, name in ((here, "vienna"), (guest, "tirana")):
        printed.by(node, "peer", "confirm", name, "--phrase", there["phrase"])
    file, receipts = printed.folder / "carried", printed.folder / "receipts"
    assert printed.by(here, "carry", "write", "--peer", "vienna", "--after", "0", file)["records"] >= 1
    assert printed.by(guest, "carry", "read", file, "--receipts", receipts)[0]["peer"] == "tirana"
    assert printed.by(here, "carry", "read", receipts)[0]["kind"] == "receipt"
    assert printed.by(here, "isolate", "--status")["isolated"] is False


def _put_aside(printed: Printed, here: RunningNode, guest: RunningNode) -> None:
    broad = [
        indicator("broad", pattern=f"[ipv4-addr:value = '{net}.0.0.0/8']", created_by_ref=guest.member)
        for net in (11, 12)
    ]
    hostile = HostilePeer(here, guest)
    hostile.send(*((hostile.statement(raw), (raw,)) for raw in broad))
    one, other = (str(held["id"]) for held in printed.by(here, "quarantine", "list")["held"])
    assert printed.by(here, "quarantine", "show", one)["held"]["code"] == "too_broad"
    assert printed.by(here, "quarantine", "accept", one, "--why", "a test")["verdict"] == "accepted"
    assert printed.by(here, "quarantine", "reject", other, "--why", "a test")["verdict"] == "rejected"


def _change_keys(printed: Printed, home: Path) -> None:
    at = ("--home", home)
    root, new = ("--root-key", home / "keys" / "root.pem"), home / "keys" / "root-2.pem"
    assert printed.run("identity", "show", *at)["number"] == 1
    assert printed.run("identity", "renew", *root, "--phone", "+355", *at)["number"] == 2
    assert printed.run("identity", "rotate", "signing", *root, *at)["number"] == 3
    assert printed.run("identity", "switch", *at)["number"] == 3
    assert printed.run("identity", "replace-root", new, *at)["number"] == 4


def _policy(printed: Printed, here: RunningNode, folder: Path) -> None:
    file = folder / "policy.cedar"
    file.write_text("permit (principal, action, resource);")
    assert printed.by(here, "policy", "check", file)["permits"]
    assert printed.by(here, "policy", "show") == []
    assert "entity" in printed.run("policy", "schema")["schema"]


def _audit(printed: Printed, here: RunningNode, folder: Path) -> None:
    assert printed.by(here, "doctor")["findings"]
    checkpoint = folder / "tirana.checkpoint"
    made = printed.by(here, "audit", "checkpoint", "--out", checkpoint)
    assert made["member"] == here.member
    found = printed.by(here, "audit", "verify", "--checkpoint", checkpoint)
    assert (found["sound"], found["newest_outside"], found["findings"]) == (True, made["seq"], [])
    assert found["events"] > made["seq"]
    told = printed.by(here, "audit", "report", "--peer", "vienna", "--since", "90d")
    assert {one["kind"] for one in told} & {"roster", "statement"}, "whichever was numbered first"
    assert printed.by(here, "audit", "log", "--since", "1h")[-1]["kind"] == "audited"
    assert printed.by(here, "audit", "kept", "--peer", "podgorica", "--out", folder / "p.kept")["kept"] == 0


def _link_and_unlink(printed: Printed, here: RunningNode, guest: RunningNode) -> None:
    made = printed.by(here, "peer", "invite", "vienna")
    there = printed.by(guest, "peer", "accept", made["invitation"])
    assert printed.by(here, "peer", "phrase", "vienna")["phrase"] == there["phrase"]
    printed.by(here, "peer", "confirm", "vienna", "--phrase", there["phrase"])
    assert printed.by(here, "peer", "suspend", "vienna")["state"] == "suspended"
    assert printed.by(here, "peer", "resume", "vienna")["state"] == "active"
    assert printed.by(here, "peer", "clear", "vienna", "red")["clearance"] == "red"
    assert printed.by(here, "peer", "trust", "vienna", "propose")["trust"] == "propose"
    assert printed.by(here, "peer", "limit", "vienna", "1000")["hourly"] == 1000
    assert printed.by(guest, "peer", "remove", "tirana")["state"] == "removed"
    assert {one["name"] for one in printed.by(here, "peer", "list")} == {"podgorica", "vienna"}


def _found_a_community(printed: Printed, here: RunningNode) -> None:
    roster = printed.folder / "wb6.roster"
    printed.by(here, "community", "create", "wb6", "--member", "self", "--member", "vienna", "--out", roster)
    printed.by(here, "community", "sign", roster)
    printed.by(here, "community", "accept", roster)
    assert [one["name"] for one in printed.by(here, "community", "list")] == ["wb6"]
    assert printed.by(here, "constituent", "admit", "bank")["token"].startswith("lzh_")
    assert printed.by(here, "constituent", "renew", "bank")["name"] == "bank"
    assert printed.by(here, "constituent", "clear", "bank", "green")["clearance"] == "green"
    assert printed.by(here, "constituent", "suspend", "bank")["state"] == "suspended"
    assert printed.by(here, "constituent", "resume", "bank")["state"] == "active"
    assert [one["name"] for one in printed.by(here, "constituent", "list")] == ["bank"]
    assert printed.by(here, "community", "show", "wb6")["number"] == 1
    second = printed.folder / "wb6-2.roster"
    printed.by(here, "community", "revise", "wb6", "--add", "vienna=2999-03-31", "--out", second)
    changes = printed.by(here, "community", "show", second)["changes"]
    assert [(one["name"], one["after"]) for one in changes] == [("vienna", "2999-04-01T00:00:00.000000Z")]
    third = printed.folder / "wb6-3.roster"
    printed.by(here, "community", "revise", "wb6", "--remove", "vienna", "--add", "vienna", "--out", third)
    accepted = printed.by(here, "community", "accept", third, "--only", "self")
    assert {one["name"]: one["state"] for one in accepted["members"]} == {"tirana": "in", "vienna": "waiting"}
    assert not printed.by(here, "community", "approve", "wb6", "vienna")["conflicts"]
    token = printed.by(here, "token", "create", "visitor", "--role", "analyst")
    assert token["token"].startswith("lzh_")
    certificate = here.home.parent / "visitor.pem"
    certificate.write_text(certificate_of(pem(here.home.parent, "visitor-key")))
    printed.by(here, "token", "certificate", "visitor", str(certificate))
    printed.by(here, "token", "revoke", "visitor")
    listed = {one["name"]: one["state"] for one in printed.by(here, "token", "list")}
    assert (listed["admin"], listed["visitor"]) == ("valid", "revoked")


def _publish_and_find(printed: Printed, here: RunningNode) -> None:
    warning, raw = printed.folder / "warning.json", indicator("json.example")
    warning.write_bytes(bundle([raw]))
    published = printed.by(here, "publish", warning, "--tlp", "green", "--to", "wb6")
    assert (len(published["taken"]), published["dry_run"]) == (1, False)
    assert printed.by(here, "import", warning)["unchanged"] == 1
    assert printed.by(here, "export", "--out", printed.folder / "all.json")["objects"] > 0
    found = printed.by(here, "objects", "search", "json.example")
    assert [one["id"] for one in found["objects"]] == [json.loads(raw)["id"]]
    printed.by(here, "objects", "show", json.loads(raw)["id"])
    assert printed.by(here, "objects", "about", "json.example")["kind"] == "domain"
    _explain_and_tear(printed, here, json.loads(raw)["id"])
    recalled = printed.by(here, "recall", json.loads(raw)["id"], "--why", "a test")
    assert recalled["recalled"]
    assert not recalled["dry_run"]
    assert printed.by(here, "store", "check")["sound"]
    assert printed.by(here, "store", "retention", "--dry-run")["rules"] == []
    assert printed.by(here, "store", "purge", json.loads(raw)["id"], "--why", "a test")["versions"] == 1
    assert printed.by(here, "objects", "search", "json.example")["objects"] == []


def _explain_and_tear(printed: Printed, here: RunningNode, stix_id: str) -> None:
    assert printed.by(here, "release", "explain", stix_id)["id"] == stix_id
    assert printed.by(here, "release", "gaps", "--since", "1d")["peers"]
    own = printed.folder / "own.json"
    raw = indicator("torn.example", created_by_ref=here.member)
    own.write_bytes(bundle([raw]))
    printed.by(here, "publish", own, "--tlp", "amber", "--to", "wb6")
    original = json.loads(raw)["id"]
    torn = printed.by(here, "release", "tearline", original, "--tlp", "green", "--to", "everyone")
    assert (torn["original"], torn["dry_run"]) == (original, False)


def _back_up_and_restore(printed: Printed, here: RunningNode) -> None:
    key, file, home = printed.folder / "backup.key", printed.folder / "x.age", printed.folder / "restored"
    recipient = printed.run("backup", "keygen", "--out", key)["recipient"]
    made = printed.by(here, "backup", "create", file, "--recipient", recipient)
    assert made["rows"] == printed.run("backup", "check", file, "--identity-file", key)["rows"]
    restored = printed.run("restore", file, "--home", home, "--identity-file", key)
    assert (restored["member"], restored["rows"]) == (here.member, made["rows"])


def documented() -> dict[tuple[str, ...], set[str]]:
    """Read the table of docs/getting-started.md that tells what each command's document has."""
    text = (ROOT / "docs" / "getting-started.md").read_text()
    rows = re.findall(r"^\| `lezha ([\w ]+)` \| ([^|(]+)", text, re.MULTILINE)
    found = {tuple(command.split()): set(re.findall(r"`(\w+)`", cell)) for command, cell in rows}
    assert len(found) > 8
    return found


_GROUPS = {path[0] for path in COMMANDS if len(path) == 2}
