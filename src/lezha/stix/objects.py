"""One STIX object: its exact bytes, and what the rest of the node wants to know of it."""

import re
from collections.abc import Iterable
from hashlib import sha256
from typing import Any, Final

import msgspec

from lezha.stix import musts, schema, timestamps
from lezha.stix.errors import StixError, TooLarge
from lezha.stix.limits import LIMITS, Limits
from lezha.stix.parse import WHITESPACE, decode

_ID: Final = re.compile(
    r"[a-z][a-z0-9-]{0,249}--[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
)
_CLAIMED_ID: Final = re.compile(rb'"id"[ \t\r\n]*:[ \t\r\n]*"(' + _ID.pattern.encode() + rb')"')
_REFERENCES: Final = ("_ref", "_refs")  # STIX 2.1 §3.1
_MARKINGS: Final = frozenset({"object_marking_refs", "marking_ref"})


class Object(msgspec.Struct, frozen=True):
    """One version of a STIX object, checked.

    `raw` are its bytes as they came, without whitespace around them; `sha256` is their hash in hex. `version`
    is `modified`, or `created` where there is no `modified`, as text that sorts by time (microseconds); it is
    empty for SCOs. `markings` are the ids of all markings, at whatever depth and of whatever selector: a
    granular marking counts for the whole object. `refs` are the other ids that it names, `created_by`
    included, anywhere within it and in order of appearance. `data` is for reading only.
    """

    raw: bytes
    sha256: str
    id: str
    type: str
    version: str
    created_by: str | None
    revoked: bool
    labels: tuple[str, ...]
    markings: tuple[str, ...]
    refs: tuple[str, ...]
    data: dict[str, Any]


def read(raw: bytes, limits: Limits = LIMITS) -> Object:
    """Return the STIX 2.1 object that `raw` holds; raise StixError, with its id where it shows one."""
    raw = bytes(raw).strip(WHITESPACE)
    try:
        data = decode(raw, limits)
        musts.check_version(data)
        schema.check(data)
        musts.check(data, limits)
        return _object(raw, data, limits)
    except StixError as error:
        error.object_id = claimed_id(raw)
        raise


def reread(raw: bytes) -> Object:
    """Return an object that was checked when it came, without checking it again: rules may have become stricter."""
    return _object(raw, decode(raw), LIMITS)


def claimed_id(raw: bytes) -> str | None:
    """Return the id that `raw` seems to have, for naming it in an error, even where it cannot be read."""
    try:
        claimed = msgspec.json.decode(raw, type=_Named).id
        if isinstance(claimed, str) and _ID.fullmatch(claimed):
            return claimed
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        if found := _CLAIMED_ID.search(raw):
            return found[1].decode("ascii")
    return None


class _Named(msgspec.Struct):
    id: Any = None


def _object(raw: bytes, data: dict[str, Any], limits: Limits) -> Object:
    named = _named_ids(data, limits)
    return Object(
        raw=raw,
        sha256=sha256(raw).hexdigest(),
        id=data["id"],
        type=data["type"],
        version=_version(data),
        created_by=_string(data.get("created_by_ref")),
        revoked=data.get("revoked") is True,
        labels=_strings(data.get("labels")),
        markings=tuple(named.markings),
        refs=tuple(named.refs),
        data=data,
    )


def _version(data: dict[str, Any]) -> str:
    # A custom SCO may hold something of its own under these names.
    stated = data.get("modified", data.get("created"))
    return timestamps.normalise(stated) if isinstance(stated, str) else ""


# For SCOs STIX defines neither creator nor labels, so that they may hold anything under these names.
def _string(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _strings(values: object) -> tuple[str, ...]:
    return tuple(value for value in values if isinstance(value, str)) if isinstance(values, list) else ()


class _NamedIds:
    """The ids that an object names; dicts serve as sets that keep the order."""

    __slots__ = ("markings", "refs")

    def __init__(self) -> None:
        self.markings: dict[str, None] = {}
        self.refs: dict[str, None] = {}

    def collect(self, node: dict[str, Any]) -> None:
        for key, value in node.items():
            if key.endswith(_REFERENCES):
                self._name(key, value if isinstance(value, list) else (value,))
        self._collect_all(node.values())

    def _collect_all(self, values: Iterable[Any]) -> None:
        for value in values:
            if isinstance(value, dict):
                self.collect(value)
            elif isinstance(value, list):
                self._collect_all(value)

    def _name(self, key: str, values: Iterable[Any]) -> None:
        target = self.markings if key in _MARKINGS else self.refs
        for value in values:
            if isinstance(value, str) and _ID.fullmatch(value):
                target[value] = None


def _named_ids(data: dict[str, Any], limits: Limits) -> _NamedIds:
    """Collect every id named in a property `*_ref` or `*_refs`, at any depth, extensions included.

    The depth is bounded: `decode` has checked it.
    """
    named = _NamedIds()
    named.collect(data)
    named.refs.pop(data["id"], None)
    if len(named.refs) + len(named.markings) > limits.refs:
        raise TooLarge(f"it names more than {limits.refs:,} other objects", clause="limit refs")
    return named
