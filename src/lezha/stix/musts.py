"""The MUSTs of STIX 2.1 that OASIS's schemas do not state, each with its clause.

Rules that many types share stand in modules of their own: `identifiers`, `references`, `times`, `granular`.
`check` relies on `schema.check` having passed: required properties are there and of their type.
"""

from collections.abc import Callable
from typing import Any, Final

from lezha.stix import (
    clauses,
    granular,
    identifiers,
    language,
    meta,
    observables,
    patterns,
    references,
    times,
)
from lezha.stix.errors import Invalid, WrongVersion
from lezha.stix.limits import LIMITS, Limits
from lezha.stix.parse import quoted

_UNVERSIONED: Final = frozenset(clauses.OBSERVABLE_OBJECTS)
_VERSIONED: Final = frozenset({*clauses.DOMAIN_OBJECTS, *clauses.RELATIONSHIP_OBJECTS, *clauses.META_OBJECTS})
_WITH_LANGUAGE: Final = frozenset({*clauses.DOMAIN_OBJECTS, *clauses.RELATIONSHIP_OBJECTS})


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
    references.check_common(data)
    times.check_version(data)
    if "granular_markings" in data:
        granular.check(data)
    for rule in _RULES.get(kind, ()):
        rule(data)
    if kind == "indicator":
        _check_pattern(data, limits)


def _check_id(kind: str, object_id: str) -> None:
    # STIX 2.1 §2.9: the part before `--` MUST be the object's type.
    if not object_id.startswith(f"{kind}--"):
        raise Invalid(f"its id does not begin with its type, {quoted(kind)[1:-1]}--", clause="STIX 2.1 §2.9")


def _check_kind(data: dict[str, Any]) -> None:
    # STIX 2.1 §3.2: defanged MUST NOT be used on objects that are not SCOs.
    if "defanged" in data:
        raise Invalid("only observables can be defanged", clause="STIX 2.1 §3.2")


def _check_language(data: dict[str, Any]) -> None:
    # STIX 2.1 §3.2: lang MUST be a language code of RFC 5646.
    if "lang" in data and not language.is_tag(data["lang"]):
        raise Invalid(f"{quoted(data['lang'])} is not a language tag of RFC 5646", clause="STIX 2.1 §3.2")


def _check_pattern(data: dict[str, Any], limits: Limits) -> None:
    # STIX 2.1 §4.7: the pattern MUST be valid in the language that pattern_type names.
    pattern: str = data["pattern"]
    if not pattern.strip():
        raise Invalid("its pattern is empty", clause="STIX 2.1 §4.7")
    if data["pattern_type"] == "stix":
        patterns.check(pattern, limits)


Rule = Callable[[dict[str, Any]], None]

_OF_TYPE: Final[dict[str, tuple[Rule, ...]]] = {
    "language-content": (meta.check_language_content,),
    "marking-definition": (meta.check_marking_definition,),
    "observed-data": (references.check_observed, observables.check_container),
}


def _rules(kind: str) -> tuple[Rule, ...]:
    rules: list[Rule] = [identifiers.check if kind in _UNVERSIONED else _check_kind]
    if kind in _WITH_LANGUAGE:
        rules.append(_check_language)
    rules += (room.check for room in (times, references, observables) if room.concerns(kind))
    return (*rules, *_OF_TYPE.get(kind, ()))


_RULES: Final = {kind: _rules(kind) for kind in sorted(_UNVERSIONED | _VERSIONED)}
