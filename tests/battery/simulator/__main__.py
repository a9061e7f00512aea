"""Tell the stories of seeds: `python -m tests.battery.simulator SEED [SEED ...]`."""

import sys
import time

from tests.battery.simulator.story import tell

if __name__ == "__main__":
    for seed in sys.argv[1:]:
        begun = time.perf_counter()
        outcome = tell(int(seed))
        lines = [*outcome.told, *(f"FAULT: {words}" for words in outcome.faults)]
        lines.append(
            f"seed {seed}: {outcome.carried} frames, {outcome.held} statements, settled after {outcome.settled:.2f} s, "
            f"{time.perf_counter() - begun:.1f} s of computing, trace {outcome.trace[:16]}"
        )
        sys.stdout.write("\n".join(lines) + "\n")
