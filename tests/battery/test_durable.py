"""An acknowledgement means that it is on disk: seen in the system calls of a real node."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.battery.nodes import bundle, indicator, lezha

pytestmark = pytest.mark.needs("strace")

# Publishes in a process of its own, and says on stdout, by one write, that it is acknowledged.
PUBLISHES = """
import os, sys
from lezha.federation import members
from lezha.flows import ingest
from lezha.node.clock import utc_now
from lezha.store import engine
from lezha.store.log import Log
import asyncio

def patched(connection, cache, plain=engine._pragmas):
    plain(connection, cache)
    if len(sys.argv) > 3:
        connection.execute(f"PRAGMA {sys.argv[3]}")

engine._pragmas = patched
log = Log(sys.argv[1], utc_now)
raw = open(sys.argv[2], "rb").read()
for turn in range(3):
    os.write(1, b"BEGIN\\n")
    asyncio.run(ingest.take(log, members.known([]), "identity--x", raw.replace(b"TURN", b"%04d" % turn), "test"))
    os.write(1, b"ACKNOWLEDGED\\n")
log.close()
"""


def traced(folder: Path, url: str, *pragma: str) -> list[str]:
    """Return the system calls that matter, in order: writes of the log's files, syncs, and what was said."""
    (folder / "in.json").write_bytes(bundle([indicator("turn-TURN.example")]))
    out = folder / "trace"
    command = ["strace", "-f", "-y", "-o", str(out), "-e", "trace=write,pwrite64,fdatasync,fsync,sendto"]
    program = [sys.executable, "-c", PUBLISHES, url, str(folder / "in.json"), *pragma]
    done = subprocess.run([*command, *program], capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    return out.read_text(errors="replace").splitlines()


def turns(calls: list[str]) -> list[list[str]]:
    """Cut the calls into the three turns, each from its beginning to its acknowledgement."""
    found: list[list[str]] = []
    for call in calls:
        if "BEGIN\\n" in call:
            found.append([])
        elif found:
            found[-1].append(call)
            if "ACKNOWLEDGED\\n" in call:
                found.append([])
    return [turn for turn in found if any("ACKNOWLEDGED" in call for call in turn)]


def synced_before_it_was_said(turn: list[str], file: str) -> bool:
    """Whether every write to the log's file is followed by a sync of it before the acknowledgement."""
    written = [number for number, call in enumerate(turn) if re.search(rf"pwrite64\(\d+<[^>]*{file}>", call)]
    synced = [
        number for number, call in enumerate(turn) if re.search(rf"f(data)?sync\(\d+<[^>]*{file}>", call)
    ]
    said = next(number for number, call in enumerate(turn) if "ACKNOWLEDGED" in call)
    return bool(written) and any(max(written) < number < said for number in synced)


def test_what_is_acknowledged_was_synced_before(tmp_path: Path) -> None:
    calls = turns(traced(tmp_path, f"sqlite:///{tmp_path / 'lezha.db'}"))
    assert len(calls) == 3
    assert [synced_before_it_was_said(turn, "lezha.db-wal") for turn in calls] == [True] * 3


def test_the_trace_would_show_it_if_nothing_was_synced(tmp_path: Path) -> None:
    calls = turns(traced(tmp_path, f"sqlite:///{tmp_path / 'lezha.db'}", "synchronous=OFF"))
    assert [synced_before_it_was_said(turn, "lezha.db-wal") for turn in calls] == [False] * 3


def test_the_disk_that_fills_up_costs_what_is_written_then_and_nothing_else(tmp_path: Path) -> None:
    """A real, small file system; where none can be mounted, the largest size of a file stands for it."""
    full = tmp_path / "full"
    full.mkdir()
    mounted = (
        shutil.which("mount") is not None
        and subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "none", full], check=False).returncode
        == 0
    )
    try:
        done = subprocess.run(
            [sys.executable, "-c", FILLS, f"sqlite:///{full / 'lezha.db'}", str(int(not mounted))],
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.split()[-1] == "sound", done.stdout
    finally:
        if mounted:
            subprocess.run(["umount", full], check=True)


FILLS = """
import asyncio, json, resource, sys, uuid
from lezha.federation import members
from lezha.flows import check, ingest
from lezha.node.clock import utc_now
from lezha.store import contents
from lezha.store.errors import StoreError
from lezha.store.log import Log

log = Log(sys.argv[1], utc_now)
if sys.argv[2] == "1":
    resource.setrlimit(resource.RLIMIT_FSIZE, (6 << 20, resource.RLIM_INFINITY))
    import signal
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

def batch(count):
    objects = [{"type": "tool", "spec_version": "2.1", "id": f"tool--{uuid.uuid4()}", "name": uuid.uuid4().hex * 20,
                "created": "2026-01-01T00:00:00.000Z", "modified": "2026-01-01T00:00:00.000Z"} for _ in range(count)]
    return json.dumps({"type": "bundle", "id": f"bundle--{uuid.uuid4()}", "objects": objects}).encode()

def take(count):
    return asyncio.run(ingest.take(log, members.known([]), "identity--x", batch(count), "test")).new

acknowledged = 0
for _ in range(400):
    try:
        acknowledged += take(50)
    except StoreError as error:
        print(type(error).__name__, error)
        break
else:
    sys.exit("the disk never filled up")
with log.read() as conn:
    held = contents.count(conn)
assert held == acknowledged, (held, acknowledged)
if sys.argv[2] == "1":
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert take(50) == 50
    acknowledged += 50
findings = list(check.check(log))
assert findings == [], findings
print("sound")
log.close()
"""


def test_a_check_of_the_command_line_says_so_too(tmp_path: Path) -> None:
    done = lezha("store", "check", "--home", tmp_path)
    assert (done.returncode, "There is no node" in done.stderr) == (1, True)
