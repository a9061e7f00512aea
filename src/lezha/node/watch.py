"""The node watches its peers and its clock: an unusual silence is logged once, and so is its end.

What was seen is kept in the log every minute, so that other processes of the node, and `lezha doctor` once it has
stopped, know it too.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Final

import msgspec
import structlog

from lezha.federation import contact
from lezha.federation.contact import Contact, Contacts, Jump
from lezha.flows import contact as kept
from lezha.node.clock import between, utc_now
from lezha.node.links import Link, Links
from lezha.store import peers
from lezha.store.errors import StoreError
from lezha.store.log import Log
from lezha.store.peers import PeerState

_LOOK_S: Final = 10.0
_KEEP_S: Final = 60.0
_JUMP_S: Final = 5.0
_logger = structlog.get_logger()


class Watch:
    """Look at the links every ten seconds. `clock` is wall time, `steady` seconds that nobody sets."""

    def __init__(
        self,
        log: Log,
        links: Links,
        clock: Callable[[], str] = utc_now,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._links = links
        self._clock = clock
        self._steady = steady
        self._silent: frozenset[str] = frozenset()
        self._at, self._tick = clock(), steady()
        with log.read() as conn:
            self._noted = msgspec.structs.replace(kept.kept(conn), since=self._at)

    async def run(self) -> None:
        """Look until cancelled."""
        due = self._steady()
        while True:
            try:
                self.look()
                if self._steady() >= due:
                    due = self._steady() + _KEEP_S
                    await self._log.write(lambda tx: kept.keep(tx, self._noted))
            except StoreError as error:
                _logger.warning("watch.not_kept", reason=str(error))
            await asyncio.sleep(_LOOK_S)

    def look(self) -> Contacts:
        """Look once, log what is new, and return what is known now."""
        now, steady = self._clock(), self._steady()
        jumped = between(self._at, now) - (steady - self._tick)
        self._at, self._tick = now, steady
        with self._log.read() as conn:
            present = peers.listed(conn)
        links = {one.member: link for one in present if (link := self._links.get(one.member)) is not None}
        if abs(jumped) > _JUMP_S:
            self._jumped(Jump(now, round(jumped, 1)), links.values())
        self._noted = contact.note(
            self._noted, {member: link.state.contact() for member, link in links.items()}, now
        )
        judged = {one.member: one.name for one in present if one.state is PeerState.ACTIVE}
        self._tell({member: one for member, one in self._noted.peers.items() if member in judged}, judged)
        return self._noted

    async def close(self) -> None:
        """Keep what is known at the end."""
        self.look()
        await self._log.write(lambda tx: kept.keep(tx, self._noted))

    def _jumped(self, jump: Jump, links: Iterable[Link]) -> None:
        _logger.warning("clock.jumped", seconds=jump.seconds)
        # After a time that is still to come nobody could be heard.
        for link in links:
            link.state.heard = min(link.state.heard, jump.at)
        self._noted = msgspec.structs.replace(
            self._noted,
            since=jump.at,
            jump=jump,
            peers={
                member: msgspec.structs.replace(one, heard=min(one.heard, jump.at))
                for member, one in self._noted.peers.items()
            },
        )

    def _tell(self, judged: dict[str, Contact], names: dict[str, str]) -> None:
        since, now = self._noted.since, self._at
        silent = frozenset(member for member, one in judged.items() if contact.is_overdue(one, since, now))
        for member in sorted(silent - self._silent):
            one = judged[member]
            _logger.warning(
                "peer.silent",
                peer=names[member],
                last_contact=one.heard,
                seconds=round(contact.silent_s(one, since, now)),
                usual_seconds=round(contact.usual_s(one, now)),
            )
        for member in sorted((self._silent - silent) & judged.keys()):
            _logger.info("peer.heard_again", peer=names[member])
        self._silent = silent
