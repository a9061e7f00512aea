"""The way back: a real sensor beside a log, through its node, to the member that published."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.battery.nodes import LEZHA, RunningNode, bundle, indicator, lezha, running, until
from tests.battery.test_restore import restored

from lezha.access.rights import Role

PATIENCE_S = 30


@contextmanager
def sensor(node: RunningNode, log: Path, token: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a sensor beside `log`."""
    kept = log.with_name("sensor.token")
    kept.write_text(token)
    told = log.with_name("sensor.log")
    command: list[str | Path] = [
        LEZHA,
        "sensor",
        "--follow",
        log,
        "--node",
        node.url,
        "--token-file",
        kept,
        "--window",
        "0.2",
    ]
    with told.open("wb") as errors:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors)
        try:
            until(lambda: b"watching" in told.read_bytes(), PATIENCE_S, told.read_text)
            yield process
        finally:
            process.kill()
            process.wait()


def write(log: Path, domain: str, times: int) -> None:
    with log.open("a") as file:
        for _ in range(times):
            record = {"ts": time.time(), "id.orig_h": "192.0.2.7", "query": f"www.{domain}"}
            file.write(json.dumps(record) + "\n")


def seen(node: RunningNode, stix_id: str) -> int:
    return sum(one["count"] for one in node.get("/sightings") if one["of"] == stix_id)


def test_what_a_sensor_sees_while_its_node_is_away_comes_back_once_and_to_the_author_alone(
    tmp_path: Path, database: Callable[[], str]
) -> None:
    before, during = indicator("before.example"), indicator("during.example")
    ids = [json.loads(raw)["id"] for raw in (before, during)]
    log = tmp_path / "dns.log"
    log.touch()
    with running(tmp_path, "tirana", "podgorica", "vienna", database=database) as (author, witness, other):
        made = witness.post("/tokens", {"name": "sensor-1", "role": Role.SENSOR.value})
        with sensor(witness, log, made["token"]) as process:
            author.publish(bundle([before, during]), "everyone")
            until(lambda: witness.count("statements") == 2, PATIENCE_S)
            until(lambda: author.peer(other)["delivered"] == 2, PATIENCE_S)
            time.sleep(0.3)  # the sensor learns of it by a request that waits
            write(log, "before.example", 3)
            until(lambda: seen(author, ids[0]) == 3, PATIENCE_S, lambda: author.get("/sightings"))

            assert witness.stop() == 0
            write(log, "during.example", 5)
            time.sleep(1)
            witness.start()
            until(lambda: seen(author, ids[1]) == 5, PATIENCE_S, lambda: author.get("/sightings"))
            assert process.poll() is None

            time.sleep(1.5)  # a report that was sent twice would arrive within this time
            assert [seen(author, one) for one in ids] == [3, 5]
            assert {one["by"] for one in author.get("/sightings")} == {witness.member}
            assert other.get("/sightings") == []
            assert author.peer(other)["withheld"] == {}


def test_a_sensor_whose_token_is_revoked_stops_and_says_so(tmp_path: Path) -> None:
    log = tmp_path / "dns.log"
    log.touch()
    with running(tmp_path, "podgorica") as (node,):
        made = node.post("/tokens", {"name": "sensor-1", "role": Role.SENSOR.value})
        with sensor(node, log, made["token"]) as process:
            node.post("/tokens/sensor-1/revoke", {})
            node.publish(bundle([indicator("wake-up.example")]), "everyone")
            assert process.wait(timeout=PATIENCE_S) == 1
        assert "refuses this sensor's token" in (tmp_path / "sensor.log").read_text()


def test_a_sensor_begins_anew_when_its_node_is_restored(tmp_path: Path) -> None:
    key, file, log = tmp_path / "backup.key", tmp_path / "node.age", tmp_path / "dns.log"
    log.touch()
    recipient = lezha("backup", "keygen", "--out", key).stdout.strip()
    with running(tmp_path, "podgorica") as (node,):
        made = node.post("/tokens", {"name": "sensor-1", "role": Role.SENSOR.value})
        done = lezha("backup", "create", file, "--recipient", recipient, "--home", node.home)
        assert done.returncode == 0, done.stderr
        lost, kept = indicator("lost.example"), indicator("kept.example")
        with sensor(node, log, made["token"]):
            node.publish(bundle([lost, indicator("other.example")]), "everyone")
            until(lambda: asked(node, log, "lost.example", lost) > 0, PATIENCE_S)
            node.kill()
            restored(node, file, key)
            node.start()
            # It has the number of one that the sensor had been told of before.
            node.publish(bundle([kept]), "everyone")
            until(lambda: "reads_anew" in (tmp_path / "sensor.log").read_text(), PATIENCE_S)
            until(lambda: asked(node, log, "kept.example", kept) > 0, PATIENCE_S)
            assert asked(node, log, "lost.example", lost) == 0


def asked(node: RunningNode, log: Path, domain: str, one: bytes) -> int:
    """Have a domain asked for once more, and count how often its indicator was seen."""
    write(log, domain, 1)
    time.sleep(0.3)
    return seen(node, json.loads(one)["id"])
