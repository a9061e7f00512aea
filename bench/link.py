"""The link between two nodes: real processes, real TLS, on this machine's loopback.

Latency runs from the commit at the sender to its receipt of the signed acknowledgement, by the sender's clock.
Objects are published in bundles of ten, since the figure is about the link and not about HTTP requests.
"""

import asyncio
import contextlib
import datetime as dt
import itertools
import json
import shutil
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from bench.figure import Figure
from bench.run import fdatasync, say
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lezha.cli.api import Api
from lezha.cli.demo.cast import Actor, Cast
from lezha.cli.demo.network import Network, Seat
from lezha.cli.errors import CliError
from lezha.federation import envelope, statement
from lezha.federation.envelope import PayloadType
from lezha.federation.statement import MemberKey, Statement
from lezha.sharing.terms import Audience, Terms
from lezha.sharing.tlp import Tlp

T = TypeVar("T")
BUNDLE = 10
SECONDS = 8
BACKLOG = 10_000
AWAY = 100_000
MILLION = 1_000_000
PEERS = 10
TMPFS = Path("/dev/shm")


def figures() -> Iterator[Figure]:
    """Yield latency on tmpfs and on disk, to one peer and to ten, and what a backlog takes: time, and memory."""
    yield from _tmpfs_latency()
    yield from _disk_latency()
    yield from _drain()
    yield from _ten_peers()
    yield from _catch_up()
    yield from _dead_peer()


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
        per_s = asyncio.run(_drain_backlog(folder, BACKLOG))
    checks = _signature_checks_per_s()
    beside = {"signature_checks_per_s": checks}
    yield Figure("link.drain_per_s", per_s, "objects/s", ">= 2000", per_s >= 2000, beside)
    yield Figure("link.drain_over_verify", per_s / checks, "ratio", ">= 0.5", per_s / checks >= 0.5, beside)


def _ten_peers() -> Iterator[Figure]:
    with _folder(TMPFS) as folder:
        measured = asyncio.run(_to_all(folder, PEERS, 20))
    p50, p99 = _quantiles(measured)
    beside = {"p50_ms": p50, "deliveries": float(len(measured))}
    yield Figure("link.peers10_20_p99_ms", p99, "ms", "<= 100", p99 <= 100, beside)


def _catch_up() -> Iterator[Figure]:
    with _folder(TMPFS) as folder:
        new: list[float] = []
        per_s = asyncio.run(_drain_backlog(folder, AWAY, new))
    took = AWAY / per_s
    p50, p99 = _quantiles(new)
    beside = {"objects_per_s": per_s, "new_p50_ms": p50, "new_p99_ms": p99, "new": float(len(new))}
    yield Figure("link.catchup_s", took, "s", "<= 60", took <= 60, beside)


def _dead_peer() -> Iterator[Figure]:
    with _folder(Path(tempfile.gettempdir())) as folder:
        before, after = asyncio.run(_queue_for_the_dead(folder))
    yield Figure("link.backlog_rss_mb", after, "MB", "<= 300", after <= 300, {"empty_mb": before})


async def _to_all(folder: Path, count: int, rate: int) -> list[float]:
    author = Cast().author
    others = [Actor(f"peer{number}", f"Peer {number}", "") for number in range(1, count + 1)]
    network = Network(folder, Cast(), [author, *others])
    try:
        await network.start()
        sender, *receivers = network.seats.values()
        for one in receivers:
            await network.link(sender, one)
        await _publish_at(sender, rate, 1, "everyone", bundle=1)  # warm
        await _caught_up(sender)
        async with sender.api() as api:
            before = {one.actor.name: len(await _latencies(api, one)) for one in receivers}
            await _publish_at(sender, rate, SECONDS, "everyone", bundle=1)
            await _caught_up(sender)
            return [
                value for one in receivers for value in (await _latencies(api, one))[before[one.actor.name] :]
            ]
    finally:
        await network.stop()


async def _latencies(api: Api, peer: Seat) -> list[float]:
    found: list[float] = await api.get(f"/peers/{peer.actor.name}/latencies")
    return found


