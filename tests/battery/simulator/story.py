"""One seed, one story: ten nodes, what they say, and what goes wrong meanwhile. Then all is well, and ten seconds pass.

Everything that a story depends on is drawn from its seed. `python -m tests.battery.simulator SEED` tells one.
"""

import asyncio
import contextlib
import hashlib
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import structlog
from structlog.testing import capture_logs
from tests.battery.simulator import rules, virtual
from tests.battery.simulator.member import ENROLLED, Member
from tests.battery.simulator.network import Network
from tests.battery.simulator.virtual import DISK_S, seconds
from tests.federation.keys import charter, roster
from tests.stix.examples import indicator

from lezha.federation import frame
from lezha.federation import roster as rosters
from lezha.flows import convene, publish, recall
from lezha.flows.convene import Revision
from lezha.flows.errors import FlowError
from lezha.node.clock import utc_now
from lezha.sharing.terms import Audience, Terms
from lezha.sharing.tlp import Tlp
from lezha.stix import bundle, encode
from lezha.store import peers
from lezha.store.errors import StoreError
from lezha.store.log import Log
from lezha.store.peers import PeerState

NODES = 10
_EXPIRES = "2027-01-01T00:00:00.000000Z"
_PEACE_S = 1.0
_NATO = "NATO"
_FIRST = "2026-02-01T00:00:00.000Z"


@dataclass
class Outcome:
    """What came of a story. `faults` are empty if all was as it should be."""

    seed: int
    faults: list[str]
    told: list[str] = field(default_factory=list)
    settled: float = 0.0
    """How many seconds after all was well it was first seen that everything was where it belongs."""
    carried: int = 0
    held: int = 0
    trace: str = ""
    """SHA-256 over every batch in order: the same seed gives the same."""


