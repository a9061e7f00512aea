"""Who is shown what is above TLP:GREEN is in the log before it is shown.

The first time that somebody is shown an object in one way, by one question, in one hour, that is an event of its own,
durable before the answer leaves; if it can't be written there is no answer. How often the same person is shown any of
that again in that hour in the same way is counted, and the count is an event when the hour is over or the node stops:
a page that refreshes by itself writes nothing every few seconds. A node that is killed loses such counts, never that
somebody was shown something.

The same holds for attempts to sign in: the first of a minute from one place is written at once, the others are counted.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from ipaddress import IPv6Address, ip_address
from typing import Final

import msgspec

from lezha.store import looks, quarantine
from lezha.store.log import Log, Tx

QUIET: Final = frozenset(
    {
        looks.LOOKED,
        looks.AGAIN,
        looks.EXPORTED,
        quarantine.LOOKED,
        "released",
        "signed in",
        "signed out",
        "sign-in refused",
        "audited",
    }
)
"""Events that change nothing that a page shows: nobody is woken for them."""

_HOUR: Final = len("2026-03-01T12")
_MINUTE: Final = len("2026-03-01T12:00")
_CONTENTS_REMEMBERED: Final = 200_000
_QUESTIONS_REMEMBERED: Final = 20_000
_PLACES: Final = 100  # of which attempts are told apart within a minute
_ELSEWHERE: Final = "elsewhere"
_NOBODY: Final = "nobody"


class Who(msgspec.Struct, frozen=True):
    """Who looks, and from where."""

    name: str
    source: str


class _Seen(msgspec.Struct):
    """What somebody was shown in one way by one question since an hour began. `first` is the first look's event."""

    first: int
    contents: set[int]
    again: int = 0
    last: str = ""


_Key = tuple[Who, str, str]
_Place = tuple[str, str]


class Witness:
    """Writes looks and attempts down. `now` is the present RFC 3339 UTC time. To be used within one event loop."""

    def __init__(self, log: Log, now: Callable[[], str]) -> None:
        self._log = log
        self._now = now
        self._hour = self._minute = ""
        self._seen: OrderedDict[_Key, _Seen] = OrderedDict()
        self._held = 0
        self._counted: list[tuple[_Key, _Seen]] = []
        self._tried: dict[_Place, int] = {}
        self._refused: list[tuple[_Place, int]] = []

    async def saw(self, who: Who, way: str, question: str, contents: Iterable[int]) -> None:
        """Have it durable that `who` was shown these contents, given by number, on this `way`. Raises StoreError.

        `way` is a word: search, page, about, object, bytes, sightings, desk, sensor, view, explained, gaps,
        tear-line, recall.
        """
        shown = set(contents)
        if not shown:
            return
        await self.tick()
        key = (who, way, looks.bounded(question))
        seen = self._seen.get(key)
        fresh = shown if seen is None else shown - seen.contents
        if seen is not None and len(fresh) < len(shown):
            seen.again += 1
            seen.last = self._now()
        if not fresh:
            return
        hour = self._hour
        seq = await self._log.write(lambda tx: looks.record(tx, looks.LOOKED, who.name, way, key[2], fresh))
        if hour == self._hour:
            self._remember(key, seq, fresh)

    async def exported(
        self, who: Who, recipient: str, question: str, contents: Iterable[int], **more: object
    ) -> None:
        """Have it durable that a page of an export was made for a peer (its member id), or for own systems (empty)."""
        told = frozenset(contents)
        more |= {"recipient": recipient}
        await self._log.write(
            lambda tx: looks.record(tx, looks.EXPORTED, who.name, "export", question, told, **more)
        )

    async def refused(self, source: str, why: str) -> int:
        """Have it durable that somebody tried to get in and could not: the first of a minute from one place at once.

        Of IPv6 a place is a network of 64 bits; beyond 100 places in one minute they are not told apart. Returns how
        often that was tried from there before in this minute.
        """
        await self.tick()
        place = (_network(source), why)
        if place not in self._tried and len(self._tried) >= _PLACES:
            place = (_ELSEWHERE, why)
        if place in self._tried:
            self._tried[place] += 1
            return self._tried[place]
        self._tried[place] = 0
        await self._log.write(lambda tx: _write_refused(tx, [(place, 1)]))
        return 0

    async def tick(self) -> None:
        """Write down what was counted in an hour or minute that is over."""
        now = self._now()
        if now[:_HOUR] != self._hour:
            self._hour = now[:_HOUR]
            self._forget(len(self._seen))
        if now[:_MINUTE] != self._minute:
            self._minute = now[:_MINUTE]
            self._refused += [(place, more) for place, more in self._tried.items() if more]
            self._tried = {}
        await self._flush()

    async def close(self) -> None:
        """Write down all that was counted."""
        self._hour = self._minute = ""
        await self.tick()

    def _remember(self, key: _Key, seq: int, fresh: set[int]) -> None:
        seen = self._seen.setdefault(key, _Seen(seq, set()))
        self._held += len(fresh - seen.contents)
        seen.contents |= fresh
        # What is forgotten is written down anew when it is shown again: nothing is lost by it.
        while len(self._seen) > 1 and (
            self._held > _CONTENTS_REMEMBERED or len(self._seen) > _QUESTIONS_REMEMBERED
        ):
            self._forget(1)

    def _forget(self, oldest: int) -> None:
        for _ in range(oldest):
            key, gone = self._seen.popitem(last=False)
            self._held -= len(gone.contents)
            if gone.again:
                self._counted.append((key, gone))

    async def _flush(self) -> None:
        """Write down what is over. Raises StoreError; then it is kept for the next time."""
        counted, self._counted = self._counted, []
        refused, self._refused = self._refused, []
        if not counted and not refused:
            return
        try:
            await self._log.write(lambda tx: _write_counts(tx, counted, refused))
        except BaseException:
            self._counted += counted
            self._refused += refused
            raise


def _write_counts(
    tx: Tx, counted: Iterable[tuple[_Key, _Seen]], refused: Iterable[tuple[_Place, int]]
) -> None:
    _write_again(tx, counted)
    _write_refused(tx, refused)


def _write_again(tx: Tx, counted: Iterable[tuple[_Key, _Seen]]) -> None:
    for (who, way, _), seen in counted:
        tx.source = who.source
        tx.event(looks.AGAIN, who.name, who.name, way=way, of=seen.first, times=seen.again, last=seen.last)


def _write_refused(tx: Tx, refused: Iterable[tuple[_Place, int]]) -> None:
    for (place, why), times in refused:
        tx.source = place
        tx.event("sign-in refused", place, _NOBODY, why=why, times=times)


def _network(source: str) -> str:
    """Return from which place an address is: an address of IPv4, 64 bits of IPv6; another text as it is, but short."""
    try:
        address = ip_address(source)
    except ValueError:
        return source[:64]
    if not isinstance(address, IPv6Address):
        return source
    mapped = address.ipv4_mapped
    return str(mapped) if mapped else f"{IPv6Address(int(address) >> 64 << 64)}/64"
