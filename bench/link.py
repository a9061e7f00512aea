"""The link between two nodes: real processes, real TLS, on this machine's loopback.

Latency runs from the commit at the sender to its receipt of the signed acknowledgement, by the sender's clock.
Objects are published in bundles of ten, since the figure is about the link and not about HTTP requests.
"""

import asyncio
import datetime as dt
import json
import shutil
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from bench.figure import Figure
from bench.run import fdatasync, say
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lezha.cli.demo.cast import Cast
from lezha.cli.demo.network import Network, Seat
from lezha.federation import envelope, statement
from lezha.federation.envelope import PayloadType
from lezha.federation.statement import MemberKey, Statement
from lezha.sharing.terms import Audience, Terms
from lezha.sharing.tlp import Tlp

T = TypeVar("T")
BUNDLE = 10
SECONDS = 8
BACKLOG = 10_000
TMPFS = Path("/dev/shm")


def figures() -> Iterator[Figure]:
    """Yield latency on tmpfs and on disk, and how fast a backlog drains."""
    yield from _tmpfs_latency()
    yield from _disk_latency()
    yield from _drain()


def _tmpfs_latency() -> Iterator[Figure]:
    with _folder(TMPFS) as folder:
        p50, p99 = asyncio.run(_at_rate(folder, 500))
        sync50, sync99 = fdatasync(folder)
    beside = {"p50_ms": p50, "fdatasync_p50_ms": sync50, "fdatasync_p99_ms": sync99}
    yield Figure("link.tmpfs_500_p99_ms", p99, "ms", "<= 50", p99 <= 50, beside)


def _disk_latency() -> Iterator[Figure]:
    with _folder(Path(tempfile.gettempdir())) as folder:
        sync50, sync99 = fdatasync(folder)
        p50, p99 = asyncio.run(_at_rate(folder, 200))
    ratio = (p50 - 3) / sync50
    beside = {"p50_ms": p50, "p99_ms": p99, "fdatasync_p50_ms": sync50, "fdatasync_p99_ms": sync99}
    yield Figure(
        "link.disk_200_p50_over_fdatasync", ratio, "(p50 - 3 ms) / fdatasync p50", "<= 3", ratio <= 3, beside
    )


def _drain() -> Iterator[Figure]:
    with _folder(TMPFS) as folder:
        per_s = asyncio.run(_drain_backlog(folder))
    checks = _signature_checks_per_s()
    beside = {"signature_checks_per_s": checks}
    yield Figure("link.drain_per_s", per_s, "objects/s", ">= 2000", per_s >= 2000, beside)
    yield Figure("link.drain_over_verify", per_s / checks, "ratio", ">= 0.5", per_s / checks >= 0.5, beside)


async def _at_rate(folder: Path, rate: int) -> tuple[float, float]:
    async def measure(sender: Seat, _receiver: Seat, _network: Network) -> tuple[float, float]:
        async with sender.api() as api:
            await _publish_at(sender, rate, 1)  # warm
            before = len(await api.get("/peers/montenegro/latencies"))
            await _publish_at(sender, rate, SECONDS)
            await _caught_up(sender)
            measured = sorted((await api.get("/peers/montenegro/latencies"))[before:])
        say(f"  {len(measured)} objects at {rate}/s")
        return measured[len(measured) // 2], measured[len(measured) * 99 // 100]

    return await _linked(folder, measure)


async def _drain_backlog(folder: Path) -> float:
    async def measure(sender: Seat, receiver: Seat, network: Network) -> float:
        await network.kill(receiver)
        async with sender.api() as api:
            for start in range(0, BACKLOG, 1000):
                await api.post("/publish", _bundle(sender.member, 1000, start), _TERMS)
        await network.start_one(receiver)
        began = time.monotonic()
        await _caught_up(sender)
        return BACKLOG / (time.monotonic() - began)

    return await _linked(folder, measure)


_TERMS = [("tlp", "amber"), ("to", "montenegro")]


async def _linked(folder: Path, measure: Callable[[Seat, Seat, Network], Awaitable[T]]) -> T:
    cast = Cast()
    network = Network(folder, cast, [cast.author, cast.witness])
    try:
        await network.start()
        await network.introduce()
        sender, receiver = network.seats.values()
        return await measure(sender, receiver, network)
    finally:
        await network.stop()


async def _publish_at(sender: Seat, rate: int, seconds: int) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with sender.api() as api:
        for turn in range(rate * seconds // BUNDLE):
            await asyncio.sleep(began + turn * BUNDLE / rate - loop.time())
            await api.post("/publish", _bundle(sender.member, BUNDLE, turn * BUNDLE), _TERMS)


async def _caught_up(sender: Seat) -> None:
    async with sender.api() as api:
        # What is waited for happens in another process, which tells when it is asked.
        while any(peer["queued"] or peer["phase"] != "up to date" for peer in await api.get("/peers")):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


def _bundle(author: str, count: int, start: int) -> bytes:
    now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    objects = [
        {
            "type": "indicator",
            "spec_version": "2.1",
            "id": f"indicator--{uuid.uuid4()}",
            "created": now,
            "modified": now,
            "created_by_ref": author,
            "name": f"benchmark {number}",
            "pattern": f"[ipv4-addr:value = '10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}']",
            "pattern_type": "stix",
            "valid_from": now,
        }
        for number in range(start, start + count)
    ]
    return json.dumps({"type": "bundle", "id": f"bundle--{uuid.uuid4()}", "objects": objects}).encode()


def _signature_checks_per_s(count: int = 2000) -> float:
    one = envelope.signer(Ed25519PrivateKey.generate())
    said = Statement(
        "identity--x", "0" * 64, "indicator--x", "", "", Terms(Tlp.AMBER, Audience(everyone=True))
    )
    raw = statement.sign(said, one).raw
    keys = [MemberKey("identity--x", one.public_key).key]
    began = time.perf_counter()
    for _ in range(count):
        envelope.open_sealed(raw, PayloadType.STATEMENT, keys)
    return count / (time.perf_counter() - began)


@contextmanager
def _folder(where: Path) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="lezha-bench-", dir=where))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
