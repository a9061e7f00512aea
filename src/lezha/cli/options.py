"""Options that several commands take."""

from pathlib import Path
from typing import Annotated

import typer

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

DEFAULT_HOME = Path("~/.lezha")
