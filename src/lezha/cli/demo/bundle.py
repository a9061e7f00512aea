"""The demonstration's own indicators: HomeLand Justice, July 2022, as three STIX bundles for three circles.

The values and their sources are in `homeland_justice.json`. The parts are cut so that references only ever
point from narrower to wider: what is for NATO or for WB6 names the campaign and the malware, which are for
everyone, and never the other way round.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from functools import cache
from importlib.resources import files
from typing import Final, Literal

import msgspec

from lezha.stix import encode, stable_id, write
from lezha.stix.markings import TLP2_IDS

Part = Literal["nato", "wb6", "everyone"]

TLP: Final[dict[Part, str]] = {"nato": "amber", "wb6": "green", "everyone": "clear"}
LABEL: Final = "exercise"

_CONFIDENCE: Final = {"high": 85, "medium": 50, "low": 15}  # STIX 2.1 Appendix A, None / Low / Med / High
_PATTERNS: Final = {
    "ipv4-addr": "[ipv4-addr:value = '{}']",
    "domain-name": "[domain-name:value = '{}']",
    "url": "[url:value = '{}']",
    "md5": "[file:hashes.MD5 = '{}']",
    "sha256": "[file:hashes.'SHA-256' = '{}']",
}

Properties = dict[str, object]


class _Indicator(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    kind: str
    value: str
    confidence: Literal["high", "medium", "low"]
    source: str
    context: str
    malware: str | None = None


class _Campaign(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    description: str
    first_seen: str
    last_seen: str
    sources: list[str]


class _Malware(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    malware_types: list[str]
    description: str
    sources: list[str]


class _Vulnerability(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    description: str


class _Hunt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    abstract: str
    content: str
    sources: list[str]


class _Facts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    about: str
    sources: dict[str, dict[str, str]]
    campaign: _Campaign
    malware: dict[str, _Malware]
    vulnerability: _Vulnerability
    hunt: _Hunt
    indicators: dict[Part, list[_Indicator]]


def parts(author: str, day: date) -> dict[Part, bytes]:
    """Return the bundles for NATO (AMBER), WB6 (GREEN) and everyone (CLEAR), valid on `day` (UTC) alone.

    `author` is the id of the identity that publishes them. The same author and day give the same bytes.
    """
    return {part: write(encode(data) for data in _objects(part, author, day)) for part in TLP}


def values(part: Part) -> tuple[str, ...]:
    """Return the observable values that only the members of this part's circle may come to hold."""
    return tuple(indicator.value for indicator in _facts().indicators[part])


def observables(part: Part) -> tuple[tuple[str, str], ...]:
    """Return (kind, value) of each indicator of a part; the kind is `md5`, `sha256` or the type of a STIX SCO."""
    return tuple((indicator.kind, indicator.value) for indicator in _facts().indicators[part])


@cache
def _facts() -> _Facts:
    return msgspec.json.decode(files(__package__).joinpath("homeland_justice.json").read_bytes(), type=_Facts)


def _objects(part: Part, author: str, day: date) -> Iterator[Properties]:
    maker = _Maker(part, author, day)
    if part == "everyone":
        yield from maker.story()
    if part == "wb6":
        yield maker.hunt()
    for indicator in _facts().indicators[part]:
        yield from maker.indicator(indicator)


class _Maker:
    """Makes the objects of one part."""

    def __init__(self, part: Part, author: str, day: date) -> None:
        self._part: Part = part
        self._author = author
        self._day = day
        self._facts = _facts()

    def story(self) -> Iterator[Properties]:
        """Make the campaign, its malware, the way in, and how they belong together."""
        campaign, flaw = self._facts.campaign, self._facts.vulnerability
        yield self._object(
            "campaign",
            campaign.name,
            name=campaign.name,
            description=campaign.description,
            first_seen=campaign.first_seen,
            last_seen=campaign.last_seen,
            external_references=self._references(campaign.sources),
        )
        for key, malware in self._facts.malware.items():
            yield self._object(
                "malware",
                key,
                name=malware.name,
                description=malware.description,
                is_family=True,
                malware_types=malware.malware_types,
                external_references=self._references(malware.sources),
            )
            yield self._relationship(self._campaign(), "uses", self._id("malware", key))
        yield self._object(
            "vulnerability",
            flaw.name,
            name=flaw.name,
            description=flaw.description,
            external_references=[{"source_name": "cve", "external_id": flaw.name}],
        )
        yield self._relationship(self._campaign(), "targets", self._id("vulnerability", flaw.name))

    def hunt(self) -> Properties:
        """Make the note for analysts: what the campaign left behind that no sensor of ours can look for."""
        hunt = self._facts.hunt
        return self._object(
            "note",
            hunt.abstract,
            abstract=hunt.abstract,
            content=hunt.content,
            object_refs=[self._campaign()],
            external_references=self._references(hunt.sources),
        )

    def indicator(self, fact: _Indicator) -> Iterator[Properties]:
        """Make the indicator, and its relationship to what it indicates."""
        yield self._object(
            "indicator",
            fact.value,
            name=fact.value,
            description=f"{fact.context} Exercise: a value published before, not a new finding.",
            indicator_types=["malicious-activity"],
            pattern=_PATTERNS[fact.kind].format(fact.value),
            pattern_type="stix",
            valid_from=_midnight(self._day),
            valid_until=_midnight(self._day + timedelta(days=1)),
            confidence=_CONFIDENCE[fact.confidence],
            external_references=self._references([fact.source]),
        )
        target = self._id("malware", fact.malware) if fact.malware else self._campaign()
        yield self._relationship(self._id("indicator", fact.value), "indicates", target)

    def _object(self, kind: str, key: str, **properties: object) -> Properties:
        now = _midnight(self._day)
        return {
            "type": kind,
            "spec_version": "2.1",
            "id": self._id(kind, key),
            "created_by_ref": self._author,
            "created": now,
            "modified": now,
            **properties,
            "labels": [LABEL],
            "object_marking_refs": [TLP2_IDS[TLP[self._part]]],
        }

    def _relationship(self, source: str, kind: str, target: str) -> Properties:
        return self._object(
            "relationship",
            f"{source} {kind} {target}",
            relationship_type=kind,
            source_ref=source,
            target_ref=target,
        )

    def _id(self, kind: str, key: str) -> str:
        return stable_id(kind, key, self._author, self._day.isoformat())

    def _campaign(self) -> str:
        return self._id("campaign", self._facts.campaign.name)

    def _references(self, sources: list[str]) -> list[dict[str, str]]:
        return [self._facts.sources[source] for source in sources]


def _midnight(day: date) -> str:
    return f"{day.isoformat()}T00:00:00.000Z"
