"""Objects as a feed has them, made from a seed: indicators above all, observables, what ties them together, reports."""

import random
import uuid
from collections.abc import Iterator
from typing import Any

import msgspec

from lezha.stix import deterministic_id, encode

AUTHOR = "identity--7c0f2b1e-5a0e-4f0c-9d83-0d3a1f0f5b11"
GREEN = "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb"
AMBER = "marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421"
WORDS = [
    f"{start}{middle}{end}"
    for start in ("wip", "ran", "bac", "pho", "cre", "tun", "loa", "dro", "ste", "sca")
    for middle in ("per", "som", "kdo", "shi", "den", "nel", "der", "ppe", "ale", "nne")
    for end in ("", "ware", "ing", "or", "tial", "kit", "net", "ed", "s", "ist")
]
LABELS = ["wiper", "ransomware", "phishing", "c2", "exercise", "espionage"]


class Feed:
    """Objects one after another; the same seed gives the same ones."""

    def __init__(self, seed: int = 2022) -> None:
        self._random = random.Random(seed)  # data, no secrets
        self._indicators: list[str] = []
        self._malware: list[str] = []
        self._number = 0

    def objects(self, count: int) -> Iterator[bytes]:
        """Give the next `count` objects."""
        for _ in range(count):
            yield encode(self._next())

    def value(self) -> str:
        """Return an address, a domain, a URL or a hash, each as likely as in the objects."""
        kind, value = self._value()
        del kind
        return value

    def words(self, count: int) -> str:
        """Return some words out of a thousand."""
        return " ".join(self._random.choices(WORDS, k=count))

    def _next(self) -> dict[str, Any]:
        self._number += 1
        draw = self._random.random()
        if draw < 0.60 or not self._malware:
            return self._indicator() if self._malware else self._family()
        if draw < 0.75:
            return self._observable()
        if draw < 0.93:
            return self._tie()
        return self._family()

    def _common(self, kind: str) -> dict[str, Any]:
        number = self._number
        at = f"2026-{1 + number % 12:02}-{1 + number % 28:02}T{number % 24:02}:{number % 60:02}:00.{number % 1000:03}Z"
        return {
            "type": kind,
            "spec_version": "2.1",
            "id": f"{kind}--{uuid.UUID(int=self._random.getrandbits(128), version=4)}",
            "created_by_ref": AUTHOR,
            "created": at,
            "modified": at,
            "labels": [self._random.choice(LABELS)],
            "object_marking_refs": [self._random.choice((GREEN, AMBER))],
        }

    def _indicator(self) -> dict[str, Any]:
        common = self._common("indicator")
        self._indicators.append(common["id"])
        path, value = self._value()
        return common | {
            "name": f"{self.words(2)} {value[:40]}",
            "description": self.words(14),
            "indicator_types": ["malicious-activity"],
            "pattern": f"[{path} = '{value}']",
            "pattern_type": "stix",
            "valid_from": common["created"],
            "confidence": 70,
        }

    def _observable(self) -> dict[str, Any]:
        data = {
            "type": "ipv4-addr",
            "spec_version": "2.1",
            "value": self._address(),
            "object_marking_refs": [GREEN],
        }
        return data | {"id": deterministic_id(data)}

    def _tie(self) -> dict[str, Any]:
        return self._common("relationship") | {
            "relationship_type": "indicates",
            "source_ref": self._random.choice(
                self._indicators[-50_000:] or [f"indicator--{uuid.UUID(int=1, version=4)}"]
            ),
            "target_ref": self._random.choice(self._malware),
        }

    def _family(self) -> dict[str, Any]:
        common = self._common("malware")
        self._malware.append(common["id"])
        return common | {"name": self.words(1), "is_family": True, "description": self.words(30)}

    def _value(self) -> tuple[str, str]:
        draw = self._random.random()
        if draw < 0.35:
            return "ipv4-addr:value", self._address()
        if draw < 0.65:
            return "domain-name:value", self._domain()
        if draw < 0.80:
            return "url:value", f"http://{self._domain()}/{self.words(1)}/{self._random.getrandbits(40):x}"
        return "file:hashes.'SHA-256'", f"{self._random.getrandbits(256):064x}"

    def _address(self) -> str:
        return ".".join(str(self._random.randrange(1, 255)) for _ in range(4))

    def _domain(self) -> str:
        return f"{self.words(1)}-{self._random.getrandbits(28):x}.{self._random.choice(WORDS)}.example"


def batches(feed: Feed, count: int, size: int = 1000) -> Iterator[list[bytes]]:
    """Give `count` batches of objects."""
    for _ in range(count):
        yield list(feed.objects(size))


def decoded(raw: bytes) -> Any:
    """Return the object that some bytes hold."""
    return msgspec.json.decode(raw)
