"""What of a STIX pattern a live sensor can look for, and, in words, what it can't.

A pattern becomes three things. Its *observables* fulfil it each alone: `[url:value = 'a' OR url:value = 'b']`
has two. Its *anchors* are values that it names but that do not suffice: both sides of an AND, what stands in a
FOLLOWEDBY or under a qualifier. A hit on an anchor is no hit of the indicator; anchors are for search, and for
evaluating whole patterns later. Its *unmatched* remark says what no sensor looks for.

Two readings are wider than the letter of STIX 2.1 §9, because this is what publishers mean:

* `[ipv4-addr:value = '10.1.0.0/16']` is taken for the network, as ISSUBSET is; §9.6 would compare the texts;
* `network-traffic:dst_ref.value` and `src_ref.value` match an address wherever a record shows it: the engine
  sees addresses, not their roles.

Most indicators are one comparison or several joined by OR; two regular expressions read those in microseconds.
The rest goes through OASIS's own grammar in `stix2-patterns`, whose ANTLR runtime in Python takes 0.4 ms for the
smallest pattern and 4 ms per thousand characters: hence `MAX_GRAMMAR`.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Self, TypeVar

import msgspec
from stix2patterns.exceptions import ParseException  # type: ignore[import-untyped]  # ships no types
from stix2patterns.v21.pattern import Pattern  # type: ignore[import-untyped]  # ships no types

from lezha.detection.errors import ObservableError
from lezha.detection.observable import Kind, Observable, normalise

__all__ = ["MAX_GRAMMAR", "MAX_PATTERN", "Reading", "read"]

MAX_PATTERN = 262_144  # characters; some publishers put a whole list into one OR
MAX_GRAMMAR = 16_384  # characters that ANTLR gets: about 70 ms

_ADDRESS = (Kind.IPV4, Kind.IPV6)
_HASHES = {"MD5": Kind.MD5, "SHA1": Kind.SHA1, "SHA256": Kind.SHA256}
# (object type, path) → what its value may be; the first kind that the value is of counts.
_PATHS: dict[tuple[str, str], tuple[Kind, ...]] = {
    ("ipv4-addr", "value"): (Kind.IPV4,),
    ("ipv6-addr", "value"): (Kind.IPV6,),
    ("domain-name", "value"): (Kind.DOMAIN,),
    ("url", "value"): (Kind.URL,),
    ("email-addr", "value"): (Kind.EMAIL,),
    ("email-message", "from_ref.value"): (Kind.EMAIL,),
    ("network-traffic", "src_ref.value"): (*_ADDRESS, Kind.DOMAIN),
    ("network-traffic", "dst_ref.value"): (*_ADDRESS, Kind.DOMAIN),
    **{(kind, f"hashes.{name}"): (of,) for kind in ("file", "artifact") for name, of in _HASHES.items()},
}
_WEAK = {("file", "name"), ("file", "size"), ("directory", "path"), ("process", "name")}

# STIX 2.1 §9.2: a string escapes the quote and the backslash only. A step of a path with a hyphen wants quotes;
# `file:hashes.SHA-256` without them is common, and clear.
# Possessive: what one part takes, no other part could have taken.
_STRING = r"'[^'\\]*+(?:\\['\\][^'\\]*+)*+'"
_PATH = r"[A-Za-z0-9_]++(?:\.(?:[A-Za-z0-9_-]++|'[A-Za-z0-9_-]++'))*+"
_EQUALITY = re.compile(rf"\s*+(?P<type>[a-z0-9-]++):(?P<path>{_PATH})\s*+=\s*+(?P<value>{_STRING})\s*+")
_SEPARATOR = re.compile(r"OR(?=\s)|\]\s*OR\s*\[|\]\s*\Z")

_QUALIFIERS = {
    "ObservationExpressionWithinContext": "WITHIN",
    "ObservationExpressionStartStopContext": "START … STOP",
    "ObservationExpressionRepeatedContext": "REPEATS",
}
_MAX_REMARKS = 5
_T = TypeVar("_T")


class Reading(msgspec.Struct, frozen=True):
    """What a pattern says, as far as a live sensor is concerned.

    `observables` each fulfil the pattern alone: only these may report it. `exact` says that they are all of it.
    `anchors` are named by the pattern and do not suffice. `unmatched` is None exactly if `exact`.
    """

    observables: tuple[Observable, ...]
    exact: bool
    unmatched: str | None
    anchors: tuple[Observable, ...] = ()


class _Part(msgspec.Struct, frozen=True):
    """A reading in the making; of one comparison, or of several together."""

    observables: tuple[Observable, ...] = ()
    anchors: tuple[Observable, ...] = ()
    remarks: tuple[str, ...] = ()

    @classmethod
    def any_of(cls, parts: Iterable[Self]) -> Self:
        parts = tuple(parts)
        return cls(
            _distinct(each for part in parts for each in part.observables),
            _distinct(each for part in parts for each in part.anchors),
            _distinct(each for part in parts for each in part.remarks),
        )

    def insufficient(self, remark: str) -> Self:
        return type(self)((), _distinct(self.observables + self.anchors), _distinct((remark, *self.remarks)))


def _distinct(items: Iterable[_T]) -> tuple[_T, ...]:
    return tuple(dict.fromkeys(items))


def read(pattern: str, pattern_type: str) -> Reading:
    """Read a pattern; never raises: what can't be read is a `Reading` without observables that says why."""
    if pattern_type != "stix":
        return _unread(f"pattern_type {_quoted(pattern_type)} is not matched by sensors")
    if len(pattern) > MAX_PATTERN:
        return _unread(f"the pattern is longer than {MAX_PATTERN} characters")
    part = _read_equalities(pattern)
    return _read_grammar(pattern) if part is None else _finished(part)


