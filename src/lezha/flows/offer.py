"""What recipients were given goes on shelves, and from there to those who ask by TAXII, page by page.

A page is decided by the kernel as things are when it is asked for: what was recalled, has expired or is withheld since
is not in it.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Final

import msgspec
from msgspec.structs import replace
from sqlalchemy import Connection

from lezha.flows import share
from lezha.flows.errors import Isolated
from lezha.sharing import shelves as rule
from lezha.sharing.release import Facts, Gate, Reason, Recipient, Released, Standing, effective_tlp
from lezha.store import isolation, offers, policies, posts, recipients, statements, walk
from lezha.store.errors import NotFound
from lezha.store.log import Log, Tx
from lezha.store.offers import ALL, INBOX, Offer, Placed, Subject
from lezha.store.views import ViewKind
from lezha.taxii import dates
from lezha.taxii.filters import Filters, Versions

BYTES: Final = 8 << 20
"""Of objects in one page, unless one alone has more."""
_PER_COMMIT: Final = 1024
_DECIDING_S: Final = 5.0
_LOOKED_AT: Final = 50_000  # rows of one page, most of which are not in it
_FIRST: Final = 64  # rows: each may have a megabyte
_AGAIN_S: Final = 5.0
_FOR_NOW: Final = frozenset(
    {
        Reason.SUSPENDED,
        Reason.CLEARANCE,
        Reason.ROSTER_UNKNOWN,
        Reason.ROSTER_BEHIND,
        Reason.ROSTER_EXPIRED,
        Reason.NOT_ADMITTED_HERE,
    }
)
"""Reasons that may end. What is behind on the same shelf waits: passed over now, it would never be given."""


class Item(msgspec.Struct, frozen=True):
    """An object on a page: its content's number, and its bytes if they were asked for.

    `at` is the date at which it came there, in microseconds; `version` is a date of six digits.
    """

    at: int
    content: int
    id: str
    version: str
    raw: bytes


class Page(msgspec.Struct, frozen=True):
    """Some objects of a collection by their dates; `following` is the date to go on after, 0 at the end."""

    items: tuple[Item, ...]
    following: int


class Asked(msgspec.Struct, frozen=True):
    """Which shelf of whose is asked for, and what of it; with their bytes or not."""

    recipient: Recipient
    shelf: str
    filters: Filters = Filters()
    with_bytes: bool = False


def inbox_of(name: str) -> str:
    """Return whose shelf it is that has what the client of that name has brought."""
    return f"{INBOX}:{name}"


class Shelving:
    """Brings shelves up to date, for all who ask at the same time at once. To be used within one event loop."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._known: dict[str, tuple[int, float]] = {}
        self._turns: dict[str, asyncio.Lock] = {}

    async def given(self, recipient: Recipient, serial: int) -> bool:
        """Have on its shelves what a recipient may have; `serial` is another after each change that may give it more.

        What takes longer than 5 s is left for the next time; say whether that was all.
        """
        async with self._turns.setdefault(recipient.id, asyncio.Lock()):
            if self._is_known(recipient.id, serial):
                return True
            end = time.monotonic() + _DECIDING_S
            while not await self._log.write(lambda tx: _give(tx, recipient)):
                if time.monotonic() > end:
                    return False
            self._known[recipient.id] = (serial, time.monotonic())
            return True

    async def brought(self, name: str, serial: int) -> None:
        """Have in its inbox what the client of that name has brought."""
        whose = inbox_of(name)
        async with self._turns.setdefault(whose, asyncio.Lock()):
            if not self._is_known(whose, serial):
                while not await self._log.write(lambda tx: _fill_inbox(tx, name)):
                    pass
                self._known[whose] = (serial, time.monotonic())

    def _is_known(self, whose: str, serial: int) -> bool:
        # Word of what other processes commit may be lost: after some seconds it is looked up.
        known, at = self._known.get(whose, (-1, 0.0))
        return known == serial and time.monotonic() - at < _AGAIN_S


