"""Several processes of one node: one leads, the others serve people, and each shows what the others did."""

import http.client
import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest
from tests.battery.nodes import RunningNode, bundle, free_port, indicator, lezha, link, running, until

from lezha.cli.node import make
from lezha.federation.document import Contact
from lezha.node.identity import new_member
from lezha.node.settings import Settings

pytestmark = pytest.mark.needs("postgres")
PATIENCE_S = 30


@contextmanager
def desk(node: RunningNode, folder: Path) -> Iterator[RunningNode]:
    """Run a process for people of a node that runs already."""
    made = node.desk(folder)
    try:
        made.start()
        yield made
    finally:
        if made.process is not None:
            made.kill()


@contextmanager
def ask(
    node: RunningNode, method: str, path: str, form: dict[str, str] | None = None, cookie: str = ""
) -> Iterator[http.client.HTTPResponse]:
    """Ask for a page as a browser does."""
    headers = {"Accept": "text/html", "Origin": node.url, "Cookie": cookie}
    body = None if form is None else urllib.parse.urlencode(form)
    if body is not None:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    with closing(http.client.HTTPConnection(f"127.0.0.1:{node.port}", timeout=20)) as connection:
        connection.request(method, path, body, headers)
        with connection.getresponse() as answer:
            yield answer


def sign_in(node: RunningNode, token: str = "") -> str:
    with ask(node, "POST", "/sign-in", {"token": token or node.token, "next": "/"}) as answer:
        return str(answer.headers["Set-Cookie"]).partition(";")[0]


def status(node: RunningNode, path: str, cookie: str) -> int:
    with ask(node, "GET", path, cookie=cookie) as answer:
        answer.read()
        return answer.status


def page(node: RunningNode, path: str, cookie: str) -> str:
    with ask(node, "GET", path, cookie=cookie) as answer:
        assert answer.status == 200
        return answer.read().decode()


def test_what_is_done_at_a_desk_goes_to_peers_and_what_comes_is_shown_there(
    tmp_path: Path, postgres_databases: Callable[[], str]
) -> None:
    with (
        running(tmp_path, "tirana", "podgorica", database=postgres_databases) as (node, peer),
        desk(node, tmp_path) as other,
    ):
        other.publish(bundle([indicator("from-a-desk.example")]), "podgorica")
        until(lambda: peer.count("statements") == 1, PATIENCE_S)
        until(lambda: other.peer(peer)["queued"] == 0, PATIENCE_S)
        report = other.peer(peer)
        assert (report["delivered"], report["phase"], bool(report["last_receipt"])) == (
            1,
            "elsewhere",
            True,
        )
        refused = other.call("GET", "/peers/podgorica/latencies")
        assert (refused.status, "process that runs the links" in refused.json()["title"]) == (422, True)
        cookie = sign_in(other)
        shown = page(other, "/peers", cookie)
        assert "not known here" in shown
        assert "known to the process that runs the links" in shown

        peer.publish(bundle([indicator("to-a-desk.example")]), "tirana")
        until(lambda: len(other.get("/objects", text="to-a-desk")["objects"]) == 1, PATIENCE_S)


def test_a_peer_that_is_enrolled_elsewhere_is_a_member_at_every_desk(
    tmp_path: Path, postgres_databases: Callable[[], str]
) -> None:
    with (
        running(tmp_path, "tirana", database=postgres_databases) as (node,),
        running(tmp_path, "podgorica") as (peer,),
        desk(node, tmp_path) as other,
    ):
        link(node, peer)
        until(lambda: other.call("GET", "/peers").json()[0]["state"] == "active", PATIENCE_S)
        draft = other.call(
            "POST", "/publish", bundle([indicator("x.example")]), {"tlp": "amber", "to": "podgorica"}
        )
        assert draft.status == 200, draft


def test_a_peer_can_be_enrolled_at_a_desk(tmp_path: Path, postgres_databases: Callable[[], str]) -> None:
    with (
        running(tmp_path, "tirana", database=postgres_databases) as (node,),
        running(tmp_path, "podgorica") as (peer,),
        desk(node, tmp_path) as other,
    ):
        link(other, peer)
        other.publish(bundle([indicator("x.example")]), "podgorica")
        until(lambda: peer.count("statements") == 1, PATIENCE_S)


def test_pages_of_a_desk_are_live(tmp_path: Path, postgres_databases: Callable[[], str]) -> None:
    with (
        running(tmp_path, "tirana", database=postgres_databases) as (node,),
        desk(node, tmp_path) as other,
        ask(other, "GET", "/live?page=desk", cookie=sign_in(other)) as answer,
    ):
        while b"beat" not in answer.readline():
            pass
        node.publish(bundle([indicator("live.example")]), "everyone")
        end = time.monotonic() + PATIENCE_S
        while b"live.example" not in answer.readline():
            assert time.monotonic() < end, "the page did not show it"


def test_a_session_goes_from_process_to_process_and_over_a_restart(
    tmp_path: Path, postgres_databases: Callable[[], str]
) -> None:
    with running(tmp_path, "tirana", database=postgres_databases) as (node,), desk(node, tmp_path) as other:
        made = node.post("/tokens", {"name": "officer", "role": "analyst"})
        cookie, second = sign_in(node, made["token"]), sign_in(other, made["token"])
        assert [status(one, "/", which) for one in (node, other) for which in (cookie, second)] == [200] * 4
        assert node.stop() == 0
        node.start()
        assert status(node, "/", cookie) == 200
        secret = cookie.partition("=")[2]
        assert secret.encode() not in json.dumps(node.rows("SELECT digest, token FROM sessions")).encode()
        with ask(other, "POST", "/sign-out", {}, cookie=cookie):
            pass
        assert [status(one, "/", cookie) for one in (node, other)] == [303, 303]
        node.post("/tokens/officer/revoke", {})
        assert [status(one, "/", second) for one in (node, other)] == [303, 303]


