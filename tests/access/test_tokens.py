"""Tokens: shown once, kept as digests."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lezha.access import tokens


def test_a_token_is_found_by_its_id_and_matches_by_its_secret() -> None:
    made = tokens.mint()
    parts = tokens.split(made.text)
    assert parts is not None
    assert parts[0] == made.id
    assert tokens.matches(parts[1], made.digest)


def test_another_token_s_secret_does_not_match() -> None:
    one, other = tokens.mint(), tokens.mint()
    parts = tokens.split(other.text)
    assert parts is not None
    assert not tokens.matches(parts[1], one.digest)


def test_the_digest_itself_does_not_open_the_door() -> None:
    made = tokens.mint()
    assert not tokens.matches(made.digest, made.digest)


def test_what_is_kept_holds_nothing_of_the_secret() -> None:
    made = tokens.mint()
    parts = tokens.split(made.text)
    assert parts is not None
    assert parts[1] not in made.id + made.digest
    assert len(made.digest) == 64


def test_a_secret_has_256_bits_and_is_never_the_same() -> None:
    secrets = {parts[1] for _ in range(100) if (parts := tokens.split(tokens.mint().text))}
    assert len(secrets) == 100
    assert all(len(secret) >= 43 for secret in secrets)  # base64 of 32 bytes


@pytest.mark.parametrize(
    "text",
    ["", "lzh", "lzh_", "lzh__", "lzh_a_", "lzh__b", "LZH_a_b", "xyz_a_b", "a_b", "lzh_a_" + "b" * 200],
)
def test_what_has_not_the_form_of_a_token_is_none(text: str) -> None:
    assert tokens.split(text) is None


def test_a_secret_may_hold_underscores() -> None:
    assert tokens.split("lzh_0a_b_c_") == ("0a", "b_c_")


@given(st.text())
def test_any_text_is_split_or_refused_but_never_breaks_the_reader(text: str) -> None:
    parts = tokens.split(text)
    assert parts is None or all(parts)
