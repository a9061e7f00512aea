"""A token that was just made goes into a file that its owner alone can read."""

import os
from pathlib import Path
from typing import Any

from lezha.cli.errors import CliError
from lezha.node.identity import write_secret


def check(out: Path | None) -> None:
    """Look first: a token whose file can't be written would be lost, and still be valid. Raises CliError."""
    if out is not None and (os.path.lexists(out) or not out.parent.is_dir()):
        raise CliError(f"The token can't be written to {out}: name a new file in a folder that is there.")


def keep(made: dict[str, Any], out: Path | None) -> dict[str, Any]:
    """Return what to show of a new token; with `out` it is in that file instead. Raises CliError."""
    if out is None:
        return made
    try:
        write_secret(out, made["token"].encode() + b"\n")
    except OSError as error:
        words = f"The token can't be written to {out}: {error.strerror}."
        raise CliError(f"{words} Now: lezha token revoke {made['name']}") from error
    return {name: value for name, value in made.items() if name != "token"} | {"file": str(out)}
