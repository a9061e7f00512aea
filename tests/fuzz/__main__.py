"""Fuzz one decoder, guided by what its code does: `python -m tests.fuzz NAME RUNS [INPUT ...]`.

It stops at the first input by which a decoder raises what it must not, takes more than 5 s or 1 GiB, and leaves that
input in the folder it is called from. With inputs, these alone are tried. Needs atheris.
"""

import sys
import tempfile
from importlib import import_module
from pathlib import Path

atheris = import_module("atheris")  # it has no types, and is not there where nothing is fuzzed

with atheris.instrument_imports(include=["lezha", "securesystemslib", "json"]):
    from tests.fuzz.corpus import inputs
    from tests.fuzz.targets import TARGETS

_SECONDS, _MEGABYTES, _LONGEST = 5, 1024, 1 << 14


def main(name: str, runs: int, given: list[str]) -> None:
    """Fuzz one target."""
    target = TARGETS[name]
    with tempfile.TemporaryDirectory() as folder:
        for number, raw in enumerate(inputs(name)):
            Path(folder, str(number)).write_bytes(raw)
        options = [f"-timeout={_SECONDS}", f"-rss_limit_mb={_MEGABYTES}", f"-max_len={_LONGEST}"]
        atheris.Setup([sys.argv[0], *options, f"-runs={runs}", *(given or [folder])], target.try_out)
        atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3:])
