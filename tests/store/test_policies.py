"""The national policy in force: which one it is, and what stays of those before."""

import pytest
from sqlalchemy import update

from lezha.sharing.cedar import CedarPolicy
from lezha.store import policies, schema, views
from lezha.store.errors import StoreError
from lezha.store.log import Log

FIRST = CedarPolicy("permit (principal, action, resource);")
SECOND = CedarPolicy("forbid (principal, action, resource);")


def in_force(log: Log) -> str:
    with log.read() as conn:
        found = policies.current(conn)
    return found.text if found else ""


def adopt(log: Log, wanted: CedarPolicy | None) -> bool:
    return log.write_now(lambda tx: policies.adopt(tx, wanted, "node"))


def test_without_a_policy_there_is_none(log: Log) -> None:
    assert in_force(log) == ""
    assert not adopt(log, None)
    with log.read() as conn:
        assert policies.kept(conn) == []


def test_the_policy_that_was_adopted_last_is_in_force(log: Log) -> None:
    assert [adopt(log, FIRST), adopt(log, FIRST), adopt(log, SECOND)] == [True, False, True]
    assert in_force(log) == SECOND.text
    assert [adopt(log, None), adopt(log, None)] == [True, False]
    assert in_force(log) == ""


def test_every_change_is_an_event_with_the_hash_and_the_text_is_kept(log: Log) -> None:
    for wanted in (FIRST, SECOND, None, FIRST):
        adopt(log, wanted)
    digests = [FIRST.digest, SECOND.digest, "", FIRST.digest]
    with log.read() as conn:
        changes = views.changes(conn, 0, ["policy"], 10)
        kept = policies.kept(conn)
    assert [one.subject for one in changes] == [digest or "none" for digest in digests]
    assert [(one.seq, one.hash, one.text) for one in kept] == [
        (change.seq, digest, text)
        for change, digest, text in zip(
            changes, digests, [FIRST.text, SECOND.text, "", FIRST.text], strict=True
        )
    ]


@pytest.mark.parametrize(
    "text", ["permit (principal, action", "permit (principal, action, resource); // more"]
)
def test_a_policy_that_is_not_the_one_that_was_adopted_has_nothing_decided(log: Log, text: str) -> None:
    policy = CedarPolicy(f"// {log!r}\npermit (principal, action, resource);")  # read by nobody before
    adopt(log, policy)
    log.write_now(lambda tx: tx.conn.execute(update(schema.policies).values(text=text)))
    with log.read() as conn, pytest.raises(StoreError, match="nobody is told anything"):
        policies.current(conn)
