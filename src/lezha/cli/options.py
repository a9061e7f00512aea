"""Options that several commands take."""

import math
from pathlib import Path
from typing import Annotated

import typer


def number(given: float) -> float:
    """Refuse nan, which passes any bounds."""
    if math.isnan(given):
        raise typer.BadParameter("nan is not a number: --help says within which bounds it must lie.")
    return given


Home = Annotated[
    Path, typer.Option("--home", envvar="LEZHA_HOME", help="The node's folder.", show_default="~/.lezha")
]
Url = Annotated[
    str,
    typer.Option(
        "--url", envvar="LEZHA_URL", help="A node elsewhere, e.g. http://127.0.0.1:8440; needs --token-file."
    ),
]
TokenFile = Annotated[
    Path | None, typer.Option("--token-file", envvar="LEZHA_TOKEN_FILE", help="A file that holds the token.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]

PatienceS = Annotated[
    float, typer.Option(min=0, callback=number, help="Seconds to wait for a node that is away.")
]

DEFAULT_HOME = Path("~/.lezha")
