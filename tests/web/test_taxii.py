"""The TAXII 2.1 server, asked over HTTP as clients ask it: what each clause demands, and what is tolerated.

docs/taxii.md says which test holds which clause.
"""

import base64
import http.client
import json
import urllib.parse
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
import stix2  # type: ignore[import-untyped]  # it has no types
from taxii2client.v21 import (  # type: ignore[import-untyped]  # it has no types
    ApiRoot,
    Collection,
    Server,
    as_pages,
)
from tests.battery.nodes import RunningNode
from tests.flows.test_offer import AMBER
from tests.stix.examples import indicator

from lezha.stix import bundle, encode

MEDIA = "application/taxii+json;version=2.1"
FIRST, LAST = "X-TAXII-Date-Added-First", "X-TAXII-Date-Added-Last"
ROOT = "/taxii2/node"
ALL, INBOX = f"{ROOT}/collections/all", f"{ROOT}/collections/inbox"
NOBODY = "00000000-0000-4000-8000-000000000000"
MOST = 300_000


class Answer(NamedTuple):
    """An answer over HTTP."""

    status: int
    headers: http.client.HTTPMessage
    raw: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.raw)


def named(number: int, **more: Any) -> dict[str, Any]:
    return indicator(
        id=f"indicator--{number:08d}-0000-4000-8000-000000000000",
        name=f"sign {number}",
        pattern=f"[domain-name:value = 'sign-{number}.example']",
        object_marking_refs=None,
        **more,
    )


def day(number: int, of: int = 1) -> dict[str, Any]:
    """A later version of an object."""
    return named(of, modified=f"2022-08-{number:02d}T00:00:00.000Z")


def sco(text: str) -> dict[str, Any]:
    return {
        "type": "domain-name",
        "spec_version": "2.1",
        "id": "domain-name--0b2f5b6e-7a8c-5d3e-9f10-1a2b3c4d5e6f",
        "value": "bad.example",
        "x_note": text,
    }


def envelope(*objects: dict[str, Any]) -> bytes:
    return b'{"objects":[' + b",".join(map(encode, objects)) + b"]}"


