"""The node watches its peers and its clock: one log line when something is wrong, one when it is over."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests.federation.keys import PODGORICA

from lezha.flows import contact, look
from lezha.flows.look import LinkPhase
from lezha.node.clock import later
from lezha.node.links import LinkState
from lezha.node.watch import Watch
from lezha.sharing.tlp import Tlp
from lezha.store import peers
from lezha.store.log import Log
from lezha.store.peers import Peer, PeerState

NOON = "2026-03-01T12:00:00.000000Z"


class World:
    """A log, the link to Podgorica, and a clock of its own."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.now, self.steady = NOON, 0.0
        self.state = LinkState(phase="up to date")
        self.watch = self.begin()

    def begin(self) -> Watch:
        return Watch(self.log, self, lambda: self.now, lambda: self.steady)  # type: ignore[arg-type]  # its links

    def get(self, _member: str) -> "World":
        """Return the link."""
        return self

    def pass_s(self, seconds: float, slept: float = 0) -> list[str]:
        """Let time pass; `slept` is how much more of it the wall clock shows. Return what is logged."""
        self.now, self.steady = later(self.now, seconds=seconds + slept), self.steady + seconds
        with capture_logs() as told:
            self.watch.look()
        return [one["event"] for one in told]

    def report(self, link: LinkPhase | None = None) -> look.PeerReport:
        with self.log.read() as conn:
            (one,) = look.peer_reports(conn, lambda _member: link, self.now)
        return one


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    log = Log(f"sqlite:///{tmp_path / 'lezha.db'}", lambda: NOON)
    raw = PODGORICA.document(name="podgorica")
    one = Peer(
        PODGORICA.member,
        "podgorica",
        PeerState.ACTIVE,
        "",
        Tlp.STRICT,
        NOON,
        1,
        "https://192.0.2.2:8441",
        raw,
    )
    log.write_now(lambda tx: peers.add(tx, one, "test"))
    made = World(log)
    made.state.heard = NOON
    yield made
    log.close()


def test_a_silence_is_told_once_and_so_is_its_end(world: World) -> None:
    assert world.pass_s(110) == []
    assert world.pass_s(20) == ["peer.silent"]
    assert world.pass_s(600) == []
    world.state.heard = later(world.now, seconds=5)
    assert world.pass_s(10) == ["peer.heard_again"]


def test_a_peer_that_this_node_has_suspended_may_be_silent(world: World) -> None:
    world.log.write_now(lambda tx: peers.set_state(tx, PODGORICA.member, PeerState.SUSPENDED, "test"))
    assert world.pass_s(600) == []


async def test_a_silence_shows_in_other_processes_and_after_a_restart(world: World) -> None:
    world.pass_s(600)
    await world.watch.close()
    assert world.report(look.ELSEWHERE).silent_s == 600
    assert world.report(LinkPhase("up to date", "", heard=world.now)).silent_s == 0


async def test_nobody_is_silent_while_this_node_does_not_run(world: World) -> None:
    world.pass_s(60)
    await world.watch.close()
    world.now = later(world.now, days=2)
    assert world.report().silent_s == 0
    world.watch = world.begin()
    assert world.pass_s(60) == []
    assert world.pass_s(70) == ["peer.silent"]


@pytest.mark.parametrize("slept", [90_000.0, -90_000.0])
def test_a_clock_that_jumps_is_told_and_makes_nobody_silent(world: World, slept: float) -> None:
    assert world.pass_s(10, slept) == ["clock.jumped"]
    jump = world.watch.look().jump
    assert jump is not None
    assert jump.seconds == slept
    assert world.pass_s(60) == []
    assert world.pass_s(70) == ["peer.silent"]


async def test_what_was_seen_of_a_clock_and_a_link_is_kept(world: World) -> None:
    world.state.skew_s, world.state.phase, world.state.fault = 400.0, "held", "It takes nothing."
    world.pass_s(10)
    await world.watch.close()
    with world.log.read() as conn:
        one = contact.of(contact.kept(conn), PODGORICA.member)
    assert (one.skew_s, one.phase, one.fault) == (400.0, "held", "It takes nothing.")
