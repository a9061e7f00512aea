"""Indicators go to a sensor; what it reports becomes sightings in the log, from where `share` takes them home."""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from msgspec.structs import replace
from sqlalchemy import Connection

from lezha.detection import sighting
from lezha.detection.errors import SightingError
from lezha.detection.feed import Feed, Item, Taken
from lezha.detection.sensor import Batch, Report
from lezha.flows import ingest, publish, share
from lezha.flows.publish import Author
from lezha.sharing.release import Facts, Gate, Recipient, Released, effective_pap
from lezha.sharing.terms import Audience, Terms
from lezha.sharing.tlp import Pap, Tlp
from lezha.sharing.trust import Trust
from lezha.stix import lines, objects, timestamps
from lezha.store import contents, engine, isolation, peers, policies, posts, statements, views
from lezha.store.contents import Content, Watched
from lezha.store.errors import NotFound
from lezha.store.log import Log, Tx
from lezha.store.views import Entry, ViewKind

_ROWS: Final = 1000
_VALUES: Final = 20_000
_BYTES: Final = 1 << 20  # of the indicators told: reading their values costs as much
_DECIDING_S: Final = 5.0  # with the longest wait for news well below the sensor's time-out
_BLOCKABLE: Final = frozenset({Pap.CLEAR, Pap.GREEN})
_INDICATOR: Final = "indicator--"
_Key = tuple[str, str]
"""The member that told of an object, "" for what came without a statement, and the object's id."""


class _Counts(NamedTuple):
    """The content that counts of a key, until when somebody stands for it (RFC 3339 UTC; empty for no end), and the
    most that any of those who do is trusted with.
    """

    content: str
    until: str
    action: Trust


async def feed(log: Log, sensor: Recipient, after: int, now: str) -> Feed:
    """Bring the sensor's view up to date and return what follows row `after`.

    At most 1,000 rows, 20,000 values and indicators of 1 MiB, but at least one row. What takes longer than 5 s to
    decide is left for the next time; `more` says so.

    For each object that the rows tell of, and each member that told of it, an item says what counts of it now: the
    version that counts of those that may be told (`stix.lines`), or nothing if none does. What was brought here without
    a statement is told likewise, under the member "", but for what a member's item says already.
    """
    up_to_date = await _decide(log, sensor)
    found = await asyncio.to_thread(_read, log, sensor, after, now)
    return found if up_to_date else replace(found, more=True)


async def _decide(log: Log, sensor: Recipient) -> bool:
    """Decide what the sensor may have, for some seconds at most; say whether that is done."""
    end = time.monotonic() + _DECIDING_S
    while await share.decide_some(log, sensor) is None:
        if time.monotonic() > end:
            return False
    return True


def _read(log: Log, sensor: Recipient, after: int, now: str) -> Feed:
    with log.read() as conn:
        rows = views.entries(conn, sensor.id, after, _ROWS + 1)
        told, items = _page(conn, sensor, rows[:_ROWS], now)
        lives = (
            engine.get_meta(conn, "incarnation") or "",
            peers.trust_since(conn),
            isolation.changed_by(conn),
        )
    incarnation = ".".join(one for one in lives if one)
    return Feed(told[-1].number if told else after, tuple(items), incarnation, more=len(told) < len(rows))


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
    given = _given(tx.conn, sensor, [_named(one.key) for one in batch.reports], tx.at)
    for one in batch.reports:
        told = given.get(_named(one.key))
        made_of_it = None if told is None else _sight(tx, author, sensor.id, batch, one, told)
        if made_of_it is None:
            unknown.append(one.key)
        else:
            made.append(made_of_it)
    return Taken(tuple(made), tuple(unknown))


def _named(key: str) -> _Key:
    origin, _, stix_id = key.partition(" ")
    return origin, stix_id


def _sight(tx: Tx, author: Author, sensor: str, batch: Batch, one: Report, told: str) -> str | None:
    """Have the sighting of a report in the log and return its id; None if the report makes no sense.

    A report that comes twice makes one sighting, also if what is `told` has changed meanwhile.
    """
    origin, indicator = _named(one.key)
    report_key = f"{sensor} {batch.id} {origin}"
    stix_id = sighting.sighting_id(report_key, indicator, author.member)
    if contents.ids_held(tx.conn, [stix_id]):
        return stix_id
    try:
        labels = _labels(tx.conn, told)
        content = _build(author, report_key, batch.taken, replace(one, key=indicator), labels)
    except (SightingError, NotFound, ValueError, OverflowError):
        return None
    _keep(tx, author, sensor, content, origin)
    return stix_id


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