async def _queue_for_the_dead(folder: Path) -> tuple[float, float]:
    async def measure(sender: Seat, receiver: Seat, network: Network) -> tuple[float, float]:
        await network.kill(receiver)
        before = _private_mb(sender)
        async with sender.api() as api:
            for start in range(0, MILLION, 1000):
                await api.post("/publish", _bundle(sender.member, 1000, start), _TERMS)
                if start % 100_000 == 0:
                    say(f"  {start} published, {_private_mb(sender):.0f} MB")
            found = await api.get("/peers")
            say(f"  {found[0]['queued']} numbered, {found[0]['to_decide']} or more to decide")
        return before, _private_mb(sender)

    return await _linked(folder, measure)


def _private_mb(seat: Seat) -> float:
    """Return the memory that the node has for itself, without pages of files."""
    assert seat.process is not None
    for line in Path(f"/proc/{seat.process.pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("the kernel tells no RssAnon")


def _quantiles(values: list[float]) -> tuple[float, float]:
    values.sort()
    return values[len(values) // 2], values[len(values) * 99 // 100]


async def _at_rate(folder: Path, rate: int) -> tuple[float, float]:
    async def measure(sender: Seat, _receiver: Seat, _network: Network) -> tuple[float, float]:
        async with sender.api() as api:
            await _publish_at(sender, rate, 1)  # warm
            before = len(await api.get("/peers/montenegro/latencies"))
            await _publish_at(sender, rate, SECONDS)
            await _caught_up(sender)
            measured = (await api.get("/peers/montenegro/latencies"))[before:]
        say(f"  {len(measured)} objects at {rate}/s")
        return _quantiles(measured)

    return await _linked(folder, measure)


async def _drain_backlog(folder: Path, backlog: int, new: list[float] | None = None) -> float:
    """Return how many objects of a backlog arrive in a second; `new` takes how long what is new needs meanwhile."""

    async def measure(sender: Seat, receiver: Seat, network: Network) -> float:
        await network.kill(receiver)
        async with sender.api() as api:
            for start in range(0, backlog, 1000):
                await api.post("/publish", _bundle(sender.member, 1000, start), _TERMS)
        await network.start_one(receiver)
        began = time.monotonic()
        beside = asyncio.create_task(_new_meanwhile(sender, receiver, new)) if new is not None else None
        await _caught_up(sender)
        took = time.monotonic() - began
        if beside is not None:
            beside.cancel()
            await asyncio.gather(beside, return_exceptions=True)
        return backlog / took

    return await _linked(folder, measure)


async def _new_meanwhile(sender: Seat, receiver: Seat, took: list[float]) -> None:
    """Publish one object a second, and note how many ms later the receiver shows it."""
    async with sender.api() as here, receiver.api() as there:
        for number in itertools.count():
            await asyncio.sleep(1)
            bundle = _bundle(sender.member, 1, number)
            began = time.monotonic()
            await here.post("/publish", bundle, _TERMS)
            while not await _shows(there, json.loads(bundle)["objects"][0]["id"]):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            took.append((time.monotonic() - began) * 1e3)


async def _shows(node: Api, stix_id: str) -> bool:
    with contextlib.suppress(CliError):
        return bool(await node.get(f"/objects/{stix_id}"))
    return False


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


async def _publish_at(
    sender: Seat, rate: int, seconds: int, to: str = "montenegro", *, bundle: int = BUNDLE
) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with sender.api() as api:
        for turn in range(rate * seconds // bundle):
            await asyncio.sleep(began + turn * bundle / rate - loop.time())
            terms = [("tlp", "amber"), ("to", to)]
            await api.post("/publish", _bundle(sender.member, bundle, turn * bundle), terms)


async def _caught_up(sender: Seat) -> None:
    async with sender.api() as api:
        # What is waited for happens in another process, which tells when it is asked.
        while any(_waits(peer) for peer in await api.get("/peers")):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


def _waits(peer: dict[str, Any]) -> bool:
    return bool(peer["queued"] or peer["to_decide"] or peer["phase"] != "up to date")


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
