"""`lezha quarantine`, and what `lezha peer` says of trust, as people meet them."""

import json
import subprocess
from typing import Any

import pytest
from tests.battery.nodes import RunningNode, bundle, indicator, lezha, until

PATIENCE_S = 30
WHY = "the provider is theirs; they asked by telephone"


def run(node: RunningNode, *words: str) -> subprocess.CompletedProcess[str]:
    return lezha(*words, "--home", node.home)


def told(node: RunningNode, *words: str) -> Any:
    done = run(node, *words, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def waiting(node: RunningNode) -> list[dict[str, Any]]:
    held: list[dict[str, Any]] = told(node, "quarantine", "list")["held"]
    return held


@pytest.fixture
def held(pair: tuple[RunningNode, ...]) -> dict[str, Any]:
    """What the second node has put aside of the first one's: a network that is too large."""
    tirana, podgorica = pair
    before = len(waiting(podgorica))
    raw = indicator("203.0.0.0/12", pattern="[ipv4-addr:value = '203.0.0.0/12']")
    tirana.publish(bundle([raw]), "podgorica")
    until(lambda: len(waiting(podgorica)) > before, PATIENCE_S, lambda: tirana.peer(podgorica))
    return waiting(podgorica)[0] | {"stix_id": json.loads(raw)["id"]}


def test_what_was_put_aside_is_listed_shown_and_accepted(
    pair: tuple[RunningNode, ...], held: dict[str, Any]
) -> None:
    node, item = pair[1], str(held["id"])
    assert "wait in quarantine: lezha quarantine list --peer tirana" in run(node, "peer", "list").stderr
    listed = run(node, "quarantine", "list", "--peer", "tirana", "--code", "too_broad")
    assert listed.returncode == 0
    assert held["stix_id"] in listed.stdout
    assert "too_broad: An indicator would hit far more than one attacker" in listed.stderr
    shown = run(node, "quarantine", "show", item)
    assert "203.0.0.0/12 is a network with a prefix shorter than /16" in shown.stdout
    assert "Accept it only if" in shown.stderr
    done = run(node, "quarantine", "accept", item, "--why", WHY)
    assert (done.returncode, done.stdout) == (0, f"{item} of tirana is accepted.\n")
    assert told(node, "objects", "show", held["stix_id"])
    again = run(node, "quarantine", "reject", item, "--why", WHY)
    assert again.returncode == 1
    assert "has accepted it already" in again.stderr
    decided = told(node, "quarantine", "list", "--decided")["held"]
    assert [one["verdict"] for one in decided if one["id"] == held["id"]] == ["accepted"]


def test_what_was_rejected_does_not_come_back(pair: tuple[RunningNode, ...], held: dict[str, Any]) -> None:
    node, item = pair[1], str(held["id"])
    done = told(node, "quarantine", "reject", item, "--why", "our own")
    assert (done["verdict"], done["why"], done["kept"]) == ("rejected", "our own", 0)
    assert held["id"] not in [one["id"] for one in waiting(node)]
    assert run(node, "objects", "show", held["stix_id"]).returncode == 1


def test_a_verdict_without_a_reason_is_none(pair: tuple[RunningNode, ...], held: dict[str, Any]) -> None:
    node, item = pair[1], str(held["id"])
    assert run(node, "quarantine", "accept", item).returncode == 2
    assert run(node, "quarantine", "accept", item, "--why", " ").stderr.startswith("lezha: Say why")
    assert run(node, "quarantine", "show", "999999999").returncode == 1


@pytest.mark.parametrize("level", ["propose", "block", "watch"])
def test_a_peer_is_trusted_with_what_an_officer_says(pair: tuple[RunningNode, ...], level: str) -> None:
    node = pair[0]
    assert run(node, "peer", "trust", "podgorica", level).stdout == f"podgorica is trusted to {level}.\n"
    assert node.peer(pair[1])["trust"] == level
    assert level in run(node, "peer", "list").stdout


def test_trust_is_one_of_three_words(pair: tuple[RunningNode, ...]) -> None:
    assert run(pair[0], "peer", "trust", "podgorica", "everything").returncode == 2
    assert run(pair[0], "peer", "trust", "nobody", "watch").returncode == 1


def test_a_peer_has_a_limit_of_its_own_or_that_of_the_settings(pair: tuple[RunningNode, ...]) -> None:
    node = pair[0]
    done = run(node, "peer", "limit", "podgorica", "1,000,000")
    assert done.stdout == "podgorica may bring 1,000,000 objects in an hour.\n"
    assert node.peer(pair[1])["hourly"] == 1_000_000
    assert run(node, "peer", "limit", "podgorica", "many").returncode == 2
    assert run(node, "peer", "limit", "podgorica", "0").returncode == 1
    assert run(node, "peer", "limit", "podgorica", "default").returncode == 0
    assert node.peer(pair[1])["hourly"] is None