class Client:
    """A client with Basic credentials."""

    def __init__(self, node: RunningNode, name: str, token: str) -> None:
        self.node, self.name, self.token = node, name, token

    @property
    def basic(self) -> str:
        return f"Basic {base64.b64encode(f'{self.name}:{self.token}'.encode()).decode()}"

    def ask(self, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> Answer:
        """Send a request; a header given as an empty text is left out."""
        sent = {"Accept": MEDIA, "Authorization": self.basic, "Content-Type": MEDIA} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        conn = http.client.HTTPConnection("127.0.0.1", self.node.port, timeout=30)
        try:
            conn.request(method, path, body, {name: value for name, value in sent.items() if value})
            with conn.getresponse() as answer:
                return Answer(answer.status, answer.headers, answer.read())
        finally:
            conn.close()

    def objects(self, path: str = f"{ALL}/objects/", **query: str) -> list[dict[str, Any]]:
        answer = self.ask(f"{path}?{urllib.parse.urlencode(query, safe='[],:')}")
        assert answer.status == 200, answer.raw
        found: list[dict[str, Any]] = answer.body.get("objects", [])
        return found

    def names(self, path: str = f"{ALL}/objects/", **query: str) -> list[str]:
        return [f"{one['id'][:19]}" for one in self.objects(path, **query)]

    def post(self, *objects: dict[str, Any]) -> dict[str, Any]:
        answer = self.ask(f"{INBOX}/objects/", "POST", envelope(*objects))
        assert answer.status == 202, answer.raw
        found: dict[str, Any] = answer.body
        return found


class Served(NamedTuple):
    """A node with two own systems, one cleared for all and one to AMBER, and a ministry."""

    node: RunningNode
    opencti: Client
    siem: Client
    ministry: Client


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    node = RunningNode(tmp_path_factory.mktemp("taxii"), "tirana", max_bundle_bytes=MOST)
    try:
        node.start()

        def own(name: str, level: str) -> Client:
            made = node.post("/tokens", {"name": name, "role": "system", "clearance": level})
            return Client(node, name, made["token"])

        ministry = node.post("/constituents", {"name": "ministry", "clearance": "amber"})["token"]
        yield Served(node, own("opencti", "red"), own("siem", "amber"), Client(node, "ministry", ministry))
    finally:
        node.kill()


@pytest.fixture(scope="module")
def filled(served: Served) -> Served:
    """As `served`, with objects: 2 in three versions, 5 to 9 more."""
    publish(served, "green", named(1), named(2))
    for number in (3, 1, 2):
        publish(served, "green", day(number, of=2))
    publish(served, "red", named(3))
    publish(served, "amber", named(4) | {"object_marking_refs": [AMBER]})
    served.opencti.post(sco("posted"), *(named(number) for number in range(5, 10)))
    return served


def publish(served: Served, tlp: str, *objects: dict[str, Any]) -> None:
    raw = bundle.write([encode(one) for one in objects])
    answer = served.node.call("POST", "/publish", raw, {"tlp": tlp, "to": "everyone"})
    assert answer.status == 200, answer.body


# --- content negotiation, errors (§1.6.8, §3.2, §3.6) -----------------------------------------------------------------

ENDPOINTS = [
    "/taxii2/",
    f"{ROOT}/",
    f"{ROOT}/collections/",
    f"{ALL}/",
    f"{ALL}/manifest/",
    f"{ALL}/objects/",
    f"{ALL}/objects/{named(1)['id']}/",
    f"{ALL}/objects/{named(1)['id']}/versions/",
]


@pytest.mark.parametrize("path", ENDPOINTS)
def test_every_answer_is_of_the_media_type_of_taxii(filled: Served, path: str) -> None:
    answer = filled.opencti.ask(path)
    assert (answer.status, answer.headers["Content-Type"]) == (200, MEDIA)


@pytest.mark.parametrize("path", ENDPOINTS)
def test_who_accepts_something_else_is_told_that_there_is_nothing_else(filled: Served, path: str) -> None:
    for wanted in ("application/json", "application/taxii+json;version=2.0", "text/html"):
        answer = filled.opencti.ask(path, Accept=wanted)
        assert_error(answer, 406)


@pytest.mark.parametrize(
    "wanted", ["application/taxii+json", "*/*", "", "text/html, application/taxii+json;q=0.5"]
)
def test_an_accept_without_a_version_is_enough(filled: Served, wanted: str) -> None:
    assert filled.opencti.ask(f"{ALL}/objects/", Accept=wanted).status == 200


@pytest.mark.parametrize("sent", ["application/json", "", "application/taxii+json;version=2.0", "text/plain"])
def test_objects_of_another_media_type_are_not_taken(served: Served, sent: str) -> None:
    assert_error(served.opencti.ask(f"{INBOX}/objects/", "POST", envelope(named(90)), Content_Type=sent), 415)


def assert_error(answer: Answer, status: int) -> None:
    """An error message (§3.6.1), whatever is wrong."""
    assert answer.status == status, answer.raw
    assert answer.headers["Content-Type"] == MEDIA
    assert answer.body["title"]
    assert answer.body["http_status"] == str(status)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/taxii2/other/", 404),
        ("/taxii2/other/collections/", 404),
        (f"{ROOT}/collections/{NOBODY}/", 404),
        (f"{ROOT}/collections/{NOBODY}/objects/", 404),
        (f"{ROOT}/collections/{NOBODY}/manifest/", 404),
        (f"{ALL}/objects/indicator--{NOBODY}/", 404),
        (f"{ALL}/objects/indicator--{NOBODY}/versions/", 404),
        (f"{ALL}/objects/nonsense/", 404),
        (f"{ROOT}/status/{NOBODY}/", 404),
        (f"{ALL}/objects/?added_after=yesterday", 400),
        (f"{ALL}/objects/?limit=0", 400),
        (f"{ALL}/objects/?limit=-1", 400),
        (f"{ALL}/objects/?limit=many", 400),
        (f"{ALL}/objects/?next=nonsense", 400),
        (f"{ALL}/objects/?match[version]=newest", 400),
        (f"{ALL}/manifest/?next=nonsense", 400),
        (f"{ALL}/objects/{named(1)['id']}/versions/?next=nonsense", 400),
    ],
)
def test_what_is_wrong_is_told_by_an_error_message(filled: Served, path: str, status: int) -> None:
    assert_error(filled.opencti.ask(path), status)


