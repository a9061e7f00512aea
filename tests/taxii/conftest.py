"""A real node for TAXII's tests: one that is only read, with some 40 objects, and one for each file that writes."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.battery.nodes import RunningNode
from tests.taxii.clients import Client, common, domain, indicator, publish, version

MANY, VERSIONS = 1, (9, 3, 6)  # an indicator in four versions, which came in this order after its first
GREEN = range(1, 21)
AMBER, RED, ALLIED, ALLIED_AMBER = (range(start, start + 3) for start in (101, 201, 301, 401))
UNPUBLISHED = range(501, 506)
MOST_BYTES = 300_000


class Served(NamedTuple):
    """A running node and who asks it: own systems cleared for all and for AMBER, and a constituent."""

    node: RunningNode
    own: Client
    amber: Client
    ministry: Client


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A node with some 40 objects, to be read only."""
    for made in _running(tmp_path_factory.mktemp("taxii"), "tirana"):
        _fill(made)
        yield made


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A node of this file's own, empty at first."""
    yield from _running(tmp_path_factory.mktemp("taxii"), "durres")


def own_system(node: RunningNode, name: str, clearance: str) -> Client:
    made = node.post("/tokens", {"name": name, "role": "system", "clearance": clearance})
    return Client(node, name, made["token"])


def constituent(node: RunningNode, name: str, clearance: str) -> Client:
    return Client(node, name, node.post("/constituents", {"name": name, "clearance": clearance})["token"])


def _running(folder: Path, name: str) -> Iterator[Served]:
    node = RunningNode(folder, name, max_bundle_bytes=MOST_BYTES)
    try:
        node.start()
        own, amber = own_system(node, "opencti", "red"), own_system(node, "siem", "amber")
        yield Served(node, own, amber, constituent(node, "ministry", "amber"))
    finally:
        if node.process is not None:
            node.kill()


def _fill(made: Served) -> None:
    node = made.node
    roster = node.post("/communities", {"name": "wb6", "members": ["self"]})
    node.post("/communities/accept", roster)
    publish(node, "green", "everyone", *(indicator(number) for number in GREEN))
    for day in VERSIONS:
        publish(node, "green", "everyone", version(MANY, day))
    malware = common("malware", 1, is_family=False)
    tool, campaign = common("tool", 1), common("campaign", 1)
    publish(node, "clear", "everyone", malware, tool, campaign, domain(1))
    publish(node, "amber", "everyone", *(indicator(number) for number in AMBER))
    publish(node, "red", "everyone", *(indicator(number) for number in RED))
    publish(node, "green", "wb6", *(indicator(number) for number in ALLIED))
    publish(node, "amber", "wb6", *(indicator(number) for number in ALLIED_AMBER))
    status = made.own.posted(*(indicator(number) for number in UNPUBLISHED))
    assert status["success_count"] == len(UNPUBLISHED), status
