"""Bundles of any size, taken apart while they are read: at most one object is held, and the chunk that came last.

`bundle` takes what fits into one request and refuses a damaged one whole. Here whatever stands before the damage has
been given already, so the error says at which byte it lies. Besides bundles and TAXII envelopes, a bare list of
objects is taken, and objects one after another (JSON Lines, or one alone).

Several readers share the work, each for what the one before can't take. msgspec takes many objects at once, a regular
expression one. What is cut by the end of the chunk, or nests deeply, is counted bracket by bracket, and the count goes
on in the next chunk: so the time is linear in the input, whatever that is. What stands beside the list, the *outline*,
is read name by name.
"""

import re
from collections.abc import Callable, Generator, Iterator
from enum import Enum, auto
from typing import Final

import msgspec

from lezha.stix.bundle import check_beginning, check_version, not_a_list
from lezha.stix.errors import Invalid, NotJson, TooLarge
from lezha.stix.limits import LIMITS, Limits
from lezha.stix.objects import claimed_id
from lezha.stix.parse import WHITESPACE, decode, duplicate, quoted

_SPACE: Final = rb"[ \t\r\n]*+"
_PLAIN: Final = rb'[^"\[\]{}]*+'
_SIMPLE: Final = rb'"[^"\\]*+"' + _PLAIN  # a string without escapes, and what follows up to the next mark
_STRING: Final = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"' + _PLAIN
_FLAT: Final = _PLAIN + b"(?:" + _SIMPLE + b")*+(?:" + _STRING + b"(?:" + _SIMPLE + b")*+)*+"
_LEVELS: Final = 8  # STIX's own objects nest less deeply


def _nested(levels: int) -> bytes:
    """Return the expression of a value in brackets. Like those who count, it does not tell { from [."""
    inner = b"[\\[{]" + _FLAT + b"[\\]}]"
    for _ in range(levels):
        inner = b"[\\[{]" + _FLAT + b"(?:" + inner + _FLAT + b")*+[\\]}]"
    return inner


_LISTED: Final = re.compile(_SPACE + b"(" + _nested(_LEVELS) + b")" + _SPACE + b",", re.DOTALL)
_IN_A_ROW: Final = re.compile(_SPACE + b"((?=\\{)" + _nested(_LEVELS) + b")", re.DOTALL)
_GAP: Final = re.compile(_SPACE + b",?+" + _SPACE)
_BLANK: Final = re.compile(_SPACE)
_WORD: Final = re.compile(rb'[^ \t\r\n,:\[\]{}"]*+')
_BETWEEN_BRACKETS: Final = re.compile(_FLAT, re.DOTALL)
_IN_STRING: Final = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
_OPENING: Final = re.compile(rb"[\[{]++")
_CLOSING: Final = re.compile(rb"[\]}]++")
_RAW_LIST: Final = msgspec.json.Decoder(list[msgspec.Raw])
_RAW_LINES: Final = msgspec.json.Decoder(msgspec.Raw)
_BULK: Final = 16_384  # bytes from which on several objects are worth a try at once
_MARK: Final = 8  # bytes by which the beginning of an object is known among those of its parts
_BEGINNING: Final = 4096  # bytes by which a file that is no JSON is told apart
_QUOTE, _BACKSLASH = b'"\\'


class Element(msgspec.Struct, frozen=True):
    """The exact bytes of one object, unread and without whitespace around them; `end` is the offset just after."""

    raw: bytes
    end: int


class Skipped(msgspec.Struct, frozen=True):
    """An object that was too large to be held; `end` is the offset just after it."""

    error: TooLarge
    end: int


class _Place(Enum):
    START = auto()
    OUTLINE = auto()
    LIST = auto()
    ROW = auto()
    END = auto()


class _Next(Enum):
    """What may come: in a list FIRST (an element, or its end), ELEMENT, COMMA; in the outline also the others."""

    FIRST = auto()
    ELEMENT = auto()
    COMMA = auto()
    COLON = auto()
    VALUE = auto()


