"""The pages as HTTP: who gets in, what they say, what hostile input does to them. The browser is next door."""

import asyncio
import json
import re
import time
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs
from tests.web.conftest import Served, indicator, link

from lezha.access.rights import Role
from lezha.cli.node import make
from lezha.federation import document
from lezha.federation.document import Contact
from lezha.flows import desk
from lezha.flows.desk import Gists
from lezha.node.clock import later, utc_now
from lezha.node.identity import DOCUMENT, new_member
from lezha.node.node import Node
from lezha.node.settings import Settings
from lezha.sharing.cedar import CedarPolicy
from lezha.stix import markings
from lezha.store import policies
from lezha.web import rendering, words
from lezha.web.live import Boards
from lezha.web.rendering import fragment


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
    assert "zeek is a token for the role sensor" in unescape(answer.text)
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
    behind_tls = tirana.sign_in(tirana.admin, Origin=f"https://{tirana.listen}")
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


# --- every condition, and what a version is ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def varied(served: Callable[[str], Served]) -> Served:
    """A node with an object for each condition."""
    node = served("Skopje")
    first = indicator("198.51.100.1", "first", labels=["wiper"], created_by_ref=node.member)
    second = first | {"name": "second", "modified": "2026-02-01T00:00:00.000Z"}
    node.publish(first)
    node.publish(second)
    node.publish(indicator("198.51.100.2", "gone", revoked=True))
    node.publish(indicator("198.51.100.0/24", "around"), indicator("198.51.100.9", "gone for good"))
    return node


def listed(node: Served, query: str) -> list[str]:
    """The names in the list of objects, newest first."""
    page = node.page(f"/objects?{query}")
    return [unescape(one) for one in re.findall(r'id="o-[0-9a-f]+"><bdi>([^<]*)</bdi>', page)]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("label=wiper", ["second", "first"]),
        ("label=wiper&text=second", ["second"]),
        ("creator={member}", ["Skopje", "second", "first"]),
        ("type=indicator&creator={member}", ["second", "first"]),
        ("ref={member}&type=indicator", ["second", "first"]),
        ("revoked=true", ["gone"]),
        ("revoked=false&value=198.51.100.2", ["around"]),
        ("sighted=true", []),
        ("sighted=false&value=198.51.100.2", ["around", "gone"]),
        ("tlp=red", []),
        ("marking=marking-definition--1", []),
        ("label=wiper&origin=self&creator=SKOPJE", ["second", "first"]),
        ("since=2100-01-01T00:00", []),
        ("since=24h&label=wiper", ["second", "first"]),
        ("until=2w&label=wiper", []),
        ("modified_since=2026-02-01T00:00&label=wiper", ["second"]),
        ("modified_until=2026-02-01T00:00:00Z&label=wiper", ["first"]),
        ("until=2020-01-01T00:00", []),
        ("since=2020-01-01T00:00&until=2100-01-01T00:00:00Z&label=wiper", ["second", "first"]),
    ],
)
def test_the_form_has_every_condition(varied: Served, query: str, names: list[str]) -> None:
    found = listed(varied, query.format(member=varied.member))
    assert [one for one in found if one != "Skopje"] == [one for one in names if one != "Skopje"]


def test_further_conditions_are_kept_in_the_form_and_folded_away_when_there_are_none(varied: Served) -> None:
    page = varied.page("/objects?label=wiper&since=2020-01-01T00:00&sighted=false&tlp=red")
    for kept in (
        'name="label" value="wiper"',
        'name="since" value="2020-01-01T00:00:00"',
        '<option value="false" selected>by nobody so far',
        '<option value="red" selected>TLP:RED',
        "<details open>",
    ):
        assert kept in page, kept
    assert "<details>" in varied.page("/objects?text=first")


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("since=yesterday", "'yesterday' is not a time: write 2026-03-31T12:00:00Z, or 24h, 7d, 2w ago."),
        ("modified_until=2026-13-01T00:00", "'2026-13-01T00:00' is not a time"),
        ("since=0001-01-01T00:00%2B14:00", "is beyond all times."),
        ("sighted=maybe", "Sighted is true, false, or left out."),
        ("revoked=1", "Revoked is true, false, or left out."),
        ("tlp=purple", "There is no TLP 'purple': it is one of clear, green, amber, amber+strict, red."),
        (
            "origin=atlantis",
            "There is no member 'atlantis'. Known here: self, skopje; or write an identity's id.",
        ),
        ("creator=atlantis", "There is no member 'atlantis'."),
        ("value=" + "x" * 3000, "Value: 2,600 letters at most, and these are 3,000."),
        ("text=" + "x" * 1001, "Words: 1,000 letters at most, and these are"),
        ("label=" + "x" * 5000, "Label: 600 letters at most, and these are 5,000."),
        ("id=" + "x" * 251, "Exact id: 250 letters at most, and these are 251."),
    ],
)
def test_what_the_form_cannot_say_is_the_form_again_with_a_sentence(
    varied: Served, query: str, said: str
) -> None:
    answer = varied.ask(f"/objects?text=kept&{query}", headers={"Cookie": varied.cookie()})
    assert answer.status == 422
    (fault,) = re.findall(r'<p class="fault" role="alert">([^<]*)</p>', answer.text)
    assert said in unescape(fault)
    assert '<form class="query" action="/objects"' in answer.text
    assert "Nothing held here matches" not in answer.text


