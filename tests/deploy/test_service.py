"""The systemd unit: systemd can read it, it keeps a node in, and a node does its work within what it allows.

There is no systemd to run it in tests. What the unit forbids is compared with what a node at work does: its system
calls, the files that it opens for writing, and memory that is both written and run.
"""

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from tests.battery.nodes import LEZHA, RunningNode, bundle, indicator, link, until
from tests.conftest import ROOT

UNIT: Final = ROOT / "deploy" / "lezha.service"
_CALL: Final = re.compile(r"^\d+ +(?:<\.\.\. )?(\w+)[( ]")
_WRITES: Final = re.compile(r'^\d+ +openat\([^,]+, "([^"]+)", [^)]*\bO_(?:WRONLY|RDWR|CREAT)')


def analyzed(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *words], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """Return the unit with the path of the program on this machine."""
    text = UNIT.read_text()
    assert "/opt/lezha/bin/lezha serve" in text
    path = tmp_path / "lezha.service"
    path.write_text(text.replace("/opt/lezha/bin/lezha", LEZHA))
    return path


@pytest.mark.needs("systemd-analyze")
def test_systemd_finds_nothing_wrong_with_the_unit(unit: Path) -> None:
    done = analyzed("verify", str(unit))
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.needs("systemd-analyze")
def test_the_unit_exposes_little(unit: Path) -> None:
    done = analyzed("security", "--offline=true", "--threshold=15", str(unit))  # 1.5 of 10
    assert done.returncode == 0, done.stdout


# --- what a node does -------------------------------------------------------------------------------------------


def calls_of(name: str) -> Iterator[str]:
    """Give the system calls of one of systemd's sets."""
    for line in analyzed("syscall-filter", name).stdout.splitlines()[1:]:
        word = line.strip()
        if word.startswith("@"):
            yield from calls_of(word)
        elif word and not word.startswith("#"):
            yield word


def allowed() -> set[str]:
    """Return the system calls that the unit allows."""
    found: set[str] = set()
    for value in re.findall(r"^SystemCallFilter=(.*)$", UNIT.read_text(), re.MULTILINE):
        named = {call for name in value.lstrip("~").split() for call in calls_of(name)}
        found = found - named if value.startswith("~") else found | named
    return found


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the system calls of a node that starts, is linked, publishes, receives, is measured and stops."""
    folder = tmp_path_factory.mktemp("trace")
    tirana, podgorica = RunningNode(folder, "tirana"), RunningNode(folder, "podgorica")
    path = folder / "calls"
    try:
        tirana.spawn("strace", "-f", "-qq", "-o", str(path))
        podgorica.start()
        tirana.ready()
        link(tirana, podgorica)
        for one, other in ((tirana, podgorica), (podgorica, tirana)):
            raw = bundle([indicator(f"{one.name}.example")])
            assert one.call("POST", "/publish", raw, {"tlp": "clear", "to": "everyone"}).status == 200
            until(lambda: other.counts()["statements"] >= 1, 30)  # noqa: B023  # asked now
        tirana.get("/objects")
        assert tirana.process is not None
        pid = int(
            Path(f"/proc/{tirana.process.pid}/task/{tirana.process.pid}/children").read_text().split()[0]
        )
        os.kill(pid, signal.SIGTERM)
        assert tirana.process.wait(timeout=30) == 0
        tirana.process = None
    finally:
        for node in (tirana, podgorica):
            if node.process is not None:
                node.kill()
    return path.read_text(errors="replace")


@pytest.mark.needs("strace", "systemd-analyze")
def test_a_node_makes_no_system_call_that_the_unit_forbids(trace: str) -> None:
    made = {found[1] for line in trace.splitlines() if (found := _CALL.match(line))}
    assert {"openat", "fdatasync", "accept4", "sendto"} & made
    # As root, and as root alone, SQLite gives its files to the owner of the database.
    as_root = {"fchown"} if os.geteuid() == 0 else set()
    assert made - allowed() - as_root == set()


@pytest.mark.needs("strace")
def test_a_node_opens_no_socket_of_a_family_that_the_unit_forbids(trace: str) -> None:
    told = re.search(r"^RestrictAddressFamilies=(.*)$", UNIT.read_text(), re.MULTILINE)
    assert told
    opened = set(re.findall(r"\bsocket\((AF_\w+)", trace))
    assert {"AF_INET"} <= opened <= set(told[1].split())


@pytest.mark.needs("strace")
def test_a_node_writes_nowhere_but_in_its_folder(
    trace: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    opened = {found[1] for line in trace.splitlines() if (found := _WRITES.match(line))}
    assert any(path.endswith("lezha.db") for path in opened)
    elsewhere = {path for path in opened if "/tirana/" not in path and not path.startswith("/dev/")}
    assert {path for path in elsewhere if not path.endswith(".pyc") and "/__pycache__/" not in path} == set()


@pytest.mark.needs("strace")
def test_a_node_has_no_memory_that_is_both_written_and_run(trace: str) -> None:
    assert [line for line in trace.splitlines() if re.search(r"PROT_WRITE\S*PROT_EXEC", line)] == []


# --- readiness and the end --------------------------------------------------------------------------------------


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """Return the socket on which a service manager listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.settimeout(30)
        yield sock


def test_it_says_that_it_is_ready_when_both_listeners_answer_and_that_it_stops(
    tmp_path: Path, manager: socket.socket
) -> None:
    node = RunningNode(tmp_path, "tirana")
    node.spawn(environment={"NOTIFY_SOCKET": str(tmp_path / "notify")})
    try:
        assert manager.recv(100) == b"READY=1"
        for port in (node.port, node.link_port):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
    finally:
        assert node.stop() == 0
    assert manager.recv(100) == b"STOPPING=1"


def test_a_node_that_can_not_start_never_says_that_it_is_ready(
    tmp_path: Path, manager: socket.socket
) -> None:
    node = RunningNode(tmp_path, "tirana")
    (node.home / "keys" / "signing.pem").unlink()
    node.spawn(environment={"NOTIFY_SOCKET": str(tmp_path / "notify")})
    assert node.process is not None
    assert node.process.wait(timeout=30) == 1
    node.process = None
    manager.settimeout(0.1)
    with pytest.raises(TimeoutError):
        manager.recv(100)


def test_a_page_that_is_open_does_not_hold_up_the_end(tmp_path: Path) -> None:
    node = RunningNode(tmp_path, "tirana")
    node.start()
    with socket.create_connection(("127.0.0.1", node.port), timeout=10) as page:
        head = f"GET /live HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {node.token}\r\n\r\n"
        page.sendall(head.encode())
        assert b"200 OK" in page.recv(100)
        begun = time.monotonic()
        assert node.stop() == 0
        wanted = re.search(r"^TimeoutStopSec=(\d+)$", UNIT.read_text(), re.MULTILINE)
        assert wanted
        assert time.monotonic() - begun < int(wanted[1]) / 2


def test_without_a_service_manager_nobody_is_told(tmp_path: Path) -> None:
    node = RunningNode(tmp_path, "tirana")
    node.spawn(environment={"NOTIFY_SOCKET": str(tmp_path / "nobody")})
    node.ready()
    assert node.stop() == 0
    assert {one["state"] for one in node.logged("service.not_told")} == {"READY=1", "STOPPING=1"}
