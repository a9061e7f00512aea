"""Backing up and restoring a node with 100,000 contents: the commands as an operator runs them, time and peak memory.

Beside them what the machine needs for less: SQLite's own copy of its database, compressed at the same level.
"""

import asyncio
import gzip
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from bench.figure import Figure
from bench.link import _bundle
from bench.run import say

from lezha.cli.node import make
from lezha.federation.document import Contact
from lezha.flows import publish
from lezha.flows.publish import Request
from lezha.node import backup, identity
from lezha.node.node import Node
from lezha.node.settings import Settings
from lezha.sharing.terms import Terms
from lezha.sharing.tlp import Tlp

CONTENTS = 100_000
_PART = 10_000
_MIB = 1 << 20


def figures() -> Iterator[Figure]:
    """Yield seconds and peak memory of a backup and of a restore."""
    folder = Path(tempfile.mkdtemp(prefix="lezha-bench-"))
    try:
        yield from _measured(folder)
    finally:
        shutil.rmtree(folder)


def _measured(folder: Path) -> Iterator[Figure]:
    home, file, key = folder / "node", folder / "x.age", folder / "key"
    settings = Settings(member=identity.new_member(), name="tirana", endpoint="https://192.0.2.10:8441")
    make(home, settings, "Tirana", Contact())
    asyncio.run(_fill(home))
    public = backup.keygen(key)
    yardstick = _copied(home / "lezha.db", folder / "copy.gz")
    create_s, create_mib = _run("backup", "create", file, "--home", home, "--recipient", public)
    restore_s, restore_mib = _run("restore", file, "--home", folder / "back", "--identity-file", key)
    sizes = {
        "database_mib": (home / "lezha.db").stat().st_size / _MIB,
        "backup_mib": file.stat().st_size / _MIB,
        "sqlite_copy_and_gzip_s": yardstick,
    }
    ratio = create_s / yardstick
    beside = {"create_s": create_s, **sizes}
    yield Figure("backup.create_over_sqlite_copy", ratio, "ratio", "<= 3", ratio <= 3, beside)
    ratio = restore_s / create_s
    yield Figure("backup.restore_over_create", ratio, "ratio", "<= 6", ratio <= 6, {"restore_s": restore_s})
    yield Figure("backup.create_peak_mib", create_mib, "MiB", "<= 256", create_mib <= 256)
    yield Figure("backup.restore_peak_mib", restore_mib, "MiB", "<= 256", restore_mib <= 256)


async def _fill(home: Path) -> None:
    node = Node(home)
    try:
        with node.log.read() as conn:
            terms = Terms(tlp=Tlp.GREEN, audience=publish.audience(conn, ["everyone"]))
        for start in range(0, CONTENTS, _PART):
            raw = _bundle(node.identity.member, _PART, start)
            await publish.publish(
                node.log, node.author, node.members, Request(raw, terms, strict=True), "bench"
            )
            say(f"  {start + _PART:,} contents")
    finally:
        node.close()


def _copied(database: Path, target: Path) -> float:
    began = time.monotonic()
    plain = target.with_suffix("")
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(plain)) as copy:
        source.backup(copy)
    with plain.open("rb") as source_file, gzip.open(target, "wb", compresslevel=1) as out:
        shutil.copyfileobj(source_file, out, _MIB)
    os.sync()
    return time.monotonic() - began


# The program's own memory: SQLite maps its database, and pages of files are lent by the kernel.
_TOLD = """
import sys, threading
from lezha.cli import main
peak, done = 0, threading.Event()
def look():
    global peak
    while not done.wait(0.005):
        with open("/proc/self/status") as status:
            peak = max(peak, *(int(line.split()[1]) for line in status if line.startswith("RssAnon:")))
looking = threading.Thread(target=look)
looking.start()
try:
    main()
finally:
    done.set()
    looking.join()
    print(peak, file=sys.stderr)
"""


def _run(*arguments: str | Path) -> tuple[float, float]:
    """Run a command; return its seconds and its peak of resident memory in MiB."""
    began = time.monotonic()
    command = [sys.executable, "-c", _TOLD, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return time.monotonic() - began, int(done.stderr.split()[-1]) / 1024
