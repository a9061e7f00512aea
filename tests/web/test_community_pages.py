"""Communities on pages: who is in, who waits, what is wrong with a roster and whom to call; and over HTTP."""

import json
import time
from collections.abc import Callable
from html import unescape
from typing import Any, NamedTuple

import pytest
from tests.web.conftest import Answer, Served, link

from lezha.store import communities


class Alliance(NamedTuple):
    """Tirana, the steward of NATO, Podgorica, which is in it, and Vienna, which Podgorica is not linked to."""

    tirana: Served
    podgorica: Served
    vienna: Served


def post(node: Served, path: str, body: bytes | dict[str, Any], token: str = "") -> Answer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {token or node.admin}", "Content-Type": "application/json"}
    return node.ask(f"/api/v1/communities{path}", method="POST", body=raw, headers=headers)


def made(node: Served, path: str, body: dict[str, Any]) -> bytes:
    answer = post(node, path, body)
    assert answer.status == 200, answer.text
    return answer.text.encode()


def nato(node: Served) -> Any:
    return node.call("GET", "/communities/nato")


def states(node: Served) -> dict[str, str]:
    return {one["name"]: one["state"] for one in nato(node)["members"]}


def until(holds: Callable[[], bool]) -> None:
    for _ in range(200):
        if holds():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come about")


@pytest.fixture(scope="module")
def allied(served: Callable[[str], Served]) -> Alliance:
    """Have NATO founded, then Vienna admitted until a day: that roster reaches Podgorica over its link."""
    three = Alliance(served("Tirana"), served("Podgorica"), served("Vienna"))
    link(three.tirana, three.podgorica)
    link(three.tirana, three.vienna)
    first = made(
        three.tirana, "", {"name": "nato", "members": ["self", "podgorica"], "expires": "2999-12-31"}
    )
    for node in (three.tirana, three.podgorica):
        node.call("POST", "/communities/accept", first)
    changes = {"community": "nato", "add": ["vienna"], "until": {"vienna": "2999-03-31"}}
    three.tirana.call("POST", "/communities/accept", made(three.tirana, "/revise", changes))
    until(lambda: nato(three.podgorica)["number"] == 2)
    return three


def test_who_joins_by_a_roster_over_a_link_waits_and_is_shown_by_its_id(allied: Alliance) -> None:
    assert states(allied.podgorica) == {"podgorica": "in", "tirana": "in", allied.vienna.member: "waiting"}
    desk, page = (unescape(allied.podgorica.page(path)) for path in ("/", "/peers"))
    assert f"<b>{allied.vienna.member}</b> waits for approval in <b>nato</b>, by roster 2" in desk
    assert allied.vienna.member in page
    assert "number 2" not in page


def test_an_admission_is_approved_over_http(allied: Alliance) -> None:
    body = {"community": "nato", "members": [allied.vienna.member]}
    found = json.loads(post(allied.podgorica, "/approve", body).text)
    assert {one["state"] for one in found["members"]} == {"in"}
    assert "waits for approval" not in allied.podgorica.page("/")
    assert "to <b>nato</b>" in allied.podgorica.page("/")
    assert post(allied.podgorica, "/approve", body).status == 422


def test_a_day_is_counted_to_its_end(allied: Alliance) -> None:
    (vienna,) = [one for one in nato(allied.tirana)["members"] if one["name"] == "vienna"]
    assert vienna["until"] == "2999-04-01T00:00:00.000000Z"
    assert nato(allied.tirana)["expires"] == "3000-01-01T00:00:00.000000Z"
    assert "until <time" in allied.tirana.page("/peers")


@pytest.mark.parametrize(
    "changes",
    [
        {"expires": "2020-01-01"},
        {"expires": "31 March"},
        {"expires": "2999-03-31T12:00:00"},
        {"expires": "9999-12-31"},
        {"add": ["vienna"], "until": {"vienna": "2020-01-01"}},
        {"add": ["vienna"], "until": {"podgorica": "2999-01-01"}},
    ],
)
def test_a_time_that_cannot_be_meant_is_refused(allied: Alliance, changes: dict[str, Any]) -> None:
    assert post(allied.tirana, "/revise", {"community": "nato", **changes}).status == 422


def test_a_roster_is_reviewed_before_it_is_accepted(allied: Alliance) -> None:
    changes = {
        "community": "nato",
        "remove": ["podgorica"],
        "add": ["vienna"],
        "until": {"vienna": "2998-01-01"},
    }
    found = json.loads(post(allied.tirana, "/review", made(allied.tirana, "/revise", changes)).text)
    assert (found["number"], found["held"], found["lacking"]) == (3, 2, 0)
    assert [one["name"] for one in found["leaves"]] == ["podgorica"]
    assert (found["joins"], found["waiting"], found["signed_by"]) == ([], [], ["tirana"])
    (change,) = found["changes"]
    assert (change["name"], change["after"]) == ("vienna", "2998-01-02T00:00:00.000000Z")


def test_a_second_roster_of_one_number_is_a_warning_with_whom_to_call(allied: Alliance) -> None:
    one, other = (
        made(allied.tirana, "/revise", {"community": "nato", "expires": f"2999-0{month}-01"})
        for month in (1, 2)
    )
    allied.podgorica.call("POST", "/communities/accept", one)
    refused = post(allied.podgorica, "/accept", other)
    assert refused.status == 422
    assert "Two different rosters of nato have number 3" in refused.text
    desk = unescape(allied.podgorica.page("/"))
    assert "Two different rosters of <b>nato</b> have number 3." in desk
    assert "Call Tirana (" in desk
    assert "another one of number 3 was refused" in allied.podgorica.page("/peers")
    assert nato(allied.podgorica)["conflicts"][0]["number"] == 3


def test_a_roster_that_others_sign_by_and_that_did_not_arrive_is_a_warning(allied: Alliance) -> None:
    log = allied.vienna.log
    assert log
    raw = made(allied.tirana, "", {"name": "wb6", "members": ["self", "vienna"]})
    community = allied.vienna.call("POST", "/communities/accept", raw)["id"]
    log.write_now(lambda tx: communities.signed_by(tx, {(community, allied.tirana.member): 7}))
    log.write_now(lambda tx: tx.event("tested", ""))
    assert (
        "A newer roster of <b>wb6</b> exists (number 7) and has not reached this node: Tirana has signed by it."
        in unescape(allied.vienna.page("/"))
    )
    assert "number 7 has not reached this node" in allied.vienna.page("/peers")
    found = allied.vienna.call("GET", "/communities/wb6")
    assert found["missed"] == {"number": 7, "member": "tirana"}


def test_what_was_not_accepted_here_is_counted_and_has_no_name(allied: Alliance) -> None:
    raw = made(allied.tirana, "", {"name": "nato-2", "members": ["self", "vienna"]})
    allied.tirana.call("POST", "/communities/accept", raw)
    until(lambda: "nato-2" in str(allied.vienna.call("GET", "/communities")))
    page = allied.vienna.page("/peers")
    assert "rosters of 2 other communities, which were not accepted here and count for nothing" in page
    assert "nato-2" not in page


def test_a_roster_that_soon_expires_is_a_warning(allied: Alliance) -> None:
    soon = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 5 * 86_400))
    raw = made(allied.vienna, "", {"name": "eu", "members": ["self"], "expires": soon})
    allied.vienna.call("POST", "/communities/accept", raw)
    assert "The roster of <b>eu</b> expires" in allied.vienna.page("/")
