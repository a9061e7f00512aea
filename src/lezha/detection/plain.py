"""The plain engine: every line is decoded, every text looked up. Default, fallback and oracle of faster ones."""

import re
from collections.abc import Iterator
from datetime import datetime

from lezha.detection.address import Address, canonical_network
from lezha.detection.engine import MAX_DEPTH, MAX_LINE, Hit, Reader, Record, Scan
from lezha.detection.errors import ObservableError
from lezha.detection.name import MAX_NAME
from lezha.detection.observable import Kind, Observable
from lezha.detection.url import canonical_url
from lezha.detection.words import emails, ipv6_addresses, urls, words

__all__ = ["PlainEngine"]

_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = re.compile(rf"(?:{_OCTET}\.){{3}}{_OCTET}")
_SHORTEST_HASH = 32  # characters: no text that is shorter and has neither dot nor colon holds an observable
_MAX_CLEAN = 65_536  # texts
_MAX_CLEAN_TEXT = 256  # characters


class _Entry:
    """An observable that is looked for, and on whose behalf (a dict, for its order)."""

    __slots__ = ("keys", "observable")

    def __init__(self, observable: Observable) -> None:
        self.observable = observable
        self.keys: dict[str, None] = {}


_Table = dict[str | int, _Entry]


class _TooDeepError(Exception):
    """A record is nested deeper than `MAX_DEPTH`."""


class _Networks:
    """The networks of one address family by prefix length: an address costs one look-up per length in use."""

    def __init__(self, bits: int) -> None:
        self._bits = bits
        self._by_shift: dict[int, _Table] = {}

    def __bool__(self) -> bool:
        return bool(self._by_shift)

    def find(self, address: int) -> list[_Entry]:
        tables = self._by_shift.items()
        return [entry for shift, table in tables if (entry := table.get(address >> shift)) is not None]

    def place(self, value: str) -> tuple[_Table, int]:
        network = canonical_network(value)
        shift = self._bits - network.prefixlen
        return self._by_shift.setdefault(shift, {}), int(network.network_address) >> shift

    def forget_empty(self) -> None:
        self._by_shift = {shift: table for shift, table in self._by_shift.items() if table}


