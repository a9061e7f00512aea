"""What a node tells Prometheus: the right numbers, to whom it may, and of no object anything."""

import re
import socket
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.battery.nodes import RunningNode, bundle, indicator, lezha, running, until
from tests.conftest import ROOT

from lezha.access.rights import Role
from lezha.web import words
from lezha.web.metrics import PHASES

Samples = dict[str, dict[tuple[tuple[str, str], ...], float]]
TABLE = re.compile(r"^\| `(lezha_[a-z_]+)` \| (gauge|counter|histogram|info) \|([^|]*)\|", re.MULTILINE)


def scraped(node: RunningNode, token: str) -> str:
    request = urllib.request.Request(f"{node.url}/metrics", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=20) as reply:
        assert reply.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        return str(reply.read(), "utf-8")


def samples(text: str) -> Samples:
    """Return the values by name and labels."""
    found: Samples = {}
    for family in text_string_to_metric_families(text):
        for one in family.samples:
            found.setdefault(one.name, {})[tuple(sorted(one.labels.items()))] = one.value
    return found


class Measured:
    """Two linked nodes, and a token of a machine that may measure one."""

    def __init__(self, nodes: tuple[RunningNode, ...], token: str) -> None:
        self.tirana, self.podgorica = nodes
        self.token = token

    def text(self) -> str:
        return scraped(self.tirana, self.token)

    def value(self, name: str, **labels: str) -> float:
        return samples(self.text())[name][tuple(sorted(labels.items()))]


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Measured]:
    with running(tmp_path_factory.mktemp("metrics"), "tirana", "podgorica") as nodes:
        made = nodes[0].post("/tokens", {"name": "prometheus", "role": "monitor"})
        yield Measured(nodes, made["token"])


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.CONSTITUENT])
def test_only_who_may_measure_reads_them(measured: Measured, role: Role) -> None:
    node, may = measured.tirana, role in (Role.ADMIN, Role.MONITOR)
    name = f"as-{role.value}"
    cleared = {"clearance": "red"} if role is Role.SYSTEM else {}
    token = node.post("/tokens", {"name": name, "role": role.value, **cleared})["token"]
    status = _status(node, token)
    node.post(f"/tokens/{name}/revoke", {})
    assert status == (200 if may else 403)


def test_strangers_and_peers_do_not_read_them(measured: Measured) -> None:
    assert _status(measured.tirana, "") == 401
    assert _status(measured.tirana, "lzh_0_0") == 401


def test_a_machine_that_measures_may_do_nothing_else(measured: Measured) -> None:
    assert measured.tirana.call("GET", "/status", token=measured.token).status == 403


def test_nothing_of_an_object_is_in_them(measured: Measured) -> None:
    raw, before = indicator("a-secret-name.example", labels=["a-secret-label"]), _acknowledged(measured)
    done = measured.tirana.call("POST", "/publish", bundle([raw]), {"tlp": "amber", "to": "podgorica"})
    assert done.status == 200
    until(lambda: _acknowledged(measured) > before, 20)
    text = measured.text()
    assert "secret" not in text
    assert "indicator" not in text


def test_what_a_peer_signs_for_counts_and_what_waits_shows(measured: Measured) -> None:
    raw, before = bundle([indicator("counts.example")]), _acknowledged(measured)
    assert measured.tirana.call("POST", "/publish", raw, {"tlp": "clear", "to": "everyone"}).status == 200
    until(lambda: _acknowledged(measured) > before, 20)
    until(lambda: measured.value("lezha_peer_lag_seconds", peer="podgorica") == 0, 20)
    until(lambda: measured.value("lezha_peer_link_phase", peer="podgorica", phase="up to date") == 1, 20)
    phases = samples(measured.text())["lezha_peer_link_phase"]
    assert sum(phases.values()) == 1
    assert time.time() - measured.value("lezha_peer_last_contact_timestamp_seconds", peer="podgorica") < 60
    assert abs(measured.value("lezha_peer_clock_skew_seconds", peer="podgorica")) < 5
    assert measured.value("lezha_peer_silent", peer="podgorica") == 0


def test_what_waits_for_a_peer_that_is_away_shows_with_its_age(tmp_path: Path) -> None:
    with running(tmp_path, "tirana", "podgorica") as nodes:
        tirana, podgorica = nodes
        podgorica.kill()
        raw = bundle([indicator("waits.example")])
        assert tirana.call("POST", "/publish", raw, {"tlp": "clear", "to": "everyone"}).status == 200
        one = Measured(nodes, tirana.token)
        until(lambda: one.value("lezha_peer_queue_frames", peer="podgorica") == 1, 20)
        first = one.value("lezha_peer_lag_seconds", peer="podgorica")
        assert one.value("lezha_peer_lag_seconds", peer="podgorica") > first
        until(lambda: one.value("lezha_peer_link_phase", peer="podgorica", phase="unreachable") == 1, 20)


