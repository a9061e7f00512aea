"""Record conversations: `python -m tests.battery.recorded [NAME ...]`; without names, those that are missing."""

import sys

from tests.battery.recorded import tape
from tests.battery.recorded.scripts import SCRIPTS, record

if __name__ == "__main__":
    for name in sys.argv[1:] or SCRIPTS:
        if sys.argv[1:] or not (tape.FOLDER / f"{name}.json").exists():
            record(name)
            lines = [
                f"  {one.step}: {one.says}{' (lost)' * one.lost}{' (again)' * one.again}"
                for one in tape.read(name)
            ]
            sys.stdout.write("\n".join([name, *lines]) + "\n")
