"""A name means what it means here: a community's what was accepted, a member's what it is called here."""

from pathlib import Path

import pytest
from tests.store.examples import MONTENEGRO, peer

from lezha.federation.members import Members
from lezha.flows import names, publish
from lezha.flows.errors import FlowError
from lezha.node.clock import utc_now
from lezha.store import communities, peers
from lezha.store.communities import KeptRoster
from lezha.store.log import Log

TRUE, FALSE = "community--1", "community--2"


def roster(community: str) -> KeptRoster:
    return KeptRoster(community, "NATO", 1, community, "2999-01-01T00:00:00.000000Z", {"identity--a": 1}, b"")


def accept(log: Log, community: str) -> None:
    log.write_now(lambda tx: communities.add(tx, roster(community), "test"))
    log.write_now(lambda tx: communities.approve(tx, community, {"identity--a": 1}, "test"))


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(f"sqlite:///{tmp_path / 'lezha.db'}", utc_now)


def test_a_roster_that_a_peer_sent_does_not_take_over_the_name_of_an_accepted_community(log: Log) -> None:
    accept(log, TRUE)
    log.write_now(lambda tx: communities.add(tx, roster(FALSE), "peer", came_from="identity--b"))
    with log.read() as conn:
        assert [term.id for term in publish.audience(conn, ["nato"]).communities] == [TRUE]
    log.close()


def test_a_name_that_two_accepted_communities_have_is_refused(log: Log) -> None:
    for one in (TRUE, FALSE):
        accept(log, one)
    with log.read() as conn, pytest.raises(FlowError, match="Two communities"):
        publish.audience(conn, ["nato"])
    log.close()


AUSTRIA = "identity--a2000000-0000-4000-8000-000000000000"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("", ""),
        ("self", "identity--own"),
        ("Podgorica", MONTENEGRO),
        ("cirt-me", MONTENEGRO),
        ("Self", "identity--own"),
        ("identity--1", "identity--1"),
    ],
)
def test_a_member_is_known_by_what_it_is_called_here_before_what_it_calls_itself(
    log: Log, written: str, meant: str
) -> None:
    log.write_now(lambda tx: peers.add(tx, peer("podgorica"), "test"))
    known = Members({}, {}, {MONTENEGRO: "cirt-me", AUSTRIA: "podgorica"}, {})
    with log.read() as conn:
        assert names.member(conn, "identity--own", known, written) == meant
    log.close()


def test_a_member_that_is_not_known_is_refused_with_the_names_of_those_that_are(log: Log) -> None:
    known = Members({}, {}, {AUSTRIA: "vienna"}, {})
    with log.read() as conn, pytest.raises(FlowError, match=r"'atlantis'\. Known here: self, vienna;"):
        names.member(conn, "identity--own", known, "atlantis")
    log.close()
