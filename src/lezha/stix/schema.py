"""OASIS's own JSON schemas of STIX 2.1, compiled once per type, and what they find said in plain words.

The schemas are package data of `stix2-validator`. Its code is never imported (that takes half a second and
pulls in a command line); its files are found through the package's metadata. This is the one place in
`lezha.stix` that reads files, and no network is ever asked: every `$ref` is answered from those files.

The schemas are written for backtracking regular expressions (`^([a-z][a-z0-9]*)+(-...)*$`), so they are compiled
to automata here, which take linear time whatever a hostile string does. Their slips are put right in `repairs`.
"""

import importlib.metadata
import json
from functools import cache
from typing import Any, Final, NamedTuple

from jsonschema_rs import Draft202012Validator, RegexOptions, Registry, ValidationError, ValidationErrorKind

from lezha.stix import clauses
from lezha.stix.errors import Invalid
from lezha.stix.parse import quoted
from lezha.stix.repairs import repaired

_PACKAGE: Final = "stix2-validator"
_FOLDER: Final = "stix2validator/schemas-2.1/schemas/"
_ADDRESS: Final = "http://raw.githubusercontent.com/oasis-open/cti-stix2-json-schemas/stix2.1/schemas/"

_FOLDERS: Final = {
    **dict.fromkeys(clauses.DOMAIN_OBJECTS, "sdos"),
    **dict.fromkeys(clauses.RELATIONSHIP_OBJECTS, "sros"),
    **dict.fromkeys(clauses.OBSERVABLE_OBJECTS, "observables"),
    **dict.fromkeys(clauses.META_OBJECTS, "common"),
}

_RESERVED: Final = frozenset({"action", "phone_number", "phone_numbers", "severity", "username"})


def check(data: dict[str, Any]) -> None:
    """Raise Invalid if `data` breaks OASIS's schema for its type.

    Types that STIX does not define are held to the common properties of their kind alone; properties that
    it does not define pass, whatever they hold.
    """
    kind = data.get("type")
    if not isinstance(kind, str):
        raise Invalid('it lacks the property "type", or it is not a string', clause="STIX 2.1 §3.2")
    if kind == "bundle":
        raise Invalid("it is a bundle where one object is expected", clause=clauses.of(kind))
    validator = _validator_of_type(kind) if kind in _FOLDERS else _validator(_schema_of_custom(data))
    if not validator.is_valid(data):
        raise _explain(kind, list(validator.iter_errors(data)))


def compile_all() -> None:
    """Compile every schema now (0.2 s), so that the first object of each type need not wait for it."""
    for kind in _FOLDERS:
        _validator_of_type(kind)


@cache
def _validator_of_type(kind: str) -> Draft202012Validator:
    return _validator(f"{_FOLDERS[kind]}/{kind}.json")


def _schema_of_custom(data: dict[str, Any]) -> str:
    extensions = data.get("extensions")
    if isinstance(extensions, dict):
        types = [part.get("extension_type") for part in extensions.values() if isinstance(part, dict)]
        if "new-sco" in types:
            return "common/cyber-observable-core.json"
        if "new-sdo" in types or "new-sro" in types:
            return "common/core.json"
    # STIX 2.1 §3.2: only SDOs and SROs have versions.
    versioned = "created" in data or "modified" in data
    return "common/core.json" if versioned else "common/cyber-observable-core.json"


@cache
def _registry() -> tuple[dict[str, Any], Registry]:
    """Return the schemas by their path, such as `sdos/indicator.json`, and the registry that resolves `$ref`."""
    files = importlib.metadata.files(_PACKAGE) or []
    schemas: dict[str, Any] = {}
    for file in files:
        path = file.as_posix()
        if path.startswith(_FOLDER) and path.endswith(".json"):
            name = path.removeprefix(_FOLDER)
            schemas[name] = repaired(name, json.loads(file.read_text("utf-8")))
    if not schemas:
        raise RuntimeError(f"the package {_PACKAGE} is here without its schemas; install it again")
    return schemas, Registry([(_ADDRESS + name, schema) for name, schema in schemas.items()])


@cache
def _validator(name: str) -> Draft202012Validator:
    schemas, registry = _registry()
    return Draft202012Validator(
        schemas[name],
        registry=registry,
        offline=True,
        # RegexOptions, not the default FancyRegexOptions: automata instead of backtracking.
        pattern_options=RegexOptions(),
    )


class _Finding(NamedTuple):
    """One thing that a schema finds wrong, in words."""

    path: list[str | int]
    words: str
    clause: str | None = None


def _explain(kind: str, errors: list[ValidationError]) -> Invalid:
    if not errors:  # is_valid and iter_errors of one validator cannot differ; say no more than is known
        return Invalid("it breaks OASIS's schema for its type", clause=clauses.of(kind))
    finding = _finding(min(errors, key=_vagueness))
    place = f" at {_place(finding.path)}" if finding.path else ""
    others = len({tuple(error.instance_path) for error in errors}) - 1
    more = f" (and {others} more)" if others else ""
    clause = finding.clause or clauses.of_property(kind, finding.path)
    return Invalid(f"{finding.words}{place}{more}", clause=clause)