@pytest.mark.parametrize(
    ("method", "path"),
    [("PUT", f"{ALL}/objects/"), ("POST", "/taxii2/"), ("PATCH", f"{ALL}/"), ("DELETE", f"{ALL}/objects/")],
)
def test_a_method_that_an_endpoint_has_not_is_told_so(served: Served, method: str, path: str) -> None:
    assert_error(served.opencti.ask(path, method), 405)


def test_without_a_slash_at_the_end_it_is_the_same_place(filled: Served) -> None:
    assert filled.opencti.ask(f"{ALL}/objects").raw == filled.opencti.ask(f"{ALL}/objects/").raw


# --- who asks (§1.6.9) ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [*ENDPOINTS, f"{ROOT}/status/{NOBODY}/"])
def test_without_credentials_nothing_is_told_and_both_ways_are_named(served: Served, path: str) -> None:
    answer = served.opencti.ask(path, Authorization="")
    assert_error(answer, 401)
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")
    assert "Bearer " in answer.headers["WWW-Authenticate"]


def test_a_token_is_shown_as_bearer_or_as_the_password_of_its_name(served: Served) -> None:
    own = served.opencti
    assert own.ask("/taxii2/", Authorization=f"Bearer {own.token}").status == 200
    assert own.ask("/taxii2/").status == 200
    assert Client(served.node, "siem", own.token).ask("/taxii2/").status == 401


@pytest.mark.parametrize(
    "shown",
    ["Basic", "Basic !!!", "Basic bm9ib2R5", f"Basic {'A' * 5000}", "Bearer x", "Digest x", "Basic w6lh"],
)
def test_credentials_that_are_none_are_refused(served: Served, shown: str) -> None:
    assert_error(served.opencti.ask("/taxii2/", Authorization=shown), 401)


def test_who_fails_again_and_again_is_written_down_and_others_are_served(served: Served) -> None:
    for _ in range(8):
        assert served.opencti.ask("/taxii2/", Authorization="Bearer lzh_0_0").status == 401
    assert served.opencti.ask("/taxii2/").status == 200
    kept = served.node.rows("SELECT detail FROM events WHERE kind = 'sign-in refused'")
    assert any("an unknown or revoked token" in detail for (detail,) in kept)


def test_a_revoked_token_ends_at_once(served: Served) -> None:
    made = served.node.post("/tokens", {"name": "splunk", "role": "system", "clearance": "green"})
    client = Client(served.node, "splunk", made["token"])
    assert client.ask("/taxii2/").status == 200
    served.node.post("/tokens/revoke", {"name": "splunk"})
    assert_error(client.ask("/taxii2/"), 401)


@pytest.mark.parametrize("role", ["analyst", "sensor", "auditor", "monitor", "coordinator"])
def test_people_and_sensors_are_no_clients(served: Served, role: str) -> None:
    made = served.node.post("/tokens", {"name": f"a-{role}", "role": role})
    assert_error(Client(served.node, f"a-{role}", made["token"]).ask("/taxii2/"), 403)


