"""What happens in the demonstration, in order, and what is measured on the way."""

import asyncio
import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from lezha.cli.demo import bundle
from lezha.cli.demo.bundle import Part
from lezha.cli.demo.network import Network, Seat
from lezha.flows.look import PeerReport, Seen

_PATIENCE_S: Final = 20
_POLL_S: Final = 0.1
_SENSOR_S: Final = 1.5
PLANTED: Final = 12


class Publication(msgspec.Struct, frozen=True):
    """One part as the author published it: to whom, (object id, statement) of each object, commit time."""

    part: Part
    tlp: str
    to: str
    objects: tuple[tuple[str, str], ...]


class Story(msgspec.Struct):
    """The state of the demonstration, for the view and for the checks."""

    phase: str = "starting"
    phrases_agree: bool = False
    publications: list[Publication] = msgspec.field(default_factory=list)
    published_at: dt.datetime | None = None
    peers: list[PeerReport] = msgspec.field(default_factory=list)
    sightings: list[Seen] = msgspec.field(default_factory=list)
    latencies: list[float] = msgspec.field(default_factory=list)
    indicator_of: dict[str, str] = msgspec.field(default_factory=dict)

    @property
    def published(self) -> int:
        """How many objects were published."""
        return sum(len(one.objects) for one in self.publications)

    @property
    def first_sighting_ms(self) -> float | None:
        """From the first publication's commit to the first sighting's commit, both at the author's node."""
        if not self.sightings or self.published_at is None:
            return None
        first = min(dt.datetime.fromisoformat(seen.at) for seen in self.sightings)
        return round((first - self.published_at).total_seconds() * 1e3, 1)


def planted() -> tuple[tuple[str, str], ...]:
    """Return (kind, value) of the indicators that traffic at the witness will carry: some of each kind and part."""
    chosen: dict[tuple[str, str], None] = {}
    by_kind: dict[str, list[str]] = {}
    for part in bundle.TLP:
        for kind, value in bundle.observables(part):
            by_kind.setdefault(kind, []).append(value)
    turn = 0
    while len(chosen) < min(PLANTED, sum(map(len, by_kind.values()))):
        for kind, values in by_kind.items():
            if turn < len(values) and len(chosen) < PLANTED:
                chosen[kind, values[turn]] = None
        turn += 1
    return tuple(chosen)


async def tell(network: Network, logs: list[Path], story: Story, changed: Callable[[], None]) -> None:
    """Play the story to its end, keeping `story` up to date; `logs` are being written meanwhile.

    Raises CliError if a node fails.
    """

    def phase(words: str) -> None:
        story.phase = words
        changed()

    cast = network.cast
    phase("the nodes start")
    await network.start()
    phase("the nodes are introduced; officers compare phrases")
    story.phrases_agree = await network.introduce()
    phase("communities are founded and accepted")
    await network.convene()
    author, witness = network.seats[cast.author.name], network.seats[cast.witness.name]
    phase(f"a sensor starts at {cast.witness.city.title()}")
    await network.sense(witness, logs)
    await asyncio.sleep(_SENSOR_S)
    phase(f"{cast.author.city.title()} publishes")
    await _publish(network, author, story)
    phase("delivery, detection, sightings")
    await _settle(author, story, changed)
    phase("done")


async def refresh(author: Seat, story: Story) -> None:
    """Ask the author's node how things are."""
    async with author.api() as api:
        await _ask(api, story)


async def _publish(network: Network, author: Seat, story: Story) -> None:
    circles = network.cast.circles
    audiences: dict[Part, str] = {"everyone": "everyone", "wb6": circles.region, "nato": circles.alliance}
    # A demonstration that begins just before midnight belongs to the day in which it ends.
    day = (dt.datetime.now(dt.UTC) + dt.timedelta(minutes=2)).date()
    parts = bundle.parts(author.member, day)
    async with author.api() as api:
        for part, to in audiences.items():
            tlp = bundle.TLP[part]
            done = await api.post("/publish", parts[part], [("tlp", tlp), ("to", to), ("strict", "true")])
            story.published_at = story.published_at or dt.datetime.fromisoformat(done["at"])
            objects = tuple((pair[0], pair[1]) for pair in done["taken"])
            story.publications.append(Publication(part, tlp, to, objects))
            story.indicator_of.update(_indicators(parts[part]))


def _indicators(part: bytes) -> dict[str, str]:
    objects = msgspec.json.decode(part)["objects"]
    return {one["name"]: one["id"] for one in objects if one["type"] == "indicator"}


async def _settle(author: Seat, story: Story, changed: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + _PATIENCE_S
    wanted = {story.indicator_of[value] for _, value in planted()}
    async with author.api() as api:
        while loop.time() < end:
            await _ask(api, story)
            changed()
            if not any(peer.queued for peer in story.peers) and wanted <= {
                seen.of for seen in story.sightings
            }:
                return
            await asyncio.sleep(_POLL_S)


async def _ask(api: Any, story: Story) -> None:
    story.peers = msgspec.convert(await api.get("/peers"), list[PeerReport])
    story.sightings = msgspec.convert(await api.get("/sightings"), list[Seen])
    latencies: list[float] = []
    for peer in story.peers:
        latencies += await api.get(f"/peers/{peer.name}/latencies")
    story.latencies = latencies
