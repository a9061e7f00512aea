"""The MUSTs of STIX 2.1 that OASIS's schemas do not state, each with its clause.

`check` relies on `schema.check` having passed: required properties are there and of their type.
"""

from typing import Any, Final

from lezha.stix import clauses, patterns, timestamps
from lezha.stix.errors import Invalid, WrongVersion
from lezha.stix.limits import LIMITS, Limits
from lezha.stix.parse import quoted

_UNVERSIONED: Final = frozenset(clauses.OBSERVABLE_OBJECTS)
_VERSIONED: Final = frozenset({*clauses.DOMAIN_OBJECTS, *clauses.RELATIONSHIP_OBJECTS, *clauses.META_OBJECTS})

# type -> (earlier, later, whether they may be equal). §4.7 and §5.1 say "later than", the others "later than
# or equal to".
_ORDER: Final = {
    "campaign": ("first_seen", "last_seen", True),
    "indicator": ("valid_from", "valid_until", False),
    "infrastructure": ("first_seen", "last_seen", True),
    "intrusion-set": ("first_seen", "last_seen", True),
    "malware": ("first_seen", "last_seen", True),
    "network-traffic": ("start", "end", True),
    "observed-data": ("first_observed", "last_observed", True),
    "relationship": ("start_time", "stop_time", False),
    "sighting": ("first_seen", "last_seen", True),
    "threat-actor": ("first_seen", "last_seen", True),
}


def check_version(data: dict[str, Any]) -> None:
    """Raise WrongVersion if `data` is an object of STIX 2.0 or of a version that is not known here.

    STIX 2.1 §3.2: spec_version is required of SDOs and SROs and MUST be 2.1; STIX 2.0 has none on objects.
    """
    version = data.get("spec_version")
    if version == "2.1":
        return
    if isinstance(version, str):
        raise WrongVersion(f"it is STIX {quoted(version)[1:-1]}, not 2.1", clause="STIX 2.1 §3.2")
    if version is None and _needs_version(data):
        raise WrongVersion("it has no spec_version, as in STIX 2.0", clause="STIX 2.1 §3.2")


def _needs_version(data: dict[str, Any]) -> bool:
    kind = data.get("type")
    if not isinstance(kind, str) or kind in _UNVERSIONED:
        return False
    return kind in _VERSIONED or ("created" in data and "modified" in data)


def check(data: dict[str, Any], limits: Limits = LIMITS) -> None:
    """Raise Invalid if `data`, which satisfies its schema, breaks another MUST of STIX 2.1."""
    kind: str = data["type"]
    _check_id(kind, data["id"])
    _check_references(data)
    _check_versions(data)
    if kind in _ORDER:
        _check_order(kind, data)
    if kind == "indicator":
        _check_pattern(data, limits)


def _check_id(kind: str, object_id: str) -> None:
    # STIX 2.1 §2.9: the part before `--` MUST be the object's type.
    if not object_id.startswith(f"{kind}--"):
        raise Invalid(f"its id does not begin with its type, {quoted(kind)[1:-1]}--", clause="STIX 2.1 §2.9")


def _check_references(data: dict[str, Any]) -> None:
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


def _check_versions(data: dict[str, Any]) -> None:
    # STIX 2.1 §3.2: modified MUST be later than or equal to created.
    created, modified = data.get("created"), data.get("modified")
    if not isinstance(created, str):  # only custom objects can have something else here
        return
    first = timestamps.normalise(created)
    if isinstance(modified, str) and modified != created and timestamps.normalise(modified) < first:
        raise Invalid("modified is earlier than created", clause="STIX 2.1 §3.2")


def _check_order(kind: str, data: dict[str, Any]) -> None:
    earlier, later, equal = _ORDER[kind]
    begin, end = (timestamps.normalise(data[name]) if name in data else None for name in (earlier, later))
    if begin is None or end is None or begin < end or (equal and begin == end):
        return
    word = "earlier than" if equal else "not later than"
    raise Invalid(f"{later} is {word} {earlier}", clause=clauses.of(kind))


def _check_pattern(data: dict[str, Any], limits: Limits) -> None:
    # STIX 2.1 §4.7: the pattern MUST be valid in the language that pattern_type names.
    pattern: str = data["pattern"]
    if not pattern.strip():
        raise Invalid("its pattern is empty", clause="STIX 2.1 §4.7")
    if data["pattern_type"] == "stix":
        patterns.check(pattern, limits)