def test_an_own_system_has_a_clearance_and_nobody_else(served: Served) -> None:
    for body in ({"name": "x", "role": "system"}, {"name": "x", "role": "analyst", "clearance": "red"}):
        assert served.node.call("POST", "/tokens", json.dumps(body).encode()).status == 422


def test_a_client_that_asks_without_end_is_told_to_wait_and_others_are_not(served: Served) -> None:
    made = served.node.post("/tokens", {"name": "busy", "role": "system", "clearance": "clear"})
    conn = http.client.HTTPConnection("127.0.0.1", served.node.port, timeout=30)
    headers = {"Accept": MEDIA, "Authorization": f"Bearer {made['token']}"}
    statuses = []
    try:
        for _ in range(3000):
            conn.request("GET", "/taxii2/", headers=headers)
            with conn.getresponse() as answer:
                answer.read()
                statuses.append(answer.status)
                if answer.status == 429:
                    assert answer.headers["Retry-After"]
                    break
    finally:
        conn.close()
    assert statuses[0] == 200
    assert statuses[-1] == 429
    assert served.opencti.ask("/taxii2/").status == 200


# --- discovery, API root, collections (§4.1, §4.2, §5.1, §5.2) --------------------------------------------------------


def test_discovery_says_where_the_api_root_is(served: Served) -> None:
    told = served.opencti.ask("/taxii2/").body
    assert told["title"]
    assert told["api_roots"] == [f"{served.node.url}{ROOT}/"]
    assert told["default"] in told["api_roots"]


def test_the_api_root_says_what_it_takes(served: Served) -> None:
    told = served.opencti.ask(f"{ROOT}/").body
    assert told["versions"] == [MEDIA]
    assert told["max_content_length"] == MOST
    assert told["title"]


def test_collections_are_those_of_who_asks(filled: Served) -> None:
    own = collections(filled.opencti)
    assert own.keys() == {"all", "inbox", "everyone-green", "everyone-red", "everyone-amber"}
    assert own["all"] | {"id": "", "title": ""} == {
        "id": "",
        "title": "",
        "can_read": True,
        "can_write": False,
        "alias": "all",
        "media_types": ["application/stix+json;version=2.1"],
    }
    assert own["inbox"]["can_write"] is True
    assert "everyone-red" not in collections(filled.siem)
    assert collections(filled.ministry).keys() == {"green", "amber"}


def collections(client: Client) -> dict[str, Any]:
    return {one["alias"]: one for one in client.ask(f"{ROOT}/collections/").body["collections"]}


def test_a_collection_is_found_by_its_id_and_by_its_alias(filled: Served) -> None:
    for alias, told in collections(filled.opencti).items():
        assert filled.opencti.ask(f"{ROOT}/collections/{told['id']}/").body == told
        assert filled.opencti.ask(f"{ROOT}/collections/{alias}/").body == told


def test_nobody_finds_another_s_collection(filled: Served) -> None:
    theirs = {one["id"] for one in collections(filled.opencti).values()}
    assert theirs.isdisjoint(one["id"] for one in collections(filled.ministry).values())
    nowhere = filled.ministry.ask(f"{ROOT}/collections/{NOBODY}/objects/")
    for one in (*theirs, "all", "inbox", "everyone-green", "red"):
        answer = filled.ministry.ask(f"{ROOT}/collections/{one}/objects/")
        assert (answer.status, answer.raw) == (nowhere.status, nowhere.raw)


def test_empty_lists_are_left_out(served: Served) -> None:
    made = served.node.post("/constituents", {"name": "bank", "clearance": "clear"})
    bank = Client(served.node, "bank", made["token"])
    assert bank.ask(f"{ROOT}/collections/").body == {}
    made = served.node.post("/tokens", {"name": "empty", "role": "system", "clearance": "clear"})
    empty = Client(served.node, "empty", made["token"])
    assert empty.ask(f"{ALL}/objects/?match[type]=malware").body == {}
    assert empty.ask(f"{ALL}/manifest/?match[type]=malware").body == {}
    assert empty.ask(f"{INBOX}/objects/").body == {}