def _vagueness(error: ValidationError) -> int:
    """Order errors so that the first is the one that says most: what is missing, then what is wrong."""
    match error.kind:
        case ValidationErrorKind.Required():
            return 0
        case ValidationErrorKind.AnyOf() | ValidationErrorKind.OneOfNotValid():
            return 2
        case ValidationErrorKind.OneOfMultipleValid() | ValidationErrorKind.Not():
            return 3
        case _:
            return 1


def _finding(error: ValidationError) -> _Finding:
    path = list(error.instance_path)
    match error.kind:
        case _ if error.instance is None:
            # STIX 2.1 §2 knows no null; what has no value is left out.
            return _Finding(
                path, "null is no value in STIX, so that the property must be left out", "STIX 2.1 §2"
            )
        case (
            ValidationErrorKind.AnyOf(context=branches) | ValidationErrorKind.OneOfNotValid(context=branches)
        ):
            return _best_of(path, branches)
        case ValidationErrorKind.Required(property=name):
            path.append(name)
            return _Finding(path[:-1], f"it lacks the required property {quoted(name)}")
        case ValidationErrorKind.AdditionalProperties(unexpected=names):
            return _of_names(path, ", ".join(map(quoted, names[:3])))
        case ValidationErrorKind.Pattern(pattern=pattern):
            return _of_pattern(path, str(error.instance), pattern)
        case ValidationErrorKind.MinItems():
            return _Finding(path, "a list must not be empty", "STIX 2.1 §2.12")
        case ValidationErrorKind.Not():
            return _of_not(path, error.instance)
        case _:
            return _Finding(path, _of_value(error))


def _of_names(path: list[str | int], shown: str) -> _Finding:
    match path:
        case [*_, "extensions"]:
            return _Finding(path, f"STIX does not allow the extension {shown}", "STIX 2.1 §7.3")
        case [] | ["extensions", _] | ["objects", _]:
            # STIX 2.1 §3.1: names are of a-z, 0-9 and _, at least three and at most 250 of them.
            return _Finding(path, f"STIX does not allow the property name {shown}", "STIX 2.1 §3.1")
        case [*_, "hashes"]:
            return _Finding(path, f"STIX does not allow the name of a hash {shown}", "STIX 2.1 §2.7")
        case _:
            return _Finding(path, f"STIX does not allow the key {shown}", "STIX 2.1 §2.3")


def _of_value(error: ValidationError) -> str:
    match error.kind:
        case ValidationErrorKind.Enum(options=options):
            return f"{_shown(error.instance)} is not one of {', '.join(map(str, options[:8]))}"
        case ValidationErrorKind.Type(types=types):
            return f"{_shown(error.instance)} is not of the type {' or '.join(types)}"
        case _:
            return _cut(error.message)


def _best_of(path: list[str | int], branches: list[list[ValidationError]]) -> _Finding:
    """Name what the nearest alternatives lack: those with the fewest errors."""
    wrong = sorted((branch for branch in branches if branch), key=len)
    if not wrong:
        return _Finding(path, "it has none of the forms that STIX allows")
    lacking = [
        branch[0].kind.property
        for branch in wrong
        if len(branch) == 1 and isinstance(branch[0].kind, ValidationErrorKind.Required)
    ]
    if len(lacking) > 1:
        return _Finding(path, f"it needs one of the properties {', '.join(map(quoted, lacking))}")
    return _finding(min(wrong[0], key=_vagueness))


def _of_pattern(path: list[str | int], value: str, pattern: str) -> _Finding:
    if pattern.startswith(("^[0-9]{4}-(0[1-9]", "T\\d{2}")):
        return _Finding(
            path,
            f"{quoted(value)} is not a time such as 2022-07-15T00:00:00.000Z",
            "STIX 2.1 §3.2" if path[-1:] in (["created"], ["modified"]) else "STIX 2.1 §2.16",
        )
    if pattern.endswith("-[0-9a-fA-F]{12}$"):
        return _Finding(path, f"{quoted(value)} is not an id (type--UUID)", "STIX 2.1 §2.9")
    if pattern.endswith("--") and pattern.startswith("^"):
        return _Finding(path, f"{quoted(value)} does not begin with {quoted(pattern[1:])}")
    return _Finding(path, f"{quoted(value)} does not have the form that STIX requires")


def _of_not(path: list[str | int], instance: object) -> _Finding:
    if isinstance(instance, dict) and (names := _RESERVED.intersection(instance)):
        shown = ", ".join(map(quoted, sorted(names)))
        return _Finding(path, f"it uses the reserved property name {shown}", "STIX 2.1 §3.8")
    if path:
        return _Finding(path, f"{_shown(instance)} is one of the values that STIX excludes here")
    return _Finding(path, "it has two properties that exclude each other")


def _place(path: list[str | int]) -> str:
    """Return the JSON path, such as `external_references[0].url`."""
    steps = [f"[{step}]" if isinstance(step, int) else f".{step}" for step in path]
    return quoted("".join(steps).lstrip("."))[1:-1]


def _shown(value: object) -> str:
    return _cut(json.dumps(value))


def _cut(text: str) -> str:
    return text if len(text) <= 120 else text[:117] + "..."
