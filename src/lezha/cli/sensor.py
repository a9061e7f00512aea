"""`lezha sensor`: the process beside a member's logs."""

import asyncio
import datetime as dt
import secrets
import signal
from pathlib import Path
from typing import Annotated

import structlog
import typer

from lezha.cli.api import read_token
from lezha.cli.console import note
from lezha.cli.errors import CliError
from lezha.cli.node import log_to_stderr
from lezha.detection import readers
from lezha.detection.errors import UplinkError
from lezha.detection.follow import Follower
from lezha.detection.plain import PlainEngine
from lezha.detection.sensor import Aggregator
from lezha.detection.station import Station
from lezha.detection.uplink import Uplink

_logger = structlog.get_logger()


def sensor(
    follow: Annotated[list[Path], typer.Option(help="A log to follow. May be given several times.")],
    node: Annotated[str, typer.Option(envvar="LEZHA_URL", help="The node, e.g. http://127.0.0.1:8440.")],
    token_file: Annotated[
        Path, typer.Option(envvar="LEZHA_TOKEN_FILE", help="A file with a token of role sensor.")
    ],
    reader: Annotated[str, typer.Option(help="The format of the logs.")] = "zeek",
    window: Annotated[
        float, typer.Option(help="Seconds between two reports of one indicator; the first goes at once.")
    ] = 60,
    from_start: Annotated[bool, typer.Option(help="Also read what the logs hold already.")] = False,
) -> None:
    """Follow logs, look for what the node's allies published, and say so back.

    Example: lezha sensor --follow /opt/zeek/logs/current/conn.log --follow /opt/zeek/logs/current/dns.log
    --node http://127.0.0.1:8440 --token-file sensor.token
    """
    log_to_stderr()
    readers.reader(reader)
    token = read_token(token_file)
    aggregator = Aggregator(run=secrets.token_hex(8), window=dt.timedelta(seconds=window))
    follower = Follower(follow, start="beginning" if from_start else "end")

    async def run() -> None:
        uplink = Uplink(node, token)
        await _until_told(
            Station(PlainEngine(), aggregator, follower, lambda _path: readers.reader(reader), uplink, _now)
        )

    note(f"watching {len(follow)} logs for what {node} tells; stop with Ctrl-C")
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