# --- objects (§3.3, §3.4, §3.5, §5.4) ---------------------------------------------------------------------------------


def test_objects_come_in_the_order_of_their_dates_with_the_last_version_of_each(filled: Served) -> None:
    assert filled.opencti.names() == [
        "indicator--00000001",
        "indicator--00000002",
        "indicator--00000003",
        "indicator--00000004",
        "domain-name--0b2f5b",
        *(f"indicator--0000000{number}" for number in range(5, 10)),
    ]
    assert [one["modified"] for one in filled.opencti.objects(**{"match[id]": named(2)["id"]})] == [
        "2022-08-03T00:00:00.000Z"
    ]


def test_objects_are_the_exact_bytes_that_were_told(filled: Served) -> None:
    raw = filled.opencti.ask(f"{ALL}/objects/{named(1)['id']}/").raw
    assert raw == envelope(named(1))


def test_a_client_sees_nothing_above_its_clearance(filled: Served) -> None:
    assert "indicator--00000003" not in filled.siem.names()
    assert filled.siem.ask(f"{ALL}/objects/{named(3)['id']}/").status == 404
    assert filled.ministry.names(f"{ROOT}/collections/amber/objects/") == ["indicator--00000004"]


@pytest.mark.parametrize(
    ("wanted", "days"),
    [
        ("last", ["08-03"]),
        ("first", ["07-15"]),
        ("all", ["07-15", "08-03", "08-01", "08-02"]),
        ("2022-08-01T00:00:00.000Z", ["08-01"]),
        ("2022-08-01T00:00:00Z", ["08-01"]),
        ("first,last", ["07-15", "08-03"]),
        ("2022-08-02T00:00:00.000000Z,first", ["07-15", "08-02"]),
        ("2020-01-01T00:00:00Z", []),
    ],
)
def test_versions_are_those_that_are_asked_for(filled: Served, wanted: str, days: list[str]) -> None:
    query = {"match[id]": named(2)["id"], "match[version]": wanted}
    assert [one["modified"][5:10] for one in filled.opencti.objects(**query)] == days
    alone = filled.opencti.objects(f"{ALL}/objects/{named(2)['id']}/", **{"match[version]": wanted})
    assert [one["modified"][5:10] for one in alone] == days
    manifest = filled.opencti.objects(f"{ALL}/manifest/", **query)
    assert [one["version"][5:10] for one in manifest] == days


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({"match[type]": "indicator"}, 9),
        ({"match[type]": "domain-name"}, 1),
        ({"match[type]": "domain-name,indicator"}, 10),
        ({"match[type]": "malware"}, 0),
        ({"match[id]": f"{named(1)['id']},{named(2)['id']},indicator--{NOBODY}"}, 2),
        ({"match[id]": named(1)["id"], "match[type]": "malware"}, 0),
        ({"match[spec_version]": "2.1"}, 10),
        ({"match[spec_version]": "2.0"}, 0),
        ({"match[spec_version]": "2.0,2.1"}, 10),
        ({"match[version]": "all"}, 13),
        ({"unknown": "parameter"}, 10),
    ],
)
def test_filters_select_in_objects_and_in_the_manifest(
    filled: Served, query: dict[str, str], count: int
) -> None:
    assert len(filled.opencti.objects(**query)) == count
    assert len(filled.opencti.objects(f"{ALL}/manifest/", **query)) == count


@pytest.mark.parametrize("path", [f"{ALL}/objects/", f"{ALL}/manifest/"])
def test_headers_say_when_the_first_and_the_last_of_a_page_came(filled: Served, path: str) -> None:
    manifest = filled.opencti.ask(f"{ALL}/manifest/?limit=3").body["objects"]
    answer = filled.opencti.ask(f"{path}?limit=3")
    assert answer.headers[FIRST] == manifest[0]["date_added"]
    assert answer.headers[LAST] == manifest[-1]["date_added"]
    nothing = filled.opencti.ask(f"{path}?match[type]=malware")
    assert nothing.headers[FIRST] is nothing.headers[LAST] is None