class _Scan:
    """One value that is being read, however often it is cut. `at` is where in the buffer reading goes on."""

    __slots__ = ("at", "depth", "in_string", "in_word")

    def __init__(self, at: int, depth: int = 0, *, in_string: bool = False) -> None:
        self.at, self.depth, self.in_string, self.in_word = at, depth, in_string, False

    def run(self, buffer: bytes) -> bool:
        """Read on; True if `at` is now just after the value, False if more is needed."""
        while self.at < len(buffer):
            if self.in_string:
                if not self._leave_string(buffer):
                    return False
                if not self.depth:
                    return True
            elif self.depth:
                if self._to_next_bracket(buffer):
                    return True
            elif self.in_word:
                self.at = _end(_WORD, buffer, self.at)
                return self.at < len(buffer)
            elif buffer[self.at] == _QUOTE:
                self.at, self.in_string = self.at + 1, True
            elif opened := _OPENING.match(buffer, self.at):
                self.at, self.depth = opened.end(), opened.end() - opened.start()
            else:
                self.in_word = True
        return False

    def _leave_string(self, buffer: bytes) -> bool:
        self.at = _end(_IN_STRING, buffer, self.at)
        if (
            self.at == len(buffer) or buffer[self.at] == _BACKSLASH
        ):  # what the backslash escapes is not there yet
            return False
        self.at, self.in_string = self.at + 1, False
        return True

    def _to_next_bracket(self, buffer: bytes) -> bool:
        at = self.at = _end(_BETWEEN_BRACKETS, buffer, self.at)
        if at == len(buffer):
            return False
        if buffer[at] == _QUOTE:
            self.at, self.in_string = at + 1, True
        elif opened := _OPENING.match(buffer, at):
            self.at = opened.end()
            self.depth += self.at - at
        else:
            closed = min(_end(_CLOSING, buffer, at) - at, self.depth)
            self.at, self.depth = at + closed, self.depth - closed
        return not self.depth and not self.in_string


