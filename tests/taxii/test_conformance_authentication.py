"""Who asks (TAXII 2.1 §1.6.9, §8.2.2), over HTTP."""

import base64

import pytest
from tests.taxii.clients import ALL, COLLECTIONS, INBOX, NOBODY, ROOT, Client, assert_error, indicator
from tests.taxii.conftest import Served, own_system

EVERY = [
    ("GET", "/taxii2/"),
    ("GET", f"{ROOT}/"),
    ("GET", f"{COLLECTIONS}/"),
    ("GET", f"{ALL}/"),
    ("GET", f"{ALL}/manifest/"),
    ("GET", f"{ALL}/objects/"),
    ("POST", f"{INBOX}/objects/"),
    ("GET", f"{ALL}/objects/indicator--{NOBODY}/"),
    ("DELETE", f"{INBOX}/objects/indicator--{NOBODY}/"),
    ("GET", f"{ALL}/objects/indicator--{NOBODY}/versions/"),
    ("GET", f"{ROOT}/status/{NOBODY}/"),
    ("GET", f"{COLLECTIONS}/{NOBODY}/objects/"),
]


@pytest.mark.parametrize(("method", "path"), EVERY)
def test_without_credentials_each_endpoint_says_401_and_how_to_sign_in(
    written: Served, method: str, path: str
) -> None:
    answer = written.own.ask(path, method=method, headers={"Authorization": None})
    assert_error(answer, 401)
    challenge = ", ".join(answer.headers.get_all("WWW-Authenticate") or [])
    assert "Basic realm=" in challenge
    assert "Bearer" in challenge


def test_without_credentials_what_is_there_and_what_is_not_look_alike(written: Served) -> None:
    status = written.own.posted(indicator(1))
    there = [f"{ALL}/objects/{indicator(1)['id']}/", f"{ROOT}/status/{status['id']}/"]
    answers = {
        written.own.ask(path, headers={"Authorization": None}).raw
        for path in (*there, f"{ALL}/objects/indicator--{NOBODY}/", f"{ROOT}/status/{NOBODY}/")
    }
    assert len(answers) == 1


def _basic(user: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


def test_basic_and_bearer_are_the_same_client(written: Served) -> None:
    own = written.own
    bearer = own.ask(f"{COLLECTIONS}/", headers={"Authorization": f"Bearer {own.token}"})
    assert bearer.status == 200
    assert bearer.raw == own.ask(f"{COLLECTIONS}/").raw


@pytest.mark.parametrize("scheme", ["basic", "BASIC", "Basic"])
def test_the_name_of_the_scheme_may_be_in_any_case(written: Served, scheme: str) -> None:
    # RFC 9110 §11.1
    shown = f"{scheme} {written.own.basic.split()[1]}"
    assert written.own.ask("/taxii2/", headers={"Authorization": shown}).status == 200


def test_a_token_goes_with_its_own_name_alone(written: Served) -> None:
    for user in ("siem", "", "OPENCTI", "opencti "):
        shown = {"Authorization": _basic(user, written.own.token)}
        assert_error(written.own.ask("/taxii2/", headers=shown), 401)


@pytest.mark.parametrize(
    "shown",
    [
        "Basic",
        "Basic !!!",
        "Basic bm9ib2R5",
        "Basic w6lh",
        "Bearer",
        "Bearer x",
        "Digest x",
        "",
        ":",
        "Negotiate x",
    ],
)
def test_credentials_that_are_none_are_401_with_how_to_sign_in(written: Served, shown: str) -> None:
    answer = written.own.ask("/taxii2/", headers={"Authorization": shown})
    assert_error(answer, 401)
    assert answer.headers["WWW-Authenticate"]


def test_a_revoked_token_ends_at_once_and_a_status_with_it(written: Served) -> None:
    client = own_system(written.node, "splunk", "green")
    status = client.posted(indicator(5))
    written.node.post("/tokens/revoke", {"name": "splunk"})
    for path in ("/taxii2/", f"{ROOT}/status/{status['id']}/", f"{ALL}/objects/"):
        assert_error(client.ask(path), 401)


@pytest.mark.parametrize("role", ["analyst", "sensor", "auditor", "monitor", "coordinator", "admin"])
def test_who_signed_in_but_is_no_client_is_told_403(written: Served, role: str) -> None:
    made = written.node.call("POST", "/tokens", f'{{"name":"a-{role}","role":"{role}"}}'.encode())
    assert made.status == 200, made.body
    client = Client(written.node, f"a-{role}", made.json()["token"])
    for path in ("/taxii2/", f"{ALL}/objects/", f"{COLLECTIONS}/{NOBODY}/objects/"):
        assert_error(client.ask(path), 403)


def test_a_token_for_taxii_opens_nothing_that_people_have(written: Served) -> None:
    for path in ("/peers", "/tokens", "/audit", "/communities"):
        answer = written.node.call("GET", path, token=written.own.token)
        assert answer.status in {403, 404}, (path, answer)


def test_two_systems_of_one_clearance_see_the_same_bytes_with_the_same_dates(written: Served) -> None:
    written.own.posted(indicator(6), indicator(7))
    twin = own_system(written.node, "twin", "red")
    for path in (f"{ALL}/objects/", f"{ALL}/manifest/"):
        one, other = written.own.ask(path), twin.ask(path)
        assert one.raw == other.raw
        assert one.headers["X-TAXII-Date-Added-Last"] == other.headers["X-TAXII-Date-Added-Last"]
