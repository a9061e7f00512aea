"""A whole node on PostgreSQL: one process that leads, others for people; published here, received there."""

import json
import os
import signal
import subprocess
import sys
import tomllib
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.battery.nodes import bundle, free_port, indicator, lezha, running, until

pytestmark = pytest.mark.needs("postgres")


@pytest.fixture
def home(tmp_path: Path, postgres_url: str) -> Path:
    """A new node on PostgreSQL."""
    folder = tmp_path / "tirana"
    ports = free_port(), free_port()
    done = lezha(
        "init", "--name", "tirana", "--home", folder, "--database", postgres_url,
        "--endpoint", f"https://127.0.0.1:{ports[1]}", "--listen", f"127.0.0.1:{ports[0]}",
        "--link-listen", f"127.0.0.1:{ports[1]}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not (folder / "lezha.db").exists()
    return folder


@contextmanager
def serving(home: Path, *more: object) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "lezha.cli", "serve", "--home", str(home), *map(str, more)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)


def ask(home: Path, listen: str, path: str, body: bytes | None = None) -> Any:
    token = (home / "admin.token").read_text().strip()
    url = f"http://{listen}/api/v1{path}"
    request = urllib.request.Request(url, body, {"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.loads(answer.read())


def answers(home: Path, listen: str) -> bool:
    try:
        ask(home, listen, "/status")
    except OSError:
        return False
    return True


def listens(home: Path) -> str:
    return str(tomllib.loads((home / "lezha.toml").read_text())["listen"])


def test_what_one_process_takes_all_others_show_at_once(home: Path) -> None:
    second = f"127.0.0.1:{free_port()}"
    with serving(home):
        until(lambda: answers(home, listens(home)), 20)
        with serving(home, "--people-only", "--listen", second):
            until(lambda: answers(home, second), 20)
            for number, listen in enumerate((listens(home), second) * 5):
                raw = bundle([indicator(f"n{number}.example")])
                assert ask(home, listen, "/objects", raw)["new"] == 1
            for listen in (listens(home), second):
                assert len(ask(home, listen, "/objects?type=indicator")["objects"]) == 10
    assert lezha("store", "check", "--home", home).returncode == 0


def test_only_one_process_leads_and_another_may_when_it_is_gone(home: Path) -> None:
    with serving(home) as first:
        until(lambda: answers(home, listens(home)), 20)
        copy = home.with_name("copy")
        subprocess.run(["cp", "-r", home, copy], check=True)
        (copy / "lezha.toml").write_text(
            (copy / "lezha.toml").read_text().replace(listens(home), f"127.0.0.1:{free_port()}")
            .replace('link_listen = "127.0.0.1:', 'link_listen = "127.0.0.2:')
        )  # fmt: skip
        refused = lezha("serve", "--home", copy)
        assert (refused.returncode, "Another process runs this node's links" in refused.stderr) == (1, True)
        os.kill(first.pid, signal.SIGKILL)
        first.wait(10)
        with serving(copy):
            until(lambda: answers(copy, listens(copy)), 20)


def test_several_processes_need_postgresql(tmp_path: Path) -> None:
    with running(tmp_path, "tirana") as (node,):
        refused = lezha("serve", "--home", node.home, "--people-only", "--listen", f"127.0.0.1:{free_port()}")
        assert (refused.returncode, "need PostgreSQL" in refused.stderr) == (1, True)


def test_a_database_that_can_t_be_used_is_said_without_its_password(tmp_path: Path) -> None:
    url = "postgresql+psycopg://officer:hunter2@127.0.0.1:1/lezha?password=hunter3"
    done = lezha(
        "init",
        "--name",
        "x",
        "--endpoint",
        "https://127.0.0.1:1",
        "--home",
        tmp_path / "x",
        "--database",
        url,
    )
    assert (done.returncode, "can't be used" in done.stderr) == (1, True)
    assert "hunter" not in done.stdout + done.stderr
    assert not (tmp_path / "x").exists()
