"""Looks, sign-ins and reports over HTTP: what is shown is in the log before, and auditors read it and nothing else."""

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select
from tests.web.conftest import Answer, Served, indicator, link

from lezha.access.rights import Role
from lezha.flows import export
from lezha.store import schema
from lezha.store.errors import StoreError
from lezha.store.log import Log
from lezha.web.audit import csv_lines

SECRET, OPEN = indicator("198.51.100.7", "=cmd|' /C calc'!A0"), indicator("198.51.100.8")


@pytest.fixture(scope="module")
def tirana(served: Callable[[str], Served]) -> Served:
    """A node that holds a RED object and a CLEAR one. `auditor` and `analyst` are tokens."""
    node = served("Tirana")
    node.stop()
    node.auditor = node.token("vera", Role.AUDITOR)  # type: ignore[attr-defined]
    node.analyst = node.token("arta", Role.ANALYST)  # type: ignore[attr-defined]
    node.start()
    node.publish(SECRET, tlp="red")
    node.publish(OPEN)
    return node


def events(node: Served, *kinds: str) -> list[Any]:
    assert node.log
    table = schema.events
    with node.log.read() as conn:
        return list(conn.execute(select(table).where(table.c.kind.in_(kinds)).order_by(table.c.seq)))


def ask(node: Served, path: str, token: str = "", **more: str) -> Answer:
    headers = {"Authorization": f"Bearer {token or node.analyst}"}  # type: ignore[attr-defined]
    return node.ask(path, headers=headers | {name.replace("_", "-"): value for name, value in more.items()})


def audit(node: Served, what: str, query: str = "") -> Any:
    answer = ask(node, f"/api/v1/audit/{what}?{query}", node.auditor)  # type: ignore[attr-defined]
    assert answer.status == 200, answer.text
    return json.loads(answer.text)


def seen(node: Served, way: str) -> list[Any]:
    return [
        one for one in audit(node, "looks", "by=arta") if one["way"] == way and one["object"] == SECRET["id"]
    ]


LOOKS = {
    "search": "/api/v1/objects?value=198.51.100.7",
    "about": "/api/v1/about?value=198.51.100.7",
    "object": f"/api/v1/objects/{SECRET['id']}",
    "page of objects": "/objects?value=198.51.100.7",
    "page about a value": "/about?value=198.51.100.7",
    "page of an object": f"/objects/{SECRET['id']}",
    "desk": "/",
    "export": "/api/v1/export",
}


@pytest.mark.parametrize("way", LOOKS)
def test_every_way_of_looking_at_a_restricted_object_is_written_down(tirana: Served, way: str) -> None:
    assert ask(tirana, LOOKS[way]).status == 200
    (one,) = seen(tirana, way)
    assert (one["by"], one["source"], one["version"]) == ("arta", "127.0.0.1", "2026-01-01T00:00:00.000000Z")
    # Beside the RED object an export passes on all others; the other ways tell of restricted ones only.
    others = [
        row for row in audit(tirana, "looks", "by=arta") if row["way"] == way and row["object"] == OPEN["id"]
    ]
    assert bool(others) == (way == "export")


