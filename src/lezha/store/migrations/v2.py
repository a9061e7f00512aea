"""Version 1 to 2: contents and statements by number instead of hash, bytes apart, events chained, a sequencer."""

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from importlib.resources import files
from typing import Any, Final

import msgspec
from sqlalchemy import Connection

_BLOCK: Final = 100  # rows: those of contents may have a megabyte each
_GENESIS: Final = bytes(32)
_ID: Final = re.compile("[a-z][a-z0-9-]{0,250}--[0-9a-fA-F-]{36}")
_NAMED: Final = re.compile(rb'"(id|object_id)"\s*:\s*"([a-z][a-z0-9-]{0,250}--[0-9a-fA-F-]{36})"')

# Table -> its columns in version 2, for those whose rows stay as they are but for hashes, which become bytes.
_KEPT: Final = {
    "peers": "member name state phrase clearance since number endpoint document",
    "invitations": "id name digest expires commitment nonce used_by",
    "views": "recipient number kind ref rule digest chain seq at",
    "voids": "recipient number reason at",
    "withheld": "recipient statement own reason at",
    "cursors": "recipient seq",
    "receipts": "recipient head envelope at",
    "refusals": "recipient number code at",
    "inbound": "member incarnation head chain at",
    "quarantine": "member incarnation number code detail frame at",
    "tokens": "id name role digest created revoked",
}
_HASHES: Final = {"views": "ref", "withheld": "statement"}
_CHANGED: Final = ("rosters", "admissions", "events", "contents", "statements", "companions", "arrivals")
_DROPPED: Final = ("observables", "refs")
_EVENT: Final = "seq at kind subject actor source detail chain"


def migrate(conn: Connection) -> None:
    """Bring the tables and rows of version 1 to version 2."""
    for table in (*_CHANGED, *_DROPPED, *_KEPT):
        _set_aside(conn, table)
    for statement in _script(conn):
        conn.exec_driver_sql(statement)
    for table, columns in _KEPT.items():
        _keep(conn, table, columns.split())
    _rosters(conn)
    _quarantined(conn)
    last = _events(conn)
    _contents(conn)
    _statements(conn)
    for table in (*_DROPPED, *_KEPT, *reversed(_CHANGED)):
        conn.exec_driver_sql(f"DROP TABLE v1_{table}")
    _insert(conn, "sequencer", "id seq at chain epoch", [(1, *last, 0)])


def _set_aside(conn: Connection, table: str) -> None:
    conn.exec_driver_sql(f"ALTER TABLE {table} RENAME TO v1_{table}")
    if conn.dialect.name == "sqlite":
        names = "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL"
        for (name,) in conn.exec_driver_sql(names, (f"v1_{table}",)).all():
            conn.exec_driver_sql(f"DROP INDEX {name}")
        return
    names = "SELECT indexname FROM pg_indexes WHERE schemaname = current_schema() AND tablename = %s"
    for (name,) in conn.exec_driver_sql(names, (f"v1_{table}",)).all():
        conn.exec_driver_sql(f"ALTER INDEX {name} RENAME TO v1_{name}")


def _script(conn: Connection) -> list[str]:
    script = files("lezha.store.migrations").joinpath(f"v2.{conn.dialect.name}.sql").read_text()
    return [statement for part in script.split(";\n") if (statement := part.strip())]


def _blocks(conn: Connection, query: str) -> Iterator[list[tuple[Any, ...]]]:
    """Read rows some at a time: a million of them, or of a megabyte each, are never held at once."""
    with conn.exec_driver_sql(query, execution_options={"stream_results": True}) as rows:
        for block in rows.yield_per(_BLOCK).partitions():
            yield [tuple(row) for row in block]


def _insert(conn: Connection, table: str, columns: str, rows: list[tuple[Any, ...]]) -> None:
    if not rows:
        return
    names = columns.split()
    mark = "?" if conn.dialect.name == "sqlite" else "%s"
    sql = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join([mark] * len(names))})"  # noqa: S608  # own
    conn.exec_driver_sql(sql, rows)


