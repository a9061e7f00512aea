"""What must be true at the end of the demonstration, found out from the nodes' own folders once they have stopped."""

import base64
import ipaddress
import re
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import msgspec

from lezha.cli.demo import bundle
from lezha.cli.demo.cast import Actor
from lezha.cli.demo.network import Network, Seat
from lezha.cli.demo.story import Story, planted
from lezha.federation import document, frame, statement
from lezha.federation import members as directory
from lezha.federation.errors import Refused

Checks = dict[str, bool]


def run(network: Network, story: Story, stopped_cleanly: bool) -> Checks:
    """Return each check by name."""
    seats = network.seats
    author, witness, outsider, neighbour = (seats[actor.name] for actor in network.cast.actors)
    wanted = {story.indicator_of[value] for _, value in planted()} if story.indicator_of else set()
    sighted = {seen.of for seen in story.sightings}
    return {
        "phrases_agree": story.phrases_agree,
        "everyone_entitled_has_everything": all(
            _entitled(network, story, seat.actor) == _published_at(seat, author, story)
            for seat in (witness, outsider, neighbour)
        ),
        **{
            f"{seat.actor.city}_holds_nothing_withheld": bool(story.publications)
            and not found_in(seat.home, _withheld(network, story, seat.actor))
            for seat in (outsider, neighbour)
        },
        "bytes_arrive_unaltered": _same_bytes(author, (witness, outsider, neighbour)),
        "every_statement_verifies": all(
            _statements_verify(seat, author) for seat in (witness, outsider, neighbour)
        ),
        "every_delivery_has_a_signed_receipt": _receipts_verify(author, (witness, outsider, neighbour)),
        "what_was_planted_was_sighted": bool(wanted) and wanted <= sighted,
        "nothing_else_was_sighted": sighted <= wanted,
        "sightings_returned_to_the_author_alone": bool(story.sightings)
        and {seen.by for seen in story.sightings} == {witness.member}
        and not any(_count(seat, "sighting") for seat in (outsider, neighbour)),
        "everything_is_an_exercise": all(map(_only_exercise, seats.values())),
        "databases_are_sound": all(map(_sound, seats.values())),
        "nodes_stop_cleanly": stopped_cleanly,
    }


def found_in(home: Path, needles: Iterable[str]) -> set[str]:
    """Return those of `needles` that occur in any file of a folder or any cell of its database.

    They are also looked for inside base64, as signed envelopes hold their payloads.
    """
    wanted = {needle: _forms(needle) for needle in needles}
    found: set[str] = set()
    for raw in (*_files(home), *_cells(home)):
        haystack = raw.lower()
        found.update(needle for needle, forms in wanted.items() if any(form in haystack for form in forms))
    return found


