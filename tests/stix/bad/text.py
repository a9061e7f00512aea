"""Text that is no object, or not one that can be read in one way (RFC 8259, RFC 7493), and what is no bundle."""

import json

from tests.stix.bad.case import Case, Whole
from tests.stix.examples import SOME_ID, indicator, indicator_bytes

from lezha.stix import DuplicateKey, Invalid, NotJson, StixError, TooLarge, WrongVersion
from lezha.stix.limits import KIB, MIB

KEPT_ID = indicator()["id"]


def damaged(
    claim: str,
    error: type[StixError],
    clause: str,
    old: str | bytes,
    new: str | bytes,
    object_id: str | None = KEPT_ID,
) -> Case:
    """A case of JSON that cannot be read: an indicator in which `old` is overwritten."""
    old, new = (text.encode("utf-8") if isinstance(text, str) else text for text in (old, new))
    sound = indicator_bytes()
    assert old in sound
    return Case(claim, sound, sound.replace(old, new, 1), error, clause, object_id)


JSON = [
    damaged("an object has a mebibyte", TooLarge, "limit object_bytes", "qytetit", "a" * MIB),
    damaged("an object has 64 levels", TooLarge, "limit depth", ":85", ":" + "[" * 64 + "]" * 64),
    damaged("a thousand levels are too many", TooLarge, "limit depth", ":85", ":" + "[" * 1000 + "]" * 1000),
    damaged(
        "an object names 20,000 others",
        TooLarge,
        "limit refs",
        ":85",
        ':85,"x_refs":' + json.dumps([f"tool--8e2e2d2b-17d4-4cbf-938f-{n:012}" for n in range(20_001)]),
    ),
    damaged("a pattern has an end", TooLarge, "limit pattern_chars", "[ipv4-addr", f"[{'(' * 16 * KIB}ipv4-addr"),
    damaged("a name stands once", DuplicateKey, "RFC 8259 §4", ":85", ':85,"name":"b"'),
    damaged("a name stands once, apart from its spaces", DuplicateKey, "RFC 8259 §4", ":85", ':85,"name" :"b"'),
    damaged("a name stands once, however written", DuplicateKey, "RFC 8259 §4", ":85", ':85,"n\\u0061me":"b"'),
    damaged("a name stands once at any depth", DuplicateKey, "RFC 8259 §4", ":85", ':85,"x_a":[{"b":[{"c":1,"c":2}]}]'),
    damaged("text is UTF-8", NotJson, "RFC 8259 §8.1", "qytetit", b"\xff"),
    damaged("text is whole UTF-8", NotJson, "RFC 8259 §8.1", "ë", b"\xc3"),
    damaged("UTF-8 holds no surrogates", NotJson, "RFC 8259 §8.1", "qytetit", b"\xed\xa0\x80"),
    damaged("half a surrogate pair is none", NotJson, "RFC 8259 §8.2", "qytetit", "\\ud800"),
    damaged("a pair the wrong way round is none", NotJson, "RFC 8259 §8.2", "qytetit", "\\udc00\\ud800"),
    damaged("an integer has 53 bits", Invalid, "STIX 2.1 §2.10", ":85", f":{2**53}"),
    damaged("a negative integer has 53 bits", Invalid, "STIX 2.1 §2.10", ":85", f":85,\"x_a\":-{2**53}"),
    damaged("a long integer is no float", Invalid, "STIX 2.1 §2.10", ":85", f":85,\"x_a\":{10**30}"),
    damaged("a float has an exponent of 308", Invalid, "STIX 2.1 §2.6", ":85", ':85,"x_a":1e309'),
    damaged("NaN is no number", NotJson, "RFC 8259 §6", ":85", ":NaN"),
    damaged("Infinity is no number", NotJson, "RFC 8259 §6", ":85", ":Infinity"),
    damaged("minus Infinity is no number", NotJson, "RFC 8259 §6", ":85", ":-Infinity"),
    damaged("a string is on one line", NotJson, "RFC 8259 §2", "qytetit", "\n"),
    damaged("a comma stands between two", NotJson, "RFC 8259 §2", ":85,", ":85,,"),
    damaged("null is no value", Invalid, "STIX 2.1 §2", ":85", ':85,"x_a":null'),
    damaged("null is no value of a property", Invalid, "STIX 2.1 §2", ":85", ":null"),
    damaged("a list has no bundle", Invalid, "STIX 2.1 §8", '"type":"indicator"', '"type":"bundle"'),
    damaged("a type is a string", Invalid, "STIX 2.1 §3.2", '"type":"indicator"', '"type":5'),
    damaged("an object has an id", Invalid, "STIX 2.1 §2.9", f'"id":"{KEPT_ID}"', '"id":5', None),
    damaged("an object is of 2.1", WrongVersion, "STIX 2.1 §3.2", '"2.1"', '"2.0"'),
    damaged("an object of 2.0 is known by its lack", WrongVersion, "STIX 2.1 §3.2", '"spec_version":"2.1",', ""),
]  # fmt: skip
JSON += [
    Case("a list holds objects", indicator_bytes(), element, NotJson, clause, None)
    for element, clause in ((b"5", "RFC 8259 §4"), (b"null", "RFC 8259 §4"), (b'"a"', "RFC 8259 §4"))
]

BUNDLE = f'{{"type":"bundle","id":"bundle--{SOME_ID}","objects":['.encode()
WHOLE = [
    Whole("nothing is no JSON", b"", NotJson, "RFC 8259 §2"),
    Whole("a byte order mark is no JSON", b"\xef\xbb\xbf" + BUNDLE + b"]}", NotJson, "RFC 8259 §8.1"),
    Whole("UTF-16 is no JSON", (BUNDLE + b"]}").decode().encode("utf-16"), NotJson, "RFC 8259 §8.1"),
    Whole("XML of STIX 1 is no STIX 2", b"<stix:STIX_Package version='1.2'/>", WrongVersion, "STIX 2.1 §1.1"),
    Whole("a list is no bundle", b"[" + indicator_bytes() + b"]", NotJson, "RFC 8259 §4"),
    Whole("a bundle has an end", BUNDLE + indicator_bytes(), NotJson, "RFC 8259 §2"),
    Whole("an object in a bundle has an end", BUNDLE + indicator_bytes()[:-9], NotJson, "RFC 8259 §2"),
    Whole("a bundle of 2.0 is not taken", BUNDLE.replace(b'"id"', b'"spec_version":"2.0","id"') + b"]}", WrongVersion,
          "STIX 2.1 §8"),
    Whole("a bundle has one list", BUNDLE + b'],"objects":[]}', DuplicateKey, "RFC 8259 §4"),
    Whole("a bundle's objects are a list", BUNDLE.replace(b"[", b"{") + b"}}", Invalid, "STIX 2.1 §8"),
    Whole("a bundle has 64 mebibytes", b"{" + b" " * (64 * MIB) + b"}", TooLarge, "limit bundle_bytes"),
    Whole("a bundle has 100,000 objects", BUNDLE + b",".join([b"{}"] * 100_001) + b"]}", TooLarge, "limit objects"),
    Whole("a bundle is no bomb", b'{"type":"bundle","a":' + b"[" * 100_000, TooLarge, "limit depth"),
]  # fmt: skip
