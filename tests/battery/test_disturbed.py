"""A hostile peer floods and cheats in virtual time, and the others' word takes as long as without it.

`tests/battery/test_hostile.py` has each of its tricks played on a real node by itself.
"""

import pytest
from tests.battery.simulator.disturbed import HELD_WAIT_S, WAIT_S, Told, p99, tell

SOAK = 60
SHORT = (5,)
_REFUSED = {"bad_signature", "unknown_key", "wrong_member", "wrong_kind", "clock_ahead", "content_mismatch"}


def assert_undisturbed(seed: int) -> Told:
    calm, told = tell(seed, hostile=False), tell(seed, hostile=True)
    assert not calm.faults
    assert not told.faults, "\n".join(told.faults)
    assert (len(told.flooded), len(told.held)) == (len(calm.flooded), len(calm.held))
    assert p99(told.flooded) <= p99(calm.flooded) + WAIT_S * 1e3
    assert p99(told.held) <= p99(calm.held) + HELD_WAIT_S * 1e3
    return told


def assert_seen(told: Told) -> None:
    """What it did is in the log, in quarantine, and in the state of the links to it."""
    assert told.codes.keys() >= _REFUSED
    assert told.events["quarantined"] == told.codes.total()
    assert told.events["too fast"]
    assert told.events["fork"]
    assert told.did["noise", "malformed_batch"]
    assert told.phases & {"fork", "unreachable", "held back", "fenced off"}


@pytest.mark.parametrize("seed", SHORT)
def test_a_peer_that_floods_and_cheats_does_not_delay_the_others(seed: int) -> None:
    assert_seen(assert_undisturbed(seed))


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(1000, 1000 + SOAK))
def test_no_peer_that_floods_and_cheats_delays_the_others(seed: int) -> None:
    assert_undisturbed(seed)
