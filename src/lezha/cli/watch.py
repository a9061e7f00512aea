"""What `lezha sensor` does, once its options are read."""

import asyncio
import datetime as dt
import secrets
import signal
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import structlog

from lezha.cli import logs
from lezha.cli.api import read_token
from lezha.cli.console import note
from lezha.cli.errors import CliError
from lezha.detection import readers
from lezha.detection.errors import ReaderError, UplinkError
from lezha.detection.follow import Follower
from lezha.detection.plain import PlainEngine
from lezha.detection.sensor import Aggregator
from lezha.detection.station import Station
from lezha.detection.uplink import Uplink

_logger = structlog.get_logger()


def watch(
    follow: Sequence[Path], node: str, token_file: Path, *, reader: str, window: float, from_start: bool
) -> None:
    """Follow logs until SIGTERM or SIGINT. Raises CliError."""
    logs.to_stderr()
    try:
        readers.reader(reader)
    except ReaderError as error:
        raise CliError(f"{error}.", 2) from error
    if urlsplit(node).scheme not in ("http", "https") or not urlsplit(node).hostname:
        raise CliError(f"--node {node!r} is not an URL: write http://127.0.0.1:8440.", 2)
    if lost := [str(path) for path in follow if path.is_dir()]:
        raise CliError(f"{lost[0]} is a folder: name its logs, one --follow for each.", 2)
    token = read_token(token_file)
    aggregator = Aggregator(run=secrets.token_hex(8), window=dt.timedelta(seconds=window))
    follower = Follower(follow, start="beginning" if from_start else "end")

    async def run() -> None:
        uplink = Uplink(node, token)
        await _until_told(
            Station(PlainEngine(), aggregator, follower, lambda _path: readers.reader(reader), uplink, _now)
        )

    for path, reason in follower.waiting.items():
        note(f"{path} can't be read yet: {reason}. The sensor waits for it.")
    names = ", ".join(path.name for path in follow)
    note(f"watching {names} for what {node} tells; stop with Ctrl-C")
    try:
        asyncio.run(run())
    except UplinkError as error:
        raise CliError(f"The sensor stops: {error}. Make it a token with `lezha token create`.") from error


async def _until_told(station: Station) -> None:
    task = asyncio.ensure_future(station.run())
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        _logger.info("sensor.stopped", lines=station.counts.lines, hits=station.counts.hits)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