def _keep(conn: Connection, table: str, columns: list[str]) -> None:
    names = ", ".join(columns)
    place = columns.index(_HASHES[table]) if table in _HASHES else None
    for rows in _blocks(conn, f"SELECT {names} FROM v1_{table}"):  # noqa: S608  # own names
        _insert(
            conn, table, " ".join(columns), rows if place is None else [_by_hash(row, place) for row in rows]
        )


def _by_hash(row: tuple[Any, ...], place: int = 1) -> tuple[Any, ...]:
    return (*row[:place], bytes.fromhex(row[place]), *row[place + 1 :])


def _rosters(conn: Connection) -> None:
    """Say by which roster each member was admitted that this node has approved; no membership was for a time."""
    conn.exec_driver_sql(
        "INSERT INTO rosters (community, number, hash, name, expires, members, until, came_from, envelope, at) "
        "SELECT community, number, hash, name, expires, members, '{}', '', envelope, at FROM v1_rosters"
    )
    numbers: dict[tuple[str, str], int] = {}
    told = conn.exec_driver_sql("SELECT community, members FROM v1_rosters ORDER BY number").all()
    for community, members in told:
        numbers |= {(community, member): number for member, number in json.loads(members).items()}
    approved = conn.exec_driver_sql("SELECT community, member, at FROM v1_admissions").all()
    rows = [
        (community, member, numbers.get((community, member), 0), at) for community, member, at in approved
    ]
    _insert(conn, "admissions", "community member number at", rows)


def _quarantined(conn: Connection) -> None:
    """Name the objects in what was put aside, and say how much it is; of what was not kept the code alone stays."""
    conn.exec_driver_sql("UPDATE quarantine SET detail = 'not kept' WHERE LENGTH(frame) = 0")
    for rows in _blocks(conn, "SELECT member, incarnation, number, frame FROM v1_quarantine"):
        named = [(name, *row[:3]) for row in rows for name in dict.fromkeys(_names(row[3]))]
        _insert(conn, "quarantined_ids", "stix_id member incarnation number", named)
    conn.exec_driver_sql(
        "INSERT INTO quarantine_sizes (member, bytes) "
        "SELECT member, SUM(LENGTH(frame)) FROM v1_quarantine GROUP BY member"
    )


def _names(frame: bytes) -> Iterator[str]:
    """Give the ids of the objects that a frame carries or speaks of, as far as they can be read."""
    try:
        _, _, _, envelope, contents = msgspec.msgpack.decode(frame)
    except (msgspec.DecodeError, TypeError, ValueError):  # it was too large to be kept
        return
    yield from _stated(envelope)
    for raw in contents:
        yield from _claimed(raw, "id")


