"""A constituent over HTTP and at the command line, with a real node."""

import json
import sqlite3
import stat
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.battery.nodes import RunningNode, bundle, indicator, lezha, running


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    running = RunningNode(tmp_path_factory.mktemp("constituents"), "tirana")
    try:
        running.start()
        yield running
    finally:
        running.kill()


def view(node: RunningNode, token: Path, **query: str) -> Any:
    answer = node.call("GET", "/view", query=query, token=token.read_text().strip())
    assert answer.status == 200, answer
    return answer.json()


def test_a_ministry_is_admitted_receives_and_loses_its_token(node: RunningNode, tmp_path: Path) -> None:
    out, again = tmp_path / "ministry.token", tmp_path / "again.token"
    home = ("--home", str(node.home))
    done = lezha(
        "constituent", "admit", "ministry", "--title", "Ministry of Finance", "--out", str(out), *home
    )
    assert (done.returncode, done.stdout) == (0, f"The token is in {out}.\n")
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert view(node, out) == {
        "rows": [],
        "head": 0,
        "more": False,
        "incarnation": view(node, out)["incarnation"],
    }
    node.publish(bundle([indicator("ministry.example")]), "everyone")
    found = view(node, out)
    assert [row["object"]["name"] for row in found["rows"]] == ["ministry.example"]
    assert view(node, out, after=str(found["head"]))["rows"] == []
    assert view(node, out, after="0", limit="1")["rows"] == found["rows"]

    listed = lezha("constituent", "list", "--json", *home)
    [one] = json.loads(listed.stdout)
    assert (one["name"], one["title"], one["clearance"], one["state"]) == (
        "ministry", "Ministry of Finance", "amber", "active",
    )  # fmt: skip
    assert lezha("constituent", "clear", "ministry", "red", *home).returncode == 1
    narrowed = lezha("constituent", "clear", "ministry", "clear", *home)
    assert narrowed.stdout == "ministry is active, and receives up to TLP:CLEAR.\n"
    assert [row["kind"] for row in view(node, out)["rows"]] == ["nothing"]
    lezha("constituent", "clear", "ministry", "amber", *home)
    suspended = lezha("constituent", "suspend", "ministry", *home)
    assert suspended.stdout == "ministry is suspended, and receives up to TLP:AMBER.\n"
    assert view(node, out)["rows"] == []
    assert lezha("constituent", "resume", "ministry", *home).returncode == 0

    assert lezha("constituent", "renew", "ministry", "--out", str(again), *home).returncode == 0
    assert node.call("GET", "/view", token=out.read_text().strip()).status == 401
    assert view(node, again)["rows"] == found["rows"]


def test_a_constituent_reads_nothing_of_a_policy_that_can_t_be_used(tmp_path: Path) -> None:
    """As when a process of another version put it into force."""
    with running(tmp_path, "tirana") as (node,):
        out = tmp_path / "bank.token"
        assert lezha("constituent", "admit", "bank", "--out", out, "--home", node.home).returncode == 0
        node.publish(bundle([indicator("bank.example")]), "everyone")
        with closing(sqlite3.connect(node.home / "lezha.db", timeout=10)) as conn, conn:
            bad = (1 << 40, "0" * 64, 'forbid (principal == Member::"secret"', "2026-01-01T00:00:00.000000Z")
            conn.execute("INSERT INTO policies (seq, hash, text, at) VALUES (?, ?, ?, ?)", bad)
        answer = node.call("GET", "/view", token=out.read_text().strip())
        assert (answer.status, answer.json()) == (
            503, {"title": "This node can't give anything out now. Ask again later; nothing is lost."},
        )  # fmt: skip
        [logged] = node.logged("view.failed")
        assert logged["constituent"] == "bank"
        assert "The national policy in force can't be used" in logged["reason"]


def test_a_constituent_may_ask_for_its_view_and_for_nothing_else(node: RunningNode, tmp_path: Path) -> None:
    out = tmp_path / "bank.token"
    assert lezha("constituent", "admit", "bank", "--out", str(out), "--home", str(node.home)).returncode == 0
    token = out.read_text().strip()
    for method, path in (("GET", "/objects"), ("GET", "/export"), ("GET", "/status"), ("POST", "/publish")):
        assert node.call(method, path, b"{}" if method == "POST" else None, token=token).status == 403
    assert node.call("GET", "/view", query={"after": "-1"}, token=token).status == 400
    assert node.call("GET", "/view", query={"afer": "1"}, token=token).status == 400


def test_a_token_that_ends_while_its_request_waits_is_given_nothing_more(
    node: RunningNode, tmp_path: Path
) -> None:
    home = ("--home", str(node.home))
    school, zeek = tmp_path / "school.token", tmp_path / "zeek.token"
    assert lezha("constituent", "admit", "school", "--out", str(school), *home).returncode == 0
    made = lezha("token", "create", "zeek", "--role", "sensor", *home)
    zeek.write_text(made.stdout.split()[-1])

    def waits(path: str, token: str) -> int:
        head = node.call("GET", path, token=token).json()["head"]
        answer = node.call("GET", path, query={"after": str(head), "wait": "20"}, token=token)
        return answer.status

    with ThreadPoolExecutor() as pool:
        asked = [
            pool.submit(waits, path, token.read_text().strip())
            for path, token in (("/view", school), ("/sensor/indicators", zeek))
        ]
        time.sleep(1)
        assert lezha("constituent", "renew", "school", "--out", str(tmp_path / "new"), *home).returncode == 0
        assert lezha("token", "revoke", "zeek", *home).returncode == 0
        node.publish(bundle([indicator("late.example")]), "everyone")
        assert [one.result() for one in asked] == [401, 401]


def test_a_token_for_a_constituent_is_not_made_apart_from_it(node: RunningNode) -> None:
    done = lezha("token", "create", "bank-2", "--role", "constituent", "--home", str(node.home))
    assert (done.returncode, done.stderr) == (
        1, "lezha: A constituent gets its token when it is admitted: `lezha constituent admit`.\n",
    )  # fmt: skip


def test_the_clearance_of_a_peer_that_there_is_not(node: RunningNode) -> None:
    done = lezha("peer", "clear", "atlantis", "red", "--home", str(node.home))
    assert (done.returncode, done.stderr) == (
        1, "lezha: There is no peer 'atlantis': `lezha peer list` shows those there are.\n",
    )  # fmt: skip
