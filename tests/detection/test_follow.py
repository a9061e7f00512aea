"""Logs are followed through everything that happens to logs: real files, really rotated."""

import asyncio
import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from lezha.detection.follow import Follower, Start, follow


def polled(follower: Follower, times: int = 4) -> bytes:
    """Look several times, as the loop does, and give all that came."""
    return b"".join(chunk for _ in range(times) for _, chunk in follower.poll())


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "dns.log"


class Following(Protocol):
    """Begin to follow files in chunks of 64 bytes."""

    def __call__(self, *paths: Path, start: Start = "beginning") -> Follower: ...


@pytest.fixture
def following() -> Iterator[Following]:
    with contextlib.ExitStack() as stack:

        def begin(*paths: Path, start: Start = "beginning") -> Follower:
            return stack.enter_context(contextlib.closing(Follower(paths, start=start, max_chunk=64)))

        yield begin


def test_a_file_that_is_not_there_yet_is_awaited(following: Following, log: Path) -> None:
    follower = following(log, start="end")
    assert polled(follower) == b""
    assert follower.waiting == {log: "No such file or directory"}
    append(log, b"one\n")
    assert polled(follower) == b"one\n"
    assert follower.waiting == {}


def test_from_the_beginning_or_from_the_end(following: Following, log: Path) -> None:
    append(log, b"old\n")
    from_beginning, from_end = following(log), following(log, start="end")
    append(log, b"new\n")
    assert polled(from_beginning) == b"old\nnew\n"
    assert polled(from_end) == b"new\n"


def test_a_line_that_was_begun_before_the_end_is_read_whole(following: Following, log: Path) -> None:
    append(log, b"old\nhalf")
    follower = following(log, start="end")
    append(log, b" whole\n")
    assert polled(follower) == b"half whole\n"


def test_a_partial_line_waits_for_its_end(following: Following, log: Path) -> None:
    append(log, b"one\ntw")
    follower = following(log)
    assert polled(follower) == b"one\n"
    append(log, b"o")
    assert polled(follower) == b""
    append(log, b"\nthree")
    assert polled(follower) == b"two\n"


def test_rotation_loses_nothing_and_repeats_nothing(following: Following, log: Path) -> None:
    append(log, b"one\n")
    follower = following(log)
    assert polled(follower) == b"one\n"
    append(log, b"two\n")
    rotated = log.rename(log.with_suffix(".1"))
    assert polled(follower) == b"two\n"
    append(rotated, b"three\n")
    log.touch()
    assert polled(follower) == b"three\n"
    append(rotated, b"four\nlast without end")
    append(log, b"five\n")
    assert polled(follower) == b"four\nlast without end\nfive\n"


def test_truncation_starts_anew_and_drops_the_line_that_lost_its_end(following: Following, log: Path) -> None:
    append(log, b"one\ntw")
    follower = following(log)
    assert polled(follower) == b"one\n"
    os.truncate(log, 0)
    assert polled(follower) == b""
    append(log, b"2\n")
    assert polled(follower) == b"2\n"


def test_a_deleted_file_is_awaited_again(following: Following, log: Path) -> None:
    append(log, b"one\n")
    follower = following(log)
    assert polled(follower) == b"one\n"
    log.unlink()
    assert polled(follower) == b""
    append(log, b"two\n")
    assert polled(follower) == b"two\n"


@pytest.mark.parametrize("start", ["beginning", "end"])
def test_a_line_longer_than_a_chunk_is_skipped_and_counted(
    following: Following, log: Path, start: Start
) -> None:
    append(log, b"x" * 500)
    follower = following(log, start=start)
    assert polled(follower, 20) == b""
    append(log, b"x" * 500 + b"\nnext\n")
    assert polled(follower, 20) == b"next\n"
    assert follower.skipped == 1


@pytest.mark.parametrize("length", [62, 63])
def test_a_line_that_just_fits_a_chunk_is_kept(following: Following, log: Path, length: int) -> None:
    line = b"x" * length + b"\n"
    append(log, b"one\n" + line * 3)
    follower = following(log)
    assert polled(follower, 10) == b"one\n" + line * 3
    assert follower.skipped == 0


def test_chunks_are_whole_lines_of_bounded_size(following: Following, log: Path) -> None:
    lines = b"".join(b"%d\n" % number for number in range(1000))
    append(log, lines)
    follower, chunks = following(log), []
    while found := list(follower.poll()):
        chunks += [chunk for _, chunk in found]
    assert b"".join(chunks) == lines
    assert all(chunk.endswith(b"\n") and len(chunk) <= 64 for chunk in chunks)


def test_a_busy_file_does_not_starve_another(following: Following, tmp_path: Path) -> None:
    busy, quiet = tmp_path / "conn.log", tmp_path / "dns.log"
    append(busy, b"busy\n" * 1000)
    append(quiet, b"quiet\n")
    follower = following(busy, quiet)
    assert (quiet, b"quiet\n") in list(follower.poll())


def test_what_is_not_a_regular_file_is_not_waited_on_for_ever(following: Following, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    follower = following(pipe)
    assert polled(follower) == b""
    assert follower.waiting == {pipe: "not a regular file"}


async def test_new_lines_arrive_while_following(following: Following, log: Path) -> None:
    follower = following(log)
    arrived: asyncio.Queue[bytes] = asyncio.Queue()

    async def collect() -> None:
        async for _, chunk in follow(follower, interval=0.01):
            arrived.put_nowait(chunk)

    task = asyncio.create_task(collect())
    for line in (b"one\n", b"two\n"):
        append(log, line)
        assert await asyncio.wait_for(arrived.get(), 10) == line
    task.cancel()
