"""A community's name means what was accepted here, whatever rosters peers send."""

from pathlib import Path

import pytest

from lezha.flows import publish
from lezha.flows.errors import FlowError
from lezha.node.clock import utc_now
from lezha.store import communities
from lezha.store.communities import KeptRoster
from lezha.store.log import Log

TRUE, FALSE = "community--1", "community--2"


def roster(community: str) -> KeptRoster:
    return KeptRoster(community, "NATO", 1, community, "2999-01-01T00:00:00.000000Z", {"identity--a": 1}, b"")


def accept(log: Log, community: str) -> None:
    log.write_now(lambda tx: communities.add(tx, roster(community), "test"))
    log.write_now(lambda tx: communities.approve(tx, community, ["identity--a"], "test"))


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(f"sqlite:///{tmp_path / 'lezha.db'}", utc_now)


def test_a_roster_that_a_peer_sent_does_not_take_over_the_name_of_an_accepted_community(log: Log) -> None:
    accept(log, TRUE)
    log.write_now(lambda tx: communities.add(tx, roster(FALSE), "peer"))
    with log.read() as conn:
        assert [term.id for term in publish.audience(conn, ["nato"]).communities] == [TRUE]
    log.close()


def test_a_name_that_two_accepted_communities_have_is_refused(log: Log) -> None:
    for one in (TRUE, FALSE):
        accept(log, one)
    with log.read() as conn, pytest.raises(FlowError, match="Two communities"):
        publish.audience(conn, ["nato"])
    log.close()