def _keep(tx: Tx, author: Author, sensor: str, content: Content, origin: str) -> None:
    contents.add(tx, [content], sensor)
    audience = Audience(members=() if origin in ("", author.member) else (origin,))
    terms = Terms(tlp=Tlp.STRICT, audience=audience, pap=Pap.AMBER)
    statements.add(tx, [publish.sign(tx, author, content, terms)], sensor)


def _given(conn: Connection, sensor: Recipient, keys: Sequence[_Key], now: str) -> dict[_Key, str]:
    """Return by which content each key was given to this sensor: the version that counts, else the last one given.

    Left out is what the sensor was never given, and what may not count whatever else is told: what is in dispute, what
    claims a member as creator that has not signed it, and what was purged, of which nothing can be said any more.
    """
    asked = [(origin, stix_id) for origin, stix_id in keys if objects.is_id(stix_id)]
    about = _told_about(conn, [stix_id for _, stix_id in asked])
    given = views.offered(conn, sensor.id, [_ref(one) for told in about.values() for one in told])
    counting = _counting(conn, sensor, about, now)
    found: dict[_Key, str] = {}
    for origin, stix_id in asked:
        told = [
            one.content
            for one in about[stix_id]
            if one.origin == origin and _ref(one) in given and not one.purged and not one.quarantined
        ]
        if told:
            counts = counting.get((origin, stix_id))
            found[origin, stix_id] = counts.content if counts and counts.content in told else told[-1]
    return found


def _ref(one: Facts) -> str:
    """Return under what a view gives something: a statement, or a content that came without."""
    return one.statement or one.content


def _told_about(conn: Connection, stix_ids: Iterable[str]) -> dict[str, list[Facts]]:
    """Return by object all statements about it, oldest first, and then what came of it without a statement."""
    ids = list(dict.fromkeys(stix_ids))
    about, posted = statements.about_any(conn, ids), posts.about(conn, ids)
    said = statements.facts(conn, [key for keys in about.values() for key in keys])
    facts = {one.statement: one for one in said}
    brought = posts.facts(conn, [key for keys in posted.values() for key in keys])
    return {
        one: [*(facts[key] for key in about.get(one, ())), *(brought[key] for key in posted.get(one, ()))]
        for one in ids
    }


def _labels(conn: Connection, content: str) -> list[str]:
    # An exercise stays one: what answers a drill must never be taken for the real thing.
    return ["exercise"] if "exercise" in objects.reread(contents.raw(conn, content)).labels else []


def _page(
    conn: Connection, sensor: Recipient, rows: Sequence[Entry], now: str
) -> tuple[Sequence[Entry], list[Item]]:
    """Return as many of the rows as make one answer, and what they tell."""
    told = _told_of(conn, rows)
    about = _told_about(conn, [stix_id for keys in told.values() for _, stix_id in keys])
    counting = _counting(conn, sensor, about, now)
    sizes = contents.sizes(conn, [one.content for one in counting.values()])
    rows = _within(rows, told, {key: sizes.get(one.content, 0) for key, one in counting.items()}, _BYTES)
    keys = {key for row in rows for key in told.get(row.ref, ())}
    held = contents.watched(conn, [counting[key].content for key in keys if key in counting])
    by_key = {
        key: (_ending(held[one.content], one.until), one.action)
        for key in keys
        if (one := counting.get(key)) is not None and one.content in held
    }
    rows = _within(rows, told, {key: len(one.observables) for key, (one, _) in by_key.items()}, _VALUES)
    numbers = {key: row.number for row in rows for key in told.get(row.ref, ())}
    items = [_item(number, key, *by_key.get(key, (None, Trust.WATCH))) for key, number in numbers.items()]
    return rows, sorted(items, key=lambda one: one.number)


def _within(
    rows: Sequence[Entry], told: Mapping[str, Sequence[_Key]], costs: Mapping[_Key, int], most: int
) -> Sequence[Entry]:
    """Return the first rows, at least one, whose keys together cost at most `most`; each key costs once."""
    counted: set[_Key] = set()
    for place, row in enumerate(rows):
        fresh = {key for key in told.get(row.ref, ()) if key not in counted}
        most -= sum(costs.get(key, 0) for key in fresh)
        if place and most < 0:
            return rows[:place]
        counted |= fresh
    return rows


def _ending(watched: Watched, until: str) -> Watched:
    """Let the watch end with the pattern's validity or with the word on it, whichever is the earlier."""
    valid = watched.valid_until
    if not until or (valid and timestamps.normalise(valid) <= until):
        return watched
    return replace(watched, valid_until=until)