@pytest.mark.parametrize("path", [f"{ALL}/objects/", f"{ALL}/manifest/"])
@pytest.mark.parametrize("limits", [[1], [3], [4, 1, 2], [100]], ids=str)
def test_pages_go_on_by_next_whatever_their_limits(filled: Served, path: str, limits: list[int]) -> None:
    whole = filled.opencti.objects(path)
    seen: list[Any] = []
    query: dict[str, str] = {}
    for turn in range(50):
        limit = limits[turn % len(limits)]
        answer = filled.opencti.ask(f"{path}?{urllib.parse.urlencode(query | {'limit': str(limit)})}")
        page = answer.body
        assert len(page["objects"]) <= limit
        seen += page["objects"]
        if not page.get("more"):
            assert "next" not in page
            break
        query = {"next": page["next"]}
        if turn % 2:  # as some clients do
            query["added_after"] = answer.headers[LAST]
    assert seen == whole


def test_pages_go_on_by_the_last_date_too(filled: Served) -> None:
    seen: list[str] = []
    query: dict[str, str] = {}
    while True:
        answer = filled.opencti.ask(f"{ALL}/objects/?{urllib.parse.urlencode(query | {'limit': '2'})}")
        seen += [one["id"] for one in answer.body.get("objects", [])]
        if not answer.body:
            break
        query = {"added_after": answer.headers[LAST]}
    assert seen == [one["id"] for one in filled.opencti.objects()]


def test_added_after_is_exclusive_and_takes_any_fraction(filled: Served) -> None:
    manifest = filled.opencti.ask(f"{ALL}/manifest/").body["objects"]
    date = manifest[4]["date_added"]
    assert filled.opencti.objects(f"{ALL}/manifest/", added_after=date) == manifest[5:]
    assert filled.opencti.objects(f"{ALL}/manifest/", added_after=f"{date[:-1]}999Z") == manifest[5:]
    assert filled.opencti.objects(f"{ALL}/manifest/", added_after="2020-01-01T00:00:00Z") == manifest
    assert filled.opencti.objects(f"{ALL}/manifest/", added_after="2120-01-01T00:00:00Z") == []


def test_next_of_one_list_is_not_taken_for_another(filled: Served) -> None:
    token = filled.opencti.ask(f"{ALL}/objects/?limit=1").body["next"]
    assert filled.opencti.ask(f"{ALL}/manifest/?next={token}").status == 200  # the same collection
    assert_error(filled.opencti.ask(f"{INBOX}/objects/?next={token}"), 400)


def test_what_is_above_green_is_in_the_log_before_it_is_shown(filled: Served) -> None:
    made = filled.node.post("/tokens", {"name": "watched", "role": "system", "clearance": "red"})
    client = Client(filled.node, "watched", made["token"])
    client.objects()
    looks = filled.node.rows("SELECT detail FROM events WHERE kind = 'looked' AND actor = 'watched'")
    assert [json.loads(detail)["way"] for (detail,) in looks] == ["taxii"]


# --- the manifest, versions (§5.3, §5.8) ------------------------------------------------------------------------------


def test_the_manifest_says_of_each_object_when_it_came_its_version_and_its_media_type(filled: Served) -> None:
    manifest = filled.opencti.ask(f"{ALL}/manifest/").body["objects"]
    assert [one["id"] for one in manifest] == [one["id"] for one in filled.opencti.objects()]
    assert manifest[0].keys() == {"id", "date_added", "version", "media_type"}
    assert manifest[0]["version"] == named(1)["modified"]
    assert manifest[0]["media_type"] == "application/stix+json;version=2.1"
    dates = [one["date_added"] for one in manifest]
    assert dates == sorted(set(dates))