def _stated(envelope: bytes) -> list[str]:
    """Return the ids of the object that an envelope's statement speaks of."""
    try:
        payload = base64.b64decode(json.loads(envelope)["payload"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return []
    return _claimed(payload, "object_id")


def _claimed(raw: bytes, name: str) -> list[str]:
    """Return the ids under `name` in a JSON object, or, if it is none, wherever they stand."""
    try:
        members = _MEMBERS.decode(raw.decode())
    except (ValueError, RecursionError):
        members = None
    if isinstance(members, _Members):
        found = [value for key, value in members if key == name and isinstance(value, str)]
    else:
        found = [one[2].decode() for one in _NAMED.finditer(raw) if one[1].decode() == name]
    return [one for one in dict.fromkeys(found) if _ID.fullmatch(one)]


class _Members(list[tuple[str, Any]]):
    """The members of a JSON object, names that stand twice included."""


_MEMBERS: Final = json.JSONDecoder(object_pairs_hook=_Members)


def _events(conn: Connection) -> tuple[int, str, bytes]:
    """Chain the events and return the last one's number, time and chain."""
    seq, at, chain = 0, "", _GENESIS
    for rows in _blocks(conn, "SELECT seq, at, kind, subject, actor, detail FROM v1_events ORDER BY seq"):
        chained = []
        for row in rows:
            seq, at = row[:2]
            event = (*row[:5], "", row[5])  # from where it was asked for was not written down
            chain = _link(chain, event)
            chained.append((*event, chain))
        _insert(conn, "events", _EVENT, chained)
    for kind, subject, detail in _ledgers(conn):
        seq += 1
        event = (seq, at, kind, subject, "node", "", json.dumps(detail, separators=(",", ":")))
        chain = _link(chain, event)
        _insert(conn, "events", _EVENT, [(*event, chain)])
    return seq, at, chain


def _link(chain: bytes, event: tuple[Any, ...]) -> bytes:
    told = json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
    return hashlib.sha256(chain + told).digest()


def _ledgers(conn: Connection) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Give the events that version 2 writes of what recipients were given, for what they were given before."""
    heads = (
        "SELECT v.recipient, v.number, v.chain FROM v1_views v JOIN "
        "(SELECT recipient, MAX(number) AS number FROM v1_views GROUP BY recipient) last "
        "ON last.recipient = v.recipient AND last.number = v.number ORDER BY v.recipient"
    )
    for recipient, number, chain in conn.exec_driver_sql(heads).all():
        yield "released", recipient, {"first": 1, "last": number, "chain": bytes(chain).hex()}
    for rows in _blocks(conn, "SELECT recipient, number, reason FROM v1_voids ORDER BY recipient, number"):
        for recipient, number, reason in rows:
            yield "voided", recipient, {"numbers": [[number, reason]]}


def _contents(conn: Connection) -> None:
    columns = "stix_id type version creator name markings unreadable_marking revoked unmatched valid_until"
    names = ", ".join(columns.split())
    query = f"SELECT seq, hash, {names}, bytes FROM v1_contents ORDER BY seq"  # noqa: S608  # own names
    for rows in _blocks(conn, query):
        _insert(conn, "contents", f"seq hash {columns}", [_by_hash(row[:-1]) for row in rows])
        _insert(conn, "bodies", "content bytes", [(row[0], row[-1]) for row in rows])


def _statements(conn: Connection) -> None:
    reached: dict[tuple[str, str], str] = {}
    numbers = (
        "SELECT s.seq, s.hash, c.seq, s.origin, s.own, s.terms, s.issued, s.at, s.envelope "
        "FROM v1_statements s JOIN v1_contents c ON c.hash = s.content ORDER BY s.seq"
    )
    for rows in _blocks(conn, numbers):
        columns = "seq hash content origin own terms issued at envelope"
        _insert(conn, "statements", columns, [_by_hash(row) for row in rows])
        for row in rows:
            if row[4]:
                _reach(json.loads(row[5]), row[7], reached)
    _insert(conn, "reached", "whom tlp at", [(*key, at) for key, at in reached.items()])
    beside = (
        "SELECT s.seq, p.position, c.seq FROM v1_companions p "
        "JOIN v1_statements s ON s.hash = p.statement JOIN v1_contents c ON c.hash = p.content"
    )
    for rows in _blocks(conn, beside):
        _insert(conn, "companions", "statement position content", rows)
    came = "SELECT s.seq, a.member, a.at FROM v1_arrivals a JOIN v1_statements s ON s.hash = a.statement"
    for rows in _blocks(conn, came):
        _insert(conn, "arrivals", "statement member at", rows)


def _reach(terms: dict[str, Any], at: str, reached: dict[tuple[str, str], str]) -> None:
    """Note to whom a statement of this member's own went first, and under which TLP."""
    audience = terms["audience"]
    whom = ["everyone"] if audience["everyone"] else []
    whom += [*(one["id"] for one in audience["communities"]), *audience["members"]]
    for one in whom:
        reached.setdefault((one, terms["tlp"]), at)
