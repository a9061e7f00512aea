"""Files of STIX objects, read in batches: of any size, compressed or not, from the beginning or from a byte on."""

import gzip
import sys
import zlib
from collections.abc import Callable, Iterator
from io import BufferedReader
from pathlib import Path
from typing import Final

import msgspec

from lezha.cli.errors import CliError
from lezha.stix.errors import StixError
from lezha.stix.stream import Element, Skipped, Splitter

STDIN: Final = "-"
_CHUNK: Final = 1 << 20
_OBJECTS: Final = 1000
_BYTES: Final = 4 << 20
_GZIP: Final = b"\x1f\x8b"


class Damaged(CliError):
    """What is in the file is not what it should be; everything before was given."""


class Rejected(msgspec.Struct, frozen=True):
    """One object that was not taken: its id as far as known, the clause it breaks, and why."""

    id: str
    clause: str
    reason: str


class Batch(msgspec.Struct, frozen=True):
    """Some objects in a row, byte for byte, and those too large to be read.

    `end` is the offset in the (uncompressed) file after the last of them, `position` how many bytes of the file
    itself have been read.
    """

    objects: tuple[bytes, ...]
    skipped: tuple[Rejected, ...]
    end: int
    position: int


def batches(name: str, start: int = 0) -> Iterator[Batch]:
    """Read a file (`-` for stdin) from offset `start`, at which an object ends, in batches of 1,000 objects or 4 MiB.

    Raises Damaged, after the objects before it were given, and CliError if the file can't be read.
    """
    try:
        with sys.stdin.buffer if name == STDIN else Path(name).open("rb") as file:
            assert isinstance(file, BufferedReader)
            yield from _batches(name, file, start)
    except OSError as error:
        raise CliError(f"{name} can't be read: {error.strerror or error}.") from error


def _batches(name: str, file: BufferedReader, start: int) -> Iterator[Batch]:
    found: list[Element | Skipped] = []
    size = 0
    wrong: Damaged | None = None
    packed = file.peek(len(_GZIP)).startswith(_GZIP)
    elements = _elements(gzip.GzipFile(fileobj=file) if packed else file, start)
    while wrong is None:
        try:
            one = next(elements)
        except StopIteration:
            break
        except StixError as error:
            wrong = Damaged(f"{name}: {error}")
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            wrong = Damaged(f"{name} is damaged, or ends early: {error}. What came before it was read.")
        else:
            found.append(one)
            size += len(one.raw) if isinstance(one, Element) else 0
            if len(found) >= _OBJECTS or size >= _BYTES:
                yield _batch(found, _position(file, packed, one.end))
                found, size = [], 0
    if found:
        yield _batch(found, _position(file, packed, found[-1].end))
    if wrong is not None:
        raise wrong


def _elements(plain: BufferedReader | gzip.GzipFile, start: int) -> Iterator[Element | Skipped]:
    splitter = Splitter()
    if start:
        _go_on(splitter, plain.read1, start)
        plain.seek(start)
    while chunk := plain.read1(_CHUNK):
        yield from splitter.feed(chunk)
    splitter.finish()


def _go_on(splitter: Splitter, read: Callable[[int], bytes], start: int) -> None:
    """Have the splitter learn from the beginning of the file what carries its objects, then go on at `start`."""
    while not splitter.begun and (chunk := read(_CHUNK)):
        next(splitter.feed(chunk), None)
    splitter.jump(start)


def _batch(found: list[Element | Skipped], position: int) -> Batch:
    errors = [one.error for one in found if isinstance(one, Skipped)]
    return Batch(
        objects=tuple(one.raw for one in found if isinstance(one, Element)),
        skipped=tuple(Rejected(one.object_id or "", one.clause, one.message) for one in errors),
        end=found[-1].end,
        position=position,
    )


def _position(file: BufferedReader, packed: bool, end: int) -> int:
    return file.tell() if packed and file.seekable() else end
