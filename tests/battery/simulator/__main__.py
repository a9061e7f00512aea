"""Tell the stories of seeds: `python -m tests.battery.simulator [--more | --backlog] SEED [SEED ...]`."""

import argparse
import sys
import time

from tests.battery.simulator.more import BacklogStory, MoreStory
from tests.battery.simulator.story import Story, tell

if __name__ == "__main__":
    asked = argparse.ArgumentParser()
    asked.add_argument("--more", action="store_const", dest="kind", const=MoreStory, default=Story)
    asked.add_argument("--backlog", action="store_const", dest="kind", const=BacklogStory)
    asked.add_argument("seeds", type=int, nargs="+")
    given = asked.parse_args()
    for seed in given.seeds:
        begun = time.perf_counter()
        outcome = tell(seed, given.kind)
        lines = [*outcome.told, *(f"FAULT: {words}" for words in outcome.faults)]
        lines.append(
            f"seed {seed}: {outcome.carried} frames, {outcome.held} statements, settled after {outcome.settled:.2f} s, "
            f"{time.perf_counter() - begun:.1f} s of computing, trace {outcome.trace[:16]}"
        )
        sys.stdout.write("\n".join(lines) + "\n")
        sys.stdout.flush()
