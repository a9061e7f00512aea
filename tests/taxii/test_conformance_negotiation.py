"""Media types, methods, addresses and errors (TAXII 2.1 §1.6.8, §3.1, §3.2, §3.6), over HTTP."""

import http.client

import pytest
from tests.taxii.clients import (
    ALL,
    COLLECTIONS,
    INBOX,
    NOBODY,
    ROOT,
    TAXII,
    Answer,
    assert_error,
    envelope,
    indicator,
)
from tests.taxii.conftest import MANY, Served

ONE = f"{ALL}/objects/{indicator(MANY)['id']}/"
ENDPOINTS = [
    "/taxii2/",
    f"{ROOT}/",
    f"{COLLECTIONS}/",
    f"{ALL}/",
    f"{ALL}/manifest/",
    f"{ALL}/objects/",
    ONE,
    f"{ONE}versions/",
]
UNKNOWN = [
    "/taxii2/other/",
    "/taxii2/other/collections/",
    f"{ROOT}/nothing/",
    f"{COLLECTIONS}/{NOBODY}/",
    f"{COLLECTIONS}/{NOBODY}/manifest/",
    f"{COLLECTIONS}/{NOBODY}/objects/",
    f"{COLLECTIONS}/{NOBODY}/objects/indicator--{NOBODY}/",
    f"{COLLECTIONS}/{NOBODY}/objects/indicator--{NOBODY}/versions/",
    f"{COLLECTIONS}/no-such-alias/objects/",
    f"{ALL}/objects/indicator--{NOBODY}/",
    f"{ALL}/objects/indicator--{NOBODY}/versions/",
    f"{ALL}/objects/not-an-id/",
    f"{ALL}/channels/",
    f"{ROOT}/status/{NOBODY}/",
    f"{ROOT}/status/not-an-id/",
]


# --- media types ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ENDPOINTS)
def test_every_answer_names_taxii_s_media_type_and_version(served: Served, path: str) -> None:
    answer = served.own.ask(path)
    assert (answer.status, answer.headers.get_all("Content-Type")) == (200, [TAXII])


@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize(
    "accept",
    [
        "application/json",
        "application/stix+json;version=2.1",
        "application/vnd.oasis.taxii+json; version=2.0",
        "application/taxii+json;version=2.0",
        "application/taxii+json;version=2.1;q=0",
        "text/*",
    ],
)
def test_who_accepts_nothing_of_taxii_2_1_is_told_406(served: Served, path: str, accept: str) -> None:
    assert_error(served.own.ask(path, headers={"Accept": accept}), 406)


@pytest.mark.parametrize(
    "accept",
    [
        "application/taxii+json",
        "application/taxii+json; version=2.1",
        'application/taxii+json;version="2.1"',
        "application/taxii+json ; version=2.1",
        "Application/TAXII+JSON;Version=2.1",
        "application/taxii+json;version=2.0, application/taxii+json;version=2.1;q=0.1",
        "application/json, text/plain, */*",
        "application/*",
        "*/*;q=0.1",
        None,
    ],
)
def test_each_way_to_accept_taxii_2_1_will_do(served: Served, accept: str | None) -> None:
    answer = served.own.ask(f"{ALL}/objects/", headers={"Accept": accept})
    assert (answer.status, answer.headers["Content-Type"]) == (200, TAXII)


@pytest.mark.parametrize("accept", ["application/json", "text/html"])
def test_a_post_of_who_could_not_read_the_answer_changes_nothing(written: Served, accept: str) -> None:
    body = envelope(indicator(1))
    answer = written.own.ask(f"{INBOX}/objects/", method="POST", body=body, headers={"Accept": accept})
    assert_error(answer, 406)
    assert written.own.items(f"{INBOX}/objects/") == []


@pytest.mark.parametrize(
    "sent",
    [
        "application/json",
        "application/stix+json;version=2.1",
        "application/taxii+json;version=2.0",
        "application/vnd.oasis.stix+json; version=2.0",
        "text/plain",
        "nonsense",
        None,
    ],
)
def test_objects_of_another_media_type_are_told_415_and_not_taken(written: Served, sent: str | None) -> None:
    body = envelope(indicator(2))
    answer = written.own.ask(f"{INBOX}/objects/", method="POST", body=body, headers={"Content-Type": sent})
    assert_error(answer, 415)
    assert written.own.items(f"{INBOX}/objects/") == []


@pytest.mark.parametrize(
    "sent",
    ["application/taxii+json", "application/taxii+json; version=2.1", 'Application/Taxii+json;version="2.1"'],
)
def test_objects_are_taken_in_each_spelling_of_taxii_s_media_type(written: Served, sent: str) -> None:
    body = envelope(indicator(3))
    answer = written.own.ask(f"{INBOX}/objects/", method="POST", body=body, headers={"Content-Type": sent})
    assert (answer.status, answer.headers["Content-Type"]) == (202, TAXII)


# --- addresses and methods --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", UNKNOWN)
def test_what_there_is_not_is_told_404(served: Served, path: str) -> None:
    assert_error(served.own.ask(path), 404)


