"""Sessions of browsers: until they end, or their token is revoked, and never too many."""

import pytest
from sqlalchemy import func, select

from lezha.access.rights import Role
from lezha.store import schema, sessions, tokens
from lezha.store.log import Log

NOW, SOON, LATE = (f"2026-01-01T0{hour}:00:00.000000Z" for hour in (1, 2, 3))
FAR = "2999-01-01T00:00:00.000000Z"


@pytest.fixture
def signed_in(log: Log) -> Log:
    """A log with a token and a session `d` of it."""
    log.write_now(lambda tx: tokens.add(tx, "id", "officer", Role.ANALYST, "digest", "test"))
    begin(log, "d")
    return log


def begin(log: Log, digest: str, ends: str = FAR, most: int = 10, token: str = "id") -> None:
    log.write_now(lambda tx: sessions.begin(tx, digest, token, ends, most))


def found(log: Log, digest: str, now: str = NOW) -> str | None:
    with log.read() as conn:
        token = sessions.token(conn, digest, now)
    return None if token is None else token.name


def count(log: Log) -> int:
    with log.read() as conn:
        return int(conn.scalar(select(func.count()).select_from(schema.sessions)) or 0)


def test_a_session_is_known_by_its_digest(signed_in: Log) -> None:
    assert (found(signed_in, "d"), found(signed_in, "e")) == ("officer", None)


def test_a_session_is_over_at_its_end(signed_in: Log) -> None:
    begin(signed_in, "short", SOON)
    assert (found(signed_in, "short", NOW), found(signed_in, "short", SOON)) == ("officer", None)


def test_a_session_that_was_ended_is_forgotten(signed_in: Log) -> None:
    signed_in.write_now(lambda tx: sessions.end(tx, "d"))
    assert (found(signed_in, "d"), count(signed_in)) == (None, 0)


def test_revoking_a_token_ends_its_sessions_and_no_others(signed_in: Log) -> None:
    signed_in.write_now(lambda tx: tokens.add(tx, "other", "other", Role.ANALYST, "digest", "test"))
    begin(signed_in, "o", token="other")
    signed_in.write_now(lambda tx: tokens.revoke(tx, "officer", "test"))
    assert (found(signed_in, "d"), found(signed_in, "o"), count(signed_in)) == (None, "other", 1)


def test_a_session_of_a_revoked_token_is_none_however_it_came_there(signed_in: Log) -> None:
    signed_in.write_now(lambda tx: tokens.revoke(tx, "officer", "test"))
    begin(signed_in, "late")
    assert found(signed_in, "late") is None


def test_those_that_have_ended_go_when_the_next_one_begins(signed_in: Log) -> None:
    begin(signed_in, "ended", LATE)  # long ago, by the log's clock
    begin(signed_in, "next")
    assert (count(signed_in), found(signed_in, "d"), found(signed_in, "next")) == (2, "officer", "officer")


def test_of_too_many_those_that_would_end_first_go(signed_in: Log) -> None:
    for place in range(5):
        begin(signed_in, f"s{place}", f"2999-02-0{place + 1}T00:00:00.000000Z", most=3)
    assert count(signed_in) == 3
    assert [found(signed_in, f"s{place}") for place in range(5)] == [None, None, *["officer"] * 3]


def test_a_session_makes_no_event(signed_in: Log) -> None:
    with signed_in.read() as conn:
        kinds = set(conn.scalars(select(schema.events.c.kind)))
    assert kinds == {"token"}
