"""A disk that fills up: what is refused is refused in words, nothing acknowledged is lost, and it goes on after."""

import json
import os
import pwd
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg
import pytest
from tests.battery.nodes import RunningNode, bundle, indicator, lezha

SIZE = 40  # objects of a bundle
REFUSALS = 60
GROWTH = 24 << 20  # bytes of memory that so many refusals may cost at most


@contextmanager
def disk(size: str) -> Iterator[tuple[Path, Callable[[], object]]]:
    """Give a small file system and what makes it larger. Skips where none can be mounted."""
    folder = Path(tempfile.mkdtemp(prefix="lezha-disk-"))
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    try:
        if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
            pytest.skip("this machine does not let us mount")
        try:
            folder.chmod(0o755)
            yield folder, lambda: subprocess.run(["mount", "-o", "remount,size=200m", folder], check=True)
        finally:
            subprocess.run(["umount", "-l", folder], check=True)
    finally:
        shutil.rmtree(folder)


def take(node: RunningNode, number: int, taken: list[list[str]]) -> tuple[int, str]:
    """Have a bundle published, or taken for own systems, in turn; return the status and the sentence."""
    objects = [indicator(f"n{number}-{one}.example", description="x" * 2000) for one in range(SIZE)]
    path, query = (("/publish", {"tlp": "amber", "to": "everyone"}), ("/objects", {}))[number % 2]
    answer = node.call("POST", path, bundle(objects), query)
    if answer.status == 200:
        taken.append([str(json.loads(raw)["id"]) for raw in objects])
    return answer.status, str(answer.json().get("title", ""))


def fills_up_and_goes_on(node: RunningNode, grow: Callable[[], object]) -> None:
    assert node.process is not None
    taken: list[list[str]] = []
    status, words, number = 200, "", 0
    while status == 200:
        number += 1
        assert number < 1000, "it never filled up"
        status, words = take(node, number, taken)
    assert (status, words[:46]) == (507, "Nothing was written: the disk of the database "), words
    assert "Make room, and ask again" in words

    memory = psutil.Process(node.process.pid)
    before = 0
    for refusal in range(REFUSALS):
        # What is small may still find a place; what is not is refused again, by either way in.
        status, words = take(node, number + refusal, taken)
        assert (status in (200, 507), "INSERT" in words) == (True, False), (status, words)
        if refusal == REFUSALS // 3:
            before = memory.memory_info().rss
    assert memory.memory_info().rss - before < GROWTH
    assert node.call("GET", "/status").status == 200

    grow()
    for more in range(4):
        assert take(node, number + REFUSALS + more, taken)[0] == 200
    held = dict(node.rows("SELECT stix_id, count(*) FROM contents WHERE type = 'indicator' GROUP BY stix_id"))
    assert held == {one: 1 for ids in taken for one in ids}, "something is missing, or there by halves"
    done = lezha("store", "check", "--home", node.home, "--json")
    assert json.loads(done.stdout)["findings"] == []
    assert node.stop() == 0


@contextmanager
def started(node: RunningNode) -> Iterator[RunningNode]:
    try:
        node.start()
        yield node
    finally:
        if node.process is not None:
            node.kill()


def test_files_that_may_grow_no_more(tmp_path: Path) -> None:
    with started(RunningNode(tmp_path, "tirana")) as node:
        assert node.process is not None
        process = node.process.pid
        _, hard = resource.prlimit(process, resource.RLIMIT_FSIZE)
        resource.prlimit(process, resource.RLIMIT_FSIZE, (6 << 20, hard))
        fills_up_and_goes_on(node, lambda: resource.prlimit(process, resource.RLIMIT_FSIZE, (hard, hard)))


@pytest.mark.soak  # not long, but it needs root and the right to mount; the one above runs everywhere
def test_a_disk_that_is_really_full() -> None:
    with disk("10m") as (folder, grow), started(RunningNode(folder, "tirana")) as node:
        fills_up_and_goes_on(node, grow)


@pytest.mark.soak  # as the one above
@pytest.mark.needs("postgres")
def test_a_disk_of_postgresql_that_is_really_full(tmp_path: Path, postgres_server: str) -> None:
    with disk("24m") as (folder, grow):
        os.chown(folder, pwd.getpwnam("nobody").pw_uid, -1)
        with psycopg.connect(f"dbname=postgres {postgres_server}", autocommit=True) as admin:
            admin.execute(f"CREATE TABLESPACE small LOCATION '{folder}'".encode())
            admin.execute("CREATE DATABASE small TABLESPACE small")
            try:
                url = "postgresql+psycopg:///small?" + "&".join(postgres_server.split())
                with started(RunningNode(tmp_path, "tirana", database=url)) as node:
                    fills_up_and_goes_on(node, grow)
            finally:
                admin.execute("DROP DATABASE small WITH (FORCE)")
                admin.execute("DROP TABLESPACE small")