def _forms(needle: str) -> list[bytes]:
    raw = needle.encode()
    # The database has names backwards, addresses as digits and hashes as bytes (store.keys, store.schema).
    forms = [raw.lower(), raw.lower()[::-1], *_digits(needle)]
    for lead in range(3):
        # Base64 of a text depends on where it begins modulo 3; the ends that neighbours touch are cut off.
        encoded = base64.b64encode(b"\0" * lead + raw)
        whole = encoded[(lead * 8 + 5) // 6 : (lead + len(raw)) * 8 // 6]
        forms.append(whole.lower())
    return forms


def _digits(needle: str) -> list[bytes]:
    if _HASH.fullmatch(needle):
        return [bytes.fromhex(needle).lower()]
    try:
        return [ipaddress.ip_network(needle).network_address.packed.hex().encode()]
    except ValueError:
        return []


def _files(home: Path) -> Iterator[bytes]:
    yield from (path.read_bytes() for path in sorted(home.rglob("*")) if path.is_file())
    log = home.parent / f"{home.name}.log"
    if log.exists():
        yield log.read_bytes()


def _cells(home: Path) -> Iterator[bytes]:
    with closing(_open(home)) as conn:
        # An index of words can't be read as a table; its contents are in tables of its own.
        tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'"
        for (table,) in conn.execute(tables).fetchall():
            for row in conn.execute(f'SELECT * FROM "{table}"'):  # noqa: S608  # names from the database itself
                yield from (cell if isinstance(cell, bytes) else str(cell).encode() for cell in row)


def _withheld(network: Network, story: Story, actor: Actor) -> list[str]:
    """Return ids and values of all that was published and that `actor` may not have."""
    needles: list[str] = []
    open_values = {
        value
        for one in story.publications
        if _may(network, one.to, actor)
        for value in bundle.values(one.part)
    }
    for one in story.publications:
        if not _may(network, one.to, actor):
            needles += [object_id for object_id, _ in one.objects]
            needles += [object_id.partition("--")[2] for object_id, _ in one.objects]
            needles += [hashed for _, hashed in one.objects]
            needles += [value for value in bundle.values(one.part) if value not in open_values]
    return needles


def _may(network: Network, to: str, actor: Actor) -> bool:
    return to == "everyone" or actor in network.cast.communities[to]


def _entitled(network: Network, story: Story, actor: Actor) -> set[str]:
    return {
        hashed for one in story.publications if _may(network, one.to, actor) for _, hashed in one.objects
    } or {"nothing was published"}


def _published_at(seat: Seat, author: Seat, story: Story) -> set[str]:
    del story
    with closing(_open(seat.home)) as conn:
        rows = conn.execute("SELECT hash FROM statements WHERE origin = ?", (author.member,))
        return {row[0].hex() for row in rows}


def _same_bytes(author: Seat, others: Iterable[Seat]) -> bool:
    with closing(_open(author.home)) as conn:
        held = dict(conn.execute(_BYTES).fetchall())
    for seat in others:
        with closing(_open(seat.home)) as conn:
            query = f"{_BYTES} JOIN statements s ON s.content = c.seq WHERE s.origin = ?"
            if any(held.get(key) != raw for key, raw in conn.execute(query, (author.member,))):
                return False
    return True


def _statements_verify(seat: Seat, author: Seat) -> bool:
    keyring = directory.known([document.read((author.home / "node.json").read_bytes()).document]).keyring
    with closing(_open(seat.home)) as conn:
        rows = conn.execute(
            "SELECT hash, envelope FROM statements WHERE origin = ?", (author.member,)
        ).fetchall()
    try:
        return bool(rows) and all(statement.read(raw, keyring).digest == key.hex() for key, raw in rows)
    except Refused:
        return False


def _receipts_verify(author: Seat, others: Iterable[Seat]) -> bool:
    with closing(_open(author.home)) as conn:
        for seat in others:
            keys = document.read((seat.home / "node.json").read_bytes()).document.verification_keys()
            query = "SELECT head, envelope FROM receipts WHERE recipient = ? ORDER BY head DESC LIMIT 1"
            row = conn.execute(query, (seat.member,)).fetchone()
            (head,) = conn.execute(
                "SELECT max(number) FROM views WHERE recipient = ?", (seat.member,)
            ).fetchone()
            if row is None or row[0] != head:
                return False
            try:
                receipt = frame.read_receipt(row[1], keys, seat.member, author.member)
            except Refused:
                return False
            if receipt.head != head or receipt.refused:
                return False
    return True


def _only_exercise(seat: Seat) -> bool:
    with closing(_open(seat.home)) as conn:
        rows = conn.execute(f"{_BYTES} WHERE c.type <> 'identity'").fetchall()
    return bool(rows) and all(_LABEL in msgspec.json.decode(raw).get("labels", []) for _, raw in rows)


def _count(seat: Seat, stix_type: str) -> int:
    with closing(_open(seat.home)) as conn:
        row: tuple[int] = conn.execute(
            "SELECT count(*) FROM contents WHERE type = ?", (stix_type,)
        ).fetchone()
    return row[0]


def _sound(seat: Seat) -> bool:
    with closing(_open(seat.home)) as conn:
        return bool(conn.execute("PRAGMA integrity_check").fetchone() == ("ok",))


def _open(home: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{home / 'lezha.db'}?mode=ro", uri=True)


_BYTES: Final = "SELECT c.hash, b.bytes FROM contents c JOIN bodies b ON b.content = c.seq"
_HASH: Final = re.compile("[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64}")
_LABEL: Final = bundle.LABEL
