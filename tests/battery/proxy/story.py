"""One seed, one story: three or four real nodes, each behind a front, what they say, and what goes wrong meanwhile.

One may keep its log in PostgreSQL. One of them nobody can connect to: it asks the others, through their fronts. Then
the weather is fair, all nodes run, and within PATIENCE_S everything has to be where it belongs. What happens and when
is drawn from the seed; how far the nodes have come by then is not, since they are real.
`python -m tests.battery.proxy SEED` tells a story.
"""

import json
import random
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Final

from tests.battery.nodes import RunningNode, bundle, free_port, indicator, link
from tests.battery.proxy import rules
from tests.battery.proxy.front import BOTH, FAIR, Front, Fronts, Side, Weather, fronts
from tests.battery.proxy.rules import FOREVER, Silence

from lezha.access.rights import Role
from lezha.node.clock import utc_now

PATIENCE_S: Final = 90
"""Who asks finds out within 40 s that its question is lost, who sends within 20; each pauses for 8 s at most."""
LENGTHS_S: Final = ((8.0, 15.0), (15.0, 30.0), (30.0, 60.0))
SHORT_S: Final = (5.0, 5.0)
_NAMES: Final = ("tirana", "podgorica", "vienna")
_ASKS: Final = "shkoder"
_LOOK_S: Final = 0.5


@dataclass
class Outcome:
    """What came of a story. `faults` are empty if all was as it should be."""

    seed: int
    faults: list[str]
    told: list[str]
    settled: float
    """How many seconds after all was well it was first seen that everything was where it belongs."""
    carried: int
    """Bytes that went through fronts."""
    held: int
    """Statements that all nodes hold together."""


@dataclass(order=True)
class Step:
    """What is done when, in seconds from the beginning."""

    at: float
    do: Callable[[], None] = field(compare=False)


@dataclass(frozen=True)
class Published:
    """An object, and who may take it back."""

    author: RunningNode
    stix_id: str


def tell(seed: int, folder: Path, *, short: bool = False, database: str = "") -> Outcome:
    """Run the story of a seed in an empty folder; one node has its log in `database` if that is not empty."""
    with fronts(seed) as made:
        return Story(seed, folder, made, short=short, database=database).run()


