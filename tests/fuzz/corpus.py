"""What every decoder is tried with each time: where it begins, and what once broke it (corpus/NAME)."""

import random
from collections.abc import Iterator
from pathlib import Path

from tests.fuzz.targets import TARGETS

_FOLDER = Path(__file__).with_name("corpus")
_PIECES = (
    b"",
    b"\x00",
    b"\xff",
    b"\xed\xa0\x80",
    b'"',
    b"\\",
    b"\\ud800",
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b",",
    b"null",
)
_LARGE = (
    b"[" * 100_000,
    b'{"a":' * 50_000,
    b"\x91" * 100_000,
    b"9" * 5_000,
    b"1e999999",
    b"-0",
    b'"' + b"\\u0000" * 5_000,
)


def inputs(name: str) -> list[bytes]:
    """Return the corpus of a target."""
    kept = sorted(_FOLDER.glob(f"{name}/*"))
    return [*TARGETS[name].seeds, *(path.read_bytes() for path in kept)]


def changed(name: str, count: int) -> Iterator[bytes]:
    """Give `count` inputs that are those of the corpus with something changed, always the same ones."""
    chance = random.Random(name)
    begin = inputs(name)
    for _ in range(count):
        raw = bytearray(chance.choice(begin))
        for _ in range(chance.randint(1, 4)):
            _change(raw, begin, chance)
        yield bytes(raw)


def large(name: str) -> Iterator[bytes]:
    """Give what is large or deep, alone and in place of a part of each input."""
    chance = random.Random(name)
    for piece in _LARGE:
        yield piece
        for one in inputs(name):
            at = chance.randrange(len(one) + 1)
            yield one[:at] + piece + one[at:]


def _change(raw: bytearray, begin: list[bytes], chance: random.Random) -> None:
    at = chance.randrange(len(raw) + 1)
    upto = min(len(raw), at + chance.choice([0, 0, 1, 1, 2, 8, 64]))
    other = chance.choice(begin)
    start = chance.randrange(len(other) + 1)
    raw[at:upto] = chance.choice(
        [
            bytes([chance.randrange(256)]),
            chance.choice(_PIECES),
            bytes(raw[at:upto]) * 2,
            other[start : start + chance.choice([1, 4, 32])],
        ]
    )
