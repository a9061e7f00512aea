"""Stories in which more happens: some nodes ask instead of being told, all commit to their logs, some purge.

What is added is drawn from a stream of its own. It changes what else happens nevertheless: batches go other ways.
"""

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

from tests.battery.simulator import rules
from tests.battery.simulator.story import NODES, Outcome, Story
from tests.battery.simulator.virtual import seconds

from lezha.federation import checkpoint
from lezha.flows import purge, share


class MoreStory(Story):
    """The story of a seed with what is added to it."""

    # Who asks pauses by itself after a failure, and whoever it asks may do so then, each for up to 8 s.
    looks_s = (*Story.looks_s, 14.0, 20.0)

    def __init__(self, seed: int, folder: Path) -> None:
        super().__init__(seed, folder)
        self.more = random.Random(f"more {seed}")
        hidden = self._hide(self.more.randint(1, 3))
        asking = set(self.more.sample(range(NODES), self.more.randint(0, 2)))
        for number, one in enumerate(self.members):
            one.reachable, one.asks, one.keeps_up = number not in hidden, number in asking, True
        self.names: dict[bytes, str] = {}
        """Of every content that was to be purged the name: it must not be found where it was."""

    def _hide(self, most: int) -> set[int]:
        """Choose to whom nobody can connect. Two of them have nothing but files to tell one another by."""
        hidden: set[int] = set()
        for number in self.more.sample(range(NODES), most):
            if all(self.ways[one] - hidden - {number} for one in hidden | {number}):
                hidden.add(number)
        for number in hidden:
            self.ways[number] -= hidden
        return hidden

    async def run(self) -> Outcome:
        with patch.object(checkpoint, "nonce", lambda: self.more.randbytes(32)):
            return await super().run()

    def _besides(self, end: float) -> list[asyncio.Task[None]]:
        hidden = [one.name for one in self.members if not one.reachable]
        asking = [one.name for one in self.members if one.reachable and one.asks]
        self._tell(
            f"nobody can connect to {', '.join(hidden)}; {', '.join(asking) or 'nobody'} asks all the same"
        )
        return [
            asyncio.create_task(self._at(self.more.uniform(0, end - seconds()), self._purge, end))
            for _ in range(self.more.randint(0, 6))
        ]

    async def _purge(self, _end: float) -> None:
        if not self.objects:
            return
        stix_id = self.more.choice(self.objects)[1]
        holders = [one for one in self.members if one.up and rules.names(one, stix_id)]
        if not holders:
            return
        one = self.more.choice(holders)
        self._tell(f"{one.name} purges {int(stix_id[11:19])}")
        self.names |= rules.names(one, stix_id)
        await self._do(one, lambda: purge.purge(one.log, one.member, [stix_id], "by mistake", "officer"))

    def _faults(self) -> Iterator[str]:
        yield from super()._faults()
        for one in self.members:
            yield from rules.left_of_purged(one, self.names)


class BacklogStory(MoreStory):
    """The same, where what waits for a peer is soon put off: its queue is short, and a commit looks at few changes."""

    async def run(self) -> Outcome:
        chance = random.Random(f"backlog {self.seed}")
        with (
            patch.object(share, "QUEUE", chance.randint(1, 6)),
            patch.object(share, "_CHANGES_PER_COMMIT", chance.randint(1, 4)),
            patch.object(share, "_AGAIN_PER_COMMIT", chance.randint(1, 4)),
        ):
            return await super().run()
