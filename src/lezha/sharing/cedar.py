"""National policy written in Cedar, decided by Cedar's own engine (the package `cedarpy`, the extra `policy`).

A policy is read strictly, held against the schema that lies beside this file, and fails closed: what is not permitted
is withheld, and so is everything for which the engine reports an error. By itself Cedar leaves out a rule that fails,
also one that forbids.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from functools import cache, lru_cache
from importlib.resources import files
from types import ModuleType
from typing import Any, Final

import msgspec

from lezha.sharing.errors import PolicyError
from lezha.sharing.policy import What, Who
from lezha.sharing.release import Standing

MAX_BYTES: Final = 256 << 10
# The engine is recursive, and ends the whole process when its stack does. On 1 MiB of stack that is at 70 brackets
# within each other or at 500 `if`; what else makes a tree deeper takes less. Each of them is one of MAX_OPERATORS.
MAX_RULE: Final = 16 << 10
MAX_NESTING: Final = 50
MAX_OPERATORS: Final = 200
_MAX_NAME: Final = 200
_ANSWERS: Final = 32_768
# As Cedar's own lexer has it: a carriage return ends a comment too, and no string goes over an escaped newline.
_TOKEN: Final = re.compile(
    r"""\s+|//[^\n\r]*|"(?:\\[^\n]|[^"\\])*"|[A-Za-z0-9_]+|::|&&|\|\||[=!<>]=|.""", re.DOTALL
)
_LINE_END: Final = re.compile(r"\r\n?|\n")
_OPENED_BY: Final = {")": "(", "]": "[", "}": "{"}
# What makes no tree deeper. Any other token is counted, whatever it is.
_FLAT: Final = re.compile(
    r"""(?:\s+|//.*|".*"|(?!(?:if|in|is|has|like)\Z)[A-Za-z0-9_]+|::|[,:;@)\]}])\Z""", re.DOTALL
)
NO_RULE: Final = "no rule of it permits this"
_PRINCIPALS: Final = {Standing.MEMBER: "Member", Standing.CONSTITUENT: "Constituent"}


class Rule(msgspec.Struct, frozen=True):
    """A rule of a policy: the line on which it begins, its `@id`, and whether it permits or else forbids."""

    line: int
    name: str
    permits: bool

    def __str__(self) -> str:
        """Return what people call it."""
        return f"{self.name} (line {self.line})" if self.name else f"the rule in line {self.line}"


class Named(msgspec.Struct, frozen=True, order=True):
    """What a policy names by its id, `Member::"identity--…"`, first in this line."""

    kind: str
    id: str
    line: int


@cache
def schema() -> str:
    """Return the schema that every policy has to conform to."""
    return files("lezha.sharing").joinpath("policy.cedarschema").read_text("utf-8")


