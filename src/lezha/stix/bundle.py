"""Bundles (STIX 2.1 §8) and TAXII envelopes: taken apart into exact bytes, and put together from them.

What carries objects is not kept: of a bundle only its list counts, and its id is not looked at. Two readers
find the list. The quick one is msgspec's. The careful one counts brackets; it takes what msgspec refuses as a
whole, so that NaN or half a surrogate pair in one object costs that object alone, and lists so long that
taking them apart before counting would cost memory.
"""

import re
from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Final

import msgspec

from lezha.stix import clauses
from lezha.stix.errors import Invalid, NotJson, StixError, TooLarge, WrongVersion
from lezha.stix.limits import LIMITS, Limits
from lezha.stix.new import stable_id
from lezha.stix.objects import Object, read
from lezha.stix.parse import WHITESPACE, decode, duplicate, quoted

_MEMBERS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ELEMENTS: Final = msgspec.json.Decoder(list[msgspec.Raw])

_STRING: Final = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_NAME: Final = re.compile(rb"[ \t\r\n]*+(" + _STRING + rb")[ \t\r\n]*+:[ \t\r\n]*+", re.DOTALL)
_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff", b"{\0", b"\0{")  # with a byte order mark, or a brace of two bytes
_NEXT: Final = re.compile(rb"[ \t\r\n]*+[,}]")
_TOKEN: Final = re.compile(_STRING + rb"?|[\[\]{},]", re.DOTALL)  # a string, closed or not, or punctuation


def split(raw: bytes, limits: Limits = LIMITS, *, alone: bool = True) -> Iterator[Object | StixError]:
    """Give each object of a bundle, a TAXII envelope or a single object in order, or what is wrong with it.

    Unless it may come `alone`, a single object is refused: Invalid.
    Raises StixError, before anything is given, if the whole cannot be taken apart: not JSON, a property given
    twice outside the objects, too large, STIX 1.x or 2.0.
    """
    parts = slices(raw, limits)
    if not alone and parts == [bytes(raw).strip(WHITESPACE)]:
        raise Invalid("it is no envelope, which has a list of objects and no type", clause="TAXII 2.1 §3.7")
    return (_read(part, limits) for part in parts)


def slices(raw: bytes, limits: Limits = LIMITS) -> list[bytes]:
    """Return the exact bytes of each object in `raw`, unread and without whitespace around them.

    Raises StixError as `split` does.
    """
    if len(raw) > limits.bundle_bytes:
        raise TooLarge(
            f"it has {len(raw):,} bytes and this node takes {limits.bundle_bytes:,} at once",
            clause="limit bundle_bytes",
        )
    raw = bytes(raw).strip(WHITESPACE)
    check_beginning(raw)
    try:
        return _take_apart(raw, limits)
    except RecursionError:
        return _take_bomb_apart(raw, limits)


def write(objects: Iterable[Object | bytes]) -> bytes:
    """Return a bundle of `objects`, each byte for byte; the same objects give the same bundle."""
    parts = [one.raw if isinstance(one, Object) else one for one in objects]
    bundle_id = stable_id("bundle", *(sha256(part).hexdigest() for part in parts))
    head = b'{"type":"bundle","id":"' + bundle_id.encode("ascii") + b'"'
    # STIX 2.1 §2.12: a list MUST NOT be empty.
    return head + (b',"objects":[' + b",".join(parts) + b"]}" if parts else b"}")


def _read(part: bytes, limits: Limits) -> Object | StixError:
    try:
        return read(part, limits)
    except StixError as error:
        return error


def check_beginning(raw: bytes) -> None:
    """Raise StixError if `raw`, or its first 4 KiB, shows that it is no JSON object of STIX 2.1."""
    if not raw:
        raise NotJson("it is empty", clause="RFC 8259 §2")
    if raw.startswith(b"<") and b"stix" in raw[:4096].lower():
        raise WrongVersion("it is STIX 1.x in XML", clause="STIX 2.1 §1.1")
    if raw.startswith(_UTF_16):
        raise NotJson("it is in UTF-16, and JSON must be in UTF-8", clause="RFC 8259 §8.1")
    if raw.startswith(b"\xef\xbb\xbf"):
        raise NotJson("it begins with a byte order mark, which JSON must not", clause="RFC 8259 §8.1")
    if not raw.startswith(b"{"):
        raise NotJson("it is not a JSON object in braces", clause="RFC 8259 §4")


def _take_apart(raw: bytes, limits: Limits) -> list[bytes]:
    try:
        members = _MEMBERS.decode(raw)
        kind = msgspec.json.decode(members.get("type", b"null"))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return _careful(raw, limits, str(error))
    if not _is_container(kind, "objects" in members):
        return [raw]
    if raw.count(b",") >= limits.objects:
        return _careful(raw, limits, "its list of objects cannot be read")
    values = {name: bytes(value).strip(WHITESPACE) for name, value in members.items()}
    _check_members(raw, values)
    return _quick(values, limits)


def _take_bomb_apart(raw: bytes, limits: Limits) -> list[bytes]:
    # One object may be the bomb, to be refused by itself; counting brackets needs no recursion to find it.
    parts = _careful(raw, limits, "it nests too deep")
    if parts == [raw]:
        raise TooLarge(
            f"it nests deeper than the {limits.depth} levels that this node takes", clause="limit depth"
        )
    return parts


def _is_container(kind: object, has_objects: bool) -> bool:
    # TAXII 2.1 §3.7: an envelope has objects and no type.
    return kind == "bundle" or (kind is None and has_objects)


def _quick(members: dict[str, bytes], limits: Limits) -> list[bytes]:
    listed = members.pop("objects", b"[]")
    # What stands beside the list is held to strict JSON too.
    named = (msgspec.json.encode(name) + b":" + value for name, value in members.items())
    check_version(decode(b"{" + b",".join(named) + b"}", limits).get("spec_version"))
    if not listed.startswith(b"["):
        raise not_a_list()
    return [bytes(part).strip(WHITESPACE) for part in _ELEMENTS.decode(listed)]


def _check_members(raw: bytes, members: dict[str, bytes]) -> None:
    """Raise DuplicateKey if the outermost object of `raw`, whose members are these, names one twice.

    Walks from name to name: the value at each must be the one that msgspec kept, which was the last.
    """
    seen: set[str] = set()
    at = 1
    while found := _NAME.match(raw, at):
        name: str = msgspec.json.decode(found[1])
        value = members[name]
        if name in seen or not raw.startswith(value, found.end()):
            raise duplicate(name)
        seen.add(name)
        after = _NEXT.match(raw, found.end() + len(value))
        if after is None:  # the value here only begins like the one that was kept
            raise duplicate(name)
        at = after.end()


def _careful(raw: bytes, limits: Limits, why: str) -> list[bytes]:
    """Take a bundle or envelope apart by its brackets; `why` says what the quick reader did not like.

    What remains, the outline with 0 for each object, must be strict JSON. A single object is given as it is:
    reading it will say what is wrong.
    """
    spans = _element_spans(raw, limits)
    if spans is None:
        return [raw]
    outline: list[bytes] = []
    at = 0
    for start, end in spans:
        outline += (raw[at:start], b"0" if raw[start:end].strip(WHITESPACE) else b"")
        at = end
    try:
        plain = decode(b"".join((*outline, raw[at:])), limits)
    except NotJson:
        raise NotJson(f"it is not JSON: {quoted(why)[1:-1]}", clause="RFC 8259 §2") from None
    if not _is_container(plain.get("type"), has_objects=True):
        return [raw]
    check_version(plain.get("spec_version"))
    if plain.get("objects") != [0] * len(spans):
        raise not_a_list()
    return [raw[start:end].strip(WHITESPACE) for start, end in spans]


def _element_spans(raw: bytes, limits: Limits) -> list[tuple[int, int]] | None:
    """Return where the elements of the outermost `objects` begin and end; None if there is no such list."""
    spans: list[tuple[int, int]] | None = None
    depth = 0
    start = -1
    name = b""
    for token in _TOKEN.finditer(raw):
        text = token[0]
        if depth == 2 and start >= 0 and text in (b",", b"]"):
            assert spans is not None
            spans.append((start, token.start()))
            start = token.end() if text == b"," else -1
            if len(spans) > limits.objects:
                raise TooLarge(f"it holds more than {limits.objects:,} objects", clause="limit objects")
        if text in (b"{", b"["):
            depth += 1
            if depth == 2 and text == b"[" and name == b'"objects"' and spans is None:
                spans, start = [], token.end()
        elif text in (b"}", b"]"):
            depth -= 1
        elif depth == 1 and text != b",":
            name = text
    if spans is not None and len(spans) == 1 and not raw[slice(*spans[0])].strip(WHITESPACE):
        return []
    return spans


def check_version(version: object) -> None:
    """Raise WrongVersion if the `spec_version` of a bundle is another than 2.1."""
    # STIX 2.0 bundles state their version; those of 2.1 do not (§8), though some tools write it all the same.
    if isinstance(version, str) and version != "2.1":
        raise WrongVersion(f"it is STIX {quoted(version)[1:-1]}, not 2.1", clause="STIX 2.1 §8")


def not_a_list() -> Invalid:
    """Return the error that says that the `objects` of a bundle are no list."""
    return Invalid("its objects are not a list", clause=clauses.of("bundle"))
