"""The duty officer's pages about what was put aside, as HTTP; by keys in a browser next door."""

import time
from collections.abc import Callable
from urllib.parse import urlencode

import pytest
from tests.web.conftest import Answer, Served, indicator, link

from lezha.flows import quarantine
from lezha.flows.quarantine import Held


@pytest.fixture(scope="module")
def pair(served: Callable[[str], Served]) -> tuple[Served, Served]:
    """Return two linked nodes; the second puts aside what is too broad."""
    tirana, podgorica = served("Tirana"), served("Podgorica")
    link(tirana, podgorica)
    return tirana, podgorica


def waiting(node: Served) -> list[Held]:
    assert node.log
    with node.log.read() as conn:
        return quarantine.page(conn, decided=False, before=0, limit=99).held


def put_aside(pair: tuple[Served, Served], name: str) -> Held:
    """Have something put aside."""
    tirana, podgorica = pair
    before = len(waiting(podgorica))
    tirana.publish(indicator("203.0.0.0/12", name))
    end = time.monotonic() + 30
    while len(waiting(podgorica)) == before:
        assert time.monotonic() < end
        time.sleep(0.05)
    return waiting(podgorica)[0]


def decide(node: Served, item: int, verdict: str, cookie: str = "", origin: str = "", **form: str) -> Answer:
    headers = {
        "Cookie": cookie or node.cookie(),
        "Origin": origin or node.url,
        "Content-Type": "application/x-www-form-urlencoded",
    }
    return node.ask(
        f"/quarantine/{item}/{verdict}", method="POST", body=urlencode(form).encode(), headers=headers
    )


def test_the_list_says_why_and_what_to_do_and_the_desk_leads_to_it(pair: tuple[Served, Served]) -> None:
    held = put_aside(pair, "<b>broad</b>")
    page = pair[1].page("/quarantine")
    assert f'href="/quarantine/{held.id}"' in page
    assert "An indicator would hit far more than one attacker" in page
    assert held.objects[0] in page
    assert 'href="/quarantine"' in pair[1].page("/")
    assert pair[1].page("/quarantine?code=authority").count("data-row") == 0
    assert pair[1].page("/quarantine?peer=tirana&code=too_broad").count("data-row") > 0


def test_what_a_frame_carries_is_shown_as_text(pair: tuple[Served, Served]) -> None:
    held = put_aside(pair, "<script>alert(1)</script>\u202e")
    page = pair[1].page(f"/quarantine/{held.id}")
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "\u202e" not in page
    assert "203.0.0.0/12 is a network with a prefix shorter than /16" in page


def test_what_was_accepted_by_the_form_is_there(pair: tuple[Served, Served]) -> None:
    held = put_aside(pair, "accepted by hand")
    answer = decide(pair[1], held.id, "accept", why="asked by telephone")
    assert (answer.status, answer.headers["Location"]) == (303, "/quarantine")
    assert "accepted by hand" in pair[1].page("/objects")
    assert "asked by telephone" in pair[1].page(f"/quarantine/{held.id}")
    assert "accepted 1 frame" in pair[1].page("/")


def test_what_was_rejected_by_the_form_is_gone(pair: tuple[Served, Served]) -> None:
    held = put_aside(pair, "rejected by hand")
    assert decide(pair[1], held.id, "reject", why="our own resolver").status == 303
    page = pair[1].page(f"/quarantine/{held.id}")
    assert "our own resolver" in page
    assert "rejected by hand" not in page
    assert held.id not in [one.id for one in waiting(pair[1])]


def test_a_verdict_that_can_not_be_given_says_why_beside_the_form(pair: tuple[Served, Served]) -> None:
    held = put_aside(pair, "twice")
    answer = decide(pair[1], held.id, "accept", why="  ")
    assert answer.status == 422
    assert "Say why" in answer.text
    assert decide(pair[1], held.id, "release", why="x").status in (400, 404)
    assert decide(pair[1], 999_999_999, "accept", why="x").status == 404
    assert held in waiting(pair[1])


def test_another_site_decides_nothing(pair: tuple[Served, Served]) -> None:
    held = put_aside(pair, "by another site")
    assert decide(pair[1], held.id, "accept", origin="https://evil.example", why="x").status == 403
    assert held in waiting(pair[1])


def test_without_a_session_one_is_led_to_sign_in(pair: tuple[Served, Served]) -> None:
    answer = pair[1].ask("/quarantine", headers={"Accept": "text/html"})
    assert answer.status == 303
    assert answer.headers["Location"] == "/sign-in?next=/quarantine"
