"""Strict JSON: what two readers could understand differently is refused (RFC 8259, RFC 7493).

Two readers do this. The strict one is the standard library's with a hook at every object and number: it alone
refuses, and it alone says why. The quick one is msgspec's, three times as fast, which lets a name stand twice
and integers of any size pass. It is believed only where one count proves that neither was there; whatever else
comes, the strict one reads again.
"""

import json
import re
from math import isfinite
from typing import Any, Final, NoReturn

import msgspec

from lezha.stix.errors import DuplicateKey, Invalid, NotJson, TooLarge
from lezha.stix.limits import LIMITS, Limits

WHITESPACE: Final = b" \t\n\r"  # RFC 8259 §2

# STIX 2.1 §2.10: integers lie in ±(2^53 - 1), what a double holds exactly.
_LARGEST_INTEGER: Final = 2**53 - 1
_LONGEST_INTEGER: Final = len(f"-{_LARGEST_INTEGER}")

# A string (closed or not), or a bracket.
_TOKEN: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[\]{}]', re.DOTALL)
_SURROGATE_ESCAPE: Final = re.compile(rb"\\u[dD][89a-fA-F]")
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"

_QUICK: Final = msgspec.json.Decoder()
_REFERENCE: Final = ("_ref", "_refs")  # STIX 2.1 §3.1
_DOUBT: Final = 1 << 40  # more members than any input has bytes

References = list[tuple[str, Any]]
"""What stands in properties `*_ref` and `*_refs`, at any depth: (property, value), in order of appearance."""


def decode(raw: bytes, limits: Limits = LIMITS) -> dict[str, Any]:
    """Return the JSON object that `raw` holds, if it can be read in one way only.

    Raises NotJson for anything that is not a JSON object in UTF-8 (NaN, Infinity and lone surrogates
    included), DuplicateKey for a name given twice at any depth, Invalid for numbers that a double cannot
    hold, TooLarge past `limits.object_bytes` or `limits.depth`; in time linear in the input.
    """
    return decode_with_references(raw, limits)[0]


def decode_with_references(raw: bytes, limits: Limits = LIMITS) -> tuple[dict[str, Any], References]:
    """Do what `decode` does, and return the properties that refer to other objects as well."""
    if len(raw) > limits.object_bytes:
        raise TooLarge(
            f"it has {len(raw):,} bytes and this node takes {limits.object_bytes:,} per object",
            clause="limit object_bytes",
        )
    references: References = []
    data = _quickly(raw, references, limits.depth)
    if data is None:
        data = _strictly(raw, limits.depth)
        references = []
        _walk(data, references, limits.depth)
    return data, references


def _quickly(raw: bytes, references: References, depth: int) -> dict[str, Any] | None:
    """Return what `raw` holds if it surely is what `_strictly` would return; None if that would take a proof.

    Every member has a colon behind its name: with white space taken out, `":` occurs at least once for each,
    and again wherever a string holds the like. If it occurs no oftener than there are members in the tree that
    was read, then none was lost, and no name stood twice. (msgspec bounds its own recursion.)
    """
    try:
        data = _QUICK.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if type(data) is dict and _walk(data, references, depth) == raw.translate(None, WHITESPACE).count(b'":'):
        return data
    return None


def _walk(node: dict[str, Any], references: References, depth: int) -> int:
    """Count the members at and below `node`, down to `depth` levels, and note its references.

    What makes it doubtful whether the tree says what was written makes the count absurd: nesting too deep, and
    integers past 2^53, which msgspec gives as they are or as floats.
    """
    if depth <= 0:
        return _DOUBT
    members = len(node)
    for name, value in node.items():
        kind = type(value)
        if kind is str:
            if "--" in value and name.endswith(_REFERENCE):
                references.append((name, (value,)))
        elif kind is list:
            if name.endswith(_REFERENCE):
                references.append((name, value))
            members += _walk_list(value, references, depth - 1)
        elif kind is dict:
            members += _walk(value, references, depth - 1)
        elif value is not None and not -_LARGEST_INTEGER <= value <= _LARGEST_INTEGER:
            members += _DOUBT
    return members