def test_an_export_ends_with_its_token(tirana: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def first(log: Log, *given: Any) -> export.Page:
        tirana.call("POST", "/tokens/revoke", {"name": "visitor"})
        return page(log, *given)

    guest = tirana.call("POST", "/tokens", {"name": "visitor", "role": "analyst"})["token"]
    page = export.page
    monkeypatch.setattr(export, "_OBJECTS", 1)
    monkeypatch.setattr(export, "page", first)
    assert '"last":true' not in ask(tirana, "/api/v1/export", guest).text


def test_exact_bytes_are_a_look(tirana: Served) -> None:
    (found,) = json.loads(ask(tirana, LOOKS["search"]).text)["objects"]
    assert ask(tirana, f"/api/v1/contents/{found['hash']}").status == 200
    (one,) = seen(tirana, "bytes")
    assert (one["content"], one["question"]) == (found["hash"], found["hash"])


def test_what_is_not_restricted_is_no_look(tirana: Served) -> None:
    before = len(events(tirana, "looked"))
    assert ask(tirana, f"/api/v1/objects/{OPEN['id']}").status == 200
    assert ask(tirana, "/api/v1/objects?value=198.51.100.8").status == 200
    assert len(events(tirana, "looked")) == before


def test_the_same_look_in_the_same_hour_is_written_once(tirana: Served) -> None:
    for _ in range(3):
        assert ask(tirana, "/api/v1/objects?text=calc").status == 200
    assert len([one for one in seen(tirana, "search") if one["question"] == "text=calc"]) == 1


def test_what_cant_be_written_down_is_not_shown(tirana: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(_log: Log, _work: Any) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(Log, "write", refuse)
    for path in ("/api/v1/objects?value=198.51.100.7&type=indicator", f"/objects/{SECRET['id']}?again=1"):
        answer = ask(tirana, path, tirana.admin)
        assert answer.status == 503
        assert "198.51.100.7" not in answer.text
        assert SECRET["id"] not in answer.text


def test_a_sensors_feed_is_a_look_batch_by_batch(tirana: Served) -> None:
    assert ask(tirana, "/api/v1/sensor/indicators", tirana.sensor).status == 200
    rows = [one for one in audit(tirana, "looks", "by=zeek") if one["way"] == "sensor"]
    assert {one["object"] for one in rows} >= {SECRET["id"], OPEN["id"]}
    assert rows[0]["question"].startswith("rows 1 to ")
    assert len(events(tirana, "released")) == 1


# --- signing in ----------------------------------------------------------------------------------------------------


def test_signing_in_and_out_and_failing_to_is_written_down(tirana: Served) -> None:
    assert tirana.sign_in("lzh_000000000000_" + "x" * 43).status == 401
    assert ask(tirana, "/api/v1/status", "lzh_000000000000_" + "x" * 43).status == 401
    cookie = tirana.cookie(tirana.admin)
    tirana.ask("/sign-out", method="POST", headers={"Cookie": cookie, "Origin": tirana.url})
    (one,) = events(tirana, "sign-in refused")  # the second within the minute is counted
    assert (one.source, one.actor, json.loads(one.detail)["times"]) == ("127.0.0.1", "nobody", 1)
    assert events(tirana, "signed in")[-1].actor == "admin"
    assert events(tirana, "signed out")[-1].source == "127.0.0.1"


def test_where_a_request_comes_from_is_not_what_it_says_itself(tirana: Served) -> None:
    headers = {"Authorization": f"Bearer {tirana.admin}", "X-Forwarded-For": "192.0.2.99"}
    body = json.dumps({"name": "guest", "role": "analyst"}).encode()
    headers["Content-Type"] = "application/json"
    assert tirana.ask("/api/v1/tokens", method="POST", body=body, headers=headers).status == 200
    last = events(tirana, "token")[-1]
    assert (last.actor, last.source) == ("admin", "127.0.0.1")


# --- reports -------------------------------------------------------------------------------------------------------


def test_an_auditor_reads_the_audit_and_nothing_else(tirana: Served) -> None:
    for path in (
        "/api/v1/objects",
        f"/api/v1/objects/{SECRET['id']}",
        "/api/v1/status",
        "/api/v1/tokens",
        "/",
    ):
        assert ask(tirana, path, tirana.auditor).status == 403  # type: ignore[attr-defined]
    for what in ("looks", "log"):
        audit(tirana, what)


def test_an_analyst_does_not_read_the_audit(tirana: Served) -> None:
    for what in ("looks", "log", "told?peer=x", "kept?peer=x"):
        assert ask(tirana, f"/api/v1/audit/{what}").status == 403


def test_reading_the_audit_is_written_down(tirana: Served) -> None:
    audit(tirana, "looks", f"object={SECRET['id']}")
    last = events(tirana, "audited")[-1]
    assert (last.actor, json.loads(last.detail)["question"]) == ("vera", f"object={SECRET['id']}")


def test_what_a_recall_would_take_back_is_a_look(tirana: Served) -> None:
    tirana.call("POST", "/recall", {"id": SECRET["id"], "dry_run": True})
    (one,) = [row for row in audit(tirana, "looks") if row["way"] == "recall"]
    assert (one["object"], one["question"]) == (SECRET["id"], SECRET["id"])


def test_a_roster_that_this_member_signs_as_a_steward_is_written_down(tirana: Served) -> None:
    first = tirana.call("POST", "/communities", {"name": "WB6", "members": ["self"]})
    tirana.call("POST", "/communities/accept", json.dumps(first).encode())
    again = tirana.call("POST", "/communities/revise", {"community": "WB6", "expires": "2030-01-01"})
    tirana.call("POST", "/communities/sign", json.dumps(again).encode())
    written = [(one.actor, json.loads(one.detail)["number"]) for one in events(tirana, "roster signed")]
    assert written == [("admin", 1), ("admin", 2), ("admin", 2)]


def test_reading_what_is_kept_of_a_peer_is_written_down(served: Callable[[str], Served]) -> None:
    here, there = served("Skopje"), served("Podgorica")
    link(here, there)
    here.call("GET", "/audit/kept?peer=podgorica")
    last = events(here, "audited")[-1]
    assert json.loads(last.detail) == {"what": "kept", "question": "peer=podgorica"}


def test_no_report_tells_a_name_of_an_object(tirana: Served) -> None:
    ask(tirana, "/api/v1/objects?type=indicator")
    for what in ("looks", "log"):
        assert "calc'" not in json.dumps(audit(tirana, what))


def test_a_spreadsheet_takes_nothing_for_a_formula() -> None:
    row = ["=cmd|' /C calc'!A0", "+1", "-1", "@x", "\tx", "\rx", "\x1b[2J", "plain, and more", 7]
    (cells,) = csv.reader(io.StringIO(csv_lines([row]).decode()))
    assert cells[:4] == ["'=cmd|' /C calc'!A0", "'+1", "'-1", "'@x"]
    assert cells[4:] == ["\\x09x", "\\x0dx", "\\x1b[2J", "plain, and more", "7"]


def test_a_report_is_also_a_table(tirana: Served) -> None:
    answer = ask(tirana, "/api/v1/audit/looks?format=csv", tirana.auditor)  # type: ignore[attr-defined]
    head, *rows = csv.reader(io.StringIO(answer.text))
    assert head[:5] == ["event", "at", "by", "source", "way"]
    assert {len(row) for row in rows} == {len(head)}


def test_a_span_that_ends_before_it_begins_is_refused(tirana: Served) -> None:
    answer = ask(tirana, "/api/v1/audit/log?since=1h&until=2h", tirana.auditor)  # type: ignore[attr-defined]
    assert answer.status == 422
