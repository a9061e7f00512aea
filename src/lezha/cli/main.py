"""The entry: what it needs before Ctrl-C is cared for, and no more."""

from lezha.cli import interrupt


def main() -> None:
    """Run the command line."""
    interrupt.at_once()
    from lezha.cli.commands import run  # slow to load

    run()
