"""The pages in a real browser: live, by keys, without scripts, for everyone, and honest about their age."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from tests.conftest import ROOT
from tests.web.conftest import CHROMIUM, Served, indicator, link

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.needs("pages")]

Open = Callable[..., Page]
_HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>"


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """Return Chromium; ended with the module, since Playwright keeps an event loop in this thread."""
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=chromium, args=CHROMIUM)


@pytest.fixture
def signed_in(browser: Browser) -> Iterator[Open]:
    """Return what opens the desk of a node as someone who has signed in; nothing may complain on the way."""
    complaints: list[str] = []
    contexts = []

    def open_desk(node: Served, **options: Any) -> Page:
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: _note(complaints, message.type, message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))
        page.goto(node.url + "/")
        page.get_by_label("Token").fill(node.admin)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(node.url + "/")
        return page

    yield open_desk
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture(scope="module")
def pair(served: Callable[[str], Served]) -> tuple[Served, Served]:
    """Return two linked nodes, one of which has published."""
    tirana, podgorica = served("Tirana"), served("Podgorica")
    link(tirana, podgorica)
    tirana.publish(indicator("203.0.113.1"), indicator("203.0.113.2", _HOSTILE))
    return tirana, podgorica


def test_the_desk_shows_what_is_published_without_being_loaded_again(
    pair: tuple[Served, Served], signed_in: Open
) -> None:
    tirana, podgorica = pair
    here, there = signed_in(tirana), signed_in(podgorica)
    here.evaluate("window.before = true")
    there.evaluate("window.before = true")
    tirana.publish(indicator("203.0.113.77", "a new beacon"), tlp="amber", to="podgorica")
    expect(here.get_by_role("link", name="a new beacon")).to_be_visible()
    expect(there.get_by_role("link", name="a new beacon")).to_be_visible()
    expect(there.get_by_text("TLP:AMBER").first).to_be_visible()
    assert here.evaluate("window.before")
    assert there.evaluate("window.before")


def test_a_page_says_how_old_it_is(pair: tuple[Served, Served], signed_in: Open) -> None:
    page = signed_in(pair[0])
    expect(page.locator("#clock")).to_contain_text("live, updated")
    expect(page.get_by_role("alert")).to_be_hidden()


def test_a_page_whose_stream_has_stopped_never_looks_calm(
    served: Callable[[str], Served], browser: Browser
) -> None:
    node = served("Vienna")
    context = browser.new_context()
    page = context.new_page()
    page.clock.install()
    page.goto(node.url + "/")
    page.get_by_label("Token").fill(node.admin)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#clock")).to_contain_text("live, updated")
    node.stop()
    page.clock.fast_forward(9_000)
    expect(page.get_by_role("alert")).to_be_hidden()
    page.clock.fast_forward(5_000)
    expect(page.get_by_role("alert")).to_contain_text("This page is not live.")
    expect(page.locator("#clock")).to_contain_text("NOT LIVE")
    context.close()


def test_a_page_whose_reader_was_signed_out_elsewhere_asks_for_the_token(
    pair: tuple[Served, Served], signed_in: Open
) -> None:
    page = signed_in(pair[0])
    expect(page.locator("#clock")).to_contain_text("live, updated")
    expect(page.locator("[sse-swap=beat]")).not_to_have_text("")
    page.context.request.post(pair[0].url + "/sign-out", headers={"Origin": pair[0].url})
    expect(page.get_by_label("Token")).to_be_visible()


def test_a_page_whose_node_was_started_again_asks_for_the_token(
    pair: tuple[Served, Served], browser: Browser
) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(pair[0].url + "/")
    page.get_by_label("Token").fill(pair[0].admin)
    page.get_by_role("button", name="Sign in").click()
    # As by a node that does not know the session: the stream breaks, and can't be had again.
    expect(page.locator("[sse-swap=beat]")).not_to_have_text("")
    context.clear_cookies()
    page.evaluate("htmx.trigger(document.querySelector('[sse-connect]'), 'htmx:sseError')")
    expect(page.get_by_label("Token")).to_be_visible()
    context.close()


def test_pages_work_without_scripts(pair: tuple[Served, Served], signed_in: Open) -> None:
    page = signed_in(pair[0], java_script_enabled=False)
    assert page.locator("meta[http-equiv=refresh]").count() == 1
    expect(page.get_by_role("row", name="Podgorica")).to_be_visible()
    page.get_by_role("search", name="All objects").get_by_role("searchbox").fill("203.0.113[.]1")
    page.get_by_role("button", name="Find").first.click()
    page.wait_for_url("**/objects?value=203.0.113.1")
    page.get_by_role("link", name="203.0.113.1", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("203.0.113.1")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Token")).to_be_visible()


def test_further_conditions_work_without_scripts(pair: tuple[Served, Served], signed_in: Open) -> None:
    page = signed_in(pair[0], java_script_enabled=False)
    page.goto(pair[0].url + "/objects")
    label = page.get_by_role("searchbox", name="Label")
    expect(label).to_be_hidden()
    page.get_by_text("More conditions").click()
    label.fill("exercise")
    page.get_by_label("Seen").select_option("by nobody so far")
    page.get_by_label("Came since (UTC)").fill("2020-01-01T00:00")
    page.get_by_role("search", name="These objects").get_by_role("button", name="Find").last.click()
    page.wait_for_url("**label=exercise**")
    expect(page.get_by_role("searchbox", name="Label")).to_have_value("exercise")
    expect(page.get_by_label("Came since (UTC)")).to_have_value("2020-01-01T00:00")
    expect(page.get_by_role("link", name="203.0.113.1", exact=True)).to_be_visible()


def test_from_an_object_to_everything_about_its_value_and_back(
    pair: tuple[Served, Served], signed_in: Open
) -> None:
    page = signed_in(pair[0], java_script_enabled=False)
    page.goto(pair[0].url + "/objects?value=203.0.113.1")
    page.get_by_role("link", name="Everything about 203.0.113.1").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("About 203.0.113.1")
    page.get_by_role("region", name="This value itself").get_by_role("link", name="203.0.113.1").click()
    page.locator(".values").get_by_role("link", name="203.0.113.1").click()
    page.wait_for_url("**/about?value=203.0.113.1")


@pytest.mark.needs("axe")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_axe_finds_nothing_wrong_with_what_does_not_count(
    disputed: tuple[Served, list[str]], signed_in: Open, scheme: str, width: int
) -> None:
    node, paths = disputed
    page = signed_in(node, color_scheme=scheme, viewport={"width": width, "height": 900}, bypass_csp=True)
    found = {}
    for path in ("/", "/objects?revoked=false&label=exercise", "/about?value=198.51.100.1", "/about", *paths):
        page.goto(node.url + path)
        page.add_script_tag(path=ROOT / "node_modules/axe-core/axe.min.js")
        found[path] = _axe(page)
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{path} is {wide} pixels too wide"
    assert not any(found.values()), found


@pytest.fixture(scope="module")
def disputed(served: Callable[[str], Served]) -> tuple[Served, list[str]]:
    """Return a node with objects in dispute, purged, superseded, revoked, and the paths of those."""
    node = served("Pristina")
    two, gone, old = (
        indicator(f"198.51.100.{n}", f"object {n}", created_by_ref=node.member) for n in (1, 2, 3)
    )
    node.publish(two, gone, old, indicator("198.51.100.0/24", "around"))
    node.publish(old | {"modified": "2026-02-01T00:00:00.000Z", "revoked": True})
    node.dispute(two)
    node.purge(gone, "it named persons")
    return node, [f"/objects/{one['id']}" for one in (two, gone, old)]


def test_a_warning_comes_to_an_open_desk_by_itself(served: Callable[[str], Served], signed_in: Open) -> None:
    node = served("Skopje")
    one = indicator("198.51.100.9", "two faces", created_by_ref=node.member)
    node.publish(one)
    page = signed_in(node)
    expect(page.locator("#clock")).to_contain_text("live, updated")
    node.dispute(one)
    expect(page.get_by_role("alert").filter(has_text="in dispute")).to_be_visible()


def test_keys_move_open_search_and_help(pair: tuple[Served, Served], signed_in: Open) -> None:
    page = signed_in(pair[0])
    page.goto(pair[0].url + "/objects?type=indicator")
    rows = page.locator("tbody tr a")
    page.keyboard.press("j")
    expect(rows.nth(0)).to_be_focused()
    page.keyboard.press("j")
    expect(rows.nth(1)).to_be_focused()
    page.keyboard.press("k")
    expect(rows.nth(0)).to_be_focused()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Keys")).to_be_hidden()
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox", name="Value", exact=True)).to_be_focused()
    page.keyboard.type("j?/")
    expect(page.get_by_role("searchbox", name="Value", exact=True)).to_have_value("j?/")
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url("**/objects/indicator--*")


def test_single_keys_can_be_switched_off_for_good(pair: tuple[Served, Served], signed_in: Open) -> None:
    page = signed_in(pair[0])
    page.get_by_role("button", name="Keys").click()
    page.get_by_label("single keys are on").uncheck()
    page.keyboard.press("Escape")
    page.goto(pair[0].url + "/objects")
    page.keyboard.press("j")
    expect(page.locator("tbody tr a").nth(0)).not_to_be_focused()


def test_the_row_in_hand_stays_in_hand_when_the_list_changes(
    pair: tuple[Served, Served], signed_in: Open
) -> None:
    page = signed_in(pair[0])
    page.keyboard.press("j")
    expect(page.get_by_role("rowheader").get_by_role("link", name="Podgorica")).to_be_focused()
    page.evaluate("document.activeElement.dataset.old = 'yes'")
    pair[0].publish(indicator("203.0.113.90", "a second beacon"), to="podgorica")
    expect(page.get_by_role("link", name="a second beacon")).to_be_visible()
    expect(page.locator("[data-old]")).to_have_count(0)
    expect(page.get_by_role("rowheader").get_by_role("link", name="Podgorica")).to_be_focused()


def test_hostile_names_are_text_in_every_page(pair: tuple[Served, Served], signed_in: Open) -> None:
    page = signed_in(pair[0])
    page.goto(pair[0].url + "/objects?value=203.0.113.2")
    expect(page.get_by_text(_HOSTILE, exact=True)).to_be_visible()
    page.get_by_text(_HOSTILE, exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(_HOSTILE)
    assert page.locator("main img, main script").count() == 0


def test_no_page_offends_against_its_own_content_security_policy(
    pair: tuple[Served, Served], signed_in: Open
) -> None:
    page = signed_in(pair[0])
    page.goto(pair[0].url + "/objects?value=203.0.113.2")
    one = page.locator("tbody a").first.get_attribute("href")
    for path in ("/", "/peers", f"{one}", "/objects?text=nothing-like-it"):
        answer = page.goto(pair[0].url + path)
        assert answer
        assert "script-src 'self'" in answer.headers["content-security-policy"]
        assert page.locator("[style], style, script:not([src]), [onclick], [onload]").count() == 0
        page.wait_for_timeout(200)  # for the stream's first swap; complaints are gathered by `signed_in`


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/peers",
        "/objects?value=http://evil.example/" + "x" * 900,
        "/objects?tlp=" + "x" * 900,
        "/objects?text=" + "x" * 5000,
    ],
)
def test_nothing_is_cut_off_at_the_edge(
    pair: tuple[Served, Served], signed_in: Open, path: str, width: int
) -> None:
    page = signed_in(pair[0], viewport={"width": width, "height": 900})
    page.route("**/objects?t*", lambda route: route.fulfill(response=route.fetch(), status=200))
    page.goto(pair[0].url + path)
    beyond = page.evaluate(
        "[document.documentElement, ...document.querySelectorAll('.wide')]"
        ".map(one => one.scrollWidth - one.clientWidth)"
    )
    assert max(beyond) <= 0


@pytest.mark.needs("axe")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
def test_axe_finds_nothing_wrong(
    pair: tuple[Served, Served], signed_in: Open, scheme: str, width: int
) -> None:
    tirana = pair[0]
    page = signed_in(tirana, color_scheme=scheme, viewport={"width": width, "height": 900}, bypass_csp=True)
    page.goto(tirana.url + "/objects?value=203.0.113.1")
    one = page.locator("tbody a").first.get_attribute("href")
    found = {}
    for path in ("/", "/peers", "/objects", f"{one}", "/sign-out"):
        if path == "/sign-out":
            page.get_by_role("button", name="Sign out").click()
        else:
            page.goto(tirana.url + path)
        page.add_script_tag(path=ROOT / "node_modules/axe-core/axe.min.js")
        found[path] = _axe(page)
    assert not any(found.values()), found


@pytest.mark.needs("axe")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_wrong_with_the_alarm(
    pair: tuple[Served, Served], browser: Browser, scheme: Any
) -> None:
    context = browser.new_context(color_scheme=scheme, bypass_csp=True)
    page = context.new_page()
    page.route("**/live*", lambda route: route.abort())
    page.clock.install()
    page.goto(pair[0].url + "/")
    page.get_by_label("Token").fill(pair[0].admin)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(pair[0].url + "/")
    page.clock.fast_forward(15_000)
    expect(page.get_by_role("alert")).to_be_visible()
    page.add_script_tag(path=ROOT / "node_modules/axe-core/axe.min.js")
    page.clock.resume()
    assert _axe(page) == []
    context.close()


def _axe(page: Page) -> list[str]:
    found: list[dict[str, Any]] = page.evaluate("axe.run().then(result => result.violations)")
    return [
        f"{one['id']} ({one['impact']}): {[node['target'] for node in one['nodes'][:3]]}" for one in found
    ]


def _note(complaints: list[str], kind: str, text: str) -> None:
    if kind in {"error", "warning"}:
        complaints.append(f"{kind}: {text}")


def test_what_was_put_aside_is_decided_by_keys_alone(pair: tuple[Served, Served], signed_in: Open) -> None:
    tirana, podgorica = pair
    tirana.publish(indicator("203.0.0.0/12", "taken by keys"))
    page = signed_in(podgorica)
    expect(page.get_by_role("region", name="In quarantine")).to_be_visible()
    page.goto(podgorica.url + "/quarantine")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url("**/quarantine/*")
    page.keyboard.press("r")
    expect(page.get_by_label("Why it is let go")).to_be_focused()
    page.keyboard.press("Escape")
    page.keyboard.press("a")
    page.keyboard.type("asked by telephone")
    page.keyboard.press("Enter")
    page.wait_for_url("**/quarantine")
    expect(page.get_by_text("Nothing waits in quarantine.")).to_be_visible()
    page.goto(podgorica.url + "/objects")
    expect(page.get_by_role("link", name="taken by keys")).to_be_visible()


def test_the_pages_about_what_was_put_aside_work_without_scripts(
    pair: tuple[Served, Served], signed_in: Open
) -> None:
    tirana, podgorica = pair
    tirana.publish(indicator("203.0.0.0/12", "let go by hand"))
    page = signed_in(podgorica, java_script_enabled=False)
    page.get_by_role("link", name="in quarantine").click()
    page.get_by_role("row").nth(1).get_by_role("link").click()
    page.get_by_label("Why it is let go").fill("our own resolver")
    page.get_by_role("button", name="Reject").click()
    page.wait_for_url("**/quarantine")
    expect(page.get_by_text("Nothing waits in quarantine.")).to_be_visible()


@pytest.mark.needs("axe")
@pytest.mark.parametrize(("scheme", "width"), [("light", 390), ("dark", 1440)])
def test_axe_finds_nothing_wrong_with_what_was_put_aside(
    pair: tuple[Served, Served], signed_in: Open, scheme: str, width: int
) -> None:
    tirana, podgorica = pair
    tirana.publish(indicator("203.0.0.0/12", f"put aside, {scheme}"))
    page = signed_in(
        podgorica, color_scheme=scheme, viewport={"width": width, "height": 900}, bypass_csp=True
    )
    expect(page.get_by_role("region", name="In quarantine")).to_be_visible()
    page.goto(podgorica.url + "/quarantine")
    one = page.locator("tbody a").first.get_attribute("href")
    found = {}
    for path in ("/quarantine", f"{one}", "/quarantine?decided=true&peer=tirana"):
        page.goto(podgorica.url + path)
        page.add_script_tag(path=ROOT / "node_modules/axe-core/axe.min.js")
        found[path] = _axe(page)
    assert not any(found.values()), found