def test_a_desk_goes_on_while_no_process_leads(tmp_path: Path, postgres_databases: Callable[[], str]) -> None:
    with running(tmp_path, "tirana", database=postgres_databases) as (node,), desk(node, tmp_path) as other:
        node.kill()
        other.publish(bundle([indicator("alone.example")]), "everyone")
        node.start()
        assert len(node.get("/objects", text="alone")["objects"]) == 1
        assert other.stop() == 0


def test_a_node_whose_connections_are_all_cut_goes_on_and_leads(
    tmp_path: Path, postgres_databases: Callable[[], str]
) -> None:
    with (
        running(tmp_path, "tirana", "podgorica", database=postgres_databases) as (node, peer),
        desk(node, tmp_path) as other,
    ):
        for number in range(3):
            with psycopg.connect(node.database.replace("+psycopg", ""), autocommit=True) as server:
                server.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            for one in (node, other):
                one.publish(bundle([indicator(f"n{number}.example")]), "podgorica")
        until(lambda: peer.count("statements") == 6, PATIENCE_S)
        until(lambda: node.logged("store.lead_lock_lost")[-1:] != [], PATIENCE_S)
        assert node.logged("store.lead_lock_lost")[-1]["held_again"]
        refused = lezha("serve", "--home", _elsewhere(node, tmp_path / "second"))
        assert (refused.returncode, "Another process runs this node's links" in refused.stderr) == (1, True)
        assert other.alive


def _elsewhere(node: RunningNode, home: Path) -> Path:
    """Copy a node's folder as to another machine, where its addresses are free."""
    shutil.copytree(node.home, home)
    text = (home / "lezha.toml").read_text()
    for port in (node.port, node.link_port):
        text = text.replace(f'"127.0.0.1:{port}"', f'"127.0.0.1:{free_port()}"')
    (home / "lezha.toml").write_text(text)
    return home


def test_a_leader_that_is_superseded_says_so_and_is_gone_at_once(
    tmp_path: Path, postgres_databases: Callable[[], str]
) -> None:
    with running(tmp_path, "tirana", database=postgres_databases) as (node,):
        assert node.process is not None
        with ask(
            node, "GET", "/live?page=desk", cookie=sign_in(node)
        ):  # its reader must not keep the process
            with psycopg.connect(node.database.replace("+psycopg", ""), autocommit=True) as server:
                server.execute("UPDATE sequencer SET epoch = epoch + 1")  # as another leader does
            assert node.process.wait(timeout=5) == 1
        node.process = None
        assert "Another process has taken the lead of this node" in node.log.read_text()
        assert node.logged("store.superseded")


def test_a_database_with_a_node_in_it_is_refused_to_another_one(postgres_url: str, tmp_path: Path) -> None:
    def init(name: str) -> subprocess.CompletedProcess[str]:
        at = ("--endpoint", "https://127.0.0.1:1", "--home", tmp_path / name)
        return lezha("init", "--name", name, *at, "--database", postgres_url)

    assert init("one").returncode == 0
    second = init("two")
    assert (second.returncode, "The database is not empty" in second.stderr) == (1, True)
    assert not (tmp_path / "two" / "lezha.toml").exists()


def test_without_psycopg_it_is_said_what_to_install(tmp_path: Path) -> None:
    hidden = (
        "import sys; sys.modules['psycopg'] = None; from lezha.cli import main; sys.argv[0] = 'lezha'; main()"
    )
    command = [sys.executable, "-c", hidden, "init", "--name", "x", "--endpoint", "https://127.0.0.1:1"]
    done = subprocess.run(
        [*command, "--home", tmp_path / "x", "--database", "postgresql+psycopg:///x"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "pip install 'lezha[postgres]'" in done.stderr) == (1, True), done.stderr
    assert ".venv/bin/pip install -e '.[postgres]'" in done.stderr


def test_a_password_is_in_no_log_of_a_node_whose_database_goes_away(
    tmp_path: Path, postgres_url: str
) -> None:
    url = postgres_url + "&password=hunter2"
    settings = Settings(
        new_member(), "x", f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}", "https://x:1", url
    )
    make(tmp_path / "x", settings, "X", Contact())
    gone = url.replace("host=", "host=/nowhere")
    (tmp_path / "x" / "lezha.toml").write_text((tmp_path / "x" / "lezha.toml").read_text().replace(url, gone))
    done = lezha("serve", "--home", tmp_path / "x")
    assert (done.returncode, "The database can't be opened" in done.stderr) == (1, True), done.stderr
    assert "hunter2" not in done.stderr + done.stdout


def test_an_address_that_is_taken_is_said_before_anything_else(tmp_path: Path) -> None:
    with running(tmp_path, "tirana") as (node,), socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        done = lezha("serve", "--home", node.home, "--people-only", "--listen", listen)
        assert (done.returncode, f"can't listen on {listen}" in done.stderr) == (1, True)