def _walk_list(values: list[Any], references: References, depth: int) -> int:
    if depth <= 0:
        return _DOUBT
    members = 0
    for value in values:
        kind = type(value)
        if kind is str:
            continue
        if kind is dict:
            members += _walk(value, references, depth - 1)
        elif kind is list:
            members += _walk_list(value, references, depth - 1)
        elif value is not None and not -_LARGEST_INTEGER <= value <= _LARGEST_INTEGER:
            members += _DOUBT
    return members


def _strictly(raw: bytes, depth: int) -> dict[str, Any]:
    text = _text(raw)
    _check_depth(raw, depth)
    try:
        data = _STRICT.decode(text)
    except json.JSONDecodeError as error:
        raise NotJson(
            f"it is not JSON: {error.msg[0].lower()}{error.msg[1:]} at line {error.lineno}, column {error.colno}",
            clause="RFC 8259 §2",
        ) from None
    if not isinstance(data, dict):
        raise NotJson("it is not a JSON object in braces", clause="RFC 8259 §4")
    if _SURROGATE_ESCAPE.search(raw):
        _check_surrogates(data)
    return data


def quoted(text: str) -> str:
    """Return `text` in quotes, shortened and without control characters, for use in a message."""
    shown = text if len(text) <= 80 else text[:77] + "..."
    return json.dumps(shown)


def _text(raw: bytes) -> str:
    if raw.startswith(_BYTE_ORDER_MARK):
        raise NotJson("it begins with a byte order mark, which JSON must not", clause="RFC 8259 §8.1")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotJson(f"byte {error.start} is not UTF-8", clause="RFC 8259 §8.1") from None


def _check_depth(raw: bytes, most: int) -> None:
    # Counting all brackets is quick and settles nearly every object; those within strings only overcount.
    if raw.count(b"{") + raw.count(b"[") <= most:
        return
    depth = 0
    for token in _TOKEN.finditer(raw):
        match raw[token.start()]:
            case 0x7B | 0x5B:
                depth += 1
                if depth > most:
                    raise TooLarge(
                        f"it nests deeper than the {most} levels that this node takes", clause="limit depth"
                    )
            case 0x7D | 0x5D:
                depth -= 1


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build an object; `{"tlp": "red", "tlp": "clear"}` must not read as clear (RFC 8259 §4, RFC 7493 §2.3)."""
    data = dict(pairs)
    if len(data) == len(pairs):
        return data
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            raise duplicate(name)
        seen.add(name)
    raise AssertionError("fewer keys than pairs without a duplicate")


def duplicate(name: str) -> DuplicateKey:
    """Return the error that says that an object names the property `name` twice."""
    return DuplicateKey(f"it gives the property {quoted(name)} twice", clause="RFC 8259 §4")


def _integer(digits: str) -> int:
    if len(digits) <= _LONGEST_INTEGER and abs(value := int(digits)) <= _LARGEST_INTEGER:
        return value
    raise Invalid(f"the integer {quoted(digits)} lies outside ±(2^53 - 1)", clause="STIX 2.1 §2.10")


def _float(digits: str) -> float:
    if isfinite(value := float(digits)):
        return value
    raise Invalid(f"the number {quoted(digits)} is larger than a double holds", clause="STIX 2.1 §2.6")


def _constant(name: str) -> NoReturn:
    raise NotJson(f"{name} is not a JSON value", clause="RFC 8259 §6")


def _check_surrogates(data: dict[str, Any]) -> None:
    try:
        json.dumps(data, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise NotJson(
            "a \\u escape names half of a surrogate pair, which is no character", clause="RFC 8259 §8.2"
        ) from None


_STRICT: Final = json.JSONDecoder(
    object_pairs_hook=_unique, parse_int=_integer, parse_float=_float, parse_constant=_constant
)