def _unread(reason: str) -> Reading:
    return Reading((), exact=False, unmatched=reason)


def _finished(part: _Part) -> Reading:
    if not part.remarks and not part.anchors:
        return Reading(part.observables, exact=True, unmatched=None)
    shown = "; ".join(part.remarks[:_MAX_REMARKS])
    more = len(part.remarks) - _MAX_REMARKS
    remark = f"{shown}; and {more} more" if more > 0 else shown
    anchors = tuple(each for each in part.anchors if each not in part.observables)
    return Reading(part.observables, exact=not remark, unmatched=remark or None, anchors=anchors)


def _read_equalities(pattern: str) -> _Part | None:
    """Read `[a = 'x']`, `[a = 'x' OR b = 'y']` and `[a = 'x'] OR [b = 'y']`; None if it is anything else."""
    start = pattern.find("[") + 1
    if not start or pattern[: start - 1].strip():
        return None
    parts: list[_Part] = []
    while True:
        equality = _EQUALITY.match(pattern, start)
        separator = _SEPARATOR.match(pattern, equality.end()) if equality else None
        if equality is None or separator is None:
            return None
        parts.append(_compared(equality["type"], equality["path"], "=", (equality["value"],)))
        start = separator.end()
        if start == len(pattern) and separator[0][0] == "]":
            return _Part.any_of(parts) if len(parts) > 1 else parts[0]


class _Property(msgspec.Struct, frozen=True):
    """A property that patterns compare: `name` for remarks, the kinds of its values, or why it is not looked for."""

    name: str
    kinds: tuple[Kind, ...]
    remark: str = ""


def _compared(object_type: str, path: str, operator: str, literals: Iterable[str]) -> _Part:
    """Read one comparison whose operator makes it true if any of the literals is there."""
    # The same few properties are compared over and over; what is longer than any of them is not kept.
    compared = (_remembered if len(object_type) + len(path) <= 64 else _property)(object_type, path)
    if compared.remark:
        return _Part(remarks=(compared.remark,))
    if operator == "ISSUBSET" and not set(compared.kinds) & set(_ADDRESS):
        return _Part(remarks=(f"{compared.name} can't be a subset of anything",))
    parts = [_valued(compared, literal) for literal in literals]
    return parts[0] if len(parts) == 1 else _Part.any_of(parts)


