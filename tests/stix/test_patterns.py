import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stix2patterns.validator import run_validator  # type: ignore[import-untyped]  # ships no types

from lezha.stix import Invalid, TooLarge
from lezha.stix.patterns import check, is_simple


def mostly(good: list[str], odd: list[str]) -> st.SearchStrategy[str]:
    """Mostly what the quick path knows, at times what it must leave to the grammar."""
    return st.sampled_from(good * 9 + odd)


spaces = st.sampled_from(["", " ", " ", "\t", "\n ", "  "])
names = mostly(
    ["value", "name", "a_b", "x", "start"], ["true", "hashes", "TRUE", "NOT", "b-c", "'q q'", "c[*]", "_"]
)
kinds = mostly(
    ["ipv4-addr", "file", "x-foo", "url"],
    ["true", "false", "true-x", "AND", "9a", "a--b", "T", "a-", "t", "h"],
)
literals = st.one_of(
    mostly(
        ["'a'", "''", "'a\\\\'", "'\\''", "'" + "b" * 32 + "'", "'" + "a" * 64 + "'"],
        ["5", "true", "t'2022'", "h'00'"],
    ),
    st.text(alphabet="ab \n]é[", max_size=4).map(lambda text: f"'{text}'"),
    st.text(alphabet="a'\\", max_size=4).map(lambda text: f"'{text}'"),
)
operators = mostly(["=", "!=", " LIKE ", " MATCHES", " ISSUBSET "], ["LIKE", "==", ">", " NOT = ", " IN "])
paths = st.one_of(
    st.lists(names, min_size=1, max_size=3).map(".".join),
    mostly(
        ["hashes.MD5", "hashes.'MD5'", "hashes.'SHA-256'"],
        ["hashes.SHA-256", "hashes.'SHA-1'", "a.hashes.MD5"],
    ),
)
comparisons = st.builds(
    lambda kind, path, a, operator, b, literal: f"{kind}:{path}{a}{operator}{b}{literal}",
    kinds, paths, spaces, operators, spaces, literals,
)  # fmt: skip
joins = mostly([" AND ", " OR ", "  OR\n"], ["OR", " FOLLOWEDBY ", " WITHIN 5 SECONDS OR ", ", "])


@st.composite
def patterns(draw: st.DrawFn) -> str:
    def joined(parts: list[str]) -> str:
        text = parts[0]
        for part in parts[1:]:
            text += draw(joins) + part
        return text

    observations = []
    for _ in range(draw(st.integers(1, 2))):
        inside = joined(draw(st.lists(comparisons, min_size=1, max_size=2)))
        observations.append(f"[{draw(spaces)}{inside}{draw(spaces)}]")
    return joined(observations)


@settings(deadline=None, max_examples=300)
@given(patterns())
def test_what_the_quick_path_takes_the_grammar_takes(pattern: str) -> None:
    if is_simple(pattern):
        assert run_validator(pattern, stix_version="2.1") == []


@pytest.mark.parametrize(
    "pattern",
    [
        "[ipv4-addr:value = '203.0.113.7']",
        "[domain-name:value='example.org']",
        "[file:hashes.'SHA-256' = '" + "ab" * 32 + "']",
        "[file:hashes.MD5 = '7b71764236f244ae971742ee1bc6b098' OR file:name = 'GoXML.exe']",
        "[url:value = 'https://example.org/a?b=\\'c\\'']",
        "[ipv4-addr:value = '203.0.113.7'] FOLLOWEDBY [email-message:from_ref.value LIKE '%@example.org']",
    ],
)
def test_what_feeds_write_takes_the_quick_path(pattern: str) -> None:
    assert is_simple(pattern)
    assert run_validator(pattern, stix_version="2.1") == []


@pytest.mark.parametrize(
    "pattern",
    [
        "[network-traffic:dst_port IN (80, 443)] WITHIN 5 SECONDS",
        "([a:b > 3] AND [c:d = 'x']) REPEATS 2 TIMES",
        "[file:extensions.'windows-pebinary-ext'.sections[*].entropy > 7.0]",
    ],
)
def test_what_the_quick_path_does_not_know_goes_to_the_grammar(pattern: str) -> None:
    assert not is_simple(pattern)
    check(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "a:b = 'c'",
        "[a:b = 'c'",
        "[a:b = 'c\\d']",
        "[a:b = 'c'] OR",
        "[file:hashes.MD5 = 'zz']",
        "[true:b = 'c']",
    ],
)
def test_what_is_no_pattern_is_refused_with_the_clause(pattern: str) -> None:
    with pytest.raises(Invalid, match=r"not a STIX pattern: .* \(STIX 2\.1 §9\)"):
        check(pattern)


def test_a_pattern_that_nests_like_a_bomb_is_refused() -> None:
    with pytest.raises(TooLarge, match="too deep"):
        check("(" * 3000 + "[a:b = 'c']" + ")" * 3000)


def test_a_long_list_of_values_is_taken() -> None:
    check("[" + " OR ".join(f"ipv4-addr:value = '10.0.{n // 256}.{n % 256}'" for n in range(20_000)) + "]")


def test_a_string_made_for_backtracking_costs_no_time() -> None:
    with pytest.raises((Invalid, TooLarge)):
        check("[" + "a:b = 'c' OR " * 50_000)