class PlainEngine:
    """msgspec, dictionaries and the rules of `words`.

    Texts that held nothing are remembered, in a bounded set, until an observable is added: logs repeat themselves.
    """

    def __init__(self, *, max_line: int = MAX_LINE) -> None:
        self._wholes: _Table = {}  # addresses and hashes
        self._names: _Table = {}  # domains
        self._urls: _Table = {}
        self._emails: _Table = {}
        self._ipv4_nets = _Networks(32)
        self._ipv6_nets = _Networks(128)
        self._clean: set[str] = set()
        self._pairs = 0
        self._max_line = max_line

    def __len__(self) -> int:
        return self._pairs

    def add(self, observable: Observable, key: str) -> None:
        """See `Engine.add`."""
        table, place = self._place(observable)
        entry = table.get(place)
        if entry is None:
            entry = table[place] = _Entry(observable)
        self._pairs += key not in entry.keys
        entry.keys[key] = None
        self._clean.clear()

    def remove(self, observable: Observable, key: str) -> None:
        """See `Engine.remove`."""
        table, place = self._place(observable)
        entry = table.get(place)
        if entry is not None and key in entry.keys:
            del entry.keys[key]
            self._pairs -= 1
            if not entry.keys:
                del table[place]
        self._ipv4_nets.forget_empty()
        self._ipv6_nets.forget_empty()

    def _place(self, observable: Observable) -> tuple[_Table, str | int]:
        match observable.kind:
            case Kind.IPV4_NET:
                return self._ipv4_nets.place(observable.value)
            case Kind.IPV6_NET:
                return self._ipv6_nets.place(observable.value)
            case Kind.DOMAIN:
                return self._names, observable.value
            case Kind.URL:
                return self._urls, observable.value
            case Kind.EMAIL:
                return self._emails, observable.value
            case _:
                return self._wholes, observable.value

    def scan(self, chunk: bytes, reader: Reader) -> Scan:
        """See `Engine.scan`."""
        hits: list[Hit] = []
        lines = skipped = end = 0
        for line in chunk.split(b"\n"):
            start, end = end, end + len(line) + 1
            if not line or line.isspace():
                continue
            lines += 1
            record = reader.parse(line) if len(line) <= self._max_line else None
            try:
                found = self._match(record, reader) if record is not None else None
            except _TooDeepError:
                found = None
            if found is None:
                skipped += 1
            elif found and record is not None:
                hits.extend(_hits(found, reader.seen(record), start))
        return Scan(tuple(hits), lines, skipped)

    def _match(self, record: Record, reader: Reader) -> list[tuple[str, _Entry]]:
        clean = self._clean
        texts = [
            (field, value) for field, value in record.items() if type(value) is str and value not in clean
        ]
        for field, value in record.items():
            if type(value) is list or type(value) is dict:
                texts += [(path, text) for path, text in _texts(field, value, 2) if text not in clean]
        found = [(field, entry) for field, text in texts for entry in self._in_text(text)]
        if self._urls:
            for field, url in reader.joined(record):
                found += [(field, entry) for entry in self._joined_url(url)]
        return found

    def _in_text(self, text: str) -> list[_Entry]:
        if len(text) < _SHORTEST_HASH and "." not in text and ":" not in text and text.isascii():
            return []
        found: list[_Entry] = []
        for word in words(text):
            self._look_up_word(word, found)
        if ":" in text:
            for address in ipv6_addresses(text):
                found += self._address(address)
            if "://" in text:
                found += [entry for url in urls(text) if (entry := self._urls.get(url)) is not None]
        if "@" in text:
            found += [entry for email in emails(text) if (entry := self._emails.get(email)) is not None]
        if not found and len(text) <= _MAX_CLEAN_TEXT:
            self._remember_clean(text)
        return found

    def _remember_clean(self, text: str) -> None:
        if len(self._clean) >= _MAX_CLEAN:
            self._clean.clear()
        self._clean.add(text)

    def _look_up_word(self, word: str, found: list[_Entry]) -> None:
        if len(word) > MAX_NAME:
            return
        if (entry := self._wholes.get(word)) is not None:
            found.append(entry)
        dot = word.find(".")
        if dot > 0 and self._ipv4_nets and _IPV4.fullmatch(word) is not None:
            found += self._ipv4_nets.find(int.from_bytes(bytes(map(int, word.split("."))), "big"))
        while dot >= 0:
            if (entry := self._names.get(word)) is not None:
                found.append(entry)
            word = word[dot + 1 :]
            dot = word.find(".")

    def _address(self, address: Address) -> Iterator[_Entry]:
        if (entry := self._wholes.get(str(address))) is not None:
            yield entry
        yield from (self._ipv4_nets if address.version == 4 else self._ipv6_nets).find(int(address))

    def _joined_url(self, url: str) -> Iterator[_Entry]:
        try:
            entry = self._urls.get(canonical_url(url))
        except ObservableError:
            return
        if entry is not None:
            yield entry


def _texts(path: str, value: object, depth: int) -> Iterator[tuple[str, str]]:
    """Give every text in a nested value with its path; elements of a list have the path of the list."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, (list, dict)):
        if depth > MAX_DEPTH:
            raise _TooDeepError
        parts = value.items() if isinstance(value, dict) else ((None, each) for each in value)
        for name, part in parts:
            yield from _texts(path if name is None else f"{path}.{name}", part, depth + 1)


def _hits(found: list[tuple[str, _Entry]], seen: datetime | None, start: int) -> Iterator[Hit]:
    reported: set[tuple[str, str]] = set()
    for field, entry in found:
        for key in entry.keys:
            if (field, key) not in reported:
                reported.add((field, key))
                yield Hit(key, entry.observable, _writable(field), seen, start)


def _writable(field: str) -> str:
    """Replace lone surrogates, which a reader may let pass and no file takes."""
    return field.encode("utf-8", "replace").decode()