def _item(number: int, key: _Key, watched: Watched | None, action: Trust) -> Item:
    name = " ".join(key)
    if watched is None:
        return Item(number, name, "", (), "", "")
    return Item(
        number,
        name,
        watched.version,
        watched.observables,
        watched.valid_until,
        watched.unmatched,
        action.value,
    )


def _told_of(conn: Connection, rows: Sequence[Entry]) -> dict[str, list[_Key]]:
    """Return by ref of a row the (member, object id) of the indicators that it tells of."""
    said = [row.ref for row in rows if row.kind is ViewKind.STATEMENT]
    others = [row.ref for row in rows if row.kind in (ViewKind.POST, ViewKind.CHANGE)]
    by_ref = [(one.statement, one) for one in statements.subjects(conn, said)]
    by_ref += [(one.content, one) for one in statements.subjects_of(conn, others)]
    about = [(ref, one) for ref, one in by_ref if one.stix_id.startswith(_INDICATOR)]
    # What one member tells of an object may do the work of what was brought here without a statement, or end that.
    posted = posts.about(conn, [one.stix_id for _, one in about])
    told: dict[str, list[_Key]] = {}
    for ref, one in about:
        told.setdefault(ref, []).append((one.origin, one.stix_id))
        if one.stix_id in posted:
            told[ref].append(("", one.stix_id))
    return told


def _counting(
    conn: Connection, sensor: Recipient, about: Mapping[str, Sequence[Facts]], now: str
) -> dict[_Key, _Counts]:
    """Return by key what counts of what may be told to the sensor; `about` is by object."""
    gate = policies.gate(conn, sensor, now)
    # Any one statement that releases suffices, the longest one to its end.
    until: dict[_Key, str] = {}
    words: dict[str, list[tuple[str, Trust]]] = {}
    trusted = peers.trusted(conn)
    isolated = isolation.present(conn) is not None
    for one in (one for facts in about.values() for one in facts if _released(one, gate)):
        end = one.terms.expires or "" if one.terms is not None else ""
        words.setdefault(one.content, []).append((end, Trust.WATCH if isolated else _action(one, trusted)))
        for origin in {one.origin, ""} if one.author_here else {one.origin}:
            until[origin, one.content] = max(until.get((origin, one.content), end), end, key=_end)
    found: dict[_Key, _Counts] = {}
    for stix_id, by_origin in statements.lines(conn, about).items():
        counting: dict[str, _Counts] = {}
        for origin, line in by_origin.items():
            now_counting = lines.current(one for one in line if (origin, one.hash) in until)
            end = until[origin, now_counting.hash] if now_counting is not None else ""
            if now_counting is not None and (not end or end > now):
                counting[origin] = _Counts(now_counting.hash, end, _most(words[now_counting.hash], end))
        found |= {(origin, stix_id): one for origin, one in _once(counting).items()}
    return found


def _action(one: Facts, trusted: Mapping[str, Trust]) -> Trust:
    """Return what one teller's word on a content is good for: a member trusts its own.

    PAP AMBER and RED ask for nothing that an attacker can see; what came without a statement nobody stands for.
    """
    if not one.statement or effective_pap(one) not in _BLOCKABLE:
        return Trust.WATCH
    return Trust.BLOCK if one.author_here else trusted.get(one.origin, Trust.WATCH)


def _most(words: Iterable[tuple[str, Trust]], until: str) -> Trust:
    """Return the most that any word on a content is good for which lasts as long as it is watched for."""
    return max((good_for for end, good_for in words if _end(end) >= _end(until)), key=lambda one: one.rank)


def _end(until: str) -> tuple[bool, str]:
    """Order ends in time; no end comes last."""
    return not until, until


def _once(counting: Mapping[str, _Counts]) -> dict[str, _Counts]:
    """Leave out what was brought here without a statement where a member's word does its work: one hit, one report.

    A word that ends sooner does not: the watch would end with it.
    """
    brought = counting.get("")
    does = brought is not None and any(
        origin and one.content == brought.content and _end(one.until) >= _end(brought.until)
        for origin, one in counting.items()
    )
    return {origin: one for origin, one in counting.items() if origin or not does}


def _released(one: Facts, gate: Gate) -> bool:
    """Whether a sensor may be told of a statement, or might have been.

    What was purged or has expired keeps its place in its line, so that nothing before it counts again.
    """
    if one.terms is not None and one.terms.expires is not None:
        one = replace(one, terms=replace(one.terms, expires=None))
    if one.purged:
        one = replace(one, purged=False)
    return isinstance(gate.decide(one), Released)
