"""`/metrics`: this node in numbers, in the form of Prometheus (docs/operations.md, Metrics).

What is counted is counted since this process began, as is the custom there. Labels are names of peers, communities and
sensors, and codes; of objects nothing is said but how many frames there are.
"""

import asyncio
import shutil
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from prometheus_client import (
    CollectorRegistry,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

import lezha
from lezha.access.rights import Right
from lezha.federation import tls
from lezha.federation.door import Door, Why
from lezha.flows import measure
from lezha.flows.look import LinkPhase
from lezha.flows.measure import Measures, PeerMeasures
from lezha.node.clock import utc_now
from lezha.node.node import Node
from lezha.store import activity
from lezha.store.log import Committed
from lezha.web.auth import Attendance, needs

_PUT_ASIDE: Final = "quarantined"
PHASES: Final = (
    "pending", "suspended", "starting", "sending", "up to date", "unreachable", "held", "held back", "isolated",
    "fenced off", "fork", "error",
)  # fmt: skip
# From a disk as fast as memory to one that nobody should have.
_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_Rows = Iterable[tuple[str | tuple[str, ...], float]]


class Running(msgspec.Struct, frozen=True):
    """The links as they run in this process, by member, and by code what each peer has refused."""

    phases: Mapping[str, LinkPhase]
    refused: Mapping[str, Mapping[str, int]]


class Metrics:
    """What a node tells Prometheus."""

    def __init__(self, node: Node, attendance: Attendance) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library has no types there
        self._node = node
        self._attendance = attendance
        self._lock = threading.Lock()
        with node.log.read() as conn:
            self._counted = self._to_count = measure.events(conn)
        self._put_aside: Counter[tuple[str, str]] = Counter()
        self._own = CollectorRegistry()
        ProcessCollector(registry=self._own)
        self._commits = Histogram(
            "lezha_log_commit_duration_seconds",
            "How long a commit to the log took, until it was on the disk.",
            buckets=_BUCKETS,
            registry=self._own,
        )
        node.log.on_commit(self._heard)

    def running(self) -> Running:
        """Return how the links are now; to be asked in the event loop, which changes them."""
        states = self._node.links.states()
        phases = {
            member: LinkPhase(one.phase, one.fault, heard=one.heard, skew_s=one.skew_s)
            for member, one in states.items()
        }
        return Running(phases, {member: dict(one.refused) for member, one in states.items()})

    def text(self, running: Running) -> bytes:
        """Return all metrics, in the text format 0.0.4."""
        with self._lock:
            with self._node.log.read() as conn:
                measured = measure.measure(conn, running.phases.get, utc_now())
                if self._to_count > self._counted:
                    self._put_aside += activity.put_aside(conn, self._counted)
                self._counted = measured.events
            scrape = CollectorRegistry()
            scrape.register(_Collected([*self._of_node(measured), *self._of_peers(measured, running)]))
            return generate_latest(self._own) + generate_latest(scrape)

    def _heard(self, committed: Committed) -> None:
        if committed.took_s is not None:
            self._commits.observe(committed.took_s)
        if _PUT_ASIDE in committed.kinds:
            self._to_count = committed.last

    def _of_node(self, measured: Measures) -> Iterator[Metric]:
        home = self._node.home
        pems = {"leaf": self._node.identity.leaf, "root": home / "keys" / "tls-root.pem"}
        ends = {
            name: tls.expires(path.read_bytes()).timestamp() for name, path in pems.items() if path.is_file()
        }
        seen = {name: self._attendance.get(name, 0.0) for name in measured.sensors}
        rosters = {name: _unix(at) for name, at in measured.rosters.items()}
        yield InfoMetricFamily("lezha_build", "The version of this program.", {"version": lezha.__version__})
        yield _counter("log_events", "Events in the log, of all time.", [((), measured.events)])
        yield _gauge("database_size_bytes", "How large the database is.", [((), measured.bytes)])
        free = shutil.disk_usage(home).free
        yield _gauge("disk_free_bytes", "Room that is left on the disk of the node's folder.", [((), free)])
        yield _gauge(
            "backup_timestamp_seconds",
            "When the last backup was made; 0 if none is known.",
            [((), _unix(measured.backup))],
        )
        yield _gauge(
            "certificate_expiry_timestamp_seconds",
            "When a certificate of this node's links ends.",
            ends.items(),
            "certificate",
        )
        yield _gauge(
            "roster_expiry_timestamp_seconds",
            "When the roster in force of a community that was accepted here expires.",
            rosters.items(),
            "community",
        )
        yield _gauge(
            "sensor_last_seen_timestamp_seconds",
            "When this process last heard of a sensor; 0 if it never did.",
            seen.items(),
            "sensor",
        )

    def _of_peers(self, measured: Measures, running: Running) -> Iterator[Metric]:
        yield from _peers(measured.peers)
        if not self._node.links.here:
            return
        yield from _listener(self._node.door)
        names = {one.member: one.name for one in measured.peers}
        refused = [
            ((names[member], code), count)
            for member, codes in running.refused.items()
            if member in names
            for code, count in codes.items()
        ]
        aside = [
            ((names[member], code), count)
            for (member, code), count in self._put_aside.items()
            if member in names
        ]
        yield _counter(
            "peer_frames_refused", "Frames that a peer refused, since this process began.", refused, *_CODES
        )
        yield _counter(
            "peer_frames_put_aside",
            "Frames of a peer that this node refused, since this process began.",
            aside,
            *_CODES,
        )


def _listener(door: Door) -> Iterator[Metric]:
    yield _gauge(
        "link_connections",
        "Connections at the peers' listener: of peers, and of those who have shown no peer's certificate.",
        [("peers", door.peers), ("strangers", door.strangers)],
        "of",
    )
    yield _counter(
        "link_connections_cut",
        "Connections at the peers' listener that were cut or refused, since this process began.",
        [(why.value, door.counted[why]) for why in Why],
        "why",
    )


_CODES: Final = ("peer", "code")


class _Collected:
    """What is collected already."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        """Return it."""
        return self._families


@get("/metrics", guards=[needs(Right.MEASURE)], include_in_schema=False)
async def show_metrics(metrics: NamedDependency[Metrics]) -> Response[bytes]:
    """Return the metrics of this node."""
    text = await asyncio.to_thread(metrics.text, metrics.running())
    return Response(text, headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})


def _peers(peers: list[PeerMeasures]) -> Iterator[Metric]:
    def each(metric: str, words: str, value: str) -> Metric:
        rows = [(one.name, _number(getattr(one, value))) for one in peers]
        kind = _counter if metric.startswith("frames_") else _gauge
        return kind(f"peer_{metric}", words, [(name, n) for name, n in rows if n is not None], "peer")

    yield _gauge(
        "peer_link_phase",
        "How the link to a peer is: 1 for the phase it is in, 0 for the others.",
        [((one.name, phase), float(one.phase == phase)) for one in peers for phase in PHASES],
        "peer",
        "phase",
    )
    yield each("silent", "1 if a peer has been silent for longer than is usual for it, else 0.", "silent")
    yield each("usual_interval_seconds", "In which interval a peer is usually heard of.", "usual_s")
    yield each(
        "last_contact_timestamp_seconds", "When a peer was last heard of; 0 for never.", "last_contact"
    )
    yield each(
        "last_receipt_timestamp_seconds", "When a peer last signed for more; 0 for never.", "last_receipt"
    )
    yield each("lag_seconds", "How long the oldest frame has waited for a peer's receipt.", "lag_s")
    yield each("queue_frames", "Frames that wait for a peer's receipt.", "queued")
    yield each("undecided_statements", "Statements not decided for a peer yet, up to 10,000.", "to_decide")
    yield each("frames_acknowledged", "Frames that a peer has signed for, of all time.", "acknowledged")
    yield each("frames_received", "Frames that were taken from a peer, of all time.", "received")
    yield each("clock_skew_seconds", "By how much a peer's clock was ahead when it last sent.", "skew_s")
    yield each("root_expiry_timestamp_seconds", "When the TLS root of a peer ends.", "root_expires")


def _number(value: object) -> float | None:
    """Return a measure as a number; a time as seconds since 1970."""
    if isinstance(value, str):
        return _unix(value)
    return None if value is None else float(msgspec.convert(value, bool | int | float))


def _unix(at: str) -> float:
    return datetime.fromisoformat(at).timestamp() if at else 0.0


def _gauge(name: str, words: str, rows: _Rows, *labels: str) -> Metric:
    return _filled(GaugeMetricFamily(f"lezha_{name}", words, labels=labels), rows)


def _counter(name: str, words: str, rows: _Rows, *labels: str) -> Metric:
    return _filled(CounterMetricFamily(f"lezha_{name}", words, labels=labels), rows)


def _filled(family: Any, rows: _Rows) -> Metric:
    for labels, value in rows:
        family.add_metric([labels] if isinstance(labels, str) else labels, value)
    return family  # type: ignore[no-any-return]  # the library's families have add_metric each for themselves