class Story:
    """The story of a seed. Others begin with it, and have more happen beside."""

    looks_s: tuple[float, ...] = (0.5, 1.0, 2.0, 3.0, 5.0, 7.0, 10.0)
    """When it is looked, after all is well, whether everything is where it belongs: at the last it has to be."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.seed = seed
        self.chance = random.Random(seed)
        self.guard = _Recorder()
        self.network = Network(random.Random(seed + 1))
        self.members = [
            Member(number, folder, self.network, random.Random(seed * 100 + number), self.guard)
            for number in range(1, NODES + 1)
        ]
        self.network.hosts = {one.member: one for one in self.members}
        self.ways = _ways(self.chance)
        self.told: list[str] = []
        self._revising = asyncio.Lock()
        self.written = 1
        self.objects: list[tuple[Member, str]] = []

    async def run(self) -> Outcome:
        await self._begin()
        try:
            await asyncio.sleep(_PEACE_S)
            await self._trouble()
            settled, wrong = await self._settle()
            return Outcome(
                self.seed,
                [*self.guard.faults, *wrong],
                self.told,
                settled,
                self.guard.carried,
                sum(len(rules.statements(one)) for one in self.members),
                self.guard.trace.hexdigest(),
            )
        finally:
            await self.network.close()
            for one in self.members:
                if one.up:
                    await one.stop()

    async def _begin(self) -> None:
        template = empty()
        for number, one in enumerate(self.members):
            shutil.copyfile(template, one.path)
            one.know(other for other in self.members if other is not one)
            one.linked = [self.members[other] for other in sorted(self.ways[number])]
            one.start()
        steward = self.members[0]
        some = [steward, *self.chance.sample(self.members[1:], 6)]
        first = roster(
            charter(steward.party, name=_NATO),
            1,
            members={one.member: 1 for one in some},
            issued=ENROLLED,
            expires=_EXPIRES,
        )
        for one in self.members:
            await convene.accept(one.log, rosters.draft(first, steward.party.signer), "test")

    async def _trouble(self) -> None:
        """Let things be said, and things go wrong, for a while; then let all be well."""
        end = seconds() + self.chance.uniform(*self.chance.choice([(3, 10), (10, 30), (60, 200)]))
        bad = [self._cut, self._flap, self._crash, self._slow_disk, self._restore, self._alone]
        wrong = self.chance.sample(bad, self.chance.randint(1, 4))
        self.network.twice = self.chance.choice([0, 0.1, 0.4])
        self.network.silent = self.chance.choice([0, 0.5, 1.0])
        self.network.slow = self.chance.choice([0.005, 0.05, 0.4])
        said = [self._publish] * 5 + [self._burst, self._revise, self._recall, self._suspend, self._roster]
        happening: list[asyncio.Task[None]] = []
        for _ in range(self.chance.randint(10, 30)):
            what = self.chance.choice(wrong if self.chance.random() < 0.35 else said)
            at = self.chance.uniform(0, end - seconds())
            happening.append(asyncio.create_task(self._at(at, what, end)))
        happening += self._besides(end)
        await asyncio.gather(*happening)
        await asyncio.sleep(max(0.0, end - seconds()))
        self.network.heal()
        self.network.slow = 0.005
        for one in self.members:
            one.disk.slow = DISK_S
        self._tell("all is well")

    def _besides(self, _end: float) -> list[asyncio.Task[None]]:
        """Let more happen until `end`."""
        return []

    def _faults(self) -> Iterator[str]:
        """Give all that is not as it should be in the end."""
        return rules.faults(self.members)

    async def _at(self, delay: float, what: "Callable[[float], Any]", end: float) -> None:
        await asyncio.sleep(delay)
        await what(end)

    async def _settle(self) -> tuple[float, list[str]]:
        """Wait until everything is where it belongs, or for as long as that may take."""
        begun = seconds()
        wrong: list[str] = []
        for after in self.looks_s:
            await asyncio.sleep(begun + after - seconds())
            wrong = list(self._faults())
            if not wrong:
                break
        return seconds() - begun, wrong

    def _tell(self, words: str) -> None:
        self.told.append(f"{seconds():8.3f}  {words}")

    # --- what is said -------------------------------------------------------------------------------------------------

    def _someone(self) -> Member | None:
        up = [one for one in self.members if one.up]
        return self.chance.choice(up) if up else None

    async def _publish(self, _end: float, count: int = 1) -> None:
        one = self._someone()
        if one is not None:
            told = [self._written(one, self._new_id(one), _FIRST) for _ in range(count)]
            await self._say(one, *told)

    async def _burst(self, end: float) -> None:
        await self._publish(end, self.chance.randint(2, 12))

    def _new_id(self, one: Member) -> str:
        stix_id = f"indicator--{self.written:08d}-0000-4000-8000-{self.seed:012d}"
        self.objects.append((one, stix_id))
        return stix_id

    async def _revise(self, _end: float) -> None:
        if self.objects:
            one, stix_id = self.chance.choice(self.objects)
            await self._say(one, self._written(one, stix_id, _stamp(self.written)))

    def _written(self, one: Member, stix_id: str, modified: str) -> dict[str, Any]:
        self.written += 1
        return indicator(
            id=stix_id,
            created_by_ref=one.member,
            created=_FIRST,
            modified=modified,
            name=f"{self.written}.example",
            pattern=f"[domain-name:value = '{self.written}.example']",
            object_marking_refs=None,
        )

    async def _say(self, one: Member, *told: dict[str, Any]) -> None:
        terms = self._terms(one)
        request = publish.Request(bundle.write([encode(given) for given in told]), terms)
        named = ", ".join(str(int(given["id"][11:19])) for given in told)
        self._tell(f"{one.name} publishes {named} {_in_short(terms)}")
        await self._do(one, lambda: publish.publish(one.log, one.author, one.members, request, "analyst"))

    def _terms(self, one: Member) -> Terms:
        chance = self.chance
        audience = Audience(everyone=True)
        kind = chance.random()
        if kind < 0.3:
            some = chance.sample(self.members, chance.randint(1, 5))
            audience = Audience(members=tuple(sorted(other.member for other in some)))
        elif kind < 0.6:
            with one.log.read() as conn, contextlib.suppress(FlowError):
                audience = publish.audience(conn, [_NATO])
        return Terms(
            chance.choice([Tlp.CLEAR, Tlp.CLEAR, Tlp.GREEN, Tlp.AMBER]),
            audience,
            onward=chance.random() < 0.8,
            future_members=chance.random() < 0.5,
        )

    async def _recall(self, _end: float) -> None:
        if self.objects:
            one, stix_id = self.chance.choice(self.objects)
            self._tell(f"{one.name} recalls {int(stix_id[11:19])}")
            request = recall.Request(stix_id)
            await self._do(one, lambda: recall.recall(one.log, one.author, one.members, request, "analyst"))

    async def _suspend(self, end: float) -> None:
        """One suspends another, and most of the time takes it back."""
        number = self.chance.randrange(NODES)
        one, other = self.members[number], self.members[self.chance.choice(sorted(self.ways[number]))]
        again = self.chance.random() < 0.7
        await self._set_state(one, other, PeerState.SUSPENDED)
        await asyncio.sleep(self.chance.uniform(0, max(0.0, end - seconds())))
        if again:
            await self._set_state(one, other, PeerState.ACTIVE)

    async def _set_state(self, one: Member, other: Member, state: PeerState) -> None:
        self._tell(f"{other.name} is {state} at {one.name}")
        await self._rule(
            one, lambda: one.log.write(lambda tx: peers.set_state(tx, other.member, state, "officer"))
        )

    async def _roster(self, _end: float) -> None:
        """The steward signs the next roster of the community, with one member more or less."""
        steward = self.members[0]
        who = self.chance.choice(self.members[1:])

        async def revise() -> None:
            with steward.log.read() as conn:
                present = convene.accepted(conn, _NATO)
                there = who.member in present.members
                wanted = Revision(
                    _NATO, {} if there else {who.name: None}, (who.name,) if there else (), steward.clock()
                )
                raw = convene.revise(conn, steward.convener, steward.members, wanted)
            self._tell(f"{_NATO} {'loses' if there else 'gains'} {who.name}")
            await convene.accept(steward.log, raw, "officer")

        async with self._revising:  # it does not sign two rosters at once
            await self._rule(steward, revise)

    async def _rule(self, one: Member, change: "Callable[[], Any]") -> None:
        await self._do(one, change)
        one.ruled = seconds()

    async def _do(self, one: Member, what: "Callable[[], Any]") -> None:
        """Have something done at a node, if it is up and stays so."""
        if one.up:
            task = one.begin(what())
            await asyncio.wait([task])
            if not task.cancelled() and (error := task.exception()):
                if not isinstance(error, FlowError | StoreError | LookupError):
                    raise error
                self._tell(f"{one.name} could not: {error}")

    # --- what goes wrong ----------------------------------------------------------------------------------------------

    def _way(self) -> tuple[Member, Member]:
        number = self.chance.randrange(NODES)
        return self.members[number], self.members[self.chance.choice(sorted(self.ways[number]))]

    def _lasts(self, end: float) -> float:
        """Draw how long something goes wrong: for some time, or until all is well."""
        left = max(0.0, end - seconds())
        return left if self.chance.random() < 0.4 else self.chance.uniform(0, left)

    async def _cut(self, end: float) -> None:
        """Nothing gets through in one direction."""
        one, other = self._way()
        lasts = self._lasts(end)
        self._tell(f"cut from {one.name} to {other.name} for {lasts:.1f} s")
        self.network.cut(one.member, other.member)
        await asyncio.sleep(lasts)
        self.network.mend(one.member, other.member)

    async def _flap(self, end: float) -> None:
        """A way comes and goes."""
        one, other = self._way()
        self._tell(f"{one.name} to {other.name} flaps")
        stop = self.chance.uniform(seconds(), end)
        while seconds() < stop:
            self.network.cut(one.member, other.member)
            await asyncio.sleep(self.chance.uniform(0.02, 0.5))
            self.network.mend(one.member, other.member)
            await asyncio.sleep(self.chance.uniform(0.02, 0.3))

    async def _alone(self, end: float) -> None:
        """A node is cut off from all others, in one direction or both."""
        one = self.chance.choice(self.members)
        lasts = self._lasts(end)
        both = self.chance.random() < 0.5
        self._tell(f"{one.name} is cut off for {lasts:.1f} s, {'both ways' if both else 'outward'}")
        ways = [(one.member, other.member) for other in self.members if other is not one]
        ways += [(other, this) for this, other in ways] if both else []
        for way in ways:
            self.network.cut(*way)
        await asyncio.sleep(lasts)
        for way in ways:
            self.network.mend(*way)

    async def _slow_disk(self, end: float) -> None:
        one = self.chance.choice(self.members)
        one.disk.slow = self.chance.choice([0.02, 0.2, 1.0])
        self._tell(f"the disk of {one.name} takes up to {one.disk.slow} s")
        await asyncio.sleep(self._lasts(end))
        one.disk.slow = DISK_S

    async def _crash(self, end: float) -> None:
        one = self._someone()
        if one is not None:
            self._tell(f"{one.name} crashes")
            await one.stop()
            await asyncio.sleep(self.chance.uniform(0, max(0.0, end - seconds())) ** 0.5 / 2)
            one.start()
            self._tell(f"{one.name} is back")

    async def _restore(self, end: float) -> None:
        """A node loses its database, and begins again with an older one. Stewards don't: what they signed stays."""
        up = [one for one in self.members[1:] if one.up]
        if not up:
            return
        one = self.chance.choice(up)
        self._tell(f"{one.name} is backed up")
        rows = one.back_up()
        await asyncio.sleep(self.chance.uniform(0, max(0.0, end - seconds())))
        if one.up:
            await one.stop()
            one.restore(rows)
            one.start()
            one.ruled = seconds()
            self._tell(f"{one.name} is restored")


