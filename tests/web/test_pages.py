"""The pages as HTTP: who gets in, what they say, what hostile input does to them. The browser is next door."""

import asyncio
import json
import re
import time
from collections.abc import Callable
from html import unescape
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import pytest
from structlog.testing import capture_logs
from tests.web.conftest import Served, indicator, link

from lezha.access.rights import Role
from lezha.cli.node import make
from lezha.federation.document import Contact
from lezha.node.identity import new_member
from lezha.node.node import Node
from lezha.node.settings import Settings
from lezha.web import rendering, words
from lezha.web.live import Boards


def test_a_page_without_a_session_leads_to_the_sign_in_page_and_back(tirana: Served) -> None:
    answer = tirana.ask("/objects?value=192.0.2.7")
    assert answer.status == 303
    assert answer.headers["Location"] == "/sign-in?next=/objects%3Fvalue%3D192.0.2.7"
    form = tirana.ask(answer.headers["Location"]).text
    assert 'name="next" value="/objects?value=192.0.2.7"' in form


def test_a_stream_without_a_session_is_refused_not_redirected(tirana: Served) -> None:
    answer = tirana.ask("/live", headers={"Accept": "text/event-stream"})
    assert answer.status == 401


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example/",
        "\\\\evil.example",
        "/\t/evil.example",
        "/objects\r\nSet-Cookie: a=b",
        "javascript:alert(1)",
        "/sign-in?next=/sign-in",
        "",
    ],
)
def test_signing_in_never_leads_to_another_site(elsewhere: str) -> None:
    assert words.local(elsewhere) == "/"


def test_a_wrong_token_is_refused_in_words_slowly_and_never_logged(tirana: Served) -> None:
    wrong = "lzh_0123456789ab_" + "x" * 43
    start = time.monotonic()
    with capture_logs() as logged:
        answer = tirana.sign_in(wrong)
    assert time.monotonic() - start >= 0.5
    assert answer.status == 401
    assert "This token is not known here" in answer.text
    assert [entry["event"] for entry in logged] == ["sign_in.refused"]
    assert "x" * 43 not in str(logged)


def test_a_sensors_token_does_not_open_the_pages(tirana: Served) -> None:
    answer = tirana.sign_in(tirana.sensor)
    assert answer.status == 403
    assert "zeek is a sensor's token" in unescape(answer.text)
    assert answer.headers["Set-Cookie"] is None


def test_a_form_of_another_site_does_not_sign_a_browser_in(tirana: Served) -> None:
    assert tirana.sign_in(tirana.admin, Origin="https://evil.example").status == 403
    assert tirana.sign_in(tirana.admin, Origin="null").status == 403


def test_the_session_cookie_is_for_this_site_alone_and_hidden_from_scripts(tirana: Served) -> None:
    cookie = str(tirana.sign_in(tirana.admin).headers["Set-Cookie"])
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Path=/;" in cookie
    assert "Secure" not in cookie
    behind_tls = tirana.sign_in(tirana.admin, X_Forwarded_Proto="https", Origin=f"https://{tirana.listen}")
    assert "Secure" in str(behind_tls.headers["Set-Cookie"])


def test_no_token_is_ever_in_an_address_or_a_page(tirana: Served) -> None:
    answer = tirana.sign_in(tirana.admin)
    assert answer.headers["Location"] == "/"
    assert tirana.admin not in tirana.page("/")


def test_signing_out_ends_the_session_not_only_the_cookie(tirana: Served) -> None:
    cookie = tirana.cookie()
    headers = {"Cookie": cookie, "Origin": tirana.url}
    assert tirana.ask("/", headers=headers).status == 200
    assert tirana.ask("/sign-out", method="POST", body=b"", headers=headers).status == 303
    assert tirana.ask("/", headers=headers).status == 303


def test_a_form_of_another_site_does_not_sign_anyone_out(tirana: Served) -> None:
    cookie = tirana.cookie()
    headers = {"Cookie": cookie, "Origin": "https://evil.example"}
    assert tirana.ask("/sign-out", method="POST", body=b"", headers=headers).status == 403
    assert tirana.ask("/", headers=headers).status == 200


def test_revoking_a_token_ends_its_stream(tirana: Served) -> None:
    made = tirana.call("POST", "/tokens", {"name": "leaver", "role": Role.ANALYST.value})
    cookie = tirana.cookie(made["token"])
    with tirana.open("/live?page=peers", headers={"Cookie": cookie}) as stream:
        assert stream.readline() == b"retry: 1000\n"
        tirana.call("POST", "/tokens/leaver/revoke")
        assert stream.read().endswith(b"event: ended\ndata: \n\n")


