"""`lezha demo`."""

from pathlib import Path
from typing import Annotated

import typer

from lezha.cli import interrupt


def demo(
    headless: Annotated[bool, typer.Option(help="Run to the end without a live view, then stop.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")] = False,
    cast: Annotated[
        Path | None,
        typer.Option(help="A TOML file that renames members and circles: tables author, witness, …"),
    ] = None,
    keep: Annotated[
        Path | None,
        typer.Option(help="A new folder for the nodes, to be left there; by default they are deleted."),
    ] = None,
) -> None:
    """Play the attack of July 2022 as it could have gone: one node warns its allies, and hears back.

    Four nodes, each a process with its own folder, keys and TLS, talk over this machine's loopback. Everything in it
    is labelled an exercise. In a terminal it stays, with pages to open, until Ctrl-C.

    Example: lezha demo --headless --json
    """
    from lezha.cli.demo.stage import play  # slow to load, and no other command needs it

    interrupt.tidily()
    play(cast, keep, headless=headless, json=json)
