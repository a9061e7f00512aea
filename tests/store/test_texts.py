"""Words: folded, as phrases, by their beginning; whatever is asked, nothing breaks; the same on both engines."""

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.store.examples import content

from lezha.store import contents, search, texts
from lezha.store.log import Log
from lezha.store.search import Query

TEXTS = {
    1: "Zërat e qytetit të Tiranës",
    2: "CVE-2022-1234 in a file server",
    3: "CVE-2022-12345 elsewhere; CVE 2021 and 1234",
    4: "ROADSWEEP wiper, second wave",
    5: "a second roadsweeper",
    6: "100 % sure",
}


@pytest.fixture
def filled(log: Log) -> Log:
    kept = [content(number, text=text, name="") for number, text in TEXTS.items()]
    log.write_now(lambda tx: contents.add(tx, kept, "test"))
    return log


def found(log: Log, text: str) -> list[int]:
    with log.read() as conn:
        rows = search.find(conn, Query(text=text))
    return sorted(int(row.id.removeprefix("indicator--")[:8]) for row in rows)


def test_words_are_found_whatever_their_case_and_accents(filled: Log) -> None:
    table = {
        "zerat": [1],
        "ZËRAT": [1],
        "qytetit zërat": [1],
        "tiranes": [1],
        "roadsweep": [4, 5],
        "roadsweep wave": [4],
        '"second wave"': [4],
        '"wave second"': [],
        "CVE-2022-1234": [2, 3],  # the last word may be a beginning
        "CVE-2022-1234 file": [2],
        '"CVE-2022-1234" server': [2],
        "second road": [4, 5],
        "roads second": [],  # only the last one may
        "100": [6],
        "nothing": [],
    }
    assert {text: found(filled, text) for text in table} == table


HOSTILE = [
    "", " ", '"', '""', '"unclosed', "*", "a*", "^a", "NEAR(a b)", "a AND", "OR", "NOT", "a:b", "words:a", "{a b}: c",
    "(", ")", "a)", "'", "';DROP TABLE texts", "\\", "%", "_", "-", "--", "+", "\0", "a\0b", "\x7f", "é\u0301", "👁",
    "\u202e", "a" * 100_000, "a " * 50_000, '"' * 1001, "&", "|", "!", "<->", ":*", "a:*b",
]  # fmt: skip


# --- both engines against the rule itself ---------------------------------------------------------------------------

pieces = st.sampled_from(
    ["zërat", "ZERAT", "tirana", "Tiranë", "cve", "2022", "1234", "1e5", "0x1f", "a1b", "ﬁle", "straße", "ΟΔΟΣ", "οδος",
     "İzmir", "\u0131", "Ⅷ", "½", "١٢", "Киев", "e\u0301te", "東京", "क्षि", "x" * 120]
)  # fmt: skip
gaps = st.sampled_from([" ", "-", "_", ".", "/", "\n", "'", "·", "\u200b", "👁", "\u0345", "<", "&", ":"])
passages = st.lists(st.tuples(pieces, gaps), max_size=8).map(lambda parts: "".join(map("".join, parts)))
quoted = passages.map(lambda words: f'"{words}"')
questions = st.lists(
    st.one_of(passages, quoted, pieces.map(lambda word: word[:3])), min_size=1, max_size=3
).map(" ".join)


def stands_in(words: list[str], phrase: list[str], *, beginning: bool) -> bool:
    places = range(len(words) - len(phrase) + 1)
    if beginning:
        return any(
            words[at : at + len(phrase) - 1] == phrase[:-1]
            and words[at + len(phrase) - 1].startswith(phrase[-1])
            for at in places
        )
    return any(words[at : at + len(phrase)] == phrase for at in places)


def answers(text: str, question: str) -> bool:
    """The rule: each phrase of a question stands in the text, the last word of the last one as a beginning."""
    asked = [texts._words(one.strip('"')) for one in re.findall(r'"[^"]*"|[^\s"]+', question)]
    asked = [phrase for phrase in asked if phrase]
    words = texts._words(text)
    return bool(asked) and all(
        stands_in(words, phrase, beginning=place == len(asked)) for place, phrase in enumerate(asked, 1)
    )


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(passage=passages, question=questions)
def test_what_is_found_is_what_the_rule_says(empty_log: Log, passage: str, question: str) -> None:
    with empty_log._writer.begin() as conn:
        texts.clear(conn)
        texts.add(conn, [(1, passage)])
        query = texts.matching(conn.dialect.name, question)
        rows = conn.execute(query, {"low": 0, "high": 9}).all() if query is not None else []
    assert bool(rows) == answers(passage, question)


@pytest.fixture
def empty_log(log: Log) -> Log:
    log.write_now(lambda tx: contents.add(tx, [content(1, text="")], "test"))
    return log


def test_a_sign_that_is_only_an_accent_is_no_word(filled: Log) -> None:
    assert found(filled, "roadsweep \u0345") == [4, 5]
    assert texts.matching("postgresql", "\u037a") is None


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_question_is_a_question_like_any_other(filled: Log, text: str) -> None:
    assert set(found(filled, text)) <= set(TEXTS)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=60))
def test_no_question_breaks_anything(filled: Log, text: str) -> None:
    assert set(found(filled, text)) <= set(TEXTS)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(min_size=1, max_size=200))
def test_any_text_is_taken_found_and_forgotten(empty_log: Log, text: str) -> None:
    text = text.replace("\0", " ")
    with empty_log._writer.begin() as conn:
        texts.clear(conn)
        texts.add(conn, [(1, text)])
        assert texts.has(conn, 1, text)
        texts.remove(conn, [(1, text)])
        assert not any(texts.has(conn, 1, word) for word in texts._words(text))


def test_a_merge_ends(filled: Log) -> None:
    more = filled.write_now(lambda tx: texts.merge(tx.conn, first=True))
    for _ in range(100):
        if not more:
            break
        more = filled.write_now(lambda tx: texts.merge(tx.conn, first=False))
    assert not more
    assert found(filled, "roadsweep") == [4, 5]
