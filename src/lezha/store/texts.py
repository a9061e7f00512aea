"""Full text: the words of each content, found by word, by phrase and by the beginning of a word.

SQLite keeps them in an FTS5 table without the text itself, PostgreSQL as a `tsvector`. Texts and questions are taken
apart and folded here, not there, so that both find the same: case and accents don't matter, and whatever is neither a
letter nor a digit is a gap, so that `CVE-2022-1234` is a phrase of three words.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from sqlalchemy import Connection, TextClause, bindparam, text
from sqlalchemy.exc import DatabaseError

from lezha.store import engine
from lezha.store.errors import Damaged

TABLE: Final = "texts"
_WORD: Final = re.compile(r"[^\W_]+")
_PARTS: Final = re.compile(r'"([^"]*)"|([^\s"]+)')
_LONGEST_WORD: Final = 100
_TOO_LONG: Final = re.compile(rf"[0-9A-Za-z]{{{_LONGEST_WORD + 1}}}")
_MOST_WORDS: Final = 32  # of a question
_LONGEST_QUESTION: Final = 1000

# It leaves every letter beyond ASCII as it is: those are folded here.
_TOKENS: Final = "'ascii'"
_CREATE: Final = {
    "sqlite": (
        f"CREATE VIRTUAL TABLE texts USING fts5(words, content='', columnsize=0, tokenize={_TOKENS})",
    ),
    "postgresql": (
        "CREATE TABLE texts (content BIGINT PRIMARY KEY REFERENCES contents (seq), words TSVECTOR NOT NULL)",
        "CREATE INDEX texts_by_word ON texts USING gin (words)",
    ),
}


def create(conn: Connection) -> None:
    """Make the table."""
    for statement in _CREATE[conn.dialect.name]:
        conn.exec_driver_sql(statement)


def add(conn: Connection, rows: Sequence[tuple[int, str]]) -> None:
    """Take up the text of contents: (seq, text)."""
    if not rows:
        return
    if conn.dialect.name == "sqlite":
        conn.exec_driver_sql("INSERT INTO texts (rowid, words) VALUES (?, ?)", _folded(rows))
        return
    words = [{"content": content, "words": " ".join(_words(one))} for content, one in rows]
    conn.execute(
        text("INSERT INTO texts (content, words) VALUES (:content, to_tsvector('simple', :words))"), words
    )


def remove(conn: Connection, rows: Sequence[tuple[int, str]]) -> None:
    """Forget contents; the text must be the one that was taken up. Raises Damaged, with nothing forgotten."""
    if not rows:
        return
    if conn.dialect.name == "sqlite":
        with _sound(conn):
            conn.exec_driver_sql(
                "INSERT INTO texts (texts, rowid, words) VALUES ('delete', ?, ?)", _folded(rows)
            )
        return
    conn.execute(
        text("DELETE FROM texts WHERE content = :content"), [{"content": content} for content, _ in rows]
    )


def forget(conn: Connection, contents: Sequence[int]) -> None:
    """Forget contents that another process may have taken up since `clear`; SQLite is written by one process alone."""
    if conn.dialect.name != "sqlite":
        conn.execute(
            text("DELETE FROM texts WHERE content = :content"), [{"content": one} for one in contents]
        )


def clear(conn: Connection) -> None:
    """Forget all contents."""
    conn.exec_driver_sql(
        "INSERT INTO texts (texts) VALUES ('delete-all')"
        if conn.dialect.name == "sqlite"
        else "DELETE FROM texts"
    )


def merge(conn: Connection, *, first: bool, pages: int = 500) -> bool:
    """Do a part of the work that removes forgotten words from SQLite's index; return whether there is more to do.

    FTS5 notes what was deleted and drops it when parts of the index are merged; until then words are in the file.
    The first call sets the whole index up for merging, the later ones go on with it (SQLite, FTS5, `merge`). Raises
    Damaged.
    """
    if conn.dialect.name != "sqlite":
        return False
    before: int = conn.exec_driver_sql("SELECT total_changes()").scalar_one()
    with _sound(conn):
        conn.exec_driver_sql(
            "INSERT INTO texts (texts, rank) VALUES ('merge', ?)", (-pages if first else pages,)
        )
    # "If the difference is less than 2, then the merge command was a no-op."
    return int(conn.exec_driver_sql("SELECT total_changes()").scalar_one()) - before >= 2


@contextmanager
def _sound(conn: Connection) -> Iterator[None]:
    """Raise Damaged, with nothing done, if SQLite finds that the index is not what it should be."""
    try:
        with conn.begin_nested():
            yield
    except DatabaseError as error:
        if isinstance(error, engine.OUTSIDE):  # the disk is full, say
            raise
        engine.require_transaction(conn)
        raise Damaged(f"The index of words is damaged: {engine.said(error)}") from error


def matching(dialect: str, question: str) -> TextClause | None:
    """Return a query for the seqs, between `:low` and `:high`, of contents that have all words of a question.

    Words in quotes or joined by a sign are a phrase; the last word may be the beginning of one. None if the question
    has no words.
    """
    parts = _PARTS.findall(question[:_LONGEST_QUESTION])
    phrases = [words for quoted, plain in parts if (words := _words(quoted or plain))][:_MOST_WORDS]
    if not phrases:
        return None
    if dialect == "sqlite":
        query = " ".join(f'"{" ".join(words)}"' for words in phrases) + "*"
        sql = "SELECT rowid FROM texts WHERE texts MATCH :question AND rowid BETWEEN :low AND :high"
    else:
        query = " & ".join(f"({' <-> '.join(words)})" for words in phrases[:-1]) + " & " * (len(phrases) > 1)
        query += f"({' <-> '.join(phrases[-1])}:*)"
        sql = (
            "SELECT content FROM texts WHERE words @@ to_tsquery('simple', :question) "
            "AND content BETWEEN :low AND :high"
        )
    return text(sql).bindparams(bindparam("question", query))


def _words(passage: str) -> list[str]:
    if not passage.isascii():
        decomposed = unicodedata.normalize("NFKD", passage)
        passage = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    return [word[:_LONGEST_WORD] for word in _WORD.findall(passage.casefold())]


def _folded(rows: Sequence[tuple[int, str]]) -> list[tuple[int, str]]:
    """Return texts of which SQLite makes the same words as `_words`: ASCII it takes apart and folds by itself."""
    return [
        (seq, one if one.isascii() and not _TOO_LONG.search(one) else " ".join(_words(one)))
        for seq, one in rows
    ]


def has(conn: Connection, content: int, passage: str) -> bool:
    """Say whether a content is found by each of the first three words of its text and by the last.

    Word by word: of a phrase, or of several words at once, FTS5 reads all contents that have them.
    """
    words = _words(passage)
    asked = _HAS[conn.dialect.name]
    given = dict.fromkeys((*words[:3], *words[-1:]))
    return all(conn.exec_driver_sql(asked, (content, word)).first() is not None for word in given)


_HAS: Final = {
    "sqlite": "SELECT 1 FROM texts WHERE rowid = ? AND texts MATCH '\"' || ? || '\"'",
    "postgresql": "SELECT 1 FROM texts WHERE content = %s AND words @@ to_tsquery('simple', %s)",
}
