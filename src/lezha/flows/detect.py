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
from lezha.sharing.release import Recipient, Released, release
from lezha.sharing.terms import Audience, Terms
from lezha.sharing.tlp import Pap, Tlp
from lezha.stix import objects
from lezha.store import communities, contents, statements, views
from lezha.store.log import Log, Tx
from lezha.store.views import ViewKind

_ITEMS: Final = 1000


async def feed(log: Log, sensor: Recipient, after: int, now: str) -> Feed:
    """Bring the sensor's view up to date and return what follows row `after`, at most 1,000 rows.

    What has been denied since it was numbered is left out.
    """
    await share.decide(log, sensor)
    with log.read() as conn:
        rows = views.entries(conn, sensor.id, after, _ITEMS)
        present = communities.current(conn)
        hashes = [row.ref for row in rows if row.kind is ViewKind.STATEMENT]
        facts = statements.facts(conn, hashes)
        decisions = [release(one, sensor, present, now) for one in facts]
        origins = {one.statement: one.origin for one in facts}
        numbers = {row.ref: row.number for row in rows}
        released = [one for one in decisions if isinstance(one, Released)]
        items = _items(conn, released, numbers, origins)
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
        audience = Audience(members=() if origin == author.member else (origin,))
        terms = Terms(tlp=Tlp.STRICT, audience=audience, pap=Pap.AMBER)
        statements.add(tx, [publish.sign(tx, author, content, terms)], sensor)
    return content.stix_id


def _told_by(conn: Connection, sensor: str, indicator: str, origin: str) -> str | None:
    """Return the content by which `origin` last gave this sensor an indicator, None if it never did."""
    hashes = statements.about(conn, indicator)
    given = views.offered(conn, sensor, hashes)
    facts = statements.facts(conn, [key for key in hashes if key in given])
    told = [one.content for one in facts if one.origin == origin]
    return told[-1] if told else None


def _labels(conn: Connection, content: str) -> list[str]:
    # An exercise stays one: what answers a drill must never be taken for the real thing.
    return ["exercise"] if "exercise" in objects.read(contents.raw(conn, content)).labels else []


def _items(
    conn: Connection, released: Sequence[Released], numbers: dict[str, int], origins: dict[str, str]
) -> list[Item]:
    items = []
    for one in released:
        watched = contents.watched(conn, one.content)
        if watched is not None:
            items.append(
                Item(
                    number=numbers[one.statement],
                    key=f"{origins[one.statement]} {watched.key}",
                    version=watched.version,
                    observables=watched.observables,
                    valid_until=watched.valid_until,
                    unmatched=watched.unmatched,
                )
            )
    return items
