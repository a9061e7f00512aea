"""Tell the stories of seeds: `python -m tests.battery.proxy [--short] SEED [SEED ...]`."""

import sys
import tempfile
import time
from pathlib import Path

from tests.battery.proxy.story import tell

if __name__ == "__main__":
    short = "--short" in sys.argv
    for seed in (one for one in sys.argv[1:] if one != "--short"):
        begun = time.perf_counter()
        with tempfile.TemporaryDirectory(prefix="lezha-proxy-") as folder:
            outcome = tell(int(seed), Path(folder), short=short)
        lines = [*outcome.told, *(f"FAULT: {words}" for words in outcome.faults)]
        lines.append(
            f"seed {seed}: {outcome.carried} bytes, {outcome.held} statements, settled after {outcome.settled:.1f} s, "
            f"{time.perf_counter() - begun:.1f} s in all"
        )
        sys.stdout.write("\n".join(lines) + "\n")
        sys.stdout.flush()