def page(log: Log, asked: Asked, now: str) -> Page:
    """Return a page of a shelf. Raises NotFound if the recipient has no such shelf, Isolated, StoreError."""
    with log.read() as conn:
        # To bring shelves up to date may have taken seconds: who was suspended meanwhile is handed nothing.
        recipient = replace(recipients.present(conn, asked.recipient), bare=True)
        _check_isolation(conn, recipient)
        number = offers.shelf(conn, recipient.id, asked.shelf)
        if number is None:
            if asked.shelf == ALL and recipient.standing is Standing.OWN:
                return Page((), 0)
            raise NotFound("There is no such collection.")
        reader = _Reader(conn, policies.gate(conn, recipient, now), number, asked)
        return reader.page()


def inbox(log: Log, name: str, asked: Asked, now: str) -> Page:
    """Return a page of what the client of that name has brought and nobody has published. Raises StoreError."""
    with log.read() as conn:
        number = offers.shelf(conn, inbox_of(name), INBOX)
        if number is None:
            return Page((), 0)
        return _InboxReader(conn, policies.gate(conn, asked.recipient, now), number, asked, name).page()


def names(log: Log, recipient: Recipient) -> list[str]:
    """Return the names of a recipient's shelves. Raises Isolated, StoreError."""
    with log.read() as conn:
        _check_isolation(conn, recipient)
        return offers.shelves(conn, recipient.id)


def _check_isolation(conn: Connection, recipient: Recipient) -> None:
    if recipient.standing is not Standing.OWN and isolation.present(conn) is not None:
        raise Isolated


def _give(tx: Tx, recipient: Recipient) -> bool:
    """Decide for the next changes and put what is given on the recipient's shelves; say whether that was all."""
    is_all = share.decide_in(tx, recipient) is not None
    done = offers.done(tx.conn, recipient.id)
    rows = offers.numbered(tx.conn, recipient.id, done, _PER_COMMIT)
    if not rows:
        return is_all
    told = [one.ref for one in rows if one.kind is ViewKind.STATEMENT]
    brought = [one.ref for one in rows if one.kind is ViewKind.POST]
    subjects = offers.by_statement(tx.conn, told) | offers.by_content(tx.conn, brought)
    facts = {one.statement: one for one in statements.facts(tx.conn, told)}
    gate = policies.gate(tx.conn, recipient, tx.at)
    placed = [
        (shelf, _placed(one.at, subjects[one.ref]))
        for one in rows
        if one.ref in subjects and one.kind in (ViewKind.STATEMENT, ViewKind.POST)
        for shelf in _shelves(gate, facts.get(one.ref))
    ]
    for shelf, some in groupby(sorted(placed, key=lambda pair: pair[0]), key=lambda pair: pair[0]):
        offers.append(tx, recipient.id, shelf, [one for _, one in some])
    offers.move(tx, recipient.id, rows[-1].number)
    return is_all and len(rows) < _PER_COMMIT


def _shelves(gate: Gate, facts: Facts | None) -> list[str]:
    own = [ALL] if gate.recipient.standing is Standing.OWN else []
    if facts is None or facts.terms is None:
        return own
    return own + rule.shelves(gate.recipient, facts.terms, effective_tlp(facts), gate.communities)


def _placed(at: str, subject: Subject) -> Placed:
    return Placed(dates.read(at), subject.content, subject.statement, subject.type, subject.stix_id)


def _fill_inbox(tx: Tx, name: str) -> bool:
    whose = inbox_of(name)
    found = offers.posted(tx.conn, name, offers.done(tx.conn, whose), _PER_COMMIT)
    if found:
        offers.append(tx, whose, INBOX, [_placed(at, subject) for _, at, subject in found])
        offers.move(tx, whose, found[-1][0])
    return len(found) < _PER_COMMIT


