"""Indicators go to a sensor; what it reports becomes sightings in the log, from where `share` takes them home."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec
from sqlalchemy import Connection

from lezha.detection import sighting
from lezha.detection.errors import SightingError
from lezha.detection.feed import Feed, Item, Taken
from lezha.detection.sensor import Batch, Report
from lezha.flows import ingest, publish, share
from lezha.flows.errors import FlowError
from lezha.flows.publish import Author
from lezha.sharing.community import Communities
from lezha.sharing.release import Facts, Recipient, Released, release
from lezha.sharing.terms import Audience, Terms
from lezha.sharing.tlp import Pap, Tlp
from lezha.stix import lines, objects
from lezha.stix.lines import Version
from lezha.store import communities, contents, posts, statements, views
from lezha.store.contents import Watched
from lezha.store.log import Log, Tx
from lezha.store.views import Entry, ViewKind

_ITEMS: Final = 1000
_INDICATOR: Final = "indicator--"


async def feed(log: Log, sensor: Recipient, after: int, now: str) -> Feed:
    """Bring the sensor's view up to date and return what follows row `after`, at most 1,000 rows.

    For each object that the rows tell of, and each member that told of it, an item says what counts of it now: the
    version that counts of those that may be told (`stix.lines`), or nothing if none does.
    """
    await share.decide(log, sensor)
    with log.read() as conn:
        rows = views.entries(conn, sensor.id, after, _ITEMS)
        items = _items(conn, sensor, rows, now)
    return Feed(rows[-1].number if rows else after, tuple(items))


async def report(log: Log, author: Author, sensor: Recipient, batch: Batch) -> Taken:
    """Turn a sensor's reports into signed sightings; a batch that comes twice makes them once.

    A sighting goes to the member whose statement brought the indicator, AMBER+STRICT and not onward: whoever
    told the circle who saw it would tell who was hit (docs/design.md, Sightings).
    """
    return await log.write(lambda tx: _report(tx, author, sensor, batch))


def _report(tx: Tx, author: Author, sensor: Recipient, batch: Batch) -> Taken:
    made: list[str] = []
    unknown: list[str] = []
    contents.add(tx, [author.identity], sensor.id)
    for one in batch.reports:
        origin, _, indicator = one.key.partition(" ")
        told = _told_by(tx.conn, sensor.id, indicator, origin)
        if told is None or not _makes_sense(one):
            unknown.append(one.key)
            continue
        report = msgspec.structs.replace(one, key=indicator)
        raw = _build(tx.conn, author, f"{sensor.id} {batch.id} {origin}", batch.taken, report, told)
        made.append(_keep(tx, author, sensor.id, raw, origin))
    return Taken(tuple(made), tuple(unknown))


def _makes_sense(one: Report) -> bool:
    aware = one.first_seen.tzinfo is not None and one.last_seen.tzinfo is not None
    return one.count >= 1 and aware and one.first_seen <= one.last_seen


def _build(
    conn: Connection, author: Author, report_key: str, taken: datetime, one: Report, told: str
) -> bytes:
    try:
        return sighting.build(
            one,
            indicator_id=one.key,
            member_id=author.member,
            report_key=report_key,
            now=taken,
            labels=_labels(conn, told),
        )
    except SightingError as error:
        raise FlowError(str(error)) from error


def _keep(tx: Tx, author: Author, sensor: str, raw: bytes, origin: str) -> str:
    content = ingest.content(objects.read(raw))
    if not contents.held(tx.conn, [content.hash]):
        contents.add(tx, [content], sensor)
        audience = Audience(members=() if origin in ("", author.member) else (origin,))
        terms = Terms(tlp=Tlp.STRICT, audience=audience, pap=Pap.AMBER)
        statements.add(tx, [publish.sign(tx, author, content, terms)], sensor)
    return content.stix_id


def _told_by(conn: Connection, sensor: str, indicator: str, origin: str) -> str | None:
    """Return the content by which `origin` last gave this sensor an indicator, None if it never did.

    What came without a statement has the origin "".
    """
    if not origin:
        posted = posts.about(conn, [indicator]).get(indicator, [])
        given = views.offered(conn, sensor, posted)
        return next((key for key in reversed(posted) if key in given), None)
    hashes = statements.about(conn, indicator)
    given = views.offered(conn, sensor, hashes)
    facts = statements.facts(conn, [key for key in hashes if key in given])
    told = [one.content for one in facts if one.origin == origin]
    return told[-1] if told else None


def _labels(conn: Connection, content: str) -> list[str]:
    # An exercise stays one: what answers a drill must never be taken for the real thing.
    return ["exercise"] if "exercise" in objects.read(contents.raw(conn, content)).labels else []


def _items(conn: Connection, sensor: Recipient, rows: Sequence[Entry], now: str) -> list[Item]:
    numbers: dict[tuple[str, str], int] = {}
    told = _told_of(conn, rows)
    for row in rows:
        for key in told.get(row.ref, ()):
            numbers[key] = row.number
    counting = _counting(conn, sensor, [stix_id for _, stix_id in numbers], now)
    watched = contents.watched(conn, [one.hash for one in counting.values() if one is not None])
    items = [
        _item(number, key, watched.get(one.hash) if (one := counting[key]) is not None else None)
        for key, number in numbers.items()
        if key in counting
    ]
    return sorted(items, key=lambda one: one.number)


def _item(number: int, key: tuple[str, str], watched: Watched | None) -> Item:
    name = " ".join(key)
    if watched is None:
        return Item(number, name, "", (), "", "")
    return Item(number, name, watched.version, watched.observables, watched.valid_until, watched.unmatched)


def _told_of(conn: Connection, rows: Sequence[Entry]) -> dict[str, list[tuple[str, str]]]:
    """Return by ref of a row the (member, object id) of the indicators that it tells of."""
    told: dict[str, list[tuple[str, str]]] = {}
    said = [row.ref for row in rows if row.kind is ViewKind.STATEMENT]
    for one in statements.subjects(conn, said):
        if one.stix_id.startswith(_INDICATOR):
            told.setdefault(one.statement, []).append((one.origin, one.stix_id))
    others = [row.ref for row in rows if row.kind in (ViewKind.POST, ViewKind.CHANGE)]
    for one in statements.subjects_of(conn, others):
        if one.stix_id.startswith(_INDICATOR):
            told.setdefault(one.content, []).append((one.origin, one.stix_id))
    return told


def _counting(
    conn: Connection, sensor: Recipient, stix_ids: Sequence[str], now: str
) -> dict[tuple[str, str], Version | None]:
    """Return by (member, object id) the version that counts of those that may be told to the sensor, if one does."""
    present = communities.current(conn)
    about = statements.about_any(conn, stix_ids)
    facts = statements.facts(conn, [key for keys in about.values() for key in keys])
    posted = posts.about(conn, stix_ids)
    facts += posts.facts(conn, [key for keys in posted.values() for key in keys]).values()
    may = {(one.origin, one.content): _released(one, sensor, present, now) for one in facts}
    found: dict[tuple[str, str], Version | None] = {}
    for stix_id, told in statements.lines(conn, stix_ids).items():
        for origin, line in told.items():
            kept = [one for one in line if (origin, one.hash) in may]
            if kept:
                found[origin, stix_id] = lines.current(one for one in kept if may[origin, one.hash])
    return found


def _released(one: Facts, sensor: Recipient, present: Communities, now: str) -> bool:
    return isinstance(release(one, sensor, present, now), Released)