class Splitter:
    """Takes one file apart: `feed` it chunks of bytes, cut anywhere, then call `finish`.

    Both raise StixError where the file as a whole is wrong, after everything before has been given; then nothing more
    may be fed. Objects may be anything, and larger than `limits.object_bytes`: one bad object never spoils the next.
    """

    def __init__(self, limits: Limits = LIMITS) -> None:
        self._most = limits.object_bytes
        self._limits = limits
        self._buffer = b""
        self._at = 0  # what of the buffer is done with
        self._base = 0  # the offset of the buffer's first byte
        self._place = _Place.START
        self._next = _Next.FIRST
        self._scan: _Scan | None = None
        self._begun = 0  # the offset at which the value that is being read begins
        self._tried = False
        self._skipping = False
        self._claimed: str | None = None
        self._outline = bytearray()
        self._name = ""
        self._names: set[str] = set()
        self._twice: str | None = None
        self._told: dict[str, object] = {}  # type and spec_version of the outermost object
        self._listed = False

    @property
    def begun(self) -> bool:
        """True once `jump` may be called: it is known what the objects are carried in."""
        return self._place in (_Place.LIST, _Place.ROW)

    @property
    def offset(self) -> int:
        """How many bytes of the file are done with."""
        return self._base + self._at

    def jump(self, end: int) -> None:
        """Go on at `end`, just after an object that was given earlier; what is fed next is what stands there."""
        if not self.begun:
            raise ValueError("nothing is known yet of what carries the objects")
        self._buffer, self._at, self._base = b"", 0, end
        self._scan, self._skipping = None, False
        self._next = _Next.COMMA if self._place is _Place.LIST else _Next.ELEMENT

    def feed(self, chunk: bytes) -> Iterator[Element | Skipped]:
        """Give the objects that are complete with `chunk`. Raises StixError."""
        if self._scan is not None:
            self._scan.at -= self._at
        self._buffer = self._buffer[self._at :] + chunk
        self._base += self._at
        self._at = 0
        self._tried = False
        readers: dict[_Place, Callable[[], Generator[Element | Skipped, None, bool]]] = {
            _Place.START: self._read_start,
            _Place.OUTLINE: self._read_outline,
            _Place.LIST: self._read_list,
            _Place.ROW: self._read_row,
            _Place.END: self._read_end,
        }
        while (yield from readers[self._place]()):
            pass

    def finish(self) -> None:
        """Raise NotJson if the file may not end here."""
        if self._place is _Place.START:
            check_beginning(self._buffer[self._at :])
        if self._place in (_Place.OUTLINE, _Place.LIST) or self._scan is not None:
            end = self._base + len(self._buffer)
            raise NotJson(
                f"it ends at byte {end:,} before the {_ENDS_IN[self._place]} does: what was complete before that "
                "was read, the rest is missing",
                clause="RFC 8259 §2",
            )

    # --- where one can be; each reader gives objects, and returns False if it needs more ----------------------------

    def _read_start(self) -> Generator[Element | Skipped, None, bool]:
        yield from ()
        if not self._to_mark():
            return False
        mark = self._buffer[self._at : self._at + 1]
        if mark == b"{":
            self._place = _Place.OUTLINE
            self._begun = self._base + self._at
            self._outline += mark
        elif mark == b"[":
            self._place = _Place.LIST
        else:
            if len(self._buffer) - self._at >= _BEGINNING:
                check_beginning(self._buffer[self._at :])
            return False
        self._at += 1
        return True

    def _read_list(self) -> Generator[Element | Skipped, None, bool]:
        if self._scan is None:
            if self._next is not _Next.COMMA:
                yield from self._in_bulk()
                yield from self._quickly(_LISTED, _Next.ELEMENT)
            if not self._to_mark():
                return False
            if self._next is _Next.COMMA or self._buffer[self._at] in b",:]}":
                self._punctuate()
                return True
            self._scan = _Scan(self._at)
            self._begun = self._base + self._at
        return (yield from self._carefully(_Next.COMMA))

    def _read_row(self) -> Generator[Element | Skipped, None, bool]:
        if self._scan is None:
            yield from self._lines_in_bulk()
            yield from self._quickly(_IN_A_ROW, _Next.ELEMENT)
            if not self._to_mark():
                return False
            if self._buffer[self._at] != b"{"[0]:
                raise self._unexpected("another object, or the end of the file")
            self._scan = _Scan(self._at)
            self._begun = self._base + self._at
        return (yield from self._carefully(_Next.ELEMENT))

    def _read_end(self) -> Generator[Element | Skipped, None, bool]:
        yield from ()
        if self._to_mark():
            raise self._unexpected("nothing more")
        return False

    def _read_outline(self) -> Generator[Element | Skipped, None, bool]:
        """Read names and values of the outermost object up to its list, or from there to its end."""
        if self._scan is None:
            marked = self._to_mark(keep=True)
            if len(self._outline) > self._most:
                self._outline_too_large(_Scan(self._at))
                return True
            if not marked:
                return False
            if self._next in (_Next.COMMA, _Next.COLON) or self._is_end_of_outline():
                return (yield from self._punctuate_outline())
            if self._next is _Next.VALUE and self._name == "objects" and self._begins_list():
                return True
            if self._next is not _Next.VALUE and self._buffer[self._at] != _QUOTE:
                raise self._unexpected("a name in quotes")
            self._scan = _Scan(self._at)
        return self._read_outline_value()

    # --- objects ----------------------------------------------------------------------------------------------------

    def _in_bulk(self) -> Iterator[Element | Skipped]:
        """Give a run of elements that msgspec takes for a list, which it can be only if it ends where one does.

        The place to end is guessed: the last one that looks as the first two elements do where they meet.
        """
        buffer, start = self._buffer, self._at
        first = _LISTED.match(buffer, start) if self._is_bulky() else None
        if first is None:
            return
        seam = buffer[first.end(1) : _end(_BLANK, buffer, first.end()) + _MARK]
        end = buffer.rfind(seam, first.end(1))
        try:
            parts = _RAW_LIST.decode(b"[" + buffer[start:end] + b"]")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return
        yield from self._give(parts, _GAP)
        self._at = _end(_GAP, buffer, self._at)
        self._next = _Next.ELEMENT

    def _lines_in_bulk(self) -> Iterator[Element | Skipped]:
        buffer, start = self._buffer, self._at
        end = buffer.rfind(b"\n", start) if self._is_bulky() else -1
        if end < 0:
            return
        try:
            parts = _RAW_LINES.decode_lines(buffer[start:end])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return
        yield from self._give(parts, _BLANK)

    def _is_bulky(self) -> bool:
        """True once for each chunk, so that no damage in it has it read again and again."""
        bulky = not self._tried and len(self._buffer) - self._at >= _BULK
        self._tried = self._tried or bulky
        return bulky

    def _give(self, parts: list[msgspec.Raw], gap: re.Pattern[bytes]) -> Iterator[Element | Skipped]:
        """Give what msgspec took apart, up to what is no object in a row of objects."""
        buffer, base, most = self._buffer, self._base, self._most
        blank = gap.match
        for part in parts:
            raw = bytes(part).strip(WHITESPACE)
            if self._place is _Place.ROW and not raw.startswith(b"{"):
                return
            before = blank(buffer, self._at)
            assert before is not None
            self._at = before.end() + len(raw)
            end = base + self._at
            self._next = _Next.COMMA if self._place is _Place.LIST else _Next.ELEMENT
            if len(raw) <= most:
                yield Element(raw, end)
            else:
                yield Skipped(self._too_large(len(raw), claimed_id(raw)), end)

    def _quickly(self, expression: re.Pattern[bytes], then: _Next) -> Iterator[Element | Skipped]:
        buffer, base, most = self._buffer, self._base, self._most
        match = expression.match
        while found := match(buffer, self._at):
            self._at = found.end()
            self._next = then
            raw = found[1]
            if len(raw) <= most:
                yield Element(raw, base + found.end(1))
            else:
                yield Skipped(self._too_large(len(raw), claimed_id(raw)), base + found.end(1))

    def _carefully(self, then: _Next) -> Generator[Element | Skipped, None, bool]:
        scan = self._scan
        assert scan is not None
        done = scan.run(self._buffer)
        size = self._base + scan.at - self._begun
        if not done:
            if size > self._most and not self._skipping:
                self._skip(self._buffer[self._at :])
            if self._skipping:
                self._at = scan.at
            return False
        raw = b"" if self._skipping else self._buffer[self._at : scan.at]
        if not raw and not self._skipping:
            raise self._unexpected("an object")
        claimed = self._claimed if self._skipping else None
        large = size > self._most
        if large and not self._skipping:
            claimed = claimed_id(raw)
        self._at = scan.at
        self._scan, self._skipping, self._claimed = None, False, None
        self._next = then
        end = self._base + self._at
        yield Skipped(self._too_large(size, claimed), end) if large else Element(raw, end)
        return True

    def _skip(self, seen: bytes) -> None:
        self._skipping = True
        self._claimed = claimed_id(seen[: self._most])

    def _punctuate(self) -> None:
        """Take the comma after an element, or the end of the list."""
        mark = self._buffer[self._at]
        if mark == b","[0] and self._next is _Next.COMMA:
            self._next = _Next.ELEMENT
        elif mark == b"]"[0] and self._next is not _Next.ELEMENT:
            self._place = _Place.OUTLINE if self._listed else _Place.END
            self._outline += b"]" if self._listed else b""
            self._next = _Next.COMMA
        elif self._next is _Next.COMMA:
            raise self._unexpected("a comma or the end of the list")
        else:
            raise self._unexpected("an object")
        self._at += 1

    # --- the outline ------------------------------------------------------------------------------------------------

    def _is_end_of_outline(self) -> bool:
        return self._next is _Next.FIRST and self._buffer[self._at] == b"}"[0]

    def _begins_list(self) -> bool:
        """Enter the list of objects if this is it: of a bundle, or of an envelope, which has no type."""
        if self._buffer[self._at] != b"["[0] or self._told.get("type") not in (None, "bundle"):
            return False
        if self._listed or self._twice:
            raise duplicate(self._twice or "objects")
        check_version(self._told.get("spec_version"))
        self._outline += b"["
        self._at += 1
        self._listed = True
        self._place, self._next = _Place.LIST, _Next.FIRST
        return True

    def _read_outline_value(self) -> bool:
        scan = self._scan
        assert scan is not None
        done = scan.run(self._buffer)
        if len(self._outline) + scan.at - self._at > self._most:
            self._outline_too_large(scan)
            return True
        if not done:
            return False
        text = self._buffer[self._at : scan.at]
        if not text:
            raise self._unexpected("a value")
        self._take_outline(scan.at)
        self._scan = None
        if self._next is _Next.VALUE:
            if self._name in ("type", "spec_version"):
                self._told[self._name] = _value(text)
            self._next = _Next.COMMA
        else:
            self._named(text)
        return True

    def _named(self, text: bytes) -> None:
        name = _value(text)
        if not isinstance(name, str):
            raise NotJson(
                f"the name {quoted(text.decode(errors='replace'))} can't be read", clause="RFC 8259 §7"
            )
        if name in self._names:
            self._twice = name
            if self._listed:
                raise duplicate(name)
        self._names.add(name)
        self._name, self._next = name, _Next.COLON

    def _punctuate_outline(self) -> Generator[Element | Skipped, None, bool]:
        mark = self._buffer[self._at : self._at + 1]
        if self._next is _Next.COLON:
            if mark != b":":
                raise self._unexpected("a colon")
            self._next = _Next.VALUE
        elif mark == b",":
            self._next = _Next.ELEMENT
        elif mark != b"}":
            raise self._unexpected("a comma or a closing brace")
        self._take_outline(self._at + 1)
        if mark == b"}":
            yield from self._close_outline()
        return True

    def _close_outline(self) -> Iterator[Element | Skipped]:
        kind = self._told.get("type")
        whole = bytes(self._outline)
        if kind != "bundle" and not self._listed and (kind is not None or "objects" not in self._names):
            self._place, self._next = _Place.ROW, _Next.ELEMENT
            large = len(whole) > self._most
            error = self._too_large(len(whole), claimed_id(whole)) if large else None
            yield Skipped(error, self.offset) if error else Element(whole, self.offset)
            return
        if self._twice:
            raise duplicate(self._twice)
        check_version(decode(whole, self._limits).get("spec_version"))
        if kind not in (None, "bundle"):
            raise Invalid(
                f"its type, given after its list of objects, is {quoted(str(kind))}, not bundle",
                clause="STIX 2.1 §8",
            )
        if not self._listed and "objects" in self._names:
            raise not_a_list()
        self._place = _Place.END

    def _outline_too_large(self, scan: _Scan) -> None:
        """Go on as with an object that is too large, unless it is a bundle; raise TooLarge then."""
        if self._listed or self._told.get("type") == "bundle":
            raise TooLarge(
                f"what stands beside its list of objects has more than {self._most:,} bytes",
                clause="limit object_bytes",
            )
        self._skip(bytes(self._outline) + self._buffer[self._at :])
        self._scan = _Scan(scan.at, scan.depth + 1, in_string=scan.in_string)
        self._place, self._next = _Place.ROW, _Next.ELEMENT

    # --- small things -----------------------------------------------------------------------------------------------

    def _to_mark(self, *, keep: bool = False) -> bool:
        """Pass over whitespace; False if nothing follows yet."""
        at = _end(_BLANK, self._buffer, self._at)
        if (
            keep
        ):  # of an object that stands alone every byte counts; beside a list one blank is as good as many
            self._outline += self._buffer[self._at : min(at, self._at + 1) if self._listed else at]
        self._at = at
        return self._at < len(self._buffer)

    def _take_outline(self, end: int) -> None:
        self._outline += self._buffer[self._at : end]
        self._at = end

    def _too_large(self, size: int, claimed: str | None) -> TooLarge:
        return TooLarge(
            f"it has {size:,} bytes and this node takes {self._most:,} per object",
            clause="limit object_bytes",
            object_id=claimed,
        )

    def _unexpected(self, wanted: str) -> NotJson:
        found = self._buffer[self._at : self._at + 20].decode(errors="replace")
        return NotJson(
            f"at byte {self.offset:,} there is {quoted(found)} where {wanted} was due; what stands before it was read",
            clause="RFC 8259 §2",
        )


_ENDS_IN: Final = {
    _Place.START: "beginning",
    _Place.OUTLINE: "bundle",
    _Place.LIST: "list of objects",
    _Place.ROW: "last object",
    _Place.END: "end",
}


def _end(expression: re.Pattern[bytes], buffer: bytes, at: int) -> int:
    """Return where a match ends of an expression that also matches nothing."""
    found = expression.match(buffer, at)
    assert found is not None
    return found.end()


def _value(text: bytes) -> object:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