def test_what_has_no_version_has_the_date_at_which_it_came(filled: Served) -> None:
    (one,) = filled.opencti.objects(f"{ALL}/manifest/", **{"match[type]": "domain-name"})
    assert one["version"].rstrip("Z").rstrip("0") == one["date_added"].rstrip("Z").rstrip("0")
    exact = {"match[type]": "domain-name", "match[version]": one["version"]}
    assert len(filled.opencti.objects(**exact)) == 1


def test_the_versions_of_an_object_are_listed_page_by_page(filled: Served) -> None:
    path = f"{ALL}/objects/{named(2)['id']}/versions/"
    days = ["2022-07-15T09:30:00.123Z", *(f"2022-08-0{number}T00:00:00.000Z" for number in (3, 1, 2))]
    whole = filled.opencti.ask(path)
    assert whole.body == {"versions": days}
    assert whole.headers[FIRST] < whole.headers[LAST]
    first = filled.opencti.ask(f"{path}?limit=3").body
    assert (first["versions"], first["more"]) == (days[:3], True)
    assert filled.opencti.ask(f"{path}?limit=3&next={first['next']}").body == {"versions": days[3:]}


# --- adding and deleting (§4.3, §5.5, §5.7) ---------------------------------------------------------------------------


def test_what_is_posted_is_there_when_it_is_answered(served: Served) -> None:
    status = served.opencti.post(named(100), {"type": "indicator"}, named(101))
    assert status["status"] == "complete"
    counts = [status[f"{name}_count"] for name in ("total", "success", "failure", "pending")]
    assert counts == [3, 2, 1, 0]
    (failure,) = status["failures"]
    assert failure.keys() == {"id", "version", "message"}
    assert served.opencti.ask(f"{ROOT}/status/{status['id']}/").body == status
    assert served.opencti.ask(f"{ALL}/objects/{named(100)['id']}/").status == 200
    assert served.opencti.ask(f"{INBOX}/objects/{named(101)['id']}/").status == 200
    held = served.node.rows(
        "SELECT actor FROM posts JOIN contents ON contents.seq = content WHERE stix_id = ?", named(100)["id"]
    )
    assert held == [("opencti",)]


def test_a_status_is_for_who_asked(served: Served) -> None:
    status = served.opencti.post(named(110))
    assert_error(served.siem.ask(f"{ROOT}/status/{status['id']}/"), 404)


def test_what_is_there_already_is_no_failure(served: Served) -> None:
    served.opencti.post(named(120))
    again = served.opencti.post(named(120))
    assert (again["success_count"], again["failure_count"]) == (1, 0)
    assert len(served.opencti.objects(f"{ALL}/objects/{named(120)['id']}/")) == 1


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        pytest.param(b"", 422, id="empty"),
        pytest.param(b"[]", 422, id="a list"),
        pytest.param(b"not json", 422, id="not JSON"),
        pytest.param(b"\xff\xfe{}", 422, id="not UTF-8"),
        pytest.param(b'{"objects":' + b"[" * 5000 + b"]" * 5000 + b"}", 202, id="deep in one object"),
        pytest.param(b'{"objects":{}}', 422, id="no list"),
        pytest.param(b'{"objects":[]}', 202, id="no objects"),
        pytest.param(b"{" + b" " * MOST + b"}", 413, id="too large"),
    ],
)
def test_what_can_t_be_taken_apart_is_refused_as_a_whole(served: Served, raw: bytes, status: int) -> None:
    answer = served.opencti.ask(f"{INBOX}/objects/", "POST", raw)
    assert answer.status == status, answer.raw
    assert answer.headers["Content-Type"] == MEDIA
    assert served.node.alive