class CedarPolicy:
    """A policy out of the text of a Cedar file. Raises PolicyError for one that can't be used.

    `digest` is the SHA-256 of the text as UTF-8. `file` is what errors call it.
    """

    def __init__(self, text: str, file: str = "the policy") -> None:
        self.text: Final = text
        self.digest: Final = hashlib.sha256(text.encode()).hexdigest()
        self._cedar = _engine()
        self._schema = self._cedar.Schema.from_str(schema())
        pieces = _pieces(text, file)
        for line, piece in pieces:
            self._parse(piece, f"{file}, line {line}")
        self._set = self._parse(text, file)
        self.rules: Final = self._rules(pieces, file)
        self._validate(file)
        self.named: Final = _named(self._cedar, pieces)
        # Answers are kept: the engine gives some thousands a second, and objects of a kind are many.
        self._decided = lru_cache(_ANSWERS)(self._decide)

    @property
    def asked(self) -> int:
        """How often the engine was asked: about each kind of question once, as long as its answer is kept."""
        return self._decided.cache_info().misses

    def refusal(self, who: Who, what: What) -> str | None:
        """Say which rule refuses; None if none does and one permits. What can't be decided is refused."""
        try:
            return self._decided(who, what)
        except Exception as error:  # noqa: BLE001  # whatever it is: what was not decided does not leave
            return f"it could not be decided: {error}"

    def _decide(self, who: Who, what: What) -> str | None:
        principal = _uid(_PRINCIPALS[who.standing], who.id)
        found = self._cedar.is_authorized(
            {
                "principal": principal,
                "action": _uid("Action", "tell" if what.own else "relay"),
                "resource": _OBJECT,
                "context": {},
            },
            self._set,
            json.dumps(_entities(principal, who, what)),
            self._schema,
        )
        if found.diagnostics.errors:
            raise PolicyError("; ".join(found.diagnostics.errors))
        if found.allowed:
            return None
        # Cedar names all rules that apply, in no order: the first in the file stands for them.
        places = [int(one.removeprefix("policy")) for one in found.diagnostics.reasons]
        return str(self.rules[min(places)]) if places else NO_RULE

    def _parse(self, text: str, where: str) -> Any:
        try:
            parsed = self._cedar.PolicySet.from_str(text)
        except ValueError as error:
            raise PolicyError(f"{where}: this is not Cedar ({error}).") from None
        if parsed.templates():
            # A template decides nothing until it is linked: one that forbids would forbid nothing.
            raise PolicyError(
                f"{where}: a template (?principal, ?resource) decides nothing; name whom it is about."
            )
        return parsed

    def _rules(self, pieces: list[tuple[int, str]], file: str) -> tuple[Rule, ...]:
        told = json.loads(self._cedar.policies_to_json_str(self.text))["staticPolicies"]
        if len(told) != len(pieces):
            raise PolicyError(f"{file}: its rules can't be told apart; end each with a semicolon.")
        rules: list[Rule] = []
        for number, (line, _) in enumerate(pieces):
            one = told[f"policy{number}"]
            name = one.get("annotations", {}).get("id") or ""
            if len(name) > _MAX_NAME:
                raise PolicyError(f"{file}, line {line}: its @id is longer than {_MAX_NAME} characters.")
            if name and any(name == before.name for before in rules):
                raise PolicyError(f"{file}, line {line}: another rule has the @id {name!r} already.")
            rules.append(Rule(line, name, one["effect"] == "permit"))
        return tuple(rules)

    def _validate(self, file: str) -> None:
        found = self._cedar.validate_policies(self.text, self._schema)
        if found.validation_passed:
            return
        wrong = [_said(file, self.rules, one.policy_id, one.error) for one in found.errors]
        raise PolicyError(" ".join(wrong) or f"{file}: it does not conform to the schema.")


_OBJECT: Final = {"type": "Object", "id": "object"}


def _engine() -> ModuleType:
    try:
        import cedarpy
    except ImportError as error:
        raise PolicyError(
            f"A national policy needs the package cedarpy: pip install 'lezha[policy]' ({error})."
        ) from None
    return cedarpy


def _pieces(text: str, file: str) -> list[tuple[int, str]]:
    """Split a file into its rules, each with the line on which it begins. Raises PolicyError for what is too large."""
    if len(text.encode()) > MAX_BYTES:
        raise PolicyError(f"{file} is larger than {MAX_BYTES >> 10} KiB.")
    return list(_split(text, file))


def _split(text: str, file: str) -> Iterator[tuple[int, str]]:
    start, line = -1, 1
    bounds = _Bounds(file, line)
    for token in _TOKEN.finditer(text):
        if start < 0 and not token[0].isspace() and not token[0].startswith("//"):
            start, bounds = token.start(), _Bounds(file, line)
        if start >= 0:
            bounds.hold(token[0], line)
            if token[0] == ";":
                yield bounds.began, text[start : token.end()]
                start = -1
        line += len(_LINE_END.findall(token[0]))
    if start >= 0:
        yield bounds.began, text[start:]