class _Reader:
    """Reads one page of a shelf."""

    def __init__(self, conn: Connection, gate: Gate, number: int, asked: Asked) -> None:
        self._conn, self._gate, self._number, self._asked = conn, gate, number, asked
        self._chosen: dict[str, frozenset[int]] = {}

    def page(self) -> Page:
        filters = self._asked.filters
        items: list[Item] = []
        if filters.no_spec_version:
            return Page((), 0)
        after, looked, size, room = filters.after, 0, 0, min(_FIRST, filters.limit + 1)
        while True:
            rows = self._following(after, room)
            for row in self._fitting(rows):
                if row is None:  # what is behind it waits
                    return Page(tuple(items), 0)
                if items and (len(items) == filters.limit or size + len(row.raw or b"") > BYTES):
                    return Page(tuple(items), items[-1].at)
                items.append(_item(row))
                size += len(row.raw or b"")
            looked += len(rows)
            if len(rows) < room:
                return Page(tuple(items), 0)
            after = rows[-1].at
            if looked >= _LOOKED_AT and items:
                return Page(tuple(items), after)
            room = self._room(filters.limit + 1 - len(items), size, looked)

    def _room(self, wanted: int, size: int, looked: int) -> int:
        """Return how many rows to read next, so that their bytes are about what a page may have."""
        if not self._asked.with_bytes:
            return max(_FIRST, wanted)
        mean = max(1, size // looked)
        return max(1, min(wanted, (BYTES - size) // mean + 1, 1024))

    def _following(self, after: int, room: int) -> list[Offer]:
        filters = self._asked.filters
        return offers.following(
            self._conn,
            self._number,
            after,
            room,
            types=filters.types,
            ids=filters.ids,
            raw=self._asked.with_bytes,
            senders=self._gate.recipient.standing is Standing.MEMBER,
        )

    def _fitting(self, rows: Sequence[Offer]) -> Iterable[Offer | None]:
        """Give the rows that may be given and fit; None, and nothing after it, where one is withheld for now."""
        decided = self._decide(rows)
        self._choose({row.stix_id for row in rows if row.several} - self._chosen.keys())
        for row in rows:
            outcome = decided.get(row.at)
            if outcome in _FOR_NOW and self._gate.recipient.standing is not Standing.OWN:
                yield None
                return
            if isinstance(outcome, Released) and self._is_chosen(row):
                yield row

    def _is_chosen(self, row: Offer) -> bool:
        if row.several:
            return row.at in self._chosen[row.stix_id]
        wanted = self._asked.filters.versions
        return wanted.first or wanted.last or wanted.all or _version(row) in wanted.exact

    def _choose(self, stix_ids: Iterable[str]) -> None:
        """Find of objects with several rows which of those are asked for: the first that may be given of a version."""
        rows = offers.of_objects(self._conn, self._number, stix_ids)
        decided = self._decide(rows)
        live: dict[str, list[Offer]] = {key: [] for key in stix_ids}
        for row in rows:
            if isinstance(decided.get(row.at), Released):
                live[row.stix_id].append(row)
        for key, those in live.items():
            self._chosen[key] = _of_versions(those, self._asked.filters.versions)

    def _decide(self, rows: Sequence[Offer]) -> Mapping[int, Released | Reason]:
        """Return what the kernel says of each row that gives something, by the row's date."""
        outcomes: dict[int, Released | Reason] = {}
        for row in rows:
            if row.facts is not None:
                decision = self._gate.decide(row.facts)
                outcomes[row.at] = decision if isinstance(decision, Released) else decision.reason
        return outcomes


class _InboxReader(_Reader):
    """Leaves out what its client does not stand by any more, and what this member has published since."""

    def __init__(self, conn: Connection, gate: Gate, number: int, asked: Asked, client: str) -> None:
        super().__init__(conn, gate, number, asked)
        self._client = client

    def _decide(self, rows: Sequence[Offer]) -> Mapping[int, Released | Reason]:
        outcomes = super()._decide(rows)
        listed = [row.content for row in rows]
        due = posts.standing(self._conn, self._client, listed) - walk.published_seqs(self._conn, listed)
        return {row.at: outcomes[row.at] for row in rows if row.at in outcomes and row.content in due}


def _of_versions(rows: Sequence[Offer], wanted: Versions) -> frozenset[int]:
    """Return of some rows of one object the dates of those that are asked for."""
    first: dict[str, int] = {}
    seen: set[int] = set()
    for row in rows:
        if row.content not in seen:
            seen.add(row.content)
            first.setdefault(_version(row), row.at)
    if wanted.all or not first:
        return frozenset(first.values())
    found = {first[one] for one in wanted.exact if one in first}
    if wanted.first:
        found.add(first[min(first)])
    if wanted.last:
        found.add(first[max(first)])
    return frozenset(found)


def _version(row: Offer) -> str:
    """Return the version of an object: of one that has none, when it came (TAXII 2.1 §3.4.1)."""
    return row.version or dates.write(row.at)


def _item(row: Offer) -> Item:
    return Item(row.at, row.content, row.stix_id, _version(row), row.raw or b"")