def test_only_the_inbox_takes_objects(filled: Served) -> None:
    for alias in collections(filled.opencti).keys() - {"inbox"}:
        answer = filled.opencti.ask(f"{ROOT}/collections/{alias}/objects/", "POST", envelope(named(130)))
        assert_error(answer, 403)
    assert_error(filled.ministry.ask(f"{ROOT}/collections/green/objects/", "POST", envelope(named(130))), 403)
    assert_error(filled.ministry.ask(f"{INBOX}/objects/", "POST", envelope(named(130))), 404)


def test_what_is_posted_goes_to_own_systems_and_to_nobody_else(served: Served) -> None:
    served.opencti.post(named(140))
    assert "indicator--00000140" in served.siem.names()
    assert "indicator--00000140" not in served.siem.names(f"{INBOX}/objects/")
    for alias in collections(served.ministry):
        assert "indicator--00000140" not in served.ministry.names(f"{ROOT}/collections/{alias}/objects/")


def test_who_posted_it_can_delete_it_until_it_is_published(served: Served) -> None:
    path = f"{INBOX}/objects/{named(150)['id']}/"
    served.opencti.post(named(150), named(151))
    assert_error(served.siem.ask(path, "DELETE"), 404)
    assert_error(served.opencti.ask(path.replace("inbox", "all"), "DELETE"), 403)
    assert served.opencti.ask(path, "DELETE").status == 200
    assert_error(served.opencti.ask(path, "DELETE"), 404)
    assert served.opencti.ask(path.replace("inbox", "all")).status == 404
    publish(served, "green", named(151))
    assert_error(served.opencti.ask(f"{INBOX}/objects/{named(151)['id']}/", "DELETE"), 403)
    assert served.opencti.ask(f"{ALL}/objects/{named(151)['id']}/").status == 200


def test_one_version_is_deleted_or_all_are(served: Served) -> None:
    path = f"{INBOX}/objects/{named(160)['id']}/"
    served.opencti.post(named(160), day(1, of=160), day(2, of=160))
    assert served.opencti.ask(f"{path}?match[version]=2022-08-01T00:00:00Z", "DELETE").status == 200
    assert len(served.opencti.ask(f"{path}versions/").body["versions"]) == 2
    assert served.opencti.ask(path, "DELETE").status == 200
    assert served.opencti.ask(f"{path}versions/").status == 404


# --- real clients -----------------------------------------------------------------------------------------------------


def test_taxii2_client_discovers_reads_pages_and_posts(filled: Served) -> None:
    who = {"user": "opencti", "password": filled.opencti.token}
    server = Server(f"{filled.node.url}/taxii2/", **who)
    assert server.title
    root: ApiRoot = server.default
    found = {one.alias if hasattr(one, "alias") else one._raw["alias"]: one for one in root.collections}
    every: Collection = found["all"]
    paged = [one for page in as_pages(every.get_objects, per_request=3) for one in page["objects"]]
    assert [one["id"] for one in paged] == [one["id"] for one in filled.opencti.objects(limit="1000")]
    assert every.get_object(named(1)["id"])["objects"] == [named_plain(1)]
    status = found["inbox"].add_objects({"objects": [named_plain(170)]}, wait_for_completion=True)
    assert (status.status, status.success_count, status.failure_count) == ("complete", 1, 0)


def test_taxii2_client_walks_the_manifest_to_its_end(filled: Served) -> None:
    key = collections(filled.opencti)["all"]["id"]
    every = Collection(
        f"{filled.node.url}{ROOT}/collections/{key}/", user="opencti", password=filled.opencti.token
    )
    walked = [one["id"] for page in as_pages(every.get_manifest, per_request=2) for one in page["objects"]]
    assert walked == [one["id"] for one in filled.opencti.objects(f"{ALL}/manifest/", limit="1000")]


def test_stix2_parses_all_that_is_served(filled: Served) -> None:
    for one in filled.opencti.objects():
        assert stix2.parse(one, allow_custom=True)["id"] == one["id"]


def named_plain(number: int) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(encode(named(number)))
    return told