@pytest.mark.parametrize(
    "path", ["/nothing-here", "/objects/indicator--00000000-0000-4000-8000-000000000000"]
)
def test_what_is_not_there_is_a_page_for_people(tirana: Served, path: str) -> None:
    cookie = tirana.cookie()
    answer = tirana.ask(path, headers={"Cookie": cookie})
    text = answer.text
    assert answer.status == 404
    assert "<h1>Not found</h1>" in text
    assert "Traceback" not in text


def test_what_is_not_there_is_json_for_tools(tirana: Served) -> None:
    headers = {"Authorization": f"Bearer {tirana.admin}"}
    answer = tirana.ask("/api/v1/objects/indicator--00000000-0000-4000-8000-000000000000", headers=headers)
    assert answer.status == 404
    assert answer.headers["Content-Type"].startswith("application/json")


def test_a_mistake_of_the_node_is_a_page_without_its_insides(
    tirana: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    cookie = tirana.cookie()
    monkeypatch.setattr("lezha.store.search.count_by_type", lambda _: int("secret"))
    with capture_logs() as logged:
        answer = tirana.ask("/objects", headers={"Cookie": cookie})
    text = answer.text
    assert answer.status == 500
    assert "This node made a mistake; it is in its log." in text
    assert "secret" not in text
    assert [entry["event"] for entry in logged] == ["web.error"]


def test_paging_shows_every_object_once(tirana: Served) -> None:
    tirana.publish(*(indicator(f"198.51.100.{n}", f"paged {n:03d}") for n in range(120)))
    seen: list[str] = []
    path: str | None = "/objects?text=paged"
    while path:
        page = tirana.page(path)
        seen += re.findall(r"<bdi>(paged \d+)</bdi>", page)
        older = re.search(r'<a href="([^"]+)" rel="next">Older</a>', page)
        path = unescape(older[1]) if older else None
    assert sorted(seen) == [f"paged {n:03d}" for n in range(120)]


@pytest.mark.parametrize(
    ("written", "state"),
    [
        ("203.0.113[.]9", "value=203.0.113.9"),
        ("hxxps://evil[.]example/a", "value=https%3A%2F%2Fevil.example%2Fa"),
        (
            "indicator--00000000-0000-4000-8000-000000000000",
            "id=indicator--00000000-0000-4000-8000-000000000000",
        ),
        ("zero cleare", "text=zero+cleare"),
    ],
)
def test_the_one_box_understands_values_ids_and_words(tirana: Served, written: str, state: str) -> None:
    cookie = tirana.cookie()
    answer = tirana.ask(f"/objects?q={quote(written)}", headers={"Cookie": cookie})
    assert answer.headers["Location"] == f"/objects?{state}"


def test_hostile_text_is_shown_as_text(tirana: Served) -> None:
    hostile = "<script>alert(1)</script>\" onload='x' {{ 7*7 }}"
    one = indicator("203.0.113.1", hostile, description="</pre><img src=x onerror=alert(1)>")
    tirana.publish(one)
    for path in ("/objects?value=203.0.113.1", f"/objects/{one['id']}"):
        page = tirana.page(path)
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page, path
        assert "<script>alert" not in page
        assert "<img" not in page
        assert "{{ 7*7 }}" in page


def test_letters_that_reorder_or_hide_text_are_shown_as_codes(tirana: Served) -> None:
    one = indicator("203.0.113.2", "invoice\u202efdp.exe\u200b")
    tirana.publish(one)
    page = tirana.page(f"/objects/{one['id']}")
    assert "\u202e" not in page
    assert "\u200b" not in page
    assert '<span class="odd">U+202E</span>fdp.exe<span class="odd">U+200B</span>' in page


def test_the_bytes_of_an_object_are_shown_token_by_token(tirana: Served) -> None:
    one = indicator("203.0.113.3") | {"x_number": 1.10}
    raw_number = '"x_number": 1.1'
    tirana.publish(one)
    assert raw_number in unescape(tirana.page(f"/objects/{one['id']}"))


def test_an_exercise_is_labelled_wherever_it_is_named(tirana: Served) -> None:
    one = indicator("203.0.113.4")
    tirana.publish(one)
    for path in ("/", "/objects?value=203.0.113.4", f"/objects/{one['id']}"):
        assert '<strong class="exercise">EXERCISE</strong>' in tirana.page(path), path


def test_what_cannot_be_matched_live_says_so(tirana: Served) -> None:
    one = indicator("203.0.113.5") | {"pattern": "[process:command_line MATCHES 'x+']"}
    tirana.publish(one)
    assert "can't be matched live:" in unescape(tirana.page(f"/objects?id={one['id']}"))


def test_sightings_never_crowd_out_what_was_published(served: Callable[[str], Served]) -> None:
    node = served("Pristina")
    node.publish(*(indicator(f"203.0.113.{n}", f"beacon {n}") for n in range(60)))
    headers = {"Authorization": f"Bearer {node.sensor}", "Content-Type": "application/json"}
    feed = json.loads(node.ask("/api/v1/sensor/indicators", headers=headers).text)
    at = "2026-01-01T00:00:00Z"
    reports = [{"key": item["key"], "count": 3, "first_seen": at, "last_seen": at} for item in feed["items"]]
    batch = json.dumps({"id": "one", "taken": at, "reports": reports}).encode()
    assert (
        len(
            json.loads(node.ask("/api/v1/sensor/reports", method="POST", body=batch, headers=headers).text)[
                "sightings"
            ]
        )
        == 60
    )
    page = node.page("/")
    assert "Published 60 indicators" in page
    assert page.count('class="sighted"') == 12
    assert "Sightings by our own sensors</dt><dd>60</dd>" in page


def test_what_names_an_object_is_listed_by_what_it_says(tirana: Served) -> None:
    one, malware = (
        indicator("203.0.113.8", "the beacon"),
        {
            **{key: indicator()[key] for key in ("spec_version", "created", "modified", "labels")},
            "type": "malware",
            "id": f"malware--{uuid4()}",
            "name": "ZEROCLEARE",
            "is_family": True,
        },
    )
    tie = {
        **{key: malware[key] for key in ("spec_version", "created", "modified", "labels")},
        "type": "relationship",
        "id": f"relationship--{uuid4()}",
        "relationship_type": "indicates",
        "source_ref": one["id"],
        "target_ref": malware["id"],
    }
    tirana.publish(one, malware, tie)
    page = unescape(tirana.page(f"/objects/{one['id']}"))
    assert "the beacon → ZEROCLEARE" in page


def test_pages_refresh_plainly_where_the_live_scripts_were_not_built(
    tirana: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rendering, "VENDOR", rendering.STATIC / "not-there")
    page = tirana.page("/")
    assert '<meta http-equiv="refresh" content="5">' in page
    assert "<noscript>" not in page
    assert "htmx" not in page


def test_an_object_tells_who_has_it_who_does_not_and_why(served_pair: tuple[Served, Served]) -> None:
    tirana, podgorica = served_pair
    open_one, kept = indicator("203.0.113.20"), indicator("203.0.113.21")
    tirana.publish(open_one)
    tirana.publish(kept, tlp="red", to=podgorica.name)
    _until(lambda: "told, receipt signed" in tirana.page(f"/objects/{open_one['id']}"))
    page = tirana.page(f"/objects/{kept['id']}")
    assert "withheld" in page
    assert "the recipient is not cleared for its marking" in page
    assert "TLP:RED" in page


def test_the_peers_page_says_whom_to_call(served_pair: tuple[Served, Served]) -> None:
    tirana, podgorica = served_pair
    page = unescape(tirana.page("/peers"))
    assert "Podgorica" in page
    assert f"duty@{podgorica.name}.example" in page
    assert "+355 4 000 9" in page


def test_a_peer_that_is_gone_is_named_unreachable_on_the_desk(served_pair: tuple[Served, Served]) -> None:
    tirana, podgorica = served_pair
    podgorica.stop()
    tirana.publish(indicator("203.0.113.30"))
    _until(lambda: "1 unreachable" in tirana.page("/"))
    assert '<b class="queue">1</b>' in tirana.page("/")


async def test_boards_are_drawn_once_for_all_who_look(tmp_path: Path) -> None:
    settings = Settings(member=new_member(), name="tirana", endpoint="https://127.0.0.1:1")
    make(tmp_path / "node", settings, "Tirana", Contact())
    node = Node(tmp_path / "node")
    boards = Boards(node.log, node.identity.known.document, node.links, node.changes)
    first = await boards.latest()
    assert await boards.latest() is first
    await node.log.write(lambda tx: tx.event("test", "", "test"))
    await asyncio.sleep(0)
    second = await boards.latest()
    assert second is not first
    assert await boards.latest() is second
    node.close()


def _until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.fixture(scope="module")
def served_pair(served: Callable[[str], Served]) -> tuple[Served, Served]:
    """Return two linked nodes."""
    one, other = served("Tirana"), served("Podgorica")
    link(one, other)
    return one, other
