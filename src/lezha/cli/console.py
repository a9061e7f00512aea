"""Output: results on stdout, as tables or as JSON; everything else on stderr."""

import sys
from collections.abc import Sequence
from typing import NoReturn

import msgspec
from rich.console import Console
from rich.table import Table

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def show_json(value: object) -> None:
    """Print one JSON document."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value).decode(), indent=2) + "\n")


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
    out.print(shown)


def say(text: str) -> None:
    """Print a line on stdout."""
    out.print(_plain(text), markup=False)


def note(text: str) -> None:
    """Print a line on stderr."""
    err.print(_plain(text), markup=False)


def fail(text: str, code: int) -> NoReturn:
    """Print why and leave."""
    note(f"lezha: {text}")
    sys.exit(code)


def _plain(text: str) -> str:
    # What others wrote may hold terminal escapes: show control characters, never send them.
    return "".join(
        letter if letter.isprintable() or letter in "\n\t" else f"\\x{ord(letter):02x}" for letter in text
    )
