"""Who may be connected to the peers' listener: anybody can connect, and must not keep the peers out. No network.

A connection is a *stranger's* until it has shown the certificate of a peer. A newcomer is always let in; where that is
one too many, the connection that has stayed longest without need gives way: of the newcomer's own address, or, where
all strangers are too many, of the address that has most. So who floods pushes itself out first. A connection that has
shown a peer's certificate is out of the strangers' reach, and gives way to that peer's own alone.
"""

import ipaddress
import math
from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from typing import Final

STRANGERS: Final = 500
"""Connections that have shown no peer's certificate."""
PER_PEER: Final = 8
"""Connections of one peer; a sender that keeps to the link has two."""
PACE: Final = 200
"""Connections that are let in in a second, and that may wait for that."""
_TOLD_S: Final = 60.0
_REFUSALS: Final = 60
_REFUSAL_S: Final = 10.0
_V6_SITE: Final = 64


class Why(StrEnum):
    """Why a connection was cut, or what it asked for refused (`REFUSED`)."""

    ADDRESS = "address"
    BODY = "body"
    HANDSHAKE = "handshake"
    HEAD = "head"
    IDLE = "idle"
    LIFE = "life"
    NOT_HTTP = "not http"
    PEER = "peer"
    REFUSED = "refused"
    STRANGERS = "strangers"


class Visit:
    """One connection: from where, whose it is known to be (empty for a stranger), and how it is cut."""

    __slots__ = ("cut", "member", "source")

    def __init__(self, source: str, cut: Callable[[], object]) -> None:
        self.source = source
        self.member = ""
        self.cut = cut


class Door:
    """The connections of one listener. `per_address` is how many strangers may be there from one address."""

    def __init__(self, per_address: int, strangers: int = STRANGERS) -> None:
        self._per_address = per_address
        self._most = strangers
        self._strangers: dict[str, dict[Visit, None]] = {}
        self._peers: dict[str, dict[Visit, None]] = {}
        self.counted: Final[Counter[Why]] = Counter()
        """How often that was so since the start."""
        self._told: Counter[Why] = Counter()
        self._told_at = -math.inf
        self._refusals, self._refused_at = float(_REFUSALS), -math.inf

    @property
    def strangers(self) -> int:
        """How many connections have shown no peer's certificate."""
        return sum(map(len, self._strangers.values()))

    @property
    def peers(self) -> int:
        """How many connections are those of peers."""
        return sum(map(len, self._peers.values()))

    def come(self, address: str, cut: Callable[[], object]) -> Visit:
        """Let a connection in, and cut another one if it is one too many."""
        visit = Visit(_site(address), cut)
        own = self._strangers.setdefault(visit.source, {})
        if len(own) >= self._per_address:
            self._give_way(own, Why.ADDRESS)
        elif self.strangers >= self._most:
            self._give_way(max(self._strangers.values(), key=len), Why.STRANGERS)
        self._strangers.setdefault(visit.source, {})[visit] = None
        return visit

    def shown(self, visit: Visit, member: str) -> None:
        """Note that a connection has shown the certificate of a peer."""
        self.gone(visit)
        visit.member = member
        own = self._peers.setdefault(member, {})
        if len(own) >= PER_PEER:
            self._give_way(own, Why.PEER)
        self._peers.setdefault(member, {})[visit] = None

    def gone(self, visit: Visit) -> None:
        """Note that a connection has ended; that may be noted more than once."""
        groups, name = (self._peers, visit.member) if visit.member else (self._strangers, visit.source)
        group = groups.get(name, {})
        group.pop(visit, None)
        if not group:
            groups.pop(name, None)

    def count(self, why: Why) -> None:
        """Count that a connection was cut or refused."""
        self.counted[why] += 1

    def news(self, now: float) -> dict[str, int]:
        """Return what was cut since this was last told, or nothing: it is told at most once a minute.

        `now` is any steady clock, in seconds.
        """
        if now - self._told_at < _TOLD_S or self.counted == self._told:
            return {}
        fresh = self.counted - self._told
        self._told, self._told_at = self.counted.copy(), now
        return {why.value: count for why, count in sorted(fresh.items())}

    def may_tell(self, now: float) -> bool:
        """Whether one more refusal may have a line of its own in the logs: 60 may, and one more every 10 s."""
        self._refusals = min(_REFUSALS, self._refusals + max(0.0, now - self._refused_at) / _REFUSAL_S)
        self._refused_at = now
        if self._refusals < 1:
            return False
        self._refusals -= 1
        return True

    def _give_way(self, group: dict[Visit, None], why: Why) -> None:
        oldest = next(iter(group))
        self.gone(oldest)
        self.count(why)
        oldest.cut()


def _site(address: str) -> str:
    """Return what stands for one who connects: an address, of IPv6 the network of which anybody has many addresses."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address):
        return str(found.ipv4_mapped or ipaddress.ip_network((found, _V6_SITE), strict=False))
    return str(found)