@pytest.mark.parametrize("query", ["text=" + "x" * 1000, "label=" + "x" * 600, "value=" + "x" * 2600])
def test_what_the_form_can_just_say_is_looked_for(varied: Served, query: str) -> None:
    assert "Nothing held here matches" in varied.page(f"/objects?{query}")


def test_a_parameter_that_nobody_writes_by_hand_is_refused_in_words(varied: Served) -> None:
    answer = varied.ask("/objects?before=-1", headers={"Cookie": varied.cookie()})
    assert answer.status == 400
    assert "The parameter &#39;before&#39; must be a whole number from 0 to" in answer.text


def test_each_row_says_what_its_version_is_unless_it_counts(varied: Served) -> None:
    rows = unescape(varied.page("/objects?type=indicator")).split("<tr ")
    said = {name: row for row in rows for name in ("second", "first", "gone") if f"<bdi>{name}</bdi>" in row}
    assert "superseded: there is a later version" in said["first"]
    assert "revoked: it does not count any more" in said["gone"]
    assert "remark" not in said["second"]


def test_a_page_that_ran_out_of_time_says_so_and_how_to_go_on(
    varied: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lezha.store.search.PAGE_S", -1.0)
    monkeypatch.setattr("lezha.store.search._FIRST_SLICE", 2)
    monkeypatch.setattr("lezha.store.search._GROWTH", 1)
    path, page, walked, pages = "/objects?label=wiper", "", [], 0
    while path:
        page = varied.page(path)
        walked += re.findall(r"<bdi>(first|second)</bdi>", page)
        on = re.search(
            r'because its time was over[^<]*<a href="([^"]+)" rel="next">look further back</a>', page
        )
        path, pages = (unescape(on[1]) if on else ""), pages + 1
    assert "Nothing held here matches" not in page
    assert walked == ["second", "first"]
    assert pages > 2


def test_a_search_for_a_value_leads_to_everything_about_it(varied: Served) -> None:
    assert 'href="/about?value=198.51.100.2"' in varied.page("/objects?value=198.51.100[.]2")
    assert 'href="/about' not in varied.page("/objects?value=no+value")


def test_about_a_value_has_a_section_for_each_group(varied: Served) -> None:
    page = varied.page("/about?value=198.51.100[.]2")
    assert re.findall(r'<h2 id="group-\d">([^<]+?) <', page) == ["This value itself", "What contains it"]
    assert "<h1>About <bdi>198.51.100.2</bdi></h1>" in page
    assert "revoked: it does not count any more" in page
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_about_says_what_it_left_out(varied: Served) -> None:
    varied.publish(*(indicator("192.0.2.99", f"many {n}") for n in range(101)))
    page = varied.page("/about?value=192.0.2.99")
    assert "The newest 100 are shown; a search for the value gives all, page by page." in page
    assert "100 objects, not all" in page
    assert page.index("The newest 100 are shown") < page.index("many 100"), "it is said before them"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("", "A value is an address"),
        ("192.0.2.250", "Nothing is held here about it"),
        ("no value", "That is no address"),
        ("<script>alert(1)</script>", "That is no address"),
        ("\0", "That is no address"),
        ("x" * 1900, "That is no address"),
    ],
)
def test_about_says_that_there_is_nothing(varied: Served, value: str, words: str) -> None:
    page = varied.page(f"/about?value={quote(value)}")
    assert words in page
    assert "<script>alert" not in page


def test_an_object_links_each_observable_to_everything_about_it(varied: Served) -> None:
    one = indicator("198.51.100.77")
    varied.publish(one)
    page = varied.page(f"/objects/{one['id']}")
    assert 'href="/about?value=198.51.100.77"' in page
    assert '<span class="kind">IPv4 address</span>' in page


