"""The reader of strict JSON that says what `parse.decode` must say, in its simplest form: the standard library's."""

import json
from math import isfinite
from typing import Any, NoReturn

from lezha.stix import DuplicateKey, Invalid, NotJson, TooLarge

LARGEST = 2**53 - 1


def decode(raw: bytes, depth: int = 64) -> dict[str, Any]:
    """Return the JSON object that `raw` holds, or raise the error that its first reader must raise."""
    if raw.startswith(b"\xef\xbb\xbf"):
        raise NotJson("byte order mark", clause="RFC 8259 §8.1")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise NotJson("not UTF-8", clause="RFC 8259 §8.1") from None
    if _depth(raw) > depth:
        raise TooLarge("nesting", clause="limit depth")
    try:
        data = _DECODER.decode(text)
    except json.JSONDecodeError:
        raise NotJson("not JSON", clause="RFC 8259 §2") from None
    if not isinstance(data, dict):
        raise NotJson("not an object", clause="RFC 8259 §4")
    try:
        json.dumps(data, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise NotJson("half a surrogate pair", clause="RFC 8259 §8.2") from None
    return data


def _depth(raw: bytes) -> int:
    deepest = level = 0
    within_string = escaped = False
    for byte in raw:
        if within_string:
            within_string = escaped or byte != 0x22
            escaped = not escaped and byte == 0x5C
        elif byte in b"{[":
            level += 1
            deepest = max(deepest, level)
        elif byte in b"}]":
            level -= 1
        else:
            within_string = byte == 0x22
    return deepest


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for name, value in pairs:
        if name in data:
            raise DuplicateKey(name, clause="RFC 8259 §4")
        data[name] = value
    return data


def _integer(digits: str) -> int:
    if len(digits) < 20 and abs(int(digits)) <= LARGEST:
        return int(digits)
    raise Invalid(digits[:20], clause="STIX 2.1 §2.10")


def _float(digits: str) -> float:
    if isfinite(float(digits)):
        return float(digits)
    raise Invalid(digits[:20], clause="STIX 2.1 §2.6")


def _constant(name: str) -> NoReturn:
    raise NotJson(name, clause="RFC 8259 §6")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_int=_integer, parse_float=_float, parse_constant=_constant
)
