"""What is derived from contents is derived anew: after a change of the rules, of the tables, or a restore."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import msgspec
from sqlalchemy import Connection

from lezha.flows import ingest
from lezha.stix import objects
from lezha.stix.errors import StixError
from lezha.store import contents, engine, texts
from lezha.store.contents import Content, Held
from lezha.store.log import Log, Tx

DERIVATION: Final = "2"
"""Which rules derive. Raise it whenever `ingest.content` would give something else for the same bytes."""

_MARK: Final = "derivation"
_UPTO: Final = "derived upto"
_BLOCK: Final = 1000
_BLOCK_OF_RESTORE: Final = 200  # objects may have a megabyte each


def is_due(log: Log) -> bool:
    """Say whether what is derived was derived by other rules than those of this program."""
    with log.read() as conn:
        return engine.get_meta(conn, _MARK) != DERIVATION


def everything(log: Log, progress: Callable[[int], None] = lambda _done: None) -> int:
    """Derive everything anew and return of how many contents; `progress` is told how many are done.

    If it is interrupted, the next call goes on where it was. If `words_anew` comes in between, it begins again.
    """
    done = 0
    while count := log.write_now(_some):
        done += count
        progress(done)
    return done


def into_empty(conn: Connection) -> None:
    """Derive everything in a transaction of a restore; nothing derived may be there.

    If the log that was backed up was derived by other rules, or not to its end, it stays due: columns of the contents
    themselves are left to `everything`, which must not go on from where that one was.
    """
    after = 0
    while held := contents.walk(conn, after, _BLOCK_OF_RESTORE):
        contents.derive(conn, _read(held))
        after = held[-1].seq
    if engine.get_meta(conn, _MARK) not in (None, DERIVATION):
        engine.set_meta(conn, _MARK, "")


def words_anew(tx: Tx) -> None:
    """Empty an index of words that can't be relied on, and have everything derived anew as soon as may be."""
    texts.clear(tx.conn)
    engine.set_meta(tx.conn, _MARK, "")


def searchable(raw: bytes) -> str | None:
    """Return the text of an object that was taken up for searches by words; None if its bytes are damaged."""
    try:
        return ingest.searchable(msgspec.json.decode(raw, type=dict))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _begin(tx: Tx) -> None:
    if engine.get_meta(tx.conn, _MARK) != f"{DERIVATION} under way":
        texts.clear(tx.conn)
        engine.set_meta(tx.conn, _UPTO, "0")
        engine.set_meta(tx.conn, _MARK, f"{DERIVATION} under way")


def _some(tx: Tx) -> int:
    _begin(tx)
    held = contents.walk(tx.conn, int(engine.get_meta(tx.conn, _UPTO) or 0), _BLOCK)
    if not held:
        engine.set_meta(tx.conn, _MARK, DERIVATION)
        return 0
    contents.rederive(tx, _read(held))
    engine.set_meta(tx.conn, _UPTO, str(held[-1].seq))
    return len(held)


def _read(held: Sequence[Held]) -> list[tuple[Content, int]]:
    return list(_readable(held))


def _readable(held: Sequence[Held]) -> Iterator[tuple[Content, int]]:
    for one in held:
        try:
            yield ingest.content(objects.reread(one.raw)), one.seq
        except (StixError, KeyError):
            continue  # what can't be read any more is kept, and not looked for
