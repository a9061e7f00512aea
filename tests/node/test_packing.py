"""The inside of a backup: whatever is not exactly what was packed is refused, at a bounded cost."""

import hashlib
import io
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from lezha.node import packing
from lezha.node.errors import NodeError
from lezha.node.packing import End, File, Header, Record
from lezha.store.archive import MAX_BLOCK, Rows

HEADER = Header(
    "lezha backup", 1, "0.1.0", 1, "identity--x", "tirana", "2026", "sqlite", {"meta": ["name", "value"]}
)


def rows(*values: object) -> Rows:
    return Rows("meta", [msgspec.Raw(msgspec.msgpack.encode(one)) for one in values])


RECORDS: list[Record] = [
    HEADER,
    File("lezha.toml", b"x"),
    File("node.json", b"y"),
    rows(["a", "1"]),
    rows(["b", "2"]),
]


def packed(records: list[Record]) -> bytes:
    return b"".join(packing.packed(records))


def unpacked(raw: bytes) -> list[Record]:
    return list(packing.unpacked(io.BytesIO(raw)))


def by_hand(*records: object, digest: bytes | None = None, end: bool = True, **counts: Any) -> bytes:
    """Pack whatever it is, with an end that fits unless told otherwise."""
    parts = b""
    for one in records:
        raw = one if isinstance(one, bytes) else msgspec.msgpack.encode(one)
        parts += len(raw).to_bytes(4, "big") + raw
    if end:
        fits: dict[str, Any] = {"files": 0, "rows": {}, "sha256": digest or hashlib.sha256(parts).digest()}
        raw = msgspec.msgpack.encode(End(**(fits | counts)))
        parts += len(raw).to_bytes(4, "big") + raw
    return zlib.compress(parts, wbits=31)


def test_what_is_packed_is_unpacked_to_the_same() -> None:
    assert msgspec.msgpack.encode(unpacked(packed(RECORDS))) == msgspec.msgpack.encode(RECORDS)
    assert unpacked(by_hand(HEADER)) == [HEADER]


def test_a_flipped_bit_or_a_cut_anywhere_is_refused() -> None:
    raw = packed(RECORDS)
    for place in range(len(raw)):
        with pytest.raises(NodeError):
            unpacked(raw[:place])
        if 3 <= place < 10:
            continue  # gzip: whether it is text, a time, and what compressed it, which nobody reads
        with pytest.raises(NodeError):
            unpacked(raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :])


@pytest.mark.parametrize(
    "raw",
    [
        by_hand(),
        by_hand(end=False),
        by_hand(HEADER, end=False),
        by_hand(HEADER, HEADER),
        by_hand(File("a", b""), HEADER, files=1),
        by_hand(File("a", b""), files=1),
        by_hand(rows(), rows={"meta": 0}),
        by_hand(HEADER, rows(), File("a", b""), files=1, rows={"meta": 0}),
        by_hand(HEADER, File("a", b"")),
        by_hand(HEADER, rows(["a", "1"]), rows={"meta": 2}),
        by_hand(HEADER, rows(["a", "1"]), rows={"meta": 1, "peers": 0}),
        by_hand(HEADER, digest=bytes(32)),
        by_hand(HEADER) + b"x",
        by_hand(HEADER) + by_hand(HEADER),
        by_hand(HEADER, End(0, {}, b""), end=True),
        by_hand(HEADER, b""),
        by_hand(HEADER, b"\xc1"),
        by_hand(HEADER, {"kind": "other"}),
        by_hand(HEADER, {"kind": "file", "path": "a", "data": b"", "mode": 4095}),
        by_hand(HEADER, {"kind": "file", "path": "a" * 201, "data": b""}),
        by_hand(HEADER, {"kind": "file", "path": b"a", "data": b""}),
        by_hand(HEADER, b"\x83\xa4kind\xa4file\xa4path\xa2\xff\xff\xa4data\xc4\x00"),
        by_hand(HEADER, *(File(str(number), b"") for number in range(101)), files=101),
        zlib.compress((MAX_BLOCK + 1).to_bytes(4, "big") + bytes(MAX_BLOCK + 1), wbits=31),
        b"",
        b"x" * 1000,
    ],
)  # fmt: skip
def test_what_was_not_packed_so_is_refused(raw: bytes) -> None:
    with pytest.raises(NodeError):
        unpacked(raw)


def test_a_record_that_is_too_large_is_never_packed() -> None:
    large = Rows("meta", [msgspec.Raw(msgspec.msgpack.encode(["a", "x" * MAX_BLOCK]))])
    with pytest.raises(NodeError, match="more than 32 MiB"):
        packed([HEADER, large])


_ROWS = b"\x83\xa4kind\xa4rows\xa5table\xa4meta\xa4rows\xdd"


@pytest.mark.parametrize(
    "make",
    [
        lambda: zlib.compress(bytes(300 << 20), 9, wbits=31),
        lambda: by_hand(HEADER, _ROWS + (30 << 20).to_bytes(4, "big") + b"\x90" * (30 << 20)),
        lambda: by_hand(HEADER, b"\x90" * (30 << 20)),
        lambda: by_hand(HEADER, b"\x91" * (30 << 20)),
    ],
    ids=["zeros", "rows without end", "arrays", "arrays in arrays"],
)  # fmt: skip
def test_a_bomb_is_refused_and_takes_little_memory(make: Callable[[], bytes]) -> None:
    raw = make()
    tracemalloc.start()
    try:
        with pytest.raises(NodeError):
            unpacked(raw)
        assert tracemalloc.get_traced_memory()[1] < 80 << 20
    finally:
        tracemalloc.stop()
