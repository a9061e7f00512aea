"""The demonstration in a terminal: who got what, what was withheld and why, sightings, latencies, live."""

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from lezha.cli.demo.cast import FOOTNOTE
from lezha.cli.demo.checks import Checks
from lezha.cli.demo.network import Network
from lezha.cli.demo.story import Story
from lezha.flows.look import quantiles
from lezha.sharing.release import Reason

_SIGHTINGS = 8


def render(network: Network, story: Story, checks: Checks | None = None) -> RenderableType:
    """Return the whole view."""
    parts: list[RenderableType] = [
        Text.assemble(
            ("EXERCISE ", "bold yellow"), ("July 2022, as it could have gone: ", "bold"), story.phase
        ),
        _told(story),
        _delivery(network, story),
        _returned(network, story),
    ]
    # Once there is an outcome, the nodes have been stopped.
    parts.append(_pages(network) if checks is None else _outcome(checks))
    if any("*" in actor.title for actor in network.cast.actors):
        parts.append(Text(FOOTNOTE, style="dim"))
    return Group(*parts)


def _told(story: Story) -> RenderableType:
    table = Table(title="published", title_justify="left", box=None, pad_edge=False)
    for column in ("objects", "TLP", "to"):
        table.add_column(column)
    for one in story.publications:
        table.add_row(str(len(one.objects)), one.tlp.upper(), one.to)
    return Panel(table)


def _delivery(network: Network, story: Story) -> RenderableType:
    table = Table(title="delivery", title_justify="left", box=None, pad_edge=False)
    for column in ("to", "delivered", "waiting", "withheld, and why", "commit → receipt p50 / p99"):
        table.add_column(column)
    titles = {actor.name: actor.title for actor in network.cast.actors}
    for peer in story.peers:
        why = "; ".join(f"{count}: {Reason(reason).words}" for reason, count in peer.withheld.items())
        latency = f"{peer.latency_ms.p50} / {peer.latency_ms.p99} ms" if peer.latency_ms else ""
        table.add_row(titles[peer.name], str(peer.delivered), str(peer.queued), why or "nothing", latency)
    return Panel(table)


def _returned(network: Network, story: Story) -> RenderableType:
    table = Table(title=f"sightings that came back: {len(story.sightings)}", title_justify="left", box=None)
    for column in ("by", "of", "times", "last seen"):
        table.add_column(column)
    titles = {seat.member: seat.actor.title for seat in network.seats.values()}
    values = {object_id: value for value, object_id in story.indicator_of.items()}
    for seen in story.sightings[-_SIGHTINGS:]:
        table.add_row(
            titles.get(seen.by, seen.by), values.get(seen.of, seen.of), str(seen.count), seen.last_seen
        )
    if story.first_sighting_ms is not None:
        table.caption = f"first sighting {story.first_sighting_ms} ms after the publication"
    if story.latencies:
        all_peers = quantiles(story.latencies)
        table.caption = f"{table.caption or ''}  all peers: p50 {all_peers.p50} ms, p99 {all_peers.p99} ms"
    return Panel(table)


def _pages(network: Network) -> RenderableType:
    lines = [Text("pages to open, each with this token for signing in:"), Text(network.viewer, style="bold")]
    lines += [Text(f"  {seat.actor.title:<12} {seat.url}/") for seat in network.seats.values()]
    return Panel(Group(*lines))


def _outcome(checks: Checks) -> RenderableType:
    lines = [
        Text.assemble(
            ("  holds  " if holds else "  FAILS  ", "green" if holds else "bold red"), name.replace("_", " ")
        )
        for name, holds in checks.items()
    ]
    return Panel(Group(Text("checks", style="bold"), *lines))
