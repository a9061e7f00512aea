"""A recall between real nodes over TLS: while a sensor runs, while a peer is away, and to one that is suspended."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.battery.nodes import RunningNode, bundle, indicator, running, until
from tests.battery.test_loop import seen, sensor, write

from lezha.access.rights import Role

PATIENCE_S = 40


def fates(node: RunningNode, stix_id: str) -> dict[str, str]:
    """What became of an object, by peer."""
    return {one["peer"]: one["state"] for report in node.get(f"/objects/{stix_id}") for one in report["told"]}


def barred(node: RunningNode, stix_id: str) -> str:
    (report,) = node.get(f"/objects/{stix_id}")
    return str(report["found"]["barred"])


def shown(node: RunningNode, log: Path, name: str, stix_id: str) -> None:
    """Let the log show something until a report of it comes back."""
    before = seen(node, stix_id)

    def again() -> bool:
        write(log, f"{name}.example", 1)
        time.sleep(0.05)
        return seen(node, stix_id) > before

    until(again, PATIENCE_S)


def watched(node: RunningNode, token: str) -> list[str]:
    answer = node.call("GET", "/sensor/indicators", token=token)
    return sorted(value for one in answer.json()["items"] for _, value in one["observables"])


def test_a_recall_reaches_all_who_were_told_and_sensors_stop(
    tmp_path: Path, database: Callable[[], str]
) -> None:
    wrong, right, after = (indicator(f"{name}.example") for name in ("wrong", "right", "after"))
    ids = [str(json.loads(raw)["id"]) for raw in (wrong, right, after)]
    log = tmp_path / "dns.log"
    log.touch()
    with running(tmp_path, "tirana", "podgorica", "vienna", database=database) as (author, witness, other):
        made = witness.post("/tokens", {"name": "sensor-1", "role": Role.SENSOR.value})
        author.publish(bundle([wrong, right]), "podgorica")
        until(lambda: fates(author, ids[0]).get("podgorica") == "received", PATIENCE_S)
        with sensor(witness, log, made["token"]):
            shown(author, log, "wrong", ids[0])
            before = other.written()
            done = author.post("/recall", {"id": ids[0], "why": "a busy resolver"})
            assert {one["peer"]: one["held"] for one in done["peers"]} == {"podgorica": 1, "vienna": 0}
            until(lambda: fates(author, ids[0])["podgorica"] == "recall received", PATIENCE_S)
            until(lambda: watched(witness, made["token"]) == ["right.example"], PATIENCE_S)
            assert barred(witness, ids[0]) == "recalled"
            # What the sensor was told before, it has been told by the time that it reports this.
            assert other.written() == before, "who was never told hears nothing"
            # Whoever looks for what came after the recall has been told of the recall. What it saw before of what was
            # recalled is due before its second report of something else.
            author.publish(bundle([after]), "podgorica")
            shown(author, log, "after", ids[2])
            shown(author, log, "after", ids[2])
            count = seen(author, ids[0])
            write(log, "wrong.example", 5)
            write(log, "right.example", 1)
            until(lambda: seen(author, ids[1]) == 1, PATIENCE_S)
            assert seen(author, ids[0]) == count


def test_a_suspended_peer_hears_of_a_recall_and_of_nothing_else(tmp_path: Path) -> None:
    one, two = indicator("one.example"), indicator("two.example")
    ids = [str(json.loads(raw)["id"]) for raw in (one, two)]

    def held(node: RunningNode) -> Any:
        return node.call("GET", f"/objects/{ids[1]}").status == 200

    with running(tmp_path, "tirana", "podgorica") as (tirana, podgorica):
        tirana.publish(bundle([one]), "everyone")
        until(lambda: fates(tirana, ids[0]).get("podgorica") == "received", PATIENCE_S)
        tirana.post("/peers/podgorica/suspend", {})
        tirana.publish(bundle([two]), "everyone")
        tirana.stop()  # a link to a suspended peer begins anew, too
        tirana.start()
        tirana.post("/recall", {"id": ids[0]})
        until(lambda: fates(tirana, ids[0])["podgorica"] == "recall received", PATIENCE_S)
        assert (barred(podgorica, ids[0]), held(podgorica)) == ("recalled", False)
        tirana.post("/peers/podgorica/resume", {})
        until(lambda: held(podgorica), PATIENCE_S)


def test_from_a_suspended_peer_a_recall_is_taken_and_nothing_else(tmp_path: Path) -> None:
    one, two = indicator("one.example"), indicator("two.example")
    ids = [str(json.loads(raw)["id"]) for raw in (one, two)]
    with running(tmp_path, "tirana", "podgorica") as (tirana, podgorica):
        tirana.publish(bundle([one]), "everyone")
        until(lambda: fates(tirana, ids[0]).get("podgorica") == "received", PATIENCE_S)
        podgorica.post("/peers/tirana/suspend", {})
        tirana.publish(bundle([two]), "everyone")
        until(lambda: tirana.peer(podgorica)["phase"] == "held", PATIENCE_S)
        tirana.post("/recall", {"id": ids[0]})
        until(lambda: barred(podgorica, ids[0]) == "recalled", PATIENCE_S)
        assert podgorica.call("GET", f"/objects/{ids[1]}").status == 404
        podgorica.post("/peers/tirana/resume", {})
        until(lambda: podgorica.call("GET", f"/objects/{ids[1]}").status == 200, PATIENCE_S)
        until(lambda: fates(tirana, ids[0])["podgorica"] == "recall received", PATIENCE_S)