@pytest.mark.parametrize("path", ENDPOINTS)
def test_without_its_last_slash_it_is_the_same_place(served: Served, path: str) -> None:
    short, full = served.own.ask(path.removesuffix("/")), served.own.ask(path)
    assert (short.status, short.raw) == (full.status, full.raw)


@pytest.mark.parametrize("path", [*ENDPOINTS, f"{INBOX}/objects/"])
def test_options_is_answered_by_what_there_is(served: Served, path: str) -> None:
    answer = served.own.ask(path, method="OPTIONS")
    assert answer.status in {200, 204, 405}, answer.raw
    assert "GET" in answer.headers["Allow"]


@pytest.mark.parametrize("method", ["OPTIONS", "HEAD", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("path", ["/taxii2/", f"{ALL}/objects/", f"{COLLECTIONS}/{NOBODY}/objects/"])
def test_no_method_is_an_error_of_the_server_for_who_did_not_sign_in(
    served: Served, method: str, path: str
) -> None:
    assert served.own.ask(path, method=method, headers={"Authorization": None}).status < 500


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", f"{INBOX}/objects/"),
        ("PATCH", f"{INBOX}/objects/"),
        ("DELETE", f"{INBOX}/objects/"),
        ("DELETE", f"{INBOX}/"),
        ("POST", "/taxii2/"),
        ("POST", f"{ROOT}/"),
        ("POST", f"{COLLECTIONS}/"),
        ("POST", f"{ALL}/manifest/"),
        ("POST", ONE),
        ("PUT", ONE),
        ("DELETE", f"{ONE}versions/"),
    ],
)
def test_a_method_that_an_endpoint_lacks_is_told_405_with_those_it_has(
    served: Served, method: str, path: str
) -> None:
    answer = served.own.ask(path, method=method)
    assert_error(answer, 405)
    assert "GET" in answer.headers["Allow"]


# --- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query",
    [
        {"limit": 0},
        {"limit": -1},
        {"limit": "ten"},
        {"limit": "1.5"},
        {"added_after": "yesterday"},
        {"added_after": "2026-01-05"},
        {"added_after": "2026-02-30T00:00:00Z"},
        {"added_after": "2026-01-05T08:00:00+01:00"},
        {"next": "nonsense"},
        {"match[version]": "newest"},
    ],
    ids=str,
)
@pytest.mark.parametrize("path", [f"{ALL}/objects/", f"{ALL}/manifest/"])
def test_a_query_that_means_nothing_is_told_400(served: Served, path: str, query: dict[str, object]) -> None:
    assert_error(served.own.ask(path, query), 400)


@pytest.mark.parametrize("query", [{"limit": 0}, {"next": "nonsense"}, {"added_after": "x"}], ids=str)
def test_so_is_one_about_versions(served: Served, query: dict[str, object]) -> None:
    assert_error(served.own.ask(f"{ONE}versions/", query), 400)


@pytest.mark.parametrize(
    "query", [{"unknown": "1"}, {"match[confidence]": "85"}, {"match[]": ""}, {"match": "x"}], ids=str
)
def test_parameters_that_the_server_does_not_know_mean_nothing(
    served: Served, query: dict[str, object]
) -> None:
    assert served.own.ask(f"{ALL}/objects/", query).raw == served.own.ask(f"{ALL}/objects/").raw


def test_a_very_long_address_is_refused_and_the_node_goes_on(served: Served) -> None:
    answer = _raw(served, f"{ALL}/objects/?match[id]={'x' * 100_000}")
    assert answer.status in {400, 404, 414, 431}, answer.raw[:200]
    assert served.own.ask(f"{ALL}/objects/").status == 200


@pytest.mark.parametrize(
    "path",
    [
        f"{ALL}/objects/?match[type]=%ff%fe",
        f"{ALL}/objects/?next=%00",
        f"{ALL}/objects/%00/",
        f"{ALL}/objects/..%2f..%2f/",
        f"{COLLECTIONS}/%f0%9f%92%a5/objects/",
        f"{ALL}/objects/?added_after=%00&limit=%e2%85%a7",
        f"{ALL}/objects/?{'&'.join(['limit=1'] * 500)}",
        f"{ALL}/objects/?match[id]={','.join(['x'] * 500)}",
        f"{ALL}/objects/?limit={'9' * 5000}",
    ],
)
def test_no_address_is_an_error_of_the_server(served: Served, path: str) -> None:
    answer = _raw(served, path)
    assert answer.status < 500, answer.raw
    if answer.status != 200:
        assert answer.headers["Content-Type"] == TAXII
        assert answer.body["title"]


def _raw(served: Served, path: str) -> Answer:
    """Ask with an address as it is, whatever is in it."""
    conn = http.client.HTTPConnection("127.0.0.1", served.node.port, timeout=60)
    try:
        conn.request("GET", path, headers={"Accept": TAXII, "Authorization": served.own.basic})
        with conn.getresponse() as answer:
            return Answer(answer.status, answer.headers, answer.read())
    finally:
        conn.close()