def _property(object_type: str, path: str) -> _Property:
    path = _unquoted_path(path)
    kinds = _PATHS.get((object_type, path))
    name = _quoted(f"{object_type}:{path}")
    if kinds is not None:
        return _Property(name, kinds)
    weak = (object_type, path) in _WEAK
    return _Property(
        name, (), f"{name} alone is too weak to match" if weak else f"{name} is not matched by sensors"
    )


_remembered = lru_cache(maxsize=256)(_property)


def _unquoted_path(path: str) -> str:
    """Give a path without quotes, and the name of a hash algorithm without hyphens: publishers write it variously."""
    path = path.replace("'", "")
    if path.startswith("hashes."):
        return "hashes." + path[7:].replace("-", "").replace("_", "").upper()
    return path


def _valued(compared: _Property, literal: str) -> _Part:
    if not literal.startswith("'"):
        return _Part(remarks=(f"{compared.name} is compared with {_quoted(literal)}, which is not text",))
    text = literal[1:-1].replace("\\'", "'").replace("\\\\", "\\")
    reason = ""
    for kind in compared.kinds:
        try:
            return _Part((normalise(kind, text),))
        except ObservableError as error:
            reason = str(error)
    return _Part(remarks=(f"{compared.name}: {_quoted(text)} can't be looked for: {reason}",))


def _quoted(text: str) -> str:
    return text if len(text) <= 80 else text[:79] + "…"


class _Root:
    """The visitor that is handed the whole tree and gives it back, which is all of the visitor interface we need."""

    def visit(self, tree: Any) -> Any:
        return tree


def _read_grammar(pattern: str) -> Reading:
    if len(pattern) > MAX_GRAMMAR:
        return _unread(f"the pattern is more than a list of values, and longer than {MAX_GRAMMAR} characters")
    try:
        return _finished(_folded(Pattern(pattern).visit(_Root())))
    except ParseException as error:
        return _unread(f"not a STIX 2.1 pattern: {_quoted(str(error))}")
    except RecursionError:
        return _unread("the pattern is nested too deeply")


def _folded(tree: Any) -> _Part:
    """Read a node of the parse tree; the names of nodes are those of the rules in OASIS's STIXPattern.g4."""
    rule = type(tree).__name__
    if rule.startswith("PropTest") and rule != "PropTestParenContext":
        return _tested(tree)
    words = {child.getText() for child in tree.getChildren() if child.getChildCount() == 0}
    parts = [
        _folded(child) for child in tree.getChildren() if child.getChildCount() and _is_expression(child)
    ]
    part = _Part.any_of(parts)
    if qualifier := _QUALIFIERS.get(rule):
        return part.insufficient(f"uses {qualifier}, which needs more than one record")
    if "FOLLOWEDBY" in words:
        return part.insufficient("uses FOLLOWEDBY, which needs more than one record")
    if "AND" in words:
        return part.insufficient("uses AND: no single value is enough")
    return part


def _is_expression(tree: Any) -> bool:
    return not type(tree).__name__.endswith("QualifierContext")


def _tested(tree: Any) -> _Part:
    """Read one comparison: path, NOT, operator, literal."""
    first, *others = tree.getChildren()
    words = [other.getText() for other in others]
    operator = "EXISTS" if first.getChildCount() == 0 else next(word for word in words if word != "NOT")
    if "NOT" in words[:-1] or operator in ("!=", "<>"):
        return _Part(remarks=("uses NOT: what is absent can't be looked for",))
    if operator not in ("=", "==", "IN", "ISSUBSET"):
        return _Part(remarks=(f"uses {operator}, which is not matched by sensors",))
    object_type, _, path = first.getText().partition(":")
    return _compared(object_type.strip("'"), path, operator, _literals(others[-1]))


def _literals(tree: Any) -> list[str]:
    if type(tree).__name__ != "SetLiteralContext":
        return [tree.getText()]
    return [child.getText() for child in tree.getChildren() if child.getChildCount()]
