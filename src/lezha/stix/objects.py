"""One STIX object: its exact bytes, and what the rest of the node wants to know of it."""

import json
import re
from collections.abc import Iterable
from functools import cache, lru_cache
from hashlib import sha256
from typing import Any, Final

import msgspec

from lezha.stix import musts, schema, timestamps
from lezha.stix.errors import StixError, TooLarge
from lezha.stix.limits import LIMITS, Limits
from lezha.stix.parse import WHITESPACE, References, decode_with_references

# Possessive, so that no text makes it try twice: in a type no hyphen follows another (STIX 2.1 §11.2).
_ID: Final = re.compile(
    "[a-z][a-z0-9]*+(?:-[a-z0-9]++)*+"
    "--[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
)
_LONGEST_ID: Final = 250 + len("--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f")  # STIX 2.1 §3.1 bounds the type
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
        data, references = decode_with_references(raw, limits)
        musts.check_version(data)
        schema.check(data)
        musts.check(data, limits)
        return _object(raw, data, references, limits)
    except StixError as error:
        error.object_id = claimed_id(raw)
        raise


def reread(raw: bytes) -> Object:
    """Return an object that was checked when it came, without checking it again: rules may have become stricter."""
    data, references = decode_with_references(raw, LIMITS)
    return _object(raw, data, references, LIMITS)


def claimed_id(raw: bytes) -> str | None:
    """Return the id that `raw` seems to have, for naming it in an error, even where it cannot be read."""
    try:
        claimed = msgspec.json.decode(raw, type=_Named).id
        return claimed if is_id(claimed) else None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        found = _claims("id").search(raw)
        return found[1].decode("ascii") if found and len(found[1]) <= _LONGEST_ID else None


def claimed_ids(raw: bytes, name: str = "id") -> tuple[str, ...]:
    """Return all ids that `raw` gives itself, in order, however often the property `name` stands in it.

    For finding bytes by what they are about, though they can't be taken: whoever reads them may take any of these.
    Where they are no JSON object, ids count that stand anywhere under that name.
    """
    try:
        members = _MEMBERS.decode(raw.decode("utf-8"))
    except (ValueError, RecursionError):
        members = None
    if isinstance(members, _Members):
        found: Iterable[Any] = (value for key, value in members if key == name)
    else:
        found = (one[1].decode("ascii") for one in _claims(name).finditer(raw))
    return tuple(dict.fromkeys(filter(is_id, found)))


class _Claim(msgspec.Struct):
    pattern: str = ""


_CLAIM: Final = msgspec.json.Decoder(_Claim)


def claimed_pattern(raw: bytes) -> int:
    """Return how many characters the pattern of an object has; of what can't be read so, how many bytes that has.

    For measuring what it may cost to read it: nothing is checked, and it is never less than what `read` would check.
    """
    try:
        return len(_CLAIM.decode(raw).pattern)
    except (ValueError, RecursionError):
        return len(raw)


class _Members(list[tuple[str, Any]]):
    """What stands between the braces of a JSON object, names that stand twice included."""


_MEMBERS: Final = json.JSONDecoder(object_pairs_hook=_Members)


@cache
def _claims(name: str) -> re.Pattern[bytes]:
    blank = rb"[ \t\r\n]*"
    return re.compile(
        b'"' + name.encode() + b'"' + blank + b":" + blank + b'"(' + _ID.pattern.encode() + b')"'
    )


def is_id(value: object) -> bool:
    """Say whether `value` is an identifier as objects that are taken may have it (STIX 2.1 §2.9, §3.1)."""
    return isinstance(value, str) and len(value) <= _LONGEST_ID and _has_form_of_id(value)


@lru_cache(maxsize=4096)  # authors, markings and what relationships hang on come again and again
def _has_form_of_id(text: str) -> bool:
    return _ID.fullmatch(text) is not None


class _Named(msgspec.Struct):
    id: Any = None


def _object(raw: bytes, data: dict[str, Any], references: References, limits: Limits) -> Object:
    markings, refs = _named_ids(data["id"], references, limits)
    return Object(
        raw=raw,
        sha256=sha256(raw).hexdigest(),
        id=data["id"],
        type=data["type"],
        version=_version(data),
        created_by=_string(data.get("created_by_ref")),
        revoked=data.get("revoked") is True,
        labels=_strings(data.get("labels")),
        markings=markings,
        refs=refs,
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
    return tuple([value for value in values if isinstance(value, str)]) if isinstance(values, list) else ()


def _named_ids(
    own_id: str, references: References, limits: Limits
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the markings that are named, and the other ids; dicts serve as sets that keep the order."""
    markings: dict[str, None] = {}
    refs: dict[str, None] = {}
    for name, values in references:
        target = markings if name in _MARKINGS else refs
        for value in values:
            if is_id(value):
                target[value] = None
    refs.pop(own_id, None)
    if len(refs) + len(markings) > limits.refs:
        raise TooLarge(f"it names more than {limits.refs:,} other objects", clause="limit refs")
    return tuple(markings), tuple(refs)
