"""Ctrl-C, whenever it comes: a short line, exit code 130, no traceback, nothing half-done."""

import fcntl
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from tests.battery.nodes import LEZHA, RunningNode, bundle, indicator, lezha, until

TOLD = (130, b"", b"lezha: interrupted\n")
_STALLED = """
import os, time
open(os.environ["LEZHA_TEST_LOADING"], "w").close()
time.sleep(60)
"""


def ended(process: subprocess.Popen[bytes]) -> tuple[int, bytes, bytes]:
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    return process.returncode, out or b"", err


def start(*arguments: str | Path, **options: object) -> subprocess.Popen[bytes]:
    """Start a command and return while its modules are being loaded, its own code being in place."""
    everything = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    process = subprocess.Popen([LEZHA, *map(str, arguments)], **everything)  # type: ignore[call-overload]  # by name
    until(lambda: b"msgspec" in Path(f"/proc/{process.pid}/maps").read_bytes(), 20)
    return process  # type: ignore[no-any-return]  # as above


@pytest.mark.parametrize("arguments", [["--help"], ["peer", "list"], ["serve"]], ids=lambda words: words[0])
def test_while_modules_load_it_ends_at_once(tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / "typer.py").write_text(_STALLED)
    loading = tmp_path / "loading"
    path = f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}".rstrip(":")
    environment = {**os.environ, "PYTHONPATH": path, "LEZHA_TEST_LOADING": str(loading)}
    process = subprocess.Popen(
        [LEZHA, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    )
    until(loading.exists, 20)
    assert ended(process) == TOLD


@pytest.fixture(scope="module")
def resting(tmp_path_factory: pytest.TempPathFactory) -> RunningNode:
    """A node with some objects, which does not run."""
    node = RunningNode(tmp_path_factory.mktemp("resting"), "tirana")
    node.start()
    node.post("/objects", bundle(indicator(f"{number}.example") for number in range(1000)))
    node.stop()
    return node


@pytest.fixture(scope="module")
def recipient(tmp_path_factory: pytest.TempPathFactory) -> str:
    return lezha("backup", "keygen", "--out", tmp_path_factory.mktemp("key") / "key").stdout.strip()


@pytest.mark.parametrize("after_s", [0, 0.1, 0.3, 0.5])
@pytest.mark.parametrize("command", ["store check", "backup create"])
def test_at_any_moment_a_command_ends_or_has_come_to_its_end(
    resting: RunningNode, recipient: str, tmp_path: Path, command: str, after_s: float
) -> None:
    what = ["--recipient", recipient, str(tmp_path / "x.age")] if command == "backup create" else []
    process = start(*command.split(), *what, "--home", resting.home)
    time.sleep(after_s)
    code, out, err = ended(process)
    assert (code == 0) or (code, out, err) == TOLD
    assert b"Traceback" not in err
    assert [path.name for path in tmp_path.iterdir()] == (["x.age"] if code == 0 and what else [])


def test_a_backup_that_nobody_reads_ends(resting: RunningNode, recipient: str) -> None:
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    with os.fdopen(reading, "rb"):
        arguments = ("backup", "create", "-", "--recipient", recipient, "--home", resting.home)
        process = start(*arguments, stdout=writing)
        os.close(writing)
        until(
            lambda: "pipe_write" in Path(f"/proc/{process.pid}/wchan").read_text() or _sleeps(process.pid), 20
        )
        assert ended(process) == TOLD


def _sleeps(pid: int) -> bool:
    """Say whether a process has used no time for a while."""
    stat = Path(f"/proc/{pid}/stat")
    before = stat.read_text().split()[13:15]
    time.sleep(0.3)
    return stat.read_text().split()[13:15] == before
