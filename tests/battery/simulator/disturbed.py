"""Some nodes that are honest and one that is not, in virtual time: what that does to how long the others' word takes.

It is told twice: with a member that keeps to the link, and with a hostile one in its place. All else is the same: each
commit takes `2 * DISK_S` and `EVENT_S` for each event, each packet the same time, and the honest say the same at the
same moments. What computing costs is not told: in virtual time it costs nothing.
"""

import asyncio
import random
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import msgspec
from structlog.testing import capture_logs
from tests.battery.simulator import rules, virtual
from tests.battery.simulator.hostile import Hostile
from tests.battery.simulator.member import Member, party
from tests.battery.simulator.network import Network
from tests.battery.simulator.story import empty, in_memory
from tests.battery.simulator.virtual import DISK_S, Disk, seconds
from tests.stix.examples import indicator

from lezha.federation import frame, pace
from lezha.federation.frame import Frame
from lezha.flows import publish, receive
from lezha.sharing.terms import Audience, Terms
from lezha.sharing.tlp import Tlp
from lezha.stix import bundle, encode

HONEST, SAID = 3, 7
EVENT_S = 0.0001
COMMIT_S = 2 * DISK_S
PEACE_S, FLOOD_S, HELD_S, AFTER_S = 1.0, 4.0, 3.0, 3.0

WAIT_S = 2 * (COMMIT_S + receive._PER_COMMIT * EVENT_S)
"""By how much a hostile peer may delay a delivery while it is within its limit: a delivery is two commits, by which it
is numbered and taken, and each waits behind one commit of that peer's batches at most (`flows.receive`)."""
HELD_WAIT_S = 2 * COMMIT_S
"""By how much once it is held back: the link to it writes down what it answers, once for each of the two commits."""


class _Always(random.Random):
    """Chance without any."""

    def random(self) -> float:
        return 1.0


@dataclass
class Told:
    """What came of it. Latencies are commit at the sender to receipt, in ms, between honest nodes.

    `flooded` are those while the hostile peer sends as much as is taken of it, `held` those after that. `did` counts
    (what it tried, what came of it); `codes`, `events` and `phases` are what is to be seen of it at the honest nodes.
    """

    faults: list[str]
    flooded: list[float]
    held: list[float]
    did: Counter[tuple[str, str]] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    phases: set[str] = field(default_factory=set)


def tell(seed: int, *, hostile: bool) -> Told:
    """Tell it of a seed, with a hostile member or with one that is not."""
    with capture_logs() as logged, in_memory() as folder:
        told = virtual.run(_run(seed, folder, hostile))
    told.faults += [f"a node's own mistake: {one}" for one in logged if one["log_level"] == "error"]
    return told


def p99(latencies: list[float]) -> float:
    """Return the 99th percentile, in ms."""
    return sorted(latencies)[int(len(latencies) * 0.99)]


async def _run(seed: int, folder: Path, hostile: bool) -> Told:
    return await _Disturbed(seed, folder, hostile).run()


