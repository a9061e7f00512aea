"""`lezha sensor`: the process beside a member's logs."""

from pathlib import Path
from typing import Annotated

import typer

from lezha.cli.options import number


def sensor(
    follow: Annotated[list[Path], typer.Option(help="A log to follow. May be given several times.")],
    node: Annotated[str, typer.Option(envvar="LEZHA_URL", help="The node, e.g. http://127.0.0.1:8440.")],
    token_file: Annotated[
        Path, typer.Option(envvar="LEZHA_TOKEN_FILE", help="A file with a token of role sensor.")
    ],
    reader: Annotated[str, typer.Option(help="The format of the logs.")] = "zeek",
    window: Annotated[
        float,
        typer.Option(
            min=0,
            max=86_400,
            callback=number,
            help="Seconds between two reports of one indicator; the first goes at once.",
        ),
    ] = 60,
    from_start: Annotated[bool, typer.Option(help="Also read what the logs hold already.")] = False,
) -> None:
    """Follow logs, look for what the node's allies published, and say so back.

    Example: lezha sensor --follow /opt/zeek/logs/current/conn.log --follow /opt/zeek/logs/current/dns.log
    --node http://127.0.0.1:8440 --token-file sensor.token
    """
    from lezha.cli.watch import watch  # the engines are slow to load, and no other command needs them

    watch(follow, node, token_file, reader=reader, window=window, from_start=from_start)