class Story:
    """The story of a seed."""

    def __init__(self, seed: int, folder: Path, made: Fronts, *, short: bool, database: str) -> None:
        self.seed = seed
        self.chance = random.Random(seed)
        names = _NAMES[: 2 if short else self.chance.choice((2, 3, 3))]
        self.fronts: dict[str, Front] = {}
        self.nodes: list[RunningNode] = []
        for name in names:
            port = free_port()
            node = RunningNode(folder, name, front=port, database="" if self.nodes else database)
            self.nodes.append(node)
            self.fronts[name] = made.before(node.link_port, port)
        self.nodes.append(RunningNode(folder, _ASKS, reachable=False))
        self.sensors = {node.name: node.token_of(Role.SENSOR) for node in self.nodes}
        self.lasts = self.chance.uniform(*(SHORT_S if short else self.chance.choice(LENGTHS_S)))
        self.told: list[str] = []
        self.published: list[Published] = []
        self.recalled: list[str] = []
        self.silences: list[Silence] = []
        self.written = 0
        self.begun = 0.0

    def run(self) -> Outcome:
        """Tell it, and stop all nodes whatever happens."""
        try:
            self._begin()
            self._trouble()
            settled, faults = self._settle()
            return Outcome(
                self.seed,
                [*faults, *self._close()],
                self.told,
                settled,
                sum(front.carried for front in self.fronts.values()),
                sum(node.count("statements") for node in self.nodes),
            )
        except Exception as error:
            error.add_note("\n".join([*self.told, *(_last(node) for node in self.nodes)]))
            raise
        finally:
            for node in self.nodes:
                if node.process is not None:
                    node.kill()

    def _begin(self) -> None:
        for node in self.nodes:
            node.spawn()
        for node in self.nodes:
            node.ready()
        for position, one in enumerate(self.nodes):
            for other in self.nodes[position + 1 :]:
                link(one, other)
        self.begun = time.monotonic()

    def _trouble(self) -> None:
        """Let things be said, and things go wrong, for a while."""
        for step in sorted(self._plan()):
            time.sleep(max(0.0, self.begun + step.at - time.monotonic()))
            step.do()
        time.sleep(max(0.0, self.begun + self.lasts - time.monotonic()))

    def _settle(self) -> tuple[float, list[str]]:
        """Let all be well, and wait until everything is where it belongs, or for as long as that may take."""
        for front in self.fronts.values():
            front.become(FAIR)
        for node in self.nodes:
            if node.process is None:
                node.spawn()
        for node in self.nodes:
            node.ready()
        self._tell("all is well")
        well = time.monotonic()
        while True:
            faults = list(rules.faults(self.nodes, self.silences))
            took = time.monotonic() - well
            if not faults or took > PATIENCE_S:
                self._tell(f"looked after {took:.1f} s: {len(faults)} faults")
                return took, faults
            time.sleep(_LOOK_S)

    def _close(self) -> Iterator[str]:
        """Look at what can be seen of running nodes, and of how they stop."""
        for node in self.nodes:
            yield from rules.counts(node, self.recalled, self.sensors[node.name])
            yield from rules.mistakes(node)
        # Who asks first: a question that waits would hold up whoever is to answer it.
        for node in reversed(self.nodes):
            if node.process is not None and (code := node.stop()):
                yield f"{node.name} ended with {code}"
            yield from rules.unsound(node)

    def _tell(self, words: str) -> None:
        self.told.append(f"{time.monotonic() - self.begun:8.3f}  {words}")

    # --- what will happen -------------------------------------------------------------------------------------------

    def _plan(self) -> Iterator[Step]:
        """Draw the whole story, before any of it happens."""
        chance = self.chance
        bad = chance.sample([self._weather, self._cut, self._crash], chance.randint(2, 3))
        said = [self._publish] * 5 + [self._burst, self._recall, self._recall, self._suspend]
        for _ in range(chance.randint(4, 5 + int(self.lasts / 4))):
            yield from chance.choice(bad)(chance.uniform(0, self.lasts * 0.9))
        for _ in range(chance.randint(8, 12 + int(self.lasts / 2))):
            yield from chance.choice(said)(chance.uniform(0, self.lasts))

    def _until(self, at: float) -> float:
        """Draw until when something goes wrong: for some time, or to the end."""
        return self.lasts if self.chance.random() < 0.3 else self.chance.uniform(at, self.lasts)

    # --- what is said -------------------------------------------------------------------------------------------------

    def _publish(self, at: float, count: int = 1) -> Iterator[Step]:
        chance = self.chance
        author = chance.choice(self.nodes)
        others = [node.name for node in self.nodes if node is not author]
        to = chance.choice(others) if chance.random() < 0.4 else "everyone"
        tlp = chance.choice(("clear", "clear", "green", "amber"))
        onward = chance.random() < 0.5
        yield Step(at, lambda: self._say(author, to, tlp, onward=onward, count=count))

    def _burst(self, at: float) -> Iterator[Step]:
        yield from self._publish(at, self.chance.choice((30, 300, 800)))

    def _say(self, author: RunningNode, to: str, tlp: str, *, onward: bool, count: int) -> None:
        first, self.written = self.written, self.written + count
        objects = [indicator(f"n{number}.example") for number in range(first, self.written)]
        query = {"tlp": tlp, "to": to, "onward": str(onward).lower()}
        shown = f"n{first}" if count == 1 else f"n{first} to n{self.written - 1}"
        words = f"{author.name} publishes {shown} TLP:{tlp.upper()} to {to}{', onward' if onward else ''}"
        if self._do(author, "/publish", bundle(objects), query, words):
            self.published += [Published(author, str(json.loads(raw)["id"])) for raw in objects[:3]]

    def _recall(self, at: float) -> Iterator[Step]:
        which = self.chance.random()
        yield Step(at, lambda: self._take_back(which))

    def _take_back(self, which: float) -> None:
        if self.published:
            one = self.published.pop(int(which * len(self.published)))
            body = json.dumps({"id": one.stix_id}).encode()
            if self._do(one.author, "/recall", body, {}, f"{one.author.name} recalls {one.stix_id}"):
                self.recalled.append(one.stix_id)

    def _suspend(self, at: float) -> Iterator[Step]:
        """One suspends another, and most of the time takes it back."""
        one, other = self.chance.sample(self.nodes, 2)
        yield Step(at, lambda: self._silence(one, other))
        if self.chance.random() < 0.7:
            yield Step(self.chance.uniform(at, self.lasts), lambda: self._resume(one, other))

    def _silence(self, one: RunningNode, other: RunningNode) -> None:
        path, words = f"/peers/{other.name}/suspend", f"{one.name} suspends {other.name}"
        if self._present(one, other) is None and self._do(one, path, b"{}", {}, words):
            self.silences.append(Silence(one, other, utc_now()))

    def _resume(self, one: RunningNode, other: RunningNode) -> None:
        path, words = f"/peers/{other.name}/resume", f"{one.name} resumes {other.name}"
        silence, now = self._present(one, other), utc_now()
        if silence is not None and self._do(one, path, b"{}", {}, words):
            silence.until = now

    def _present(self, one: RunningNode, other: RunningNode) -> Silence | None:
        found = [it for it in self.silences if it.one is one and it.other is other and it.until == FOREVER]
        return found[0] if found else None

    def _do(self, node: RunningNode, path: str, body: bytes, query: dict[str, str], words: str) -> bool:
        """Have a node do something, if it runs."""
        answer = None
        if node.process is not None:
            with suppress(OSError, HTTPException):  # it does not answer yet
                answer = node.call("POST", path, body, query)
        self._tell(words if answer else f"{node.name} is away: it can't be that {words}")
        assert answer is None or answer.status == 200, (words, answer)
        return answer is not None

    # --- what goes wrong ----------------------------------------------------------------------------------------------

    def _weather(self, at: float) -> Iterator[Step]:
        name, weather, until = self.chance.choice(list(self.fronts)), self._bad(), self._until(at)
        yield Step(at, lambda: self._become(name, weather))
        yield Step(until, lambda: self._clear(name, weather))

    def _bad(self) -> Weather:
        chance = self.chance
        some = chance.choice((frozenset({Side.INWARD}), frozenset({Side.OUTWARD}), BOTH))
        return chance.choice(
            (
                Weather(refused=True),
                Weather(silent=True),
                Weather(swallowed=some),
                Weather(held=some),
                Weather(delay_s=chance.choice((0.02, 0.2, 1.0))),
                Weather(bytes_per_s=chance.choice((4, 30, 200)) << 10),
                Weather(ends_after=chance.choice((8, 64, 400)) << 10),
                Weather(ends_after=chance.choice((8, 64, 400)) << 10, ends_silently=True),
            )
        )

    def _become(self, name: str, weather: Weather) -> None:
        self._tell(f"before {name}: {weather.words()}")
        self.fronts[name].become(weather)

    def _clear(self, name: str, weather: Weather) -> None:
        if self.fronts[name].weather is weather:
            self._become(name, FAIR)

    def _cut(self, at: float) -> Iterator[Step]:
        """All connections of a front end, now and some times more."""
        name, reset = self.chance.choice(list(self.fronts)), self.chance.random() < 0.5
        for _ in range(self.chance.randint(1, 5)):
            yield Step(at, lambda: self._end(name, reset=reset))
            at += self.chance.uniform(0.05, 0.6)

    def _end(self, name: str, *, reset: bool) -> None:
        count = self.fronts[name].cut(reset=reset)
        self._tell(f"before {name}: {count} connections end{' by a reset' if reset else ''}")

    def _crash(self, at: float) -> Iterator[Step]:
        node = self.chance.choice(self.nodes)
        yield Step(at, lambda: self._kill(node))
        yield Step(at + self.chance.uniform(0, max(0.0, self.lasts - at)) / 2, lambda: self._start(node))

    def _kill(self, node: RunningNode) -> None:
        if node.process is not None:
            self._tell(f"{node.name} is killed")
            node.kill()

    def _start(self, node: RunningNode) -> None:
        if node.process is None:
            self._tell(f"{node.name} starts")
            node.spawn()


def _last(node: RunningNode) -> str:
    """Return the end of a node's log, and how it ended, if it did."""
    code = node.process.poll() if node.process is not None else "stopped"
    said = node.log.read_text(errors="replace")[-2000:] if node.log.exists() else ""
    return f"--- {node.name}, exit code {code}\n{said}"