class _Disturbed:
    def __init__(self, seed: int, folder: Path, hostile: bool) -> None:
        self.seed = seed
        self.chance = random.Random(seed)
        self.guard = rules.Guard(party(HONEST + 1).member if hostile else "")
        self.network = Network(_Always())
        self.hourly = self.chance.choice([800, 1500, 3000])
        self.connections = self.chance.choice([8, 16])
        self.honest = [self._member(number, folder) for number in range(1, HONEST + 1)]
        last = HONEST + 1
        # With the number of a member it has the same keys and the same document.
        self.hostile = Hostile(last, 1, self.network, random.Random(f"hostile {seed}")) if hostile else None
        self.other = self._member(last, folder)
        self.phases: set[str] = set()
        self.written = 0

    def _member(self, number: int, folder: Path) -> Member:
        one = Member(number, folder, self.network, random.Random(self.seed * 100 + number), self.guard)
        one.disk = Disk(_Always())
        one.disk.each_s = EVENT_S
        one.hourly = self.hourly
        return one

    async def run(self) -> Told:
        everybody = [*self.honest, self.other]
        running = self.honest if self.hostile else everybody
        self.network.hosts = {one.member: one for one in everybody}
        if self.hostile:
            self.network.hosts[self.hostile.member] = self.hostile
        for one in running:
            shutil.copyfile(empty(), one.path)
            others = [other for other in everybody if other is not one]
            one.know(others)
            one.linked = others
            one.start()
        try:
            flooded, held = await self._talk()
            return self._told(flooded, held)
        finally:
            await self.network.close()
            if self.hostile:
                await self.hostile.stop()
            for one in running:
                await one.stop()

    async def _talk(self) -> tuple[list[float], list[float]]:
        """Let the honest talk, while the hostile one does what it likes; return the latencies before and after."""
        await asyncio.sleep(PEACE_S)
        begin, border, end = seconds(), seconds() + FLOOD_S, seconds() + FLOOD_S + HELD_S
        # Some of it in the midst of what the hostile one begins with, and all at once.
        spans = [(begin, 0.03)] * 3 + [(begin, FLOOD_S - 1.0)] * SAID + [(border, HELD_S)] * SAID
        doing = [
            asyncio.create_task(self._say(one, since + self.chance.uniform(0, length)))
            for since, length in spans
            for one in self.honest
        ]
        doing.append(asyncio.create_task(self._look(end)))
        if self.hostile:
            doing.append(asyncio.create_task(self.hostile.attack(self.honest, self.connections, end)))
        await asyncio.sleep(FLOOD_S)
        flooded = self._latencies()
        await asyncio.gather(*doing)
        await asyncio.sleep(AFTER_S)
        held = [since[len(before) :] for before, since in zip(flooded, self._latencies(), strict=True)]
        return [*chain(*flooded)], [*chain(*held)]

    def _latencies(self) -> list[list[float]]:
        return [
            list(one.links.states()[other.member].latencies)
            for one in self.honest
            for other in self.honest
            if other is not one
        ]

    async def _look(self, end: float) -> None:
        while seconds() < end:
            self.phases |= {one.links.states()[self.other.member].phase for one in self.honest}
            await asyncio.sleep(0.05)

    async def _say(self, one: Member, at: float) -> None:
        self.written += 1
        number = self.written
        audience = Audience(everyone=True)
        if self.chance.random() < 0.3:
            some = self.chance.sample([*self.honest, self.other], 3)
            audience = Audience(members=tuple(sorted(other.member for other in some)))
        told = indicator(
            id=f"indicator--{number:08d}-0000-4000-8000-{self.seed:012d}",
            created_by_ref=one.member,
            name=f"{number}.example",
            pattern=f"[domain-name:value = '{number}.example']",
            object_marking_refs=None,
        )
        request = publish.Request(bundle.write([encode(told)]), Terms(Tlp.AMBER, audience))
        await asyncio.sleep(at - seconds())
        await publish.publish(one.log, one.author, one.members, request, "analyst")

    def _told(self, flooded: list[float], held: list[float]) -> Told:
        hostile = self.hostile.member if self.hostile else ""
        told = Told([*self.guard.faults, *self._faults(hostile)], flooded, held, phases=self.phases)
        if self.hostile:
            told.did = self.hostile.did
            for one in self.honest:
                told.codes.update(code for code, _ in rules.put_aside(one, hostile))
                told.events.update(rules.events(one, hostile))
        return told

    def _faults(self, hostile: str) -> Iterator[str]:
        yield from rules.faults(self.honest, hostile)
        yield from rules.invented(self.honest)
        if self.hostile:
            for one in self.honest:
                yield from self._wrongly_taken(one, self.hostile)

    def _wrongly_taken(self, one: Member, hostile: Hostile) -> Iterator[str]:
        aside = rules.put_aside(one, hostile.member)
        for code, raw in aside:
            digest = msgspec.msgpack.decode(raw, type=Frame).digest() if raw else b""
            expected = hostile.expected.get(digest, "equivocation")
            if code != expected:
                yield f"{one.name} put a forgery aside as {code}, which is {expected}"
        if len(aside) > self.hourly + pace.AT_ONCE * frame.BATCH_FRAMES:
            yield f"{one.name} has put aside {len(aside)} frames: it takes {self.hourly} in an hour"
        for raw in rules.held_of(one, hostile.forged):
            yield f"{one.name} holds what was forged: {raw.decode()}"