class _Bounds:
    """What the engine is given of the rule that begins in this line, piece by piece."""

    def __init__(self, file: str, began: int) -> None:
        self.began: Final = began
        self._file = file
        self._length = self._operators = 0
        self._open: list[tuple[str, int]] = []

    def hold(self, piece: str, line: int) -> None:
        """Add what stands in `line` to the rule. Raises PolicyError for what the engine might not survive."""
        self._length += len(piece)
        self._operators += not _FLAT.match(piece)
        if self._length > MAX_RULE:
            raise self._refused(self.began, f"the rule is longer than {MAX_RULE >> 10} KiB")
        if self._operators > MAX_OPERATORS:
            raise self._refused(
                line,
                f"the rule of line {self.began} has more than {MAX_OPERATORS} operators, dots and brackets; "
                "write several rules, or [...].contains(...)",
            )
        if piece == '"':
            raise self._refused(line, "the string that begins here does not end")
        self._nest(piece, line)

    def _nest(self, piece: str, line: int) -> None:
        # The engine's parser skips what does not fit and goes on: brackets that do not match would hide others.
        if piece in _OPENED_BY and (not self._open or self._open.pop()[0] != _OPENED_BY[piece]):
            raise self._refused(line, f"no bracket is open that {piece} would close")
        if piece == ";" and self._open:
            bracket, where = self._open[-1]
            raise self._refused(line, f"the {bracket} of line {where} is not closed before the semicolon")
        if piece in _OPENED_BY.values():
            self._open.append((piece, line))
        if len(self._open) > MAX_NESTING:
            raise self._refused(line, f"brackets are nested more than {MAX_NESTING} deep")

    def _refused(self, line: int, why: str) -> PolicyError:
        return PolicyError(f"{self._file}, line {line}: {why}.")


def _said(file: str, rules: tuple[Rule, ...], policy: str, words: str) -> str:
    place = policy.removeprefix("policy")
    if not place.isdecimal() or int(place) >= len(rules):
        return f"{file}: {words}."
    rule = rules[int(place)]
    name = f" ({rule.name})" if rule.name else ""
    return f"{file}, line {rule.line}{name}: {re.sub(rf'^for policy `{policy}`[,:] ', '', words)}."


def _named(cedar: ModuleType, pieces: list[tuple[int, str]]) -> tuple[Named, ...]:
    found: dict[tuple[str, str], Named] = {}
    for line, piece in pieces:
        for kind, key in _uids(json.loads(cedar.policies_to_json_str(piece))):
            if kind in ("Member", "Community", "Constituent"):
                found.setdefault((kind, key), Named(kind, key, line))
    return tuple(found.values())


def _uids(told: object) -> Iterator[tuple[str, str]]:
    """Give the entities that are named anywhere in Cedar's JSON form of a policy."""
    if isinstance(told, dict):
        if told.keys() == {"type", "id"} and all(isinstance(one, str) for one in told.values()):
            yield told["type"], told["id"]
        for one in told.values():
            yield from _uids(one)
    elif isinstance(told, list):
        for one in told:
            yield from _uids(one)


def _uid(kind: str, key: str) -> dict[str, str]:
    return {"type": kind, "id": key}


def _ref(kind: str, key: str) -> dict[str, dict[str, str]]:
    return {"__entity": _uid(kind, key)}


def _entities(principal: dict[str, str], who: Who, what: What) -> list[dict[str, object]]:
    """Return the recipient and the kind of object in Cedar's JSON form of entities."""
    audience = {
        "everyone": what.everyone,
        "communities": [_ref("Community", one) for one in sorted(what.communities)],
        "named": what.named,
    }
    return [
        {
            "uid": principal,
            "attrs": {"clearance": _ref("Tlp", who.clearance.value)},
            "parents": [_uid("Community", one) for one in sorted(who.communities)],
        },
        {
            "uid": _OBJECT,
            "attrs": {
                "type": what.type,
                "tlp": _ref("Tlp", what.tlp.value),
                "pap": _ref("Pap", what.pap.value),
                "origin": _ref("Member", what.origin),
                "audience": audience,
            },
            "parents": [],
        },
    ]
