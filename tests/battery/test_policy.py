"""A real node with a national policy: what it forbids is in none of its peer's files, and people are told why."""

import json
from collections.abc import Callable
from pathlib import Path

from msgspec.structs import replace
from tests.battery.nodes import RunningNode, bundle, indicator, lezha, running, until

from lezha.node import settings

PATIENCE_S = 30
POLICY = """permit (principal, action, resource);
@id("PAP:RED stays here")
forbid (principal, action, resource) when { resource.pap == Pap::"red" };
"""


def restart(node: RunningNode, policy: str) -> None:
    """Start a node again with a policy, or without one if it is empty."""
    node.stop()
    wanted = replace(settings.load(node.home), policy="policy.cedar" if policy else "")
    settings.write(node.home, wanted)
    (node.home / "policy.cedar").write_text(policy)
    node.start()


def publish(node: RunningNode, raw: bytes, pap: str) -> str:
    node.post("/publish", bundle([raw]), tlp="green", to="everyone", pap=pap)
    return str(json.loads(raw)["id"])


def has(node: RunningNode, stix_id: str) -> bool:
    return bool(node.rows("SELECT 1 FROM contents WHERE stix_id = ?", stix_id))


def mentions(node: RunningNode, word: str) -> list[str]:
    """Files of a node that hold a word anywhere."""
    return [
        path.name for path in node.home.rglob("*") if path.is_file() and word.encode() in path.read_bytes()
    ]


def why(node: RunningNode, stix_id: str, peer: RunningNode) -> str:
    (version,) = node.get(f"/objects/{stix_id}")
    return str(next(one["why"] for one in version["told"] if one["peer"] == peer.name))


def test_what_the_policy_forbids_never_reaches_the_peer_and_is_explained(
    tmp_path: Path, database: Callable[[], str]
) -> None:
    with running(tmp_path, "tirana", "podgorica", database=database) as (tirana, podgorica):
        restart(tirana, POLICY)
        secret = publish(tirana, indicator("forbidden.example"), "red")
        plain = publish(tirana, indicator("allowed.example"), "green")
        until(lambda: has(podgorica, plain), PATIENCE_S)
        until(lambda: tirana.peer(podgorica)["withheld"] == {"national_policy": 1}, PATIENCE_S)
        assert not has(podgorica, secret)
        assert mentions(podgorica, "forbidden.example") == []
        assert why(tirana, secret, podgorica) == "this member's national policy forbids it"
        assert tirana.logged("policy.in_force")[-1]["rules"] == 2
        restart(tirana, "")
        until(lambda: has(podgorica, secret), PATIENCE_S)


def test_a_policy_is_checked_before_it_is_switched_on(tmp_path: Path, database: Callable[[], str]) -> None:
    with running(tmp_path, "tirana", "podgorica", database=database) as (tirana, podgorica):
        secret = publish(tirana, indicator("forbidden.example"), "red")
        until(lambda: has(podgorica, secret), PATIENCE_S)
        until(lambda: tirana.peer(podgorica)["queued"] == 0, PATIENCE_S)
        file = tmp_path / "policy.cedar"
        file.write_text(POLICY)
        done = lezha("policy", "check", file, "--home", tirana.home)
        assert done.returncode == 0, done.stderr
        assert f"podgorica has it: {secret} forbidden.example (PAP:RED stays here (line 2))" in done.stdout
        found = json.loads(lezha("policy", "check", file, "--home", tirana.home, "--json").stdout)
        assert [(one["peer"], one["told"], one["waiting"]) for one in found["peers"]] == [("podgorica", 1, 0)]
        restart(tirana, POLICY)
        done = lezha("policy", "check", file, "--home", tirana.home)
        assert done.stdout.startswith("This very policy is in force. 1 statement looked at.\n")
        shown = lezha("policy", "show", "--home", tirana.home)
        assert shown.stdout == POLICY
        file.write_text("permit (principal")
        refused = lezha("policy", "check", file, "--home", tirana.home)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert refused.stderr.endswith("policy.cedar, line 1: this is not Cedar (unexpected end of input).\n")


def test_a_node_whose_policy_can_not_be_used_says_so_and_does_not_start(tmp_path: Path) -> None:
    node = RunningNode(tmp_path, "tirana")
    settings.write(node.home, replace(settings.load(node.home), policy="policy.cedar"))
    (node.home / "policy.cedar").write_text("permit (principal")
    done = lezha("serve", "--home", node.home)
    assert done.returncode == 1
    assert "this is not Cedar" in done.stderr
    assert "the node does not start without it" in done.stderr
