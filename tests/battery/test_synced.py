"""A node's answer means that it is on disk: seen in the system calls of real processes, on both engines."""

import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import psutil
import psycopg
import pytest
from tests.battery.nodes import RunningNode, bundle, failing, indicator
from tests.conftest import STRACE

pytestmark = pytest.mark.needs("strace")
PUBLICATIONS = 3
_CALL = re.compile(r"^(\d+) +(?:<\.\.\. )?(\w+)(?:\(| resumed)")


def answers(calls: Iterable[str], file: str, answer: str) -> list[bool]:
    """Tell of each answer that followed a write to the log's file whether all of it had been synced when it was given.

    `calls` are strace's lines. A sync counts from its end, a write and an answer from their beginning.
    """
    found: list[bool] = []
    written = unsynced = 0  # writes since the last answer; since the last sync
    syncing: dict[str, int] = {}
    for line in calls:
        if not (call := _CALL.match(line)):
            continue
        process, name = call.groups()
        resumed = line.startswith(f"{process} ") and " resumed>" in line
        if name in ("fdatasync", "fsync"):
            if file in line and not resumed:
                syncing[process] = written
            if line.endswith("= 0") and process in syncing:
                unsynced = written - syncing.pop(process)
        elif resumed:
            continue
        elif name.startswith("pwrite") and file in line:
            written, unsynced = written + 1, unsynced + 1
        elif answer in line and written:
            found.append(unsynced == 0)
            written = unsynced = 0
    return found


def publish(node: RunningNode) -> None:
    for number in range(PUBLICATIONS):
        node.publish(bundle([indicator(f"n{number}.example")]), "everyone")
        time.sleep(0.1)  # each is a commit of its own, also to whoever reads the trace


@contextmanager
def traced(node: RunningNode, trace: Path, environment: dict[str, str] | None = None) -> Iterator[None]:
    """Run a node under strace."""
    node.spawn(*STRACE, "-o", str(trace), environment=environment)
    assert node.process is not None
    try:
        node.ready()
        yield
    finally:
        for child in psutil.Process(node.process.pid).children():
            child.terminate()  # strace keeps signals to itself, and ends with what it traces
        node.process.wait(30)
        node.process = None


def of_sqlite(folder: Path, environment: dict[str, str] | None = None) -> list[bool]:
    node = RunningNode(folder, "tirana")
    with traced(node, folder / "trace", environment):
        publish(node)
    lines = (folder / "trace").read_text(errors="replace").splitlines()
    # Of its beginning, what came before it answered anything does not count.
    return answers(lines, "lezha.db-wal>", '"HTTP/1.1 200')[-PUBLICATIONS:]


def test_an_answer_follows_the_sync_of_what_it_acknowledges_on_sqlite(tmp_path: Path) -> None:
    assert of_sqlite(tmp_path) == [True] * PUBLICATIONS


def test_the_trace_would_show_an_answer_of_sqlite_that_was_not_synced(tmp_path: Path) -> None:
    assert of_sqlite(tmp_path, failing("nothing is synced")) == [False] * PUBLICATIONS


@pytest.mark.needs("postgres")
@pytest.mark.parametrize(("setting", "durable"), [("--fsync=on", True), ("--fsync=off", False)])
def test_postgresql_answers_a_commit_of_a_node_once_its_log_is_synced(
    setting: str,
    durable: bool,
    tmp_path: Path,
    traced_postgres: Callable[[str], AbstractContextManager[tuple[str, Path]]],
) -> None:
    with traced_postgres(setting) as (words, trace):
        with psycopg.connect(f"dbname=postgres {words}", autocommit=True) as admin:
            admin.execute("CREATE DATABASE tirana")
            # Whoever configures the server to answer early is overruled by the writer.
            admin.execute("ALTER DATABASE tirana SET synchronous_commit = off")
        url = "postgresql+psycopg:///tirana?" + "&".join(words.split())
        node = RunningNode(tmp_path, "tirana", database=url)
        try:
            node.start()
            publish(node)
        finally:
            if node.process is not None:
                node.stop()
        lines = trace.read_text(errors="replace").splitlines()
    found = answers(lines, "/pg_wal/", "COMMIT\\0Z")[-PUBLICATIONS:]
    assert found == [durable] * PUBLICATIONS


def test_a_sync_that_began_before_the_last_write_does_not_count() -> None:
    calls = [
        '1 pwrite64(5</x/lezha.db-wal>, "..", 2, 0) = 2',
        "1 fdatasync(5</x/lezha.db-wal> <unfinished ...>",
        '2 pwrite64(5</x/lezha.db-wal>, "..", 2, 2) = 2',
        "1 <... fdatasync resumed>)              = 0",
        '3 write(9<socket:[1]>, "HTTP/1.1 200 OK", 15) = 15',
    ]
    assert answers(calls, "lezha.db-wal>", '"HTTP/1.1 200') == [False]
    assert answers([*calls[:2], *calls[3:]], "lezha.db-wal>", '"HTTP/1.1 200') == [True]
    assert answers([*calls[:2], calls[4]], "lezha.db-wal>", '"HTTP/1.1 200') == [False]
