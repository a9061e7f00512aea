"""What live pages show, rendered once per change for all browsers, and the stream that brings it to them."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

import msgspec
from markupsafe import Markup

from lezha.federation.document import NodeDocument
from lezha.flows import desk, rosters
from lezha.flows.desk import Desk, Gists
from lezha.flows.look import LinkPhase
from lezha.node.changes import Changes
from lezha.node.clock import later, utc_now
from lezha.node.links import Links
from lezha.store import looks, peers
from lezha.store.log import Log
from lezha.web.api import phase
from lezha.web.rendering import fragment

BEAT_S: Final = 2.0
# At most four renderings a second, and at most a quarter of the time spent on them.
_PACE_S: Final = 0.25
_PACE_FACTOR: Final = 3.0
# A link's state may change just after the commit that woke us: look again soon.
_SOON_S: Final = 0.3
_PAGES: Final = {
    "desk": ("alerts", "summary", "peers", "activity", "sightings", "latest"),
    "peers": ("contacts", "communities"),
}


class Board(msgspec.Struct, frozen=True):
    """Fragments of HTML by name, as of `at` (RFC 3339 UTC); `shown` are the contents above GREEN that they name."""

    at: str
    parts: dict[str, Markup]
    titles: tuple[str, ...] = ()
    shown: frozenset[int] = frozenset()


class Boards:
    """The present board. Made inside the event loop."""

    def __init__(self, log: Log, own: NodeDocument, links: Links, changes: Changes) -> None:
        self._log = log
        self._own = own
        self._links = links
        self._changes = changes
        self._lock = asyncio.Lock()
        self._gists = Gists()
        self._board = Board("", {})
        self._key: object = None
        self._members: list[str] = []
        self._done = 0.0
        self._took = 0.0

    @property
    def gists(self) -> Gists:
        """The gists of contents read lately."""
        return self._gists

    async def latest(self) -> Board:
        """Return the board as of now, or as of a quarter of a second ago."""
        async with self._lock:
            if self._state() != self._key:
                await asyncio.sleep(self._done + max(_PACE_S, _PACE_FACTOR * self._took) - time.monotonic())
                await self._render()
            return self._board

    async def stream(
        self, page: str, may_stay: Callable[[], bool], saw: Callable[[Board], Awaitable[None]]
    ) -> AsyncIterator[bytes]:
        """Yield server-sent events for a page until `may_stay` says no: what changed, and a beat with the time.

        `saw` is awaited before anything of a board is sent.
        """
        sent: dict[str, Markup] = {}
        yield b"retry: 1000\n\n"
        while may_stay():
            serial = self._changes.serial
            board = await self.latest()
            events = []
            for name in _PAGES[page]:
                part = board.parts[name]
                if sent.get(name) != part:
                    events.append(_event(name, part))
                    sent[name] = part
            changed = bool(events)
            if changed:
                await saw(board)
            yield b"".join([*events, _event("beat", utc_now())])
            await self._changes.beyond(serial, _SOON_S if changed else BEAT_S)
        yield _event("ended", "")

    def _state(self) -> object:
        """What a board depends on: the log, the links' sending ends, which change without a commit, and the minute."""
        found = []
        for member in self._members:
            if (running := self._links.get(member)) is not None:
                state = running.state
                last = state.latencies[-1] if state.latencies else None
                found.append((member, state.phase, state.fault, len(state.latencies), last))
        return (self._changes.serial, found, utc_now()[:16])

    async def _render(self) -> None:
        start = time.monotonic()
        with self._log.read() as conn:
            self._members = [peer.member for peer in peers.listed(conn)]
        # The links belong to the event loop's thread: copy what they say before leaving it.
        key = self._state()
        phases = {member: phase(self._links, member) for member in self._members}
        self._board, complete = await asyncio.to_thread(self._draw, phases)
        # What was not looked through yet is drawn when anybody looks next.
        self._key = key if complete else None
        self._done = time.monotonic()
        self._took = self._done - start

    def _draw(self, phases: dict[str, LinkPhase | None]) -> tuple[Board, bool]:
        now = utc_now()
        with self._log.read() as conn:
            soon = later(now, days=rosters.SOON_DAYS)
            shown: Desk = desk.desk(conn, self._own, phases.get, self._gists, now, soon)
            restricted = looks.restricted(conn, (), desk.named(shown))
        names = {name for page in _PAGES.values() for name in page}
        parts = {
            name: fragment(f"live/{name}.html", desk=shown, own=self._own.member, now=now) for name in names
        }
        return Board(
            now, parts, tuple(party.title for party in shown.parties.values()), restricted
        ), shown.complete


def _event(name: str, data: str) -> bytes:
    # HTML Living Standard §9.2: each line of the data is a field of its own.
    lines = "".join(f"data: {line}\n" for line in data.replace("\r", "\n").split("\n"))
    return f"event: {name}\n{lines}\n".encode()
