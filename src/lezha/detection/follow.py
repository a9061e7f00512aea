"""Following logs as they are written, like `tail -F`: the room's only contact with files.

A file is awaited until it is there, read to its end, and read on when it grows. When its path names another file
(rotation), the old one is read on until the new one has content: only then does its writer have done with the old.
When a file shrinks (truncation), it is read from its start. Only whole lines are handed out: what is not ended yet
waits, unless its file was rotated away, after which nobody ends it.

One thing can't be seen by anyone who polls: a file truncated and written beyond the old length between two polls
(logrotate's `copytruncate`). Rotate by renaming.
"""

import asyncio
import contextlib
import os
import stat
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Literal

__all__ = ["INTERVAL", "MAX_CHUNK", "Follower", "Start", "follow"]

INTERVAL = 0.05  # seconds between two looks at files that had nothing new
MAX_CHUNK = 1_048_576  # bytes; also the longest line, with its end, that is handed out
_READS = (
    64  # of an over-long line at one go: passing over it costs no waiting, nor does it hold up other files
)
Start = Literal["beginning", "end"]


class Follower:
    """Several files, read in turns, so that a busy one does not starve the others."""

    def __init__(self, paths: Iterable[Path], *, start: Start, max_chunk: int = MAX_CHUNK) -> None:
        """Begin to follow; `start` is for files that exist now, what comes later is read from its beginning."""
        self._tails = [_Tail(path, max_chunk) for path in paths]
        for tail in self._tails:
            tail.open(at_end=start == "end")

    def poll(self) -> Iterator[tuple[Path, bytes]]:
        """Give at most one chunk of whole lines per file that has any; nothing at all: wait a little."""
        for tail in self._tails:
            chunk = tail.read()
            if chunk:
                yield tail.path, chunk

    @property
    def skipped(self) -> int:
        """How many lines were longer than a chunk and were passed over."""
        return sum(tail.skipped for tail in self._tails)

    @property
    def waiting(self) -> dict[Path, str]:
        """Which files can't be read at present, and why."""
        return {tail.path: tail.reason for tail in self._tails if tail.reason}

    def close(self) -> None:
        """Let go of the files."""
        for tail in self._tails:
            tail.close()


async def follow(follower: Follower, *, interval: float = INTERVAL) -> AsyncIterator[tuple[Path, bytes]]:
    """Give chunks for ever; a chunk is read in well under a millisecond, so files are read on the loop itself."""
    while True:
        idle = True
        for path, chunk in follower.poll():
            idle = False
            yield path, chunk
        await asyncio.sleep(interval if idle else 0)


class _Tail:
    """One path, the file that it names or named, and the line that is not ended yet."""

    def __init__(self, path: Path, max_chunk: int) -> None:
        self.path = path
        self.skipped = 0
        self.reason = ""
        self._max_chunk = max_chunk
        self._file: BinaryIO | None = None
        self._partial = b""
        self._skipping = False

    def open(self, *, at_end: bool = False) -> bool:
        try:
            # Without O_NONBLOCK a named pipe would block here until somebody writes to it.
            descriptor = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            self.reason = error.strerror or "can't be opened"
            return False
        file = os.fdopen(descriptor, "rb", buffering=0)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            file.close()
            self.reason = "not a regular file"
            return False
        self._file, self.reason = file, ""
        if at_end:
            self._skip_to_last_line(file)
        return True

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file, self._partial, self._skipping = None, b"", False

    def read(self) -> bytes:
        """Give whole lines, at most a chunk; nothing if there are none yet."""
        if self._file is None and not self.open():
            return b""
        # Before reading: what is written to the old file until its path is seen to name another is read below.
        rotated = self._is_rotated()
        self._restart_if_truncated()
        for _ in range(_READS):
            data = self._read_some()
            if not data:
                return self._finish() if rotated else b""
            if lines := self._whole_lines(data):
                return lines
        return b""

    def _read_some(self) -> bytes:
        if self._file is None:
            return b""
        try:
            return self._file.read(self._max_chunk - len(self._partial)) or b""
        except OSError as error:
            self.reason = error.strerror or "can't be read"
            return b""

    def _whole_lines(self, data: bytes) -> bytes:
        if self._skipping:
            _, end, data = data.partition(b"\n")
            self._skipping = not end
        lines, end, partial = (self._partial + data).rpartition(b"\n")
        self._partial = partial
        if len(partial) >= self._max_chunk:
            self._partial, self._skipping = b"", True
            self.skipped += 1
        return lines + end

    def _finish(self) -> bytes:
        """Leave a file that was rotated away; what it ends with is a line although nothing ends it."""
        last = self._partial
        self.close()
        self.open()
        return last + b"\n" if last else b""

    def _is_rotated(self) -> bool:
        """Tell whether the path names another file by now, and that is in use."""
        if self._file is None:
            return False
        with contextlib.suppress(OSError):
            there, here = self.path.stat(), os.fstat(self._file.fileno())
            return (there.st_dev, there.st_ino) != (here.st_dev, here.st_ino) and there.st_size > 0
        return False

    def _restart_if_truncated(self) -> None:
        if self._file is not None and os.fstat(self._file.fileno()).st_size < self._file.tell():
            self._file.seek(0)
            self._partial, self._skipping = b"", False

    def _skip_to_last_line(self, file: BinaryIO) -> None:
        """Go to the end, but back to the start of a line that is not ended yet, so that it is read whole when it is."""
        end = file.seek(0, os.SEEK_END)
        start = file.seek(max(0, end - self._max_chunk))
        last_end = file.read(end - start).rfind(b"\n")
        if last_end < 0 < start:
            self.skipped += 1
            self._skipping = True
            file.seek(end)
        else:
            file.seek(start + last_end + 1)