def tell(seed: int, kind: type[Story] = Story) -> Outcome:
    """Run the story of a seed."""
    # So that what is told here needs several batches.
    batches = patch.object(frame, "BATCH_FRAMES", random.Random(seed).choice([2, 4, 256]))
    with capture_logs([structlog.processors.format_exc_info]) as logged, in_memory() as folder, batches:
        outcome = virtual.run(_run(kind, seed, folder))
    mistakes = [one for one in logged if one["log_level"] == "error"]
    outcome.faults += [f"a node's own mistake: {one}" for one in mistakes]
    return outcome


async def _run(kind: type[Story], seed: int, folder: Path) -> Outcome:
    return await kind(seed, folder).run()


def _stamp(seconds_on: int) -> str:
    return f"2026-02-02T00:{seconds_on // 60:02d}:{seconds_on % 60:02d}.000Z"


def _in_short(terms: Terms) -> str:
    audience = terms.audience
    to = "everyone" if audience.everyone else _NATO if audience.communities else ""
    to = to or ", ".join(f"node{int(member[10:18], 16)}" for member in audience.members)
    ways = f"{', onward' if terms.onward else ''}{', future members' if terms.future_members else ''}"
    return f"TLP:{terms.tlp.upper()} to {to or 'nobody'}{ways}"


class _Recorder(rules.Guard):
    """Remembers every batch in one hash."""

    def __init__(self) -> None:
        super().__init__()
        self.trace = hashlib.sha256()

    def sees(self, sender: Member, receiver: str, batch: bytes) -> None:
        self.trace.update(batch)
        super().sees(sender, receiver, batch)


def _ways(chance: random.Random) -> list[set[int]]:
    """Draw who is linked to whom: some are linked to each other, the others to one or two of those before them."""
    core = chance.randint(3, 5)
    ways: list[set[int]] = [set() for _ in range(NODES)]
    for number in range(NODES):
        before = range(number)
        for other in before if number < core else chance.sample(before, chance.randint(1, 2)):
            ways[number].add(other)
            ways[other].add(number)
    return ways


@cache
def empty() -> Path:
    """Return the file of an empty log: copying it is ten times as fast as making one."""
    path = Path(tempfile.mkdtemp(prefix="lezha-simulator-")) / "empty.db"
    Log(f"sqlite:///{path}", utc_now).close()
    return path


@contextlib.contextmanager
def in_memory() -> Iterator[Path]:
    """Give a folder in memory, where there is one: disks are simulated too."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)