def test_a_members_identity_is_not_called_one_for_own_systems_only(varied: Served) -> None:
    # It travels as a companion, without a statement of its own.
    assert "own systems only" not in varied.page(f"/objects?id={varied.member}")
    page = varied.page(f"/objects/{varied.member}")
    assert "own systems only" not in page
    assert "it goes along with what its member tells" in page


def test_a_purged_version_says_when_by_whom_and_why(varied: Served) -> None:
    one = indicator("198.51.100.78", "a name that is gone")
    varied.publish(one)
    varied.purge(one, "names of <b>persons</b>")
    page = varied.page(f"/objects/{one['id']}")
    assert "Its bytes were purged on " in page
    assert " by admin: names of &lt;b&gt;persons&lt;/b&gt;" in page
    assert "a name that is gone" not in page
    assert "Download the exact bytes" not in page
    assert "purged: its bytes have been destroyed here" in varied.page(f"/objects?id={one['id']}")


def test_what_a_purged_object_said_is_gone_from_pages_that_have_shown_it(tirana: Served) -> None:
    one, other, tie = triple("the beacon that is purged", "the family that stays")
    sighting = {
        **{key: one[key] for key in ("spec_version", "created", "modified")},
        "type": "sighting",
        "id": f"sighting--{uuid4()}",
        "sighting_of_ref": one["id"],
        "count": 4711,
        "first_seen": "2026-01-01T00:00:00Z",
        "last_seen": "2026-01-01T00:00:00Z",
    }
    tirana.publish(one, other, tie, sighting)
    shown = (f"/objects?id={tie['id']}", "/")
    assert "the beacon that is purged" in tirana.page(shown[0])
    seen = tirana.page(shown[1])
    assert "4,711" in seen
    tirana.purge(tie, "who is tied to whom")
    tirana.purge(sighting, "who saw it")
    ties, desk = (tirana.page(path) for path in shown)
    assert "purged: its bytes have been destroyed here" in ties
    assert "the beacon that is purged" not in ties
    assert "4,711" not in desk
    assert desk.count('class="sighted"') == seen.count('class="sighted"') - 1


def test_versions_that_came_out_of_order_are_headed_by_what_they_are(varied: Served) -> None:
    late = indicator("198.51.100.79", "late", modified="2026-03-01T00:00:00.000Z")
    varied.publish(late)
    varied.publish(late | {"modified": "2026-02-01T00:00:00.000Z", "name": "early"})
    page = varied.page(f"/objects/{late['id']}")
    assert re.findall(r'<h2 id="v-\d"[^>]*>([^,<]+)', page) == ["Earlier version", "Current version"]
    assert re.search(r"<h1>.*<bdi>late</bdi></h1>", page), "named by the version that counts"
    assert ">Superseded: there is a later version.<" in page


def test_a_version_after_its_revocation_says_that_it_does_not_count(varied: Served) -> None:
    gone = indicator("198.51.100.81", "ended", modified="2026-02-01T00:00:00.000Z", revoked=True)
    varied.publish(gone)
    varied.publish(gone | {"modified": "2026-03-01T00:00:00.000Z", "name": "too late", "revoked": False})
    page = varied.page(f"/objects/{gone['id']}")
    assert re.findall(r'<h2 id="v-\d"[^>]*>([^,<]+)', page) == [
        "Version after its revocation",
        "Revoked version",
    ]
    assert ">Does not count: it came after its revocation.<" in page
    assert ">Revoked: it does not count any more.<" in page
    assert re.search(r"<h1>.*<bdi>ended</bdi></h1>", page)


def test_a_version_in_dispute_says_so_and_the_desk_warns_of_it(varied: Served) -> None:
    assert 'class="warning"' not in varied.page("/")
    one = indicator("198.51.100.80", "two faces", created_by_ref=varied.member)
    varied.publish(one)
    varied.dispute(one)
    page = varied.page(f"/objects/{one['id']}")
    assert "Skopje signed two different contents as this one version" in page
    assert "no sensor looks for either" in page
    assert "in dispute" in varied.page(f"/objects?id={one['id']}")
    desk = varied.page("/")
    assert "1 object in dispute: don't act on it before you have called" in desk
    assert "two faces" in desk
    assert "We ourselves" in desk
    varied.publish(one | {"modified": "2026-02-01T00:00:00.000Z"})
    assert 'class="warning"' not in varied.page("/"), "a later version ends it"


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


