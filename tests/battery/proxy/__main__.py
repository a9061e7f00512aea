"""Tell the stories of seeds: `python -m tests.battery.proxy [--short] [--database URL] SEED [SEED ...]`.

With `--database`, the URL of an empty PostgreSQL database, one node keeps its log there: tell one story then.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.battery.proxy.story import tell

if __name__ == "__main__":
    asked = argparse.ArgumentParser()
    asked.add_argument("--short", action="store_true")
    asked.add_argument("--database", default="")
    asked.add_argument("seeds", type=int, nargs="+")
    given = asked.parse_args()
    for seed in given.seeds:
        begun = time.perf_counter()
        with tempfile.TemporaryDirectory(prefix="lezha-proxy-") as folder:
            outcome = tell(seed, Path(folder), short=given.short, database=given.database)
        lines = [*outcome.told, *(f"FAULT: {words}" for words in outcome.faults)]
        lines.append(
            f"seed {seed}: {outcome.carried} bytes, {outcome.held} statements, settled after {outcome.settled:.1f} s, "
            f"{time.perf_counter() - begun:.1f} s in all"
        )
        sys.stdout.write("\n".join(lines) + "\n")
        sys.stdout.flush()
