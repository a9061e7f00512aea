"""The log is walked for one recipient, who gets what the release kernel gives and nothing else.

Each page is a read of its own, so that neither the writer nor the clearing of its journal waits for an export. What
comes into the log meanwhile stands behind the end that was fixed at the beginning.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Final

import msgspec
from sqlalchemy import Connection

from lezha.flows.paging import PageHead
from lezha.sharing.release import Facts, Gate, Recipient, Released, Standing, Withheld
from lezha.sharing.tlp import Tlp
from lezha.store import peers, policies, posts, search, statements, walk
from lezha.store.log import Log
from lezha.store.walk import Step

_OBJECTS: Final = 1000
_BYTES: Final = 8 << 20


class Stretch(msgspec.Struct, frozen=True):
    """What of the log to walk: after one place up to another, one type of objects or all (empty)."""

    after: int
    upto: int
    type: str = ""


class Page(msgspec.Struct, frozen=True):
    """A page: what it says of itself, and its objects. `shown` are their numbers, `recipient` is the peer's member id.

    `recipient` is empty for own systems.
    """

    head: PageHead
    objects: tuple[bytes, ...]
    shown: frozenset[int]
    recipient: str

    def encode(self) -> bytes:
        """Return the page as it travels."""
        return b"".join((msgspec.json.encode(self.head), b"\n", *self.objects, b"\n"))


def own_system(name: str) -> Recipient:
    """Return one of this member's own systems. What it takes out stays with the member, so it is cleared to RED."""
    return Recipient(id=name, standing=Standing.OWN, clearance=Tlp.RED)


def stretch(log: Log, after: int, since: str, stix_type: str) -> Stretch:
    """Return what is to be walked from `after`, or from what came at the time `since`, to where the log ends now."""
    with log.read() as conn:
        start = max(after, search.last_before(conn, since) if since else 0)
        return Stretch(start, walk.head(conn), stix_type)


def page(log: Log, peer: str, own: Recipient, where: Stretch, now: str) -> Page:
    """Return the next page of a stretch, for the peer of that name, or for the own system if it is empty.

    At most 1,000 objects are passed and 8 MiB, but at least one object. Raises NotFound.
    """
    with log.read() as conn:
        recipient = peers.by_name(conn, peer).recipient() if peer else own
        passed = walk.steps(conn, where.after, where.upto, where.type, _OBJECTS)
        some = _within(passed)
        last = len(some) == len(passed) < _OBJECTS
        decisions = _decide(conn, some, recipient, now)
        objects = walk.bytes_of(conn, [one for one in decisions if isinstance(one, Released)])
    withheld = Counter(one.reason.value for one in decisions if isinstance(one, Withheld))
    cursor = where.upto if last else some[-1].seq
    shown = frozenset(
        step.seq for step, one in zip(some, decisions, strict=True) if isinstance(one, Released)
    )
    head = PageHead(cursor, tuple(map(len, objects)), dict(withheld), last)
    return Page(head, tuple(objects), shown, recipient.id if peer else "")


def _within(passed: Sequence[Step]) -> Sequence[Step]:
    size = 0
    for count, one in enumerate(passed):
        size += one.size
        if count and size > _BYTES:
            return passed[:count]
    return passed


def _decide(
    conn: Connection, passed: Sequence[Step], recipient: Recipient, now: str
) -> list[Released | Withheld]:
    """Decide for each content: any statement that releases it suffices, for own systems also that it was brought here.

    Else the first one's reason counts.
    """
    about = walk.statements_about(conn, (one.content for one in passed))
    told = statements.facts(conn, [key for keys in about.values() for key in keys])
    by_content: dict[str, list[Facts]] = {}
    for one in told:
        by_content.setdefault(one.content, []).append(one)
    for content, brought in posts.facts(conn, by_content).items():
        by_content[content].append(brought)
    gate = policies.gate(conn, recipient, now)
    return [_any(by_content.get(one.content, [one.facts]), gate) for one in passed]


def _any(facts: Sequence[Facts], gate: Gate) -> Released | Withheld:
    decisions = [gate.decide(one) for one in facts]
    return next((one for one in decisions if isinstance(one, Released)), decisions[0])
