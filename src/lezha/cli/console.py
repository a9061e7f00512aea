r"""Output: results on stdout, as tables or as JSON; everything else on stderr.

What others wrote may hold terminal escapes and rich's own markup. Neither is ever obeyed: control characters are
shown as \x1b, markup as it stands.
"""

import contextlib
import errno
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NoReturn

import msgspec
from rich.console import Console
from rich.table import Table

from lezha.cli.errors import CliError

out = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
err = Console(stderr=True, highlight=False, soft_wrap=True, markup=False, emoji=False)
# In a file or a pipe a row of a table is one line, however wide.
_wide = Console(highlight=False, soft_wrap=True, markup=False, emoji=False, width=10_000)

_LOST: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF, errno.EPIPE})


@contextlib.contextmanager
def written_out() -> Iterator[None]:
    """See that what the body prints is written when it ends. Raises CliError if it can't be."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started the program
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115  # for good
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except OSError as error:
        if error.errno not in _LOST or error.filename is not None:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left must not fail once more
        if error.errno == errno.EPIPE:
            sys.exit(1)  # who read it has had enough
        raise CliError(f"The output can't be written: {error.strerror}.") from error


def show_json(value: object) -> None:
    """Print one JSON document."""
    text = msgspec.json.format(msgspec.json.encode(value).decode(), indent=2)
    sys.stdout.write("".join(letter if _harmless(letter) else _escaped(letter) for letter in text) + "\n")


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], empty: str) -> None:
    """Print rows under headings, or the sentence `empty` if there are none."""
    if not rows:
        err.print(empty)
        return
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        shown.add_column(column, overflow="fold")
    for row in rows:
        shown.add_row(*(_plain(cell) for cell in row))
    (out if out.is_terminal else _wide).print(shown)


def say(text: str) -> None:
    """Print a line on stdout."""
    out.print(_plain(text))


def note(text: str) -> None:
    """Print a line on stderr."""
    err.print(_plain(text))


def fail(text: str, code: int) -> NoReturn:
    """Print why and leave."""
    note(f"lezha: {text}")
    sys.exit(code)


def _plain(text: str) -> str:
    return "".join(
        letter if _harmless(letter) or letter == "\t" else f"\\x{ord(letter):02x}" for letter in text
    )


def _harmless(letter: str) -> bool:
    return letter.isprintable() or letter == "\n"


def _escaped(letter: str) -> str:
    # JSON has escapes of its own; msgspec leaves C1 controls and marks that turn text around as they are.
    return json.dumps(letter)[1:-1]
