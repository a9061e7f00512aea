"""What the command line tells its user when something can't be done."""

from typing import Final


class CliError(Exception):
    """One sentence for the user, and the exit code."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code: Final = exit_code
