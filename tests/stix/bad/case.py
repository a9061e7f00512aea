"""Bad input, one case for each rule and each way to break it: what must be refused, how, and under which clause.

A `Case` is one object beside its sound counterpart, so that nothing but the fault can be what is refused. A
`Whole` is input that cannot be taken apart at all.
"""

from typing import Any, NamedTuple

from tests.stix.examples import AMBER, DOMAIN, NOW, OBSERVABLE, SOME_ID

from lezha.stix import Invalid, StixError, encode

OTHER_ID = "11111111-1111-4111-8111-111111111111"
LATER = "2022-07-15T09:00:00.000Z"


class Case(NamedTuple):
    claim: str
    sound: bytes
    bad: bytes
    error: type[StixError]
    clause: str
    object_id: str | None


class Whole(NamedTuple):
    claim: str
    raw: bytes
    error: type[StixError]
    clause: str


def of(kind: str, **properties: Any) -> dict[str, Any]:
    """The properties of an object of `kind`, those that it requires included; None removes one."""
    common: dict[str, Any] = {"type": kind, "id": f"{kind}--{SOME_ID}"}
    if kind not in OBSERVABLE:
        common |= {"spec_version": "2.1", "created": NOW}
    if kind not in OBSERVABLE and kind != "marking-definition":
        common |= {"modified": NOW}
    required = OBSERVABLE.get(kind) or DOMAIN.get(kind) or {}
    if kind == "marking-definition":
        required = {"definition_type": "statement", "definition": {"statement": "a"}}
    data = common | required | properties
    return {name: value for name, value in data.items() if value is not None}


def broken(claim: str, clause: str, kind: str, sound: dict[str, Any], bad: dict[str, Any]) -> Case:
    """A case of a MUST: an object with the properties `sound` is taken, one with `bad` is not."""
    good = of(kind, **sound)
    wrong = of(kind, **bad)
    readable = isinstance(wrong.get("id"), str) and len(wrong["id"]) == len(good["id"])
    return Case(
        claim, encode(good), encode(wrong), Invalid, f"STIX 2.1 §{clause}", wrong["id"] if readable else None
    )


def ref(kind: str, uuid: str = OTHER_ID) -> str:
    return f"{kind}--{uuid}"


def wrong_target(kind: str, clause: str, name: str, right: str, wrong: str, **rest: Any) -> Case:
    many = name.endswith("_refs")
    sound, bad = ([ref(right)], [ref(right), ref(wrong)]) if many else (ref(right), ref(wrong))
    return broken(
        f"{name} of {kind} names no {wrong}", clause, kind, rest | {name: sound}, rest | {name: bad}
    )


def marked(selector: str, **rest: Any) -> dict[str, Any]:
    return {"granular_markings": [{"selectors": [selector], "marking_ref": AMBER}], **rest}


HASHES = {"SHA-256": "aec070645fe53ee3b3763059376134f058cc337247c978add178b6ccdfb0019f"}
REFERENCES = [{"source_name": "a", "description": "b"}]
EXTENSION = ref("extension-definition")
