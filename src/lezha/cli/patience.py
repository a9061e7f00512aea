"""A node that is away is asked again, for as long as the user is patient."""

import asyncio
from typing import Final

from lezha.cli.api import UNREACHABLE, Refusal
from lezha.cli.console import note
from lezha.cli.errors import CliError

_FIRST_PAUSE_S: Final = 0.2
_LONGEST_PAUSE_S: Final = 5.0
_AWAY: Final = frozenset({502, 503, 504})


class Patience:
    """Wait for a node, `seconds` at most from when it was lost until it answers again."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lost: float | None = None
        self._pause = _FIRST_PAUSE_S

    def answered(self) -> None:
        """Take note that the node is there."""
        self._lost, self._pause = None, _FIRST_PAUSE_S

    async def wait(self, error: CliError) -> None:
        """Wait a little longer each time. Raises `error` if it is of another kind, or if patience has ended."""
        if not is_away(error):
            raise error
        now = asyncio.get_running_loop().time()
        if self._lost is None:
            self._lost = now
            note(f"The node is away; trying again for {self._seconds:g} s.")
        left = self._lost + self._seconds - now
        if left <= 0:
            raise CliError(str(error), UNREACHABLE) from error
        await asyncio.sleep(min(self._pause, left))
        self._pause = min(self._pause * 2, _LONGEST_PAUSE_S)


def is_away(error: CliError) -> bool:
    """True if the node can't be reached or is about to stop, so that the same may succeed later."""
    return error.exit_code == UNREACHABLE or (isinstance(error, Refusal) and error.status in _AWAY)
