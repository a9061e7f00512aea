"""A PostgreSQL server for figures: that of the tests, but durable, in a folder of its own."""

import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import _await_postgres, _postgres_programs, _quietly


@contextmanager
def server() -> Iterator[str]:
    """Give SQLAlchemy's URL of an empty database of a server that writes through to the disk."""
    folder = Path(tempfile.mkdtemp(prefix="lezha-pg-"))
    try:
        programs, owner = _postgres_programs(folder)
        options = ["--auth=trust", "--encoding=UTF8", "--locale=C", "--username=postgres"]
        _quietly([programs / "initdb", *options, "-D", folder / "data"], owner)
        with (folder / "log").open("w+b") as log:
            settings = ["--listen_addresses=", f"--unix_socket_directories={folder}"]
            command: list[str | Path] = [programs / "postgres", "-D", folder / "data", *settings]
            process = subprocess.Popen(command, stdout=log, stderr=log, user=owner, cwd=folder)
            try:
                _await_postgres(process, f"user=postgres host={folder}", folder / "log")
                yield f"postgresql+psycopg:///postgres?user=postgres&host={folder}"
            finally:
                process.send_signal(signal.SIGINT)
                process.wait(timeout=30)
    finally:
        shutil.rmtree(folder)
