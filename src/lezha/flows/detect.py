"""Indicators go to a sensor; what it reports becomes sightings in the log, from where `share` takes them home."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

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
from lezha.store import communities, contents, search, statements, views
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
        decisions = [release(one, sensor, present, now) for one in statements.facts(conn, hashes)]
        numbers = {row.ref: row.number for row in rows}
        released = [one for one in decisions if isinstance(one, Released)]
        items = _items(conn, released, numbers)
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
        origin = _told_by(tx.conn, sensor.id, one.key)
        if origin is None:
            unknown.append(one.key)
            continue
        raw = _build(tx.conn, author, f"{sensor.id} {batch.id}", batch.taken, one)
        made.append(_keep(tx, author, sensor.id, raw, origin))
    return Taken(tuple(made), tuple(unknown))


def _build(conn: Connection, author: Author, report_key: str, taken: datetime, one: Report) -> bytes:
    try:
        return sighting.build(
            one,
            indicator_id=one.key,
            member_id=author.member,
            report_key=report_key,
            now=taken,
            labels=_labels(conn, one.key),
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


def _told_by(conn: Connection, sensor: str, key: str) -> str | None:
    """Return the origin of the first statement by which this sensor was given an indicator, None if it was not."""
    hashes = statements.about(conn, key)
    given = views.offered(conn, sensor, hashes)
    origins = [one.origin for one in statements.facts(conn, [h for h in hashes if h in given])]
    return origins[0] if origins else None


def _labels(conn: Connection, key: str) -> list[str]:
    # An exercise stays one: what answers a drill must never be taken for the real thing.
    newest = search.versions(conn, key)[0]
    return ["exercise"] if "exercise" in objects.read(contents.raw(conn, newest.hash)).labels else []


def _items(conn: Connection, released: Sequence[Released], numbers: dict[str, int]) -> list[Item]:
    items = []
    for one in released:
        watched = contents.watched(conn, one.content)
        if watched is not None:
            items.append(
                Item(
                    number=numbers[one.statement],
                    key=watched.key,
                    version=watched.version,
                    observables=watched.observables,
                    valid_until=watched.valid_until,
                    unmatched=watched.unmatched,
                )
            )
    return items
