"""What an engine promises and what a reader of logs tells it.

An engine holds observables, each with the keys (indicator ids) that want to know of it, and scans chunks of whole
lines. It reads no clock and no file. How text falls into tokens is the same for all engines: `words` has the rules.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from lezha.detection.observable import Observable

__all__ = ["MAX_DEPTH", "MAX_LINE", "Engine", "Hit", "Reader", "Record", "Scan"]

MAX_LINE = 1_048_576  # bytes of a line without its end; longer ones are skipped and counted
MAX_DEPTH = 32  # levels of lists and objects in a record; deeper ones are skipped and counted

Record = Mapping[str, object]  # as JSON decodes: nested values are exactly `dict` and `list`


class Reader(Protocol):
    """One format of logs. Stateful where the format is (headers), so: one reader per file."""

    def parse(self, line: bytes) -> Record | None:
        """Read a line without its end; None if it is not a record of this format. Never raises."""
        ...

    def seen(self, record: Record) -> datetime | None:
        """Tell the record's own time in UTC; None if it has none that can be read. Never raises."""
        ...

    def joined(self, record: Record) -> Sequence[tuple[str, str]]:
        """Compose the URLs that the format spreads over fields: (name of the joined fields, URL). Never raises."""
        ...


class Hit(msgspec.Struct, frozen=True):
    """A key's observable in one field of one line.

    `observable` is the indicator's (a parent domain, a network), not the text of the record. `field` is the path in
    the record, joined by dots, elements of a list under the list's name. `seen` is the record's time in UTC, None if
    it tells none. `line_offset` counts bytes from the start of the chunk to the start of the line.
    """

    key: str
    observable: Observable
    field: str
    seen: datetime | None
    line_offset: int


class Scan(msgspec.Struct, frozen=True):
    """The outcome of one chunk: hits in the order of lines; lines that are not empty; those that were skipped."""

    hits: tuple[Hit, ...]
    lines: int
    skipped: int


class Engine(Protocol):
    """Observables in, hits out. Not for use by two threads at a time; change it between two scans."""

    def add(self, observable: Observable, key: str) -> None:
        """Look for `observable` on behalf of `key`; again is the same as once."""
        ...

    def remove(self, observable: Observable, key: str) -> None:
        """Stop looking for `observable` on behalf of `key`; nothing happens if it was not looked for."""
        ...

    def __len__(self) -> int:
        """Count the pairs of observable and key."""
        ...

    def scan(self, chunk: bytes, reader: Reader) -> Scan:
        """Scan whole lines (the last may lack its end). Never raises, whatever the bytes.

        A key is reported at most once per field and line. Within a line the hits are those of `PlainEngine`; their
        order is the engine's own.
        """
        ...
