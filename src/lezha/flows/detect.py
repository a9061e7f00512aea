"""Indicators go to a sensor; what it reports becomes sightings in the log, from where `share` takes them home."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from msgspec.structs import replace
from sqlalchemy import Connection

from lezha.detection import sighting
from lezha.detection.errors import SightingError
from lezha.detection.feed import Feed, Item, Taken
from lezha.detection.sensor import Batch, Report
from lezha.flows import ingest, publish, share
from lezha.flows.publish import Author
from lezha.sharing.community import Communities
from lezha.sharing.release import Facts, Recipient, Released, release
from lezha.sharing.terms import Audience, Terms
from lezha.sharing.tlp import Pap, Tlp
from lezha.stix import lines, objects
from lezha.stix.lines import Version
from lezha.store import communities, contents, engine, posts, statements, views
from lezha.store.contents import Content, Watched
from lezha.store.errors import NotFound
from lezha.store.log import Log, Tx
from lezha.store.views import Entry, ViewKind

_ITEMS: Final = 1000
_INDICATOR: Final = "indicator--"


async def feed(log: Log, sensor: Recipient, after: int, now: str) -> Feed:
    """Bring the sensor's view up to date and return what follows row `after`, at most 1,000 rows.

    For each object that the rows tell of, and each member that told of it, an item says what counts of it now: the
    version that counts of those that may be told (`stix.lines`), or nothing if none does. What was brought here without
    a statement is told likewise, under the member "", but for what a member's item says already.
    """
    await share.decide(log, sensor)
    with log.read() as conn:
        rows = views.entries(conn, sensor.id, after, _ITEMS)
        items = _items(conn, sensor, rows, now)
        incarnation = engine.get_meta(conn, "incarnation") or ""
    return Feed(rows[-1].number if rows else after, tuple(items), incarnation)


async def report(log: Log, author: Author, sensor: Recipient, batch: Batch) -> Taken:
    """Turn a sensor's reports into signed sightings; a batch that comes twice makes them once.

    A sighting goes to the member whose statement brought the indicator, AMBER+STRICT and not onward: whoever
    told the circle who saw it would tell who was hit (docs/design.md, Sightings). A report of which no sighting can be
    made is named as unknown and costs no other.
    """
    return await log.write(lambda tx: _report(tx, author, sensor, batch))


def _report(tx: Tx, author: Author, sensor: Recipient, batch: Batch) -> Taken:
    made: list[str] = []
    unknown: list[str] = []
    contents.add(tx, [author.identity], sensor.id)
    for one in batch.reports:
        sighted = _sighted(tx.conn, author, sensor.id, batch, one)
        if sighted is None:
            unknown.append(one.key)
        else:
            made.append(_keep(tx, author, sensor.id, sighted, _named(one.key)[0]))
    return Taken(tuple(made), tuple(unknown))


def _named(key: str) -> tuple[str, str]:
    """Return the member and the object id that a key names."""
    origin, _, stix_id = key.partition(" ")
    return origin, stix_id


def _sighted(conn: Connection, author: Author, sensor: str, batch: Batch, one: Report) -> Content | None:
    """Return the sighting that a report makes, None if it makes none."""
    origin, indicator = _named(one.key)
    if not objects.is_id(indicator) or not (objects.is_id(origin) or not origin):
        return None
    told = _told_by(conn, sensor, indicator, origin)
    if told is None:
        return None
    report_key = f"{sensor} {batch.id} {origin}"
    try:
        return _build(author, report_key, batch.taken, replace(one, key=indicator), _labels(conn, told))
    except (SightingError, NotFound, ValueError, OverflowError):
        return None


def _build(author: Author, report_key: str, taken: datetime, one: Report, labels: Sequence[str]) -> Content:
    """Return the sighting of a report, whose key is the indicator's id.

    Raises SightingError, ValueError or OverflowError if it makes no sense.
    """
    aware = one.first_seen.tzinfo is not None and one.last_seen.tzinfo is not None
    if one.count < 1 or not aware or one.first_seen > one.last_seen:
        raise ValueError("a report counts at least one, from a time on to another, both with their zone")
    raw = sighting.build(
        one,
        indicator_id=one.key,
        member_id=author.member,
        report_key=report_key,
        now=taken,
        labels=labels,
    )
    return ingest.content(objects.read(raw))


def _keep(tx: Tx, author: Author, sensor: str, content: Content, origin: str) -> str:
    if not contents.held(tx.conn, [content.hash]):
        contents.add(tx, [content], sensor)
        audience = Audience(members=() if origin in ("", author.member) else (origin,))
        terms = Terms(tlp=Tlp.STRICT, audience=audience, pap=Pap.AMBER)
        statements.add(tx, [publish.sign(tx, author, content, terms)], sensor)
    return content.stix_id


def _told_by(conn: Connection, sensor: str, indicator: str, origin: str) -> str | None:
    """Return the content by which `origin` last gave this sensor an indicator, None if it never did or it was purged.

    What came without a statement has the origin "".
    """
    if not origin:
        posted = posts.about(conn, [indicator]).get(indicator, [])
        given = views.offered(conn, sensor, posted)
        return _held(conn, [key for key in posted if key in given])
    hashes = statements.about(conn, indicator)
    given = views.offered(conn, sensor, hashes)
    facts = statements.facts(conn, [key for key in hashes if key in given])
    return _held(conn, [one.content for one in facts if one.origin == origin])


def _held(conn: Connection, told: Sequence[str]) -> str | None:
    """Return the last of some contents, unless it was purged: of that nothing can be said any more."""
    return told[-1] if told and not contents.purged(conn, told[-1:]) else None


def _labels(conn: Connection, content: str) -> list[str]:
    # An exercise stays one: what answers a drill must never be taken for the real thing.
    return ["exercise"] if "exercise" in objects.reread(contents.raw(conn, content)).labels else []


def _items(conn: Connection, sensor: Recipient, rows: Sequence[Entry], now: str) -> list[Item]:
    numbers: dict[tuple[str, str], int] = {}
    told = _told_of(conn, rows)
    for row in rows:
        for key in told.get(row.ref, ()):
            numbers[key] = row.number
    counting = _counting(conn, sensor, [stix_id for _, stix_id in numbers], now)
    watched = contents.watched(conn, [one.hash for one in counting.values()])
    items = [
        _item(number, key, watched.get(one.hash) if (one := counting.get(key)) is not None else None)
        for key, number in numbers.items()
    ]
    return sorted(items, key=lambda one: one.number)


def _item(number: int, key: tuple[str, str], watched: Watched | None) -> Item:
    name = " ".join(key)
    if watched is None:
        return Item(number, name, "", (), "", "")
    return Item(number, name, watched.version, watched.observables, watched.valid_until, watched.unmatched)


def _told_of(conn: Connection, rows: Sequence[Entry]) -> dict[str, list[tuple[str, str]]]:
    """Return by ref of a row the (member, object id) of the indicators that it tells of."""
    said = [row.ref for row in rows if row.kind is ViewKind.STATEMENT]
    others = [row.ref for row in rows if row.kind in (ViewKind.POST, ViewKind.CHANGE)]
    by_ref = [(one.statement, one) for one in statements.subjects(conn, said)]
    by_ref += [(one.content, one) for one in statements.subjects_of(conn, others)]
    about = [(ref, one) for ref, one in by_ref if one.stix_id.startswith(_INDICATOR)]
    # What one member tells of an object may do the work of what was brought here without a statement, or end that.
    posted = posts.about(conn, [one.stix_id for _, one in about])
    told: dict[str, list[tuple[str, str]]] = {}
    for ref, one in about:
        told.setdefault(ref, []).append((one.origin, one.stix_id))
        if one.stix_id in posted:
            told[ref].append(("", one.stix_id))
    return told


def _counting(
    conn: Connection, sensor: Recipient, stix_ids: Sequence[str], now: str
) -> dict[tuple[str, str], Version]:
    """Return by (member, object id) the version that counts of those that may be told to the sensor."""
    present = communities.current(conn)
    about = statements.about_any(conn, stix_ids)
    facts = statements.facts(conn, [key for keys in about.values() for key in keys])
    posted = posts.about(conn, stix_ids)
    facts += posts.facts(conn, [key for keys in posted.values() for key in keys]).values()
    # Any one statement that releases suffices. What was purged keeps its place in its line, and is not told.
    told = [one for one in facts if _released(replace(one, purged=False), sensor, present, now)]
    may = {(one.origin, one.content) for one in told} | {("", one.content) for one in told if one.author_here}
    found: dict[tuple[str, str], Version] = {}
    for stix_id, by_origin in statements.lines(conn, stix_ids).items():
        counting = {
            origin: now_counting
            for origin, line in by_origin.items()
            if (now_counting := lines.current(one for one in line if (origin, one.hash) in may)) is not None
        }
        found |= {(origin, stix_id): one for origin, one in _once(counting).items()}
    return found


def _once(counting: Mapping[str, Version]) -> dict[str, Version]:
    """Leave out what was brought here without a statement where a member's word does its work: one hit, one report."""
    said = {one.hash for origin, one in counting.items() if origin}
    return {origin: one for origin, one in counting.items() if origin or one.hash not in said}


def _released(one: Facts, sensor: Recipient, present: Communities, now: str) -> bool:
    return isinstance(release(one, sensor, present, now), Released)
