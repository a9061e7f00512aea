"""The demonstration's result as one JSON document."""

from typing import Any

from lezha.cli.demo.checks import Checks
from lezha.cli.demo.network import Network
from lezha.cli.demo.story import Story
from lezha.flows.look import quantiles


def document(network: Network, story: Story, checks: Checks) -> dict[str, Any]:
    """Return what `lezha demo --headless --json` prints; times are in milliseconds, None if not reached."""
    measured = quantiles(story.latencies) if story.latencies else None
    return {
        "nodes": [actor.name for actor in network.cast.actors],
        "published": story.published,
        "peers": {
            peer.name: {"delivered": peer.delivered, "withheld": peer.withheld} for peer in story.peers
        },
        "sightings_returned": len(story.sightings),
        "latency_ms": {
            "commit_to_peer": {
                "p50": measured.p50 if measured else None,
                "p99": measured.p99 if measured else None,
            },
            "publish_to_first_sighting": story.first_sighting_ms,
        },
        "checks": checks,
    }
