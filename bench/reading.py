"""What it costs to read one STIX object and to derive what the log keeps of it, in CPU time of one process."""

import json
import time
from collections.abc import Callable, Iterator
from functools import partial

import stix2  # type: ignore[import-untyped]  # ships no types
from bench.figure import Figure

from lezha.flows.ingest import content
from lezha.stix import encode, read

AUTHOR = "identity--7c0f2b1e-5a0e-4f0c-9d83-0d3a1f0f5b11"
AMBER = "marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421"
READ_GOAL = 25.0  # µs
CONTENT_GOAL = 10.0  # µs
ROUNDS, CALLS = 9, 1000


def _versioned(kind: str, **properties: object) -> bytes:
    return encode(
        {
            "type": kind,
            "spec_version": "2.1",
            "id": f"{kind}--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f",
            "created_by_ref": AUTHOR,
            "created": "2022-07-15T08:00:00.000Z",
            "modified": "2022-07-15T09:30:00.123Z",
            **properties,
            "object_marking_refs": [AMBER],
        }
    )


OBJECTS = {
    "indicator": _versioned(
        "indicator",
        name="203.0.113.7",
        description="Command and control of the wiper, seen in July 2022",
        indicator_types=["malicious-activity"],
        pattern="[ipv4-addr:value = '203.0.113.7']",
        pattern_type="stix",
        valid_from="2022-07-15T00:00:00Z",
        labels=["exercise"],
        confidence=85,
    ),
    "domain-name": encode(
        {
            "type": "domain-name",
            "spec_version": "2.1",
            "id": "domain-name--bedb4899-d24b-5401-bc86-8f6b4cc18ec7",
            "value": "example.com",
            "object_marking_refs": [AMBER],
        }
    ),
    "relationship": _versioned(
        "relationship",
        relationship_type="indicates",
        source_ref="indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f",
        target_ref="malware--11111111-1111-4111-8111-111111111111",
    ),
    "malware": _versioned(
        "malware",
        name="ZeroCleare",
        description="Overwrites disks through a signed driver",
        malware_types=["wiper"],
        is_family=True,
        aliases=["ZEROCLEAR"],
        external_references=[{"source_name": "mitre-attack", "external_id": "S1151"}],
        kill_chain_phases=[{"kill_chain_name": "mitre-attack", "phase_name": "impact"}],
    ),
}


def figures() -> Iterator[Figure]:
    """Yield what reading and deriving cost for each kind of object, beside the standard library and OASIS's own."""
    for kind, raw in OBJECTS.items():
        item = read(raw)
        beside = {
            "json.loads": _cost(partial(json.loads, raw)),
            "stix2.parse": _cost(partial(stix2.parse, raw), calls=50),
        }
        cost = _cost(partial(read, raw))
        yield Figure(f"read {kind}", cost, "µs CPU/object", f"<= {READ_GOAL} µs", cost <= READ_GOAL, beside)
        cost = _cost(partial(content, item))
        yield Figure(f"derive {kind}", cost, "µs CPU/object", f"<= {CONTENT_GOAL} µs", cost <= CONTENT_GOAL)


def _cost(call: Callable[[], object], calls: int = CALLS) -> float:
    """Return the least CPU time of a call in microseconds; what is slower is the machine's doing."""
    rounds = []
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(calls):
            call()
        rounds.append((time.process_time() - began) / calls * 1e6)
    return min(rounds)
