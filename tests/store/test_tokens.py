"""Tokens as the log keeps them."""

import pytest
from sqlalchemy import select

from lezha.access import tokens as access
from lezha.access.rights import Role
from lezha.store import schema, tokens
from lezha.store.errors import Conflict, NotFound
from lezha.store.log import Log


async def keep(log: Log, name: str, made: access.NewToken) -> None:
    await log.write(lambda tx: tokens.add(tx, made.id, name, Role.SENSOR, made.digest, "test"))


async def test_a_token_is_found_by_its_id(log: Log) -> None:
    made = access.mint()
    await keep(log, "zeek", made)
    with log.read() as conn:
        found = tokens.get(conn, made.id)
        assert found is not None
        assert (found.name, found.role, found.digest, found.revoked) == (
            "zeek",
            Role.SENSOR,
            made.digest,
            False,
        )
        assert tokens.get(conn, "0a") is None


async def test_nothing_of_a_secret_is_in_the_database(log: Log) -> None:
    made = access.mint()
    parts = access.split(made.text)
    assert parts is not None
    await keep(log, "zeek", made)
    with log.read() as conn:
        for table in schema.metadata.sorted_tables:
            assert parts[1] not in str(conn.execute(select(table)).all())


async def test_a_name_is_taken_once(log: Log) -> None:
    await keep(log, "zeek", access.mint())
    with pytest.raises(Conflict, match="'zeek'"):
        await keep(log, "zeek", access.mint())


async def test_a_token_is_revoked_at_once_and_stays_listed(log: Log) -> None:
    for name in ("zeek", "edge"):
        await keep(log, name, access.mint())
    await log.write(lambda tx: tokens.revoke(tx, "zeek", "test"))
    with log.read() as conn:
        assert [(one.name, one.revoked) for one in tokens.listed(conn)] == [("edge", False), ("zeek", True)]


async def test_a_token_that_is_not_there_cannot_be_revoked(log: Log) -> None:
    with pytest.raises(NotFound, match="'zeek'"):
        await log.write(lambda tx: tokens.revoke(tx, "zeek", "test"))


@pytest.mark.parametrize("name", ["", "../x; DROP TABLE", "a\nb", "\u202eadmin", "x" * 5000])
async def test_a_token_of_any_name_can_be_revoked(log: Log, name: str) -> None:
    made = access.mint()
    await keep(log, name, made)
    await log.write(lambda tx: tokens.revoke(tx, name, "test"))
    with log.read() as conn:
        assert [one.revoked for one in tokens.listed(conn)] == [True]


async def test_somebody_who_may_make_tokens_is_always_left(log: Log) -> None:
    async def keep_admin(name: str) -> None:
        made = access.mint()
        await log.write(lambda tx: tokens.add(tx, made.id, name, Role.ADMIN, made.digest, "test"))

    def revoke(name: str) -> None:
        log.write_now(lambda tx: tokens.revoke(tx, name, "test"))

    await keep_admin("first")
    await keep(log, "zeek", access.mint())
    with pytest.raises(Conflict, match="make another one first"):
        revoke("first")
    await keep_admin("second")
    revoke("first")
    revoke("first")
    with pytest.raises(Conflict, match="'second' is the last"):
        revoke("second")
    revoke("zeek")