def triple(beacon: str, family: str) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """An indicator, a malware, and what ties them together."""
    one = indicator("203.0.113.8", beacon)
    malware = {
        **{key: one[key] for key in ("spec_version", "created", "modified", "labels")},
        "type": "malware",
        "id": f"malware--{uuid4()}",
        "name": family,
        "is_family": True,
    }
    tie = {
        **{key: malware[key] for key in ("spec_version", "created", "modified", "labels")},
        "type": "relationship",
        "id": f"relationship--{uuid4()}",
        "relationship_type": "indicates",
        "source_ref": one["id"],
        "target_ref": malware["id"],
    }
    return one, malware, tie


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
    one, malware, tie = triple("the beacon", "ZEROCLEARE")
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
    _until(lambda: "receipt signed" in tirana.page(f"/objects/{open_one['id']}"))
    page = unescape(tirana.page(f"/objects/{open_one['id']}"))
    assert "has it" in page
    assert "published to everyone" in page
    _until(lambda: "withheld since" in tirana.page(f"/objects/{kept['id']}"))
    page = unescape(tirana.page(f"/objects/{kept['id']}"))
    assert "does not get it" in page
    assert "docs/design.md, Release" in page
    assert "Publish a tear-line" in page
    assert "the recipient is not cleared for its marking" in page
    assert "TLP:RED" in page


def test_an_object_says_that_it_was_recalled_and_who_has_signed_for_that(
    served_pair: tuple[Served, Served],
) -> None:
    tirana, podgorica = served_pair
    one = indicator("203.0.113.22")
    tirana.publish(one)
    _until(lambda: "receipt signed" in tirana.page(f"/objects/{one['id']}"))
    tirana.call("POST", "/recall", {"id": one["id"], "why": "a busy <resolver>"})
    _until(lambda: "recalled, receipt signed" in tirana.page(f"/objects/{one['id']}"))
    for node in served_pair:
        page = unescape(node.page(f"/objects/{one['id']}"))
        assert "Recalled version" in page
        assert "a busy <resolver>" in page
    shown = unescape(podgorica.page("/"))
    assert "1 object held here that others have recalled" in shown
    assert "recalled 1 indicator" in shown
    assert "Recalled 1 indicator" in tirana.page("/")


def test_a_recall_that_waits_for_long_is_a_warning(served_pair: tuple[Served, Served]) -> None:
    tirana, _ = served_pair
    now, own = utc_now(), document.read((tirana.home / DOCUMENT).read_bytes()).document
    assert tirana.log
    with tirana.log.read() as conn:
        as_it_is = desk.desk(conn, own, lambda _member: None, Gists(), now, later(now, days=14))
    (line,) = as_it_is.peers
    shown = {}
    for hours in (0.5, 2):
        report = replace(line.report, recall_since=later(now, hours=-hours))
        late = replace(as_it_is, peers=(replace(line, report=report),))
        shown[hours] = fragment("live/alerts.html", desk=late, own=own.member, now=now)
    assert "has not signed for a recall" not in shown[0.5]
    assert "Podgorica has not signed for a recall" in unescape(shown[2])


def test_an_object_says_that_its_own_marking_is_narrower_than_what_was_signed(tirana: Served) -> None:
    one = indicator("203.0.113.24", object_marking_refs=[markings.TLP2_IDS["red"]])
    tirana.publish(one)
    assert "its own marking makes it TLP:RED" in tirana.page(f"/objects/{one['id']}")


def test_an_object_names_a_constituent_as_such_and_does_not_look_for_it_among_the_peers(
    tirana: Served,
) -> None:
    tirana.call("POST", "/constituents", {"name": "treasury", "clearance": "amber"})
    one = indicator("203.0.113.25")
    tirana.publish(one)
    page = tirana.page(f"/objects/{one['id']}")
    assert 'treasury <span class="more">constituent</span>' in page
    assert "/peers#treasury" not in page


def test_the_peers_page_says_whom_to_call(served_pair: tuple[Served, Served]) -> None:
    tirana, podgorica = served_pair
    page = unescape(tirana.page("/peers"))
    assert "Podgorica" in page
    assert f"duty@{podgorica.name}.example" in page
    assert "+355 4 000 9" in page


def test_the_desk_says_whom_to_call_about_a_dispute(served_pair: tuple[Served, Served]) -> None:
    tirana, podgorica = served_pair
    one = indicator("203.0.113.22", "whose is it", created_by_ref=podgorica.member)
    podgorica.publish(one)
    _until(lambda: "whose is it" in tirana.page("/objects"))
    tirana.dispute(one)
    warning = unescape(tirana.page("/")).partition('class="warning"')[2].partition("</section>")[0]
    assert "<b>Podgorica</b> signed two different contents as one version of" in warning
    assert "whose is it" in warning
    assert "+355 4 000 9" in warning
    assert "duty@podgorica.example" in warning
    assert "neither content is passed on any more and no sensor looks for either" in warning


