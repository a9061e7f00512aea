"""Files of any size: how fast they are taken apart, taken in by a node, and written out again.

Objects are indicators of about 700 bytes, as feeds have them. The splitter is measured beside msgspec's own reading
of the whole file, which needs all of it in memory.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
from bench.figure import Figure
from bench.run import say

from lezha.cli.demo.cast import Cast
from lezha.cli.demo.network import Network
from lezha.stix import write
from lezha.stix.stream import Splitter

OBJECTS = 40_000
CHUNK = 1 << 20
RUNS = 3


def figures() -> Iterator[Figure]:
    """Yield the splitter's speed for the usual layouts, and an import and an export through a real node."""
    parts = [_indicator(number) for number in range(OBJECTS)]
    yield from _splitting(parts)
    yield from _through_a_node(write(parts))


def _splitting(parts: list[bytes]) -> Iterator[Figure]:
    pretty = [json.dumps(json.loads(part), indent=2).encode() for part in parts]
    layouts = {"bundle": write(parts), "pretty": write(pretty), "lines": b"\n".join(parts)}
    for name, raw in layouts.items():
        speed = len(raw) / 1e6 / _best(lambda raw=raw: _split(raw))  # type: ignore[misc]  # bound now
        beside = {"bytes_per_object": len(raw) / len(parts)}
        if name != "lines":
            whole = _best(lambda raw=raw: msgspec.json.decode(raw, type=_Whole))  # type: ignore[misc]  # bound now
            beside["msgspec_whole_mb_per_s"] = len(raw) / 1e6 / whole
        yield Figure(f"stream.split_{name}_mb_per_s", speed, "MB/s", ">= 100", speed >= 100, beside)


class _Whole(msgspec.Struct):
    objects: list[msgspec.Raw]


def _split(raw: bytes) -> int:
    splitter, count = Splitter(), 0
    for at in range(0, len(raw), CHUNK):
        for _ in splitter.feed(raw[at : at + CHUNK]):
            count += 1
    splitter.finish()
    assert count == OBJECTS
    return count


def _through_a_node(raw: bytes) -> Iterator[Figure]:
    """Measure both commands as people give them, their start included."""
    with tempfile.TemporaryDirectory(prefix="lezha-bench-") as name:
        folder = Path(name)
        (folder / "all.json").write_bytes(raw)
        checked = _command("import", folder / "all.json", "--dry-run")
        imported, exported = asyncio.run(_brought(folder))
    rate = OBJECTS / imported
    beside = {"dry_run_objects_per_s": OBJECTS / checked, "mb_per_s": len(raw) / 1e6 / imported}
    yield Figure("stream.import_objects_per_s", rate, "objects/s", ">= 3000", rate >= 3000, beside)
    rate = OBJECTS / exported
    beside = {"mb_per_s": len(raw) / 1e6 / exported}
    yield Figure("stream.export_objects_per_s", rate, "objects/s", ">= 10000", rate >= 10000, beside)


async def _brought(folder: Path) -> tuple[float, float]:
    cast = Cast()
    network = Network(folder, cast, cast.actors[:1])
    try:
        await network.start()
        (seat,) = network.seats.values()
        at = ("--home", seat.home)
        imported = await asyncio.to_thread(_command, "import", folder / "all.json", *at)
        exported = await asyncio.to_thread(_command, "export", "--out", folder / "out.json", *at)
    finally:
        await network.stop()
    return imported, exported


def _command(*arguments: str | Path) -> float:
    start = time.perf_counter()
    command = [sys.executable, "-m", "lezha.cli", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    say(f"  {done.stdout.strip()}")
    return time.perf_counter() - start


def _best(work: Callable[[], object]) -> float:
    taken = []
    for _ in range(RUNS):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return min(taken)


def _indicator(number: int) -> bytes:
    at = "2026-01-05T08:00:00.000Z"
    data = {
        "type": "indicator",
        "spec_version": "2.1",
        "id": f"indicator--{uuid.uuid5(uuid.NAMESPACE_OID, str(number))}",
        "created_by_ref": "identity--7c0f2b1e-5a0e-4f0c-9d83-0d3a1f0f5b11",
        "created": at,
        "modified": at,
        "name": f"h{number}.example",
        "description": "Seen in the command and control traffic of an exercise, by several members on the same day.",
        "indicator_types": ["malicious-activity"],
        "pattern": f"[domain-name:value = 'h{number}.example']",
        "pattern_type": "stix",
        "valid_from": at,
        "labels": ["exercise"],
        "confidence": 85,
        "object_marking_refs": ["marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421"],
    }
    return json.dumps(data).encode()
