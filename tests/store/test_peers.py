"""Peers and invitations."""

from functools import partial

import pytest
from msgspec.structs import replace
from tests.store.examples import ALBANIA, AT, EXPIRES, MONTENEGRO, digest, peer

from lezha.sharing.release import Standing
from lezha.store import peers, views
from lezha.store.errors import Conflict, NotFound
from lezha.store.log import Log
from lezha.store.peers import Invitation, PeerState


async def test_a_peer_comes_back_as_it_was_kept(log: Log) -> None:
    await log.write(lambda tx: peers.add(tx, peer(), "test"))
    with log.read() as conn:
        assert peers.by_name(conn, "podgorica") == peers.by_member(conn, MONTENEGRO) == peer()


async def test_peers_are_listed_by_name(log: Log) -> None:
    for one in (peer("vienna"), peer("tirana", ALBANIA)):
        await log.write(partial(peers.add, peer=one, actor="test"))
    with log.read() as conn:
        assert [one.name for one in peers.listed(conn)] == ["tirana", "vienna"]


@pytest.mark.parametrize("clash", [peer("podgorica", ALBANIA), peer("other", MONTENEGRO)])
async def test_a_name_and_a_member_are_taken_once(log: Log, clash: peers.Peer) -> None:
    await log.write(lambda tx: peers.add(tx, peer(), "test"))
    with pytest.raises(Conflict, match="There is a peer podgorica already"):
        await log.write(lambda tx: peers.add(tx, clash, "test"))


@pytest.mark.parametrize("state", PeerState)
def test_only_an_active_peer_is_not_suspended(state: PeerState) -> None:
    recipient = peer(state=state).recipient()
    assert recipient.suspended is (state is not PeerState.ACTIVE)
    assert (recipient.id, recipient.standing, recipient.since) == (MONTENEGRO, Standing.MEMBER, AT)


async def test_a_change_of_state_is_an_event_that_has_decisions_made_anew(log: Log) -> None:
    await log.write(lambda tx: peers.add(tx, peer(), "test"))
    await log.write(lambda tx: peers.set_state(tx, MONTENEGRO, PeerState.SUSPENDED, "test"))
    with log.read() as conn:
        assert peers.by_name(conn, "podgorica").state is PeerState.SUSPENDED
        assert [one.subject for one in views.changes(conn, 0, ["peer"], 10)] == [MONTENEGRO] * 2


async def test_a_peer_that_is_not_there_is_named(log: Log) -> None:
    with log.read() as conn:
        with pytest.raises(NotFound, match="'nobody'"):
            peers.by_name(conn, "nobody")
        with pytest.raises(NotFound, match=ALBANIA):
            peers.by_member(conn, ALBANIA)


async def test_an_invitation_is_followed_to_its_end(log: Log) -> None:
    made = Invitation("1", "podgorica", digest("secret"), EXPIRES)
    used = replace(made, commitment="c", nonce="n", used_by=MONTENEGRO)
    await log.write(lambda tx: peers.invite(tx, made, "test"))
    with log.read() as conn:
        assert peers.invitation(conn, "1") == made
        with pytest.raises(NotFound):
            peers.invitation(conn, "2")
    await log.write(lambda tx: peers.change_invitation(tx, used))
    with log.read() as conn:
        assert peers.invitation(conn, "1") == used