def test_a_peer_that_was_removed_keeps_its_name(served: Callable[[str], Served]) -> None:
    here, stranger = served("Sarajevo"), served("Skopje")
    made = here.call("POST", "/peers/invite", {"name": "skopje"})
    stranger.call("POST", "/peers/accept", {"invitation": made["invitation"], "name": "sarajevo"})
    here.call("POST", "/peers/skopje/remove", {})
    page = here.page("/")
    assert "<b>skopje</b> was removed by admin" in page
    assert "unknown here" not in page


def test_an_import_is_one_line_of_the_desk(served: Callable[[str], Served]) -> None:
    node = served("Pristina")
    for part in range(3):
        objects = [indicator(f"198.51.100.{part * 10 + number}") for number in range(10)]
        node.call("POST", "/objects", {"type": "bundle", "id": f"bundle--{uuid4()}", "objects": objects})
    page = node.page("/")
    assert page.count('class="brought"') == 1
    assert "admin brought 30 objects for own systems only" in page
    assert "init made the admin token" in page


def test_what_was_brought_without_a_statement_says_when_it_came(served: Callable[[str], Served]) -> None:
    node = served("Zagreb")
    one = indicator("198.51.100.77")
    node.call("POST", "/objects", {"type": "bundle", "id": f"bundle--{uuid4()}", "objects": [one]})
    cells = re.findall(r'data-label="Came" class="num">(.*?)</td>', node.page(f"/objects?id={one['id']}"))
    assert [cell.startswith("<time ") for cell in cells] == [True]


def test_no_page_shows_backticks(served: Callable[[str], Served]) -> None:
    node = served("Vienna")
    for path in ("/", "/peers", "/objects"):
        assert "`" not in node.page(path), path
    assert words.prose("no `<i>` here") == "no <code>&lt;i&gt;</code> here"
    assert words.prose("one ` alone") == "one ` alone"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://192.0.2.7:8441", "https://<wbr>192.0.2.7<wbr>:8441"),
        ("https://[2001:db8::1]:8441", "https://<wbr>[2001:db8::1]<wbr>:8441"),
        ("https://[2001:db8::1]", "https://[2001:db8::1]"),
        ("https://node.example", "https://node.example"),
        ("https://a.example:1/<b>", "https://a.example:1/&lt;b&gt;"),
    ],
)
def test_an_endpoint_breaks_between_its_parts_alone(url: str, shown: str) -> None:
    assert words.endpoint(url) == shown


def test_a_peer_that_is_gone_is_named_unreachable_on_the_desk(
    served_pair: tuple[Served, Served], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lezha.node.links._IDLE_S", 0.3)
    tirana, podgorica = served_pair
    first = indicator("203.0.113.29")
    tirana.publish(first)  # it wakes the link, which then waits for that long
    _until(lambda: "receipt signed" in tirana.page(f"/objects/{first['id']}"))
    _until(lambda: tirana.call("GET", "/peers")[0]["queued"] == 0 and "1 up to date" in tirana.page("/"))
    podgorica.stop()
    _until(lambda: "1 unreachable" in tirana.page("/"))  # though there is nothing to tell
    tirana.publish(indicator("203.0.113.30"))
    _until(lambda: '<b class="queue">1</b>' in tirana.page("/"))
    assert "1 unreachable" in tirana.page("/")


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
    end = time.monotonic() + 60  # a connection to a node that has just gone may hang for half a minute
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.fixture(scope="module")
def served_pair(served: Callable[[str], Served]) -> tuple[Served, Served]:
    """Return two linked nodes."""
    one, other = served("Tirana"), served("Podgorica")
    link(one, other)
    return one, other


def test_a_change_of_the_national_policy_is_on_the_desk(served: Callable[[str], Served]) -> None:
    durres = served("Durres")
    assert durres.log
    law = CedarPolicy("permit (principal, action, resource);")
    durres.log.write_now(lambda tx: policies.adopt(tx, law, "node"))
    assert f"A national policy came into force: SHA-256 {law.digest[:16]}" in durres.page("/")
    durres.log.write_now(lambda tx: policies.adopt(tx, None, "node"))
    assert "No national policy is in force any more" in durres.page("/")
