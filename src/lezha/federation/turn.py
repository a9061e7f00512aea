"""The order of one peer's batches: two may be on their way at once, and the first to come goes into the log first."""

import asyncio


class Turn:
    """One batch's place: it has come once the batch before is in the log, or was given up."""

    def __init__(self, before: "asyncio.Future[None] | None") -> None:
        self._before = before
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def come(self) -> None:
        """Wait until it is this batch's turn."""
        if self._before is not None:
            await asyncio.shield(self._before)

    def end(self) -> None:
        """Let the next one go on; may be called again."""
        if self._before is not None and not self._before.done():
            self._before.add_done_callback(
                lambda _: self.end()
            )  # given up, and not to be overtaken by the next
        elif not self.ended.done():
            self.ended.set_result(None)


class Turns:
    """The turns of all peers."""

    def __init__(self) -> None:
        self._last: dict[str, asyncio.Future[None]] = {}

    def take(self, member: str) -> Turn:
        """Return the next turn of a peer. Whoever takes one ends it, whatever happens."""
        turn = Turn(self._last.get(member))
        self._last[member] = turn.ended
        return turn
