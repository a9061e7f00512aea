"""What is inside a backup: records in a stream that can be checked.

gzip (so that `age -d -i key FILE | gunzip` gives the rest) over records: 4 bytes of length, big-endian, and as many of
MessagePack, a map whose `kind` says what it is. One `header`, then each `file`, then all `rows`, then one `end`, which
holds the counts and the SHA-256 of every byte before its own length.

What is read may be hostile: every length has a bound, and nothing is believed until the end was.
"""

import hashlib
import io
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Annotated, Final, Protocol

import msgspec

from lezha.node.errors import NodeError
from lezha.store.archive import MAX_BLOCK, Rows

FORMAT: Final = "lezha backup"
VERSION: Final = 1
MAX_FILES: Final = 100
MAX_FILE: Final = 1 << 20
_PIECE: Final = 64 << 10
_GZIP: Final = 16 + zlib.MAX_WBITS
_LEVEL: Final = 1
_Name = Annotated[str, msgspec.Meta(max_length=200)]


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="header"):
    """What is backed up: of which member, when, by which lezha, and the columns of each table."""

    format: _Name
    version: int
    lezha: _Name
    schema: int
    member: _Name
    name: _Name
    created: _Name
    engine: _Name
    tables: dict[_Name, list[_Name]]


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="file"):
    """A file of the node's folder; `path` is relative to it."""

    path: _Name
    data: Annotated[bytes, msgspec.Meta(max_length=MAX_FILE)]


class End(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="end"):
    """What came before."""

    files: int
    rows: dict[_Name, int]
    sha256: bytes


Record = Header | File | Rows
_DECODER: Final = msgspec.msgpack.Decoder(Header | File | Rows | End)
_ENCODER: Final = msgspec.msgpack.Encoder()
_ORDER: Final[tuple[type, ...]] = (Header, File, Rows)


class Source(Protocol):
    """Something to read from."""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes, none only at the end."""


def packed(records: Iterable[Record]) -> Iterator[bytes]:
    """Give the bytes of a backup's inside. Raises NodeError if a record is too large."""
    deflate = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
    digest = hashlib.sha256()
    count = _Count()
    for record in records:
        raw = _ENCODER.encode(record)
        if len(raw) > MAX_BLOCK:
            raise NodeError(f"A backup can't hold {_what(record)}: it has more than {MAX_BLOCK >> 20} MiB.")
        count.add(record)
        part = len(raw).to_bytes(4, "big") + raw
        digest.update(part)
        yield deflate.compress(part)
    raw = _ENCODER.encode(count.end(digest.digest()))
    yield deflate.compress(len(raw).to_bytes(4, "big") + raw)
    yield deflate.flush()


def unpacked(source: Source) -> Iterator[Record]:
    """Give the records of a backup's inside, the header first, then files, then rows.

    The end is reached without an error only if all that was given is what was packed. Raises NodeError.
    """
    inside = _Inflated(source)
    digest = hashlib.sha256()
    count = _Count()
    place = 0
    while True:
        before = digest.digest()
        record = _next(inside, digest)
        if isinstance(record, End):
            break
        new = _ORDER.index(type(record))
        if (new == 0) != (place == 0 and count.nothing) or new < place:
            raise _damaged("its records are out of order")
        place = new
        count.add(record)
        yield record
    if count.nothing or record != count.end(before):
        raise _damaged("its end does not fit what came before")
    inside.finish()


class Pieces(io.BufferedIOBase):
    """Pieces of bytes as a stream to read from."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        super().__init__()
        self._pieces = pieces
        self._rest = memoryview(b"")
        self.length = 0

    def read(self, size: int | None = -1, /) -> bytes:
        """Return up to `size` bytes, none only at the end."""
        while not self._rest:
            try:
                self._rest = memoryview(next(self._pieces))
            except StopIteration:
                return b""
        size = len(self._rest) if size is None or size < 0 else size
        found, self._rest = self._rest[:size], self._rest[size:]
        return bytes(found)


class _Count:
    def __init__(self) -> None:
        self._files = 0
        self._rows: Counter[str] = Counter()
        self.nothing = True

    def add(self, record: Record) -> None:
        self.nothing = False
        if isinstance(record, File):
            self._files += 1
            if self._files > MAX_FILES:
                raise NodeError(f"A backup holds at most {MAX_FILES} files.")
        if isinstance(record, Rows):
            self._rows[record.table] += len(record.rows)

    def end(self, digest: bytes) -> End:
        return End(self._files, dict(self._rows), digest)


class _Inflated:
    """The inside without its compression."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._inflate = zlib.decompressobj(_GZIP)
        self._waiting = b""

    def read(self, size: int) -> bytes:
        """Return exactly `size` bytes. Raises NodeError."""
        parts = []
        while size:
            if not self._waiting and not self._inflate.eof:
                self._waiting = self._source.read(_PIECE)
            try:
                found = self._inflate.decompress(self._waiting, size)
            except zlib.error:
                raise _damaged("its compression is broken") from None
            if not found and (self._inflate.eof or not self._waiting):
                raise _damaged("it ends too early")
            self._waiting = self._inflate.unconsumed_tail
            parts.append(found)
            size -= len(found)
        return b"".join(parts)

    def finish(self) -> None:
        """Check that this is the end. Raises NodeError."""
        while not self._inflate.eof:
            piece = self._waiting or self._source.read(_PIECE)
            try:
                more = self._inflate.decompress(piece, 1)
            except zlib.error:
                raise _damaged("its compression is broken") from None
            if more or not piece:
                raise _damaged("it does not end where it should")
            self._waiting = self._inflate.unconsumed_tail
        if self._inflate.unused_data or self._source.read(1):
            raise _damaged("something follows its end")


def _next(inside: _Inflated, digest: "hashlib._Hash") -> Header | File | Rows | End:
    length = inside.read(4)
    size = int.from_bytes(length, "big")
    if size > MAX_BLOCK:
        raise _damaged("a record is too long")
    raw = inside.read(size)
    digest.update(length)
    digest.update(raw)
    try:
        record: Header | File | Rows | End = _DECODER.decode(raw)
    except (msgspec.MsgspecError, ValueError):  # ValueError: text that is not UTF-8
        raise _damaged("a record can't be read") from None
    return record


def _what(record: Record) -> str:
    return f"a row of {record.table!r}" if isinstance(record, Rows) else type(record).__name__.lower()


def _damaged(how: str) -> NodeError:
    return NodeError(f"This backup is damaged, {how}: take another copy of it.")
