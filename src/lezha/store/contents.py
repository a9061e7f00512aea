"""Contents: exact bytes under their SHA-256, with what is derived from them."""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
from sqlalchemy import Connection, insert, select

from lezha.sharing.tlp import Tlp
from lezha.store import schema
from lezha.store.errors import NotFound
from lezha.store.log import Tx
from lezha.store.rows import KEYS, each


class Content(msgspec.Struct, frozen=True):
    """One object version as it is kept.

    `version` sorts as the object's `modified`; `markings` are the TLP levels that the object itself carries.
    `observables` (kind, value) each stand for the object alone; `anchors` are named by an indicator's pattern and do
    not suffice to report it. `unmatched` says in words what of it a live sensor can't match; empty if nothing.
    """

    hash: str
    stix_id: str
    type: str
    version: str
    creator: str
    name: str
    raw: bytes
    markings: tuple[Tlp, ...] = ()
    unreadable_marking: bool = False
    revoked: bool = False
    unmatched: str = ""
    valid_until: str = ""
    observables: tuple[tuple[str, str], ...] = ()
    anchors: tuple[tuple[str, str], ...] = ()
    refs: tuple[str, ...] = ()


class Watched(msgspec.Struct, frozen=True):
    """An indicator as a sensor needs it; once revoked it has no observables.

    Times are RFC 3339 UTC, `valid_until` empty for no end.
    """

    key: str
    version: str
    observables: tuple[tuple[str, str], ...]
    valid_until: str
    unmatched: str


_CONTENTS: Final = schema.contents
_HELD: Final = select(_CONTENTS.c.hash).where(_CONTENTS.c.hash.in_(KEYS))
_IDS_HELD: Final = select(_CONTENTS.c.stix_id).where(_CONTENTS.c.stix_id.in_(KEYS)).distinct()
_VERSIONS: Final = select(
    _CONTENTS.c.stix_id, _CONTENTS.c.version, _CONTENTS.c.creator, _CONTENTS.c.hash
).where(_CONTENTS.c.stix_id.in_(KEYS))


def held(conn: Connection, hashes: Iterable[str]) -> set[str]:
    """Return those of `hashes` that the log holds."""
    return {row.hash for row in each(conn, _HELD, hashes)}


def add(tx: Tx, contents: Sequence[Content], actor: str) -> int:
    """Add the contents that are new; return how many were."""
    unique = {content.hash: content for content in contents}
    there = held(tx.conn, unique)
    new = [content for key, content in unique.items() if key not in there]
    if not new:
        return 0
    seqs = tx.events("content", [content.hash for content in new], actor)
    rows = [_row(content, seq) for content, seq in zip(new, seqs, strict=True)]
    tx.conn.execute(insert(schema.contents), rows)
    seen = [
        {
            "kind": kind,
            "value": value,
            "content": content.hash,
            "anchor": (kind, value) not in content.observables,
        }
        for content in new
        for kind, value in dict.fromkeys((*content.observables, *content.anchors))
    ]
    if seen:
        tx.conn.execute(insert(schema.observables), seen)
    named = [
        {"target": target, "content": content.hash}
        for content in new
        for target in dict.fromkeys(content.refs)
    ]
    if named:
        tx.conn.execute(insert(schema.refs), named)
    return len(new)


def raw(conn: Connection, content: str) -> bytes:
    """Return the exact bytes of a content. Raises NotFound."""
    found: bytes | None = conn.scalar(
        select(schema.contents.c.bytes).where(schema.contents.c.hash == content)
    )
    if found is None:
        raise NotFound(f"No content {content} is held here.")
    return found


def ids_held(conn: Connection, stix_ids: Iterable[str]) -> set[str]:
    """Return those of `stix_ids` of which some version is held."""
    return {row.stix_id for row in each(conn, _IDS_HELD, stix_ids)}


def in_conflict(conn: Connection, contents: Iterable[Content]) -> set[str]:
    """Return the hashes of those contents of whose id, version and creator other bytes are held."""
    given = list(contents)
    there: dict[tuple[str, str, str], set[str]] = {}
    for row in each(conn, _VERSIONS, (content.stix_id for content in given)):
        there.setdefault((row.stix_id, row.version, row.creator), set()).add(row.hash)
    return {
        content.hash
        for content in given
        if there.get((content.stix_id, content.version, content.creator), set()) - {content.hash}
    }


def watched(conn: Connection, content: str) -> Watched | None:
    """Return what a sensor needs of a content, or None if it is no indicator."""
    table, values = schema.contents, schema.observables
    columns = (
        table.c.stix_id,
        table.c.type,
        table.c.version,
        table.c.revoked,
        table.c.valid_until,
        table.c.unmatched,
    )
    row = conn.execute(select(*columns).where(table.c.hash == content)).first()
    if row is None or row.type != "indicator":
        return None
    alone = select(values.c.kind, values.c.value).where(
        values.c.content == content, values.c.anchor.is_(False)
    )
    observables = () if row.revoked else tuple((one.kind, one.value) for one in conn.execute(alone))
    return Watched(row.stix_id, row.version, observables, row.valid_until, row.unmatched)


def _row(content: Content, seq: int) -> dict[str, object]:
    return {
        "hash": content.hash,
        "stix_id": content.stix_id,
        "type": content.type,
        "version": content.version,
        "creator": content.creator,
        "name": content.name,
        "markings": msgspec.json.encode(content.markings).decode(),
        "unreadable_marking": content.unreadable_marking,
        "revoked": content.revoked,
        "unmatched": content.unmatched,
        "valid_until": content.valid_until,
        "seq": seq,
        "bytes": content.raw,
    }