def test_the_times_at_which_something_ends_are_those_of_the_node(measured: Measured) -> None:
    day, now = 86_400, time.time()
    leaf = measured.value("lezha_certificate_expiry_timestamp_seconds", certificate="leaf")
    assert 89 * day < leaf - now < 91 * day
    for name, labels in (
        ("lezha_certificate_expiry_timestamp_seconds", {"certificate": "root"}),
        ("lezha_peer_root_expiry_timestamp_seconds", {"peer": "podgorica"}),
    ):
        assert 3600 * day < measured.value(name, **labels) - now < 3700 * day


def test_the_roster_of_a_community_ends_when_it_says(measured: Measured, tmp_path: Path) -> None:
    home, roster = ("--home", measured.tirana.home), tmp_path / "wb6.roster"
    ends = ("--expires", "2099-03-31T12:00:00Z")
    made = lezha("community", "create", "wb6", "--member", "self", *ends, "--out", roster, *home)
    assert made.returncode == 0, made.stderr
    assert lezha("community", "accept", roster, *home).returncode == 0
    at = measured.value("lezha_roster_expiry_timestamp_seconds", community="wb6")
    assert at == datetime(2099, 3, 31, 12, tzinfo=UTC).timestamp()


def test_a_backup_is_known_once_it_is_complete(measured: Measured, tmp_path: Path) -> None:
    home = measured.tirana.home
    assert measured.value("lezha_backup_timestamp_seconds") == 0
    phrase = tmp_path / "phrase"
    phrase.write_text("correct horse battery\n")
    lost = lezha("backup", "create", tmp_path / "no" / "a.age", "--passphrase-file", phrase, "--home", home)
    assert lost.returncode == 1
    assert measured.value("lezha_backup_timestamp_seconds") == 0
    done = lezha("backup", "create", tmp_path / "a.age", "--passphrase-file", phrase, "--home", home)
    assert done.returncode == 0, done.stderr
    assert time.time() - measured.value("lezha_backup_timestamp_seconds") < 60


def test_a_sensor_is_seen_when_it_asks(measured: Measured) -> None:
    token = measured.tirana.post("/tokens", {"name": "zeek", "role": "sensor"})["token"]
    assert measured.value("lezha_sensor_last_seen_timestamp_seconds", sensor="zeek") == 0
    assert measured.tirana.call("GET", "/sensor/indicators", token=token).status == 200
    assert time.time() - measured.value("lezha_sensor_last_seen_timestamp_seconds", sensor="zeek") < 60


def test_each_commit_is_timed(measured: Measured) -> None:
    name = "lezha_log_commit_duration_seconds_count"
    events = measured.value("lezha_log_events_total")
    before = measured.value(name)
    measured.tirana.post("/tokens", {"name": "timed", "role": "analyst"})
    assert measured.value(name) > before
    assert measured.value("lezha_log_events_total") > events


def test_the_page_lists_the_metrics_with_their_types_and_labels(measured: Measured) -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    told = {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in TABLE.findall(page)}
    there = {}
    for family in text_string_to_metric_families(measured.text()):
        if not family.name.startswith("lezha_"):
            continue
        name = family.name + ("_total" if family.type == "counter" else "")
        labels = {label for one in family.samples for label in one.labels} - {"le"}
        kind = "info" if family.name.endswith("_info") else family.type
        there[name] = (kind, labels)
    assert set(told) == set(there)
    for name, (kind, labels) in there.items():
        assert told[name][0] == kind, name
        assert labels <= told[name][1], name


def test_names_keep_to_the_conventions_of_prometheus(measured: Measured) -> None:
    for name in samples(measured.text()):
        assert re.fullmatch(r"(lezha|process)_[a-z_]+", name)
        assert not name.endswith(("_ms", "_mb", "_minutes", "_created"))


def _acknowledged(measured: Measured) -> float:
    return measured.value("lezha_peer_frames_acknowledged_total", peer="podgorica")


def _status(node: RunningNode, token: str) -> int:
    head = "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    head += f"Authorization: Bearer {token}\r\n" if token else ""
    with socket.create_connection(("127.0.0.1", node.port), timeout=10) as sock:
        sock.sendall(f"{head}\r\n".encode())
        return int(sock.makefile("rb").readline().split()[1])


def test_every_phase_of_a_link_has_words_on_pages() -> None:
    assert set(PHASES) <= words._PHASES.keys() | words._STATES.keys()
