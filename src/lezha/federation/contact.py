"""When each peer was heard of, and whether its silence is longer than is usual for it; no clock, no network.

Both ends of a link greet when nothing was to be told for 30 s, so a peer that is up is heard of that often at least. A
pause of two minutes, four greetings, is a *silence*. Some peers are away every night: what a peer did three times in
the last 14 days is usual for it. Its usual interval is therefore the third longest of its silences of these days, 30 s
if there were fewer than three; a silence half as long again is an alert, and one of a day whatever is usual.

Nobody is blamed for a time in which this node did not listen: every silence begins when it did, at the earliest.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

import msgspec

GREETING_S: Final = 30.0
SILENCE_S: Final = 4 * GREETING_S
LONGEST_S: Final = 24 * 3600.0
"""A day of silence is an alert, whatever was usual: who can cut a line could make ever longer silences usual."""
_TIMES: Final = 3
_MARGIN: Final = 1.5
_DAYS: Final = 14
_MOST: Final = 50


class Silence(msgspec.Struct, frozen=True):
    """A silence that lasted for `seconds` and ended at a time."""

    ended: str
    seconds: float


class Contact(msgspec.Struct, frozen=True, omit_defaults=True):
    """When a peer was last heard of (empty for never), its silences, and how the link to it was.

    `skew_s` is by how much the peer's clock was ahead of this node's when it last sent something, None if it is not
    known.
    """

    heard: str = ""
    silences: tuple[Silence, ...] = ()
    phase: str = ""
    fault: str = ""
    skew_s: float | None = None


class Jump(msgspec.Struct, frozen=True):
    """The clock of this machine was set, or it slept: by so many seconds, backwards if they are negative."""

    at: str
    seconds: float


class Contacts(msgspec.Struct, frozen=True):
    """All peers by member. `since` is when this node began to listen, `noted` when this was written down."""

    since: str = ""
    noted: str = ""
    peers: dict[str, Contact] = {}
    jump: Jump | None = None


def note(before: Contacts, present: Mapping[str, Contact], now: str) -> Contacts:
    """Take in how the links are at `now`; of `present` the silences do not matter, and who is not in it is gone."""
    return msgspec.structs.replace(
        before,
        noted=now,
        peers={
            member: _noted(before.peers.get(member, Contact()), one, before.since, now)
            for member, one in present.items()
        },
    )


def usual_s(contact: Contact, now: str) -> float:
    """Return the interval in which a peer is usually heard of."""
    lately = _lately(contact.silences, now)
    lengths = sorted((one.seconds for one in lately), reverse=True)
    return lengths[_TIMES - 1] if len(lengths) >= _TIMES else GREETING_S


def silent_s(contact: Contact, since: str, now: str) -> float:
    """Return for how long nothing has been heard of a peer by a node that has listened since a time."""
    return seconds(max(contact.heard, since), now) if since or contact.heard else 0.0


def is_overdue(contact: Contact, since: str, now: str) -> bool:
    """Say whether a peer has been silent for longer than is usual for it: an alert."""
    longest = min(LONGEST_S, _MARGIN * usual_s(contact, now))
    return silent_s(contact, since, now) > max(SILENCE_S, longest)


def seconds(earlier: str, later: str) -> float:
    """Return how many seconds lie between two RFC 3339 UTC times, none if they are the other way round."""
    if not earlier:
        return 0.0
    return max(0.0, (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds())


def _noted(before: Contact, now: Contact, since: str, at: str) -> Contact:
    heard = max(before.heard, now.heard)
    pause = seconds(max(before.heard, since), heard) if heard > before.heard else 0.0
    silences = _lately(before.silences, at)
    if pause >= SILENCE_S:
        silences = (*silences, Silence(heard, pause))[-_MOST:]
    skew = before.skew_s if now.skew_s is None else now.skew_s
    return msgspec.structs.replace(now, heard=heard, silences=silences, skew_s=skew)


def _lately(silences: tuple[Silence, ...], now: str) -> tuple[Silence, ...]:
    first = datetime.fromisoformat(now) - timedelta(days=_DAYS)
    return tuple(one for one in silences if datetime.fromisoformat(one.ended) >= first)
