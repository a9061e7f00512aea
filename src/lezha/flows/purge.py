"""Bytes are destroyed for good: what must not be here, and what has been here for long enough.

The hash, the id, the statements and every event stay, so that what was told to whom can still be proven. The bytes, the
name, the values and the words go: from the tables, from the indexes, from free pages and from the write-ahead log.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import msgspec

from lezha.flows import rederive
from lezha.flows.errors import FlowError
from lezha.stix.clauses import COMPANION_TYPES
from lezha.store import contents, engine, inbound, peers, search, texts
from lezha.store.contents import Held
from lezha.store.errors import Damaged
from lezha.store.log import Log, Tx

NODE: Final = "node"
"""Who acts when nobody asked: the node by itself."""
_BLOCK: Final = 500
_MOST_WHY: Final = 1000
_DUE: Final = (
    "cleaning is due"  # in the node's record: the seq of the last purge that was not cleaned up after
)


class Purged(msgspec.Struct, frozen=True):
    """What was destroyed: how many versions of the objects, their ids, and of how many what was put aside.

    No versions: they had been destroyed before, and what that had left in the files is gone now.
    """

    versions: int
    ids: tuple[str, ...]
    put_aside: int = 0


class Rule(msgspec.Struct, frozen=True):
    """Objects of `type` that came before `before` (RFC 3339 UTC) are purged; `days` is said in the audit."""

    type: str
    days: int
    before: str


async def purge(log: Log, member: str, stix_ids: Sequence[str], why: str, actor: str) -> Purged:
    """Destroy the bytes of all versions of some objects. Raises FlowError if that can't be.

    When it returns, nothing of them is left in the database's files. Raises StoreError if somebody's reading keeps it
    there: the objects are purged, and the node goes on trying to clean its files (`clean_if_due`), as does this call
    when it is repeated.
    """
    why = why.strip()
    if not why or len(why) > _MOST_WHY:
        raise FlowError(
            f"Say why, in at most {_MOST_WHY} characters: it is kept for ever, the object is not."
        )
    if member in stix_ids:
        raise FlowError("This member's own identity can't be purged: it travels with what it publishes.")
    with log.read() as conn:
        if linked := [peer.name for peer in peers.listed(conn) if peer.member in stix_ids]:
            raise FlowError(
                f"{linked[0]} is a peer: its identity is kept with its keys as long as it is one."
            )
    gone = 0
    aside: set[str] = set()
    while count := await log.write(lambda tx: _purge_some(tx, stix_ids, why, actor, aside)):
        gone += count
    with log.read() as conn:
        known = {*contents.purged_ids(conn, stix_ids), *inbound.forgotten(conn, stix_ids)}
    if not known:
        raise FlowError(f"Nothing of {', '.join(stix_ids[:3])} is held here.")
    await clean(log)
    return Purged(gone, tuple(one for one in dict.fromkeys(stix_ids) if one in known), len(aside))


async def retire(
    log: Log, rules: Sequence[Rule], progress: Callable[[int], None] = lambda _done: None, actor: str = NODE
) -> dict[str, int]:
    """Purge what the rules of retention say and return how much, by type; `actor` is who asked for it."""
    for rule in rules:
        check(rule)
    counts: dict[str, int] = {}
    for rule in rules:
        after = 0
        some = partial(_retire_some, rule=rule, counts=counts, actor=actor)
        while (last := await log.write(partial(some, after=after))) > after:
            after = last
            progress(sum(counts.values()))
    if counts:
        await clean(log)
    return counts


def due(log: Log, rules: Sequence[Rule]) -> dict[str, int]:
    """Count what `retire` would purge now, by type; of each at most 100,000."""
    counts = {}
    for rule in rules:
        check(rule)
        with log.read() as conn:
            upto = search.last_before(conn, rule.before)
            counts[rule.type] = contents.count_before(conn, rule.type, upto, 100_000)
    return counts


def check(rule: Rule) -> None:
    """Raise FlowError if a rule would take away what other objects need to be told."""
    if rule.type in COMPANION_TYPES:
        raise FlowError(
            f"A rule of retention can't name {rule.type}: other objects can't be told without them."
        )


async def clean_if_due(log: Log) -> bool:
    """Clean up if a purge did not come to its end, and say whether that was so. Raises StoreError if it can't be."""
    with log.read() as conn:
        due = bool(engine.get_meta(conn, _DUE))
    if due:
        await clean(log)
    return due


async def clean(log: Log) -> None:
    """Remove what purging has left in the index of words, in free pages and in the write-ahead log."""
    with log.read() as conn:
        due = engine.get_meta(conn, _DUE)
    try:
        more = await log.write(lambda tx: texts.merge(tx.conn, first=True))
        while more:
            more = await log.write(lambda tx: texts.merge(tx.conn, first=False))
    except Damaged:
        await log.write(rederive.words_anew)
    await asyncio.to_thread(log.scrub)
    await log.write(lambda tx: _cleaned(tx, due))


def _purge_some(tx: Tx, stix_ids: Sequence[str], why: str, actor: str, aside: set[str]) -> int:
    # What arrives from now on and names what is purged is put aside without its bytes.
    aside.update(_forget_frames(tx, stix_ids, why, actor))
    gone = contents.held_of(tx.conn, stix_ids)
    _destroy(tx, gone, why, actor)
    return len(gone)


def _forget_frames(tx: Tx, stix_ids: Sequence[str], why: str, actor: str) -> list[str]:
    """Destroy what was put aside and names these objects: it may hold what was never taken."""
    named = inbound.forget(tx.conn, stix_ids)
    if named:
        tx.events("purged aside", named, actor, why=why)
        engine.set_meta(tx.conn, _DUE, str(tx.seq))
    return named


def _retire_some(tx: Tx, rule: Rule, after: int, counts: dict[str, int], actor: str) -> int:
    """Purge the next of what a rule says and return where it stood; `after` if there is no more."""
    old = contents.came_before(tx.conn, rule.type, after, search.last_before(tx.conn, rule.before), _BLOCK)
    if not old:
        return after
    why = f"retention: {rule.type} after {rule.days} days"
    _forget_frames(tx, sorted({one.stix_id for one in old}), why, actor)
    _destroy(tx, old, why, actor)
    counts[rule.type] = counts.get(rule.type, 0) + len(old)
    return old[-1].seq


def _destroy(tx: Tx, gone: Sequence[Held], why: str, actor: str) -> None:
    if not gone:
        return
    words = [rederive.searchable(one.raw) for one in gone]
    try:
        texts.remove(tx.conn, [(one.seq, text) for one, text in zip(gone, words, strict=True) if text])
    except Damaged:  # what is to be destroyed must go, whatever state the index is in
        words.append(None)
    if None in words:
        rederive.words_anew(tx)
    contents.purge(tx, gone, why, actor)
    engine.set_meta(tx.conn, _DUE, str(tx.seq))


def _cleaned(tx: Tx, due: str | None) -> None:
    # What was purged while the files were cleaned has to be cleaned by another turn.
    if due and engine.get_meta(tx.conn, _DUE) == due:
        engine.set_meta(tx.conn, _DUE, "")
