"""A node asks a peer that is busy, silent or restored; in virtual time, with the real links and logs."""

import random
import shutil
from asyncio import sleep
from collections import Counter
from pathlib import Path

from tests.battery.simulator import virtual
from tests.battery.simulator.member import Member, Watcher
from tests.battery.simulator.network import Network
from tests.battery.simulator.story import empty

from lezha.federation.frame import Batch

_HOUR_S = 3600


class Counting(Watcher):
    """Counts the batches that each member takes."""

    def __init__(self) -> None:
        self.taken: Counter[str] = Counter()

    def took(self, receiver: Member, _sender: str, _sent: Batch, _receipt: bytes) -> None:
        self.taken[receiver.name] += 1


def test_who_asks_asks_for_no_more_before_more_may_be_taken(tmp_path: Path) -> None:
    async def taken() -> list[int]:
        network, counting = Network(random.Random(1)), Counting()
        asked, asking = (Member(number, tmp_path, network, random.Random(2), counting) for number in (1, 2))
        network.hosts = {one.member: one for one in (asked, asking)}
        asking.reachable, asking.hourly = False, 1
        for one, other in ((asked, asking), (asking, asked)):
            shutil.copyfile(empty(), one.path)
            one.know([other])
            one.linked = [other]
            one.start()
        found = []
        for _ in range(2):
            await sleep(0.9 * _HOUR_S)
            found.append(counting.taken[asking.name])
        await network.close()
        for one in (asked, asking):
            await one.stop()
        return found

    assert virtual.run(taken()) == [1, 2]  # one object is taken in an hour; a greeting counts as one
