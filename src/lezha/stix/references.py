"""What may stand in the properties that name other objects: the targets that STIX allows for each."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, NamedTuple

from lezha.stix import clauses, identifiers
from lezha.stix.errors import Invalid
from lezha.stix.parse import quoted

TypeOf = Callable[[str], str | None]
"""Gives the type of the object that a reference names; None if it names none."""

_OBSERVABLES: Final = tuple(f"{kind}--" for kind in clauses.OBSERVABLE_OBJECTS)
_META: Final = (*(f"{kind}--" for kind in clauses.META_OBJECTS), "bundle--")
_NO_OBSERVABLES: Final = (
    *(f"{kind}--" for kind in (*clauses.DOMAIN_OBJECTS, *clauses.RELATIONSHIP_OBJECTS)),
    *_META,
)


class _Target(NamedTuple):
    """A property and the types that it may name."""

    name: str
    only: tuple[str, ...]
    clause: str = ""  # that of the object's type unless given


class _Other(NamedTuple):
    """A property that may name what it wants, custom types included, but for ids that begin with some types."""

    name: str
    never: tuple[str, ...]
    clause: str = ""


_ENDPOINT: Final = ("ipv4-addr", "ipv6-addr", "mac-addr", "domain-name")
_ADDRESS: Final = (
    _Target("resolves_to_refs", ("mac-addr",)),
    _Target("belongs_to_refs", ("autonomous-system",)),
)
_EXTENSION: Final = ("extension-definition--",)
_ANY_OBJECT: Final = (_Other("object_refs", ("bundle--",), "8.2"),)  # nothing refers to a bundle

# By the type of the object. What OASIS's schemas hold to already is left out, for instance that a sighting is
# none of a relationship.
_OTHERS: Final[dict[str, tuple[_Other, ...]]] = {
    "grouping": _ANY_OBJECT,
    "note": _ANY_OBJECT,
    "observed-data": (_Other("object_refs", _META),),
    "opinion": _ANY_OBJECT,
    "report": _ANY_OBJECT,
    "relationship": (_Other("source_ref", _EXTENSION), _Other("target_ref", _EXTENSION)),
    "sighting": (_Other("sighting_of_ref", _OBSERVABLES + _EXTENSION),),
    "file": (_Other("contains_refs", _NO_OBSERVABLES),),
}
_TARGETS: Final[dict[str, tuple[_Target, ...]]] = {
    "malware": (_Target("sample_refs", ("artifact", "file")),),
    "directory": (_Target("contains_refs", ("file", "directory")),),
    "domain-name": (_Target("resolves_to_refs", ("ipv4-addr", "ipv6-addr", "domain-name")),),
    "email-addr": (_Target("belongs_to_ref", ("user-account",)),),
    "email-message": (
        *(
            _Target(name, ("email-addr",))
            for name in ("from_ref", "sender_ref", "to_refs", "cc_refs", "bcc_refs")
        ),
        _Target("raw_email_ref", ("artifact",)),
    ),
    "file": (
        _Target("parent_directory_ref", ("directory",)),
        _Target("content_ref", ("artifact",)),
    ),
    "ipv4-addr": _ADDRESS,
    "ipv6-addr": _ADDRESS,
    "network-traffic": (
        _Target("src_ref", _ENDPOINT),
        _Target("dst_ref", _ENDPOINT),
        _Target("src_payload_ref", ("artifact",)),
        _Target("dst_payload_ref", ("artifact",)),
        _Target("encapsulates_refs", ("network-traffic",)),
        _Target("encapsulated_by_ref", ("network-traffic",)),
    ),
    "process": (
        _Target("opened_connection_refs", ("network-traffic",)),
        _Target("creator_user_ref", ("user-account",)),
        _Target("image_ref", ("file",)),
        _Target("parent_ref", ("process",)),
        _Target("child_refs", ("process",)),
    ),
    "windows-registry-key": (_Target("creator_user_ref", ("user-account",)),),
}

# Within an object: the way there (`*` is every element of a list), and the property.
_WITHIN: Final[dict[str, tuple[tuple[str, ...], _Target]]] = {
    "email-message": (("body_multipart", "*"), _Target("body_raw_ref", ("artifact", "file"), clause="6.6.2")),
    "file": (
        ("extensions", "archive-ext"),
        _Target("contains_refs", ("file", "directory"), clause="6.7.2"),
    ),
    "network-traffic": (
        ("extensions", "http-request-ext"),
        _Target("message_body_data_ref", ("artifact",), clause="6.12.2"),
    ),
    "process": (
        ("extensions", "windows-service-ext"),
        _Target("service_dll_refs", ("file",), clause="6.13.3"),
    ),
}


def check_common(data: dict[str, Any]) -> None:
    """Raise Invalid if the creator is no identity or a marking no marking definition."""
    # STIX 2.1 §3.2: created_by_ref MUST name an identity, object_marking_refs marking definitions.
    creator = data.get("created_by_ref")
    if isinstance(creator, str) and not creator.startswith("identity--"):
        raise Invalid(f"created_by_ref names {quoted(creator)}, not an identity", clause="STIX 2.1 §3.2")
    for marking in data.get("object_marking_refs", ()):
        if not marking.startswith("marking-definition--"):
            raise Invalid(
                f"object_marking_refs names {quoted(marking)}, not a marking definition",
                clause="STIX 2.1 §3.2",
            )


def concerns(kind: str) -> bool:
    """Say whether `check` has anything to look for in objects of the type `kind`."""
    return kind in _TARGETS or kind in _OTHERS or kind in _WITHIN


def check(data: dict[str, Any], type_of: TypeOf = identifiers.type_of) -> None:
    """Raise Invalid if a property of `data` that STIX defines names an object of a type that it must not name."""
    kind: str = data["type"]
    for target in _TARGETS.get(kind, ()):
        if target.name in data:
            _check_target(kind, data[target.name], target, type_of)
    for other in _OTHERS.get(kind, ()):
        if other.name in data:
            _check_other(kind, data[other.name], other)
    if kind in _WITHIN:
        way, target = _WITHIN[kind]
        for part in at(data, way):
            if target.name in part:
                _check_target(kind, part[target.name], target, type_of)


def check_observed(data: dict[str, Any]) -> None:
    """Raise Invalid if the references of an observed-data name no observable."""
    # STIX 2.1 §4.14: object_refs MUST contain at least one SCO reference. A custom object may be an SCO.
    refs = data.get("object_refs")
    if refs and all(ref.startswith(_NO_OBSERVABLES) for ref in refs):
        raise Invalid("object_refs names no observable", clause=clauses.of("observed-data"))


def at(data: dict[str, Any], way: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """Give the objects at `way` within `data`; what is of another form is passed over."""
    parts: list[Any] = [data]
    for step in way:
        if step == "*":
            parts = [element for part in parts if isinstance(part, list) for element in part]
        else:
            parts = [part[step] for part in parts if isinstance(part, dict) and step in part]
    return (part for part in parts if isinstance(part, dict))


def _check_target(kind: str, value: object, target: _Target, type_of: TypeOf) -> None:
    for ref in _references(value):
        named = type_of(ref)
        if named is None:
            # STIX 2.1 §2.9, §2.13: a reference is an identifier, within a container the key of another object.
            outside = type_of is identifiers.type_of
            what, clause = ("an id (type--UUID)", "§2.9") if outside else ("an object beside it", "§2.13")
            raise Invalid(
                f"{target.name} names {quoted(ref)}, which is not {what}",
                clause=f"{clauses.SPECIFICATION} {clause}",
            )
        if named not in target.only:
            raise Invalid(
                f"{target.name} names {quoted(ref)}, not {_either(target.only)}",
                clause=_clause(kind, target.clause),
            )


def _check_other(kind: str, value: object, other: _Other) -> None:
    for ref in _references(value):
        if ref.startswith(other.never):
            raise Invalid(
                f"{other.name} names {quoted(ref)}, which it must not", clause=_clause(kind, other.clause)
            )


def _references(value: object) -> Iterable[str]:
    # Strings or lists of them: the schema has seen to that wherever STIX defines the property.
    if isinstance(value, str):
        return (value,)
    return value if isinstance(value, list) else ()


def _clause(kind: str, section: str) -> str:
    return f"{clauses.SPECIFICATION} §{section}" if section else clauses.of(kind)


def _either(types: tuple[str, ...]) -> str:
    return types[0] if len(types) == 1 else f"{', '.join(types[:-1])} or {types[-1]}"
