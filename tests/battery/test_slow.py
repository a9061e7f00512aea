"""A line that lets little through and is cut all the time: a large object arrives, piece by piece."""

import json
import random
import time
from pathlib import Path

from tests.battery.nodes import RunningNode, bundle, free_port, indicator, link, until
from tests.battery.proxy.front import FAIR, Weather, fronts

SLOW = Weather(bytes_per_s=100_000)
CUT_S = 2.0
"""Between two cuts less goes through than the object has bytes."""


def test_a_large_object_gets_through_a_line_that_is_cut_before_it_is_there_whole(tmp_path: Path) -> None:
    with fronts(1) as made:
        port = free_port()
        tirana, podgorica = RunningNode(tmp_path, "tirana"), RunningNode(tmp_path, "podgorica", front=port)
        front = made.before(podgorica.link_port, port)
        try:
            for node in (tirana, podgorica):
                node.start()
            link(tirana, podgorica)
            front.become(SLOW)
            chance = random.Random(1)
            large = json.loads(indicator("large.example"))
            large["description"] = chance.randbytes(250_000).hex()  # compression would not make it smaller
            tirana.publish(bundle([json.dumps(large).encode(), indicator("behind.example")]), "podgorica")
            for _ in range(30):
                time.sleep(CUT_S)
                if podgorica.count("contents") >= 3:
                    break
                front.cut(reset=True)
            front.become(FAIR)
            until(lambda: tirana.peer(podgorica)["queued"] == 0, 30, lambda: tirana.get("/peers"))
            names = podgorica.rows("SELECT name FROM contents WHERE type = 'indicator' ORDER BY name")
            assert names == [("behind.example",), ("large.example",)]
            assert podgorica.count("quarantine") == 0
        finally:
            for node in (tirana, podgorica):
                if node.process is not None:
                    node.kill()
