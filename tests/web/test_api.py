"""The HTTP API: every route demands its right, tells no secret, and takes no more than it must."""

import json
import re
import urllib.parse
import urllib.request
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final

import jsonschema_rs
import pytest
from tests.battery.nodes import RunningNode, bundle, indicator, lezha

from lezha.access.rights import RIGHTS, Right, Role

NOBODY: Final = "nobody"
REVOKED: Final = "revoked"
MAX_BUNDLE: Final = 2 << 20

# What a call that has the right answers; 200 where it can be called without changing what others see.
ROUTES: Final[tuple[tuple[str, str, Right, Any, int], ...]] = (
    ("GET", "/api/v1/status", Right.LOOK, None, 200),
    ("GET", "/api/v1/objects", Right.LOOK, None, 200),
    ("GET", "/api/v1/objects/{stix_id}", Right.LOOK, None, 200),
    ("GET", "/api/v1/about", Right.LOOK, None, 400),
    ("GET", "/api/v1/store/retention", Right.LOOK, None, 200),
    ("POST", "/api/v1/store/retention", Right.PURGE, {}, 200),
    ("POST", "/api/v1/store/purge", Right.PURGE, {"ids": ["tool--1"], "why": "a test"}, 422),
    ("GET", "/api/v1/contents/{content}", Right.LOOK, None, 200),
    ("GET", "/api/v1/export", Right.LOOK, None, 200),
    ("GET", "/api/v1/peers", Right.LOOK, None, 200),
    ("GET", "/api/v1/peers/{name}/latencies", Right.LOOK, None, 404),
    ("GET", "/api/v1/communities", Right.LOOK, None, 200),
    ("GET", "/api/v1/communities/{community}", Right.LOOK, None, 404),
    ("POST", "/api/v1/communities/review", Right.LOOK, b"{}", 422),
    ("GET", "/api/v1/release/explain/{stix_id}", Right.LOOK, None, 200),
    ("GET", "/api/v1/release/gaps", Right.LOOK, None, 200),
    ("POST", "/api/v1/release/tearline", Right.PUBLISH, {"id": "tool--1", "tlp": "green", "to": ["everyone"]}, 404),
    ("GET", "/api/v1/sightings", Right.LOOK, None, 200),
    ("POST", "/api/v1/publish", Right.PUBLISH, bundle([indicator("rights.example")]), 200),
    ("POST", "/api/v1/recall", Right.PUBLISH, {"id": "tool--1"}, 404),
    ("POST", "/api/v1/objects", Right.PUBLISH, bundle([indicator("kept.example")]), 200),
    ("POST", "/api/v1/peers/invite", Right.PEERS, {"name": "podgorica"}, 200),
    ("POST", "/api/v1/peers/accept", Right.PEERS, {"invitation": "none"}, 409),
    ("GET", "/api/v1/peers/{name}/phrase", Right.PEERS, None, 404),
    ("POST", "/api/v1/peers/confirm", Right.PEERS, {"name": "nobody", "phrase": "1"}, 404),
    ("POST", "/api/v1/peers/{name}/suspend", Right.PEERS, {}, 404),
    ("POST", "/api/v1/peers/{name}/resume", Right.PEERS, {}, 404),
    ("POST", "/api/v1/peers/{name}/remove", Right.PEERS, {}, 404),
    ("POST", "/api/v1/carry/{name}/write", Right.PUBLISH, {"after": 0}, 404),
    ("POST", "/api/v1/carry/read", Right.PUBLISH, b"{}", 422),
    ("POST", "/api/v1/isolation", Right.ISOLATE, {"end": True}, 409),
    ("GET", "/api/v1/isolation", Right.LOOK, None, 200),
    ("POST", "/api/v1/communities", Right.COMMUNITIES, {"name": "wb6", "members": ["self"]}, 200),
    ("POST", "/api/v1/communities/revise", Right.COMMUNITIES, {"community": "atlantis"}, 404),
    ("POST", "/api/v1/communities/approve", Right.COMMUNITIES, {"community": "atlantis", "members": []}, 404),
    ("POST", "/api/v1/communities/sign", Right.COMMUNITIES, b"{}", 422),
    ("POST", "/api/v1/communities/accept", Right.COMMUNITIES, b"{}", 422),
    ("GET", "/api/v1/tokens", Right.TOKENS, None, 200),
    ("POST", "/api/v1/tokens", Right.TOKENS, {"name": "guest-{turn}", "role": "analyst"}, 200),
    ("POST", "/api/v1/tokens/certificate", Right.TOKENS, {"name": "nobody", "pem": ""}, 422),
    ("POST", "/api/v1/tokens/revoke", Right.TOKENS, {"name": "nobody"}, 404),
    ("POST", "/api/v1/tokens/{name}/revoke", Right.TOKENS, {}, 404),
    ("POST", "/api/v1/peers/{name}/clear", Right.PEERS, {"clearance": "red"}, 404),
    ("POST", "/api/v1/peers/{name}/trust", Right.PEERS, {"trust": "propose"}, 404),
    ("POST", "/api/v1/peers/{name}/limit", Right.PEERS, {"hourly": None}, 404),
    ("GET", "/api/v1/quarantine", Right.LOOK, None, 200),
    ("GET", "/api/v1/quarantine/{item}", Right.LOOK, None, 404),
    ("POST", "/api/v1/quarantine/{item}/accept", Right.QUARANTINE, {"why": "a test"}, 404),
    ("POST", "/api/v1/quarantine/{item}/reject", Right.QUARANTINE, {"why": "a test"}, 404),
    ("GET", "/api/v1/constituents", Right.LOOK, None, 200),
    ("POST", "/api/v1/constituents", Right.PEERS, {"name": "bank-{turn}"}, 200),
    ("POST", "/api/v1/constituents/{name}/renew", Right.PEERS, {}, 404),
    ("POST", "/api/v1/constituents/{name}/clear", Right.PEERS, {"clearance": "green"}, 404),
    ("POST", "/api/v1/constituents/{name}/suspend", Right.PEERS, {}, 404),
    ("POST", "/api/v1/constituents/{name}/resume", Right.PEERS, {}, 404),
    ("GET", "/api/v1/view", Right.RECEIVE, None, 200),
    ("GET", "/api/v1/audit/told", Right.AUDIT, None, 400),
    ("GET", "/api/v1/audit/looks", Right.AUDIT, None, 200),
    ("GET", "/api/v1/audit/log", Right.AUDIT, None, 200),
    ("GET", "/api/v1/audit/kept", Right.AUDIT, None, 400),
    ("POST", "/api/v1/audit/checkpoint", Right.AUDIT, {}, 200),
    ("GET", "/api/v1/sensor/indicators", Right.SENSE, None, 200),
    ("POST", "/api/v1/sensor/reports", Right.SENSE, {"id": "b-1", "taken": "2026-01-05T08:00:00Z", "reports": []}, 200),
)  # fmt: skip
NAMES: Final = [f"{method} {path}" for method, path, *_ in ROUTES]


class Api:
    """A node with a token of each role, one revoked, and an object to ask for."""

    def __init__(self, node: RunningNode, tokens: dict[str, str], stix_id: str, content: str) -> None:
        self.node = node
        self.tokens = tokens
        self._known = {
            "stix_id": stix_id,
            "content": content,
            "name": "atlantis",
            "community": "atlantis",
            "item": "7",
        }
        self._turn = 0

    def call(self, who: str, method: str, path: str, data: Any) -> tuple[int, bytes]:
        self._turn += 1
        raw = (
            data if isinstance(data, bytes) else json.dumps(data).replace("{turn}", str(self._turn)).encode()
        )
        body = None if data is None else raw
        query = {"tlp": "green", "to": "everyone"} if path.endswith("/publish") else {}
        where = path.removeprefix("/api/v1").format(**self._known)
        return self.node.call(method, where, body, query, token=self.tokens[who])


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    node = RunningNode(tmp_path_factory.mktemp("api"), "tirana", max_bundle_bytes=MAX_BUNDLE)
    tokens = {role.value: node.token_of(role) for role in Role if role not in (Role.ADMIN, Role.CONSTITUENT)}
    tokens |= {Role.ADMIN.value: node.token, NOBODY: ""}
    try:
        node.start()
        constituent = {"name": Role.CONSTITUENT.value}
        tokens[Role.CONSTITUENT.value] = node.post("/constituents", constituent)["token"]
        tokens[REVOKED] = node.post("/tokens", {"name": REVOKED, "role": "admin"})["token"]
        node.post(f"/tokens/{REVOKED}/revoke", {})
        raw = indicator("known.example")
        node.publish(bundle([raw]), "everyone")
        (found,) = node.get("/objects", value="known.example")["objects"]
        yield Api(node, tokens, found["id"], found["hash"])
    finally:
        node.kill()


def openapi(api: Api) -> Any:
    with urllib.request.urlopen(f"{api.node.url}/api/openapi.json", timeout=10) as reply:
        return json.load(reply)


# --- rights ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize(("method", "path", "right", "data", "answer"), ROUTES, ids=NAMES)
def test_a_route_is_open_to_those_who_have_its_right_and_to_nobody_else(
    api: Api, method: str, path: str, right: Right, data: Any, answer: int, role: Role
) -> None:
    before = api.node.written()
    status, body = api.call(role.value, method, path, data)
    if right in RIGHTS[role]:
        assert status == answer, body
    else:
        assert (status, json.loads(body)) == (
            403, {"title": f"The token {role.value!r} ({role.value}) may not do this."},
        )  # fmt: skip
        assert api.node.written() == before


@pytest.mark.parametrize("who", [NOBODY, REVOKED])
@pytest.mark.parametrize(("method", "path", "right", "data", "answer"), ROUTES, ids=NAMES)
def test_without_a_valid_token_no_route_is_open(
    api: Api, method: str, path: str, right: Right, data: Any, answer: int, who: str
) -> None:
    before = api.node.written()
    status, body = api.call(who, method, path, data)
    assert (status, json.loads(body)) == (401, {"title": "A valid token is needed."})
    assert api.node.written() == before


@pytest.mark.parametrize(
    "presented",
    [
        "x",
        "lzh_",
        "lzh__",
        "lzh_a_",
        "lzh_{id}_{other}",
        "lzh_{other_id}_{secret}",
        "{secret}",
        "x" * 9000,
        "\x80",
    ],
)
def test_what_only_looks_like_a_token_opens_nothing(api: Api, presented: str) -> None:
    parts = api.tokens["admin"].split("_", 2)
    token = (
        presented.replace("{id}", parts[1])
        .replace("{secret}", parts[2])
        .replace("{other}", parts[2][::-1])
        .replace("{other_id}", api.tokens["sensor"].split("_", 2)[1])
    )
    # Longer than the server takes for a header, it may also cut the connection.
    assert api.node.call("GET", "/status", token=token).status in (400, 401, 431)
    assert api.node.alive


def test_the_table_above_names_every_route(api: Api) -> None:
    document = openapi(api)
    listed = {
        (method.upper(), path)
        for path, operations in document["paths"].items()
        for method in operations
        if path.startswith("/api/")
    }
    assert listed == {(method, path) for method, path, *_ in ROUTES}


def test_the_openapi_document_is_served(api: Api) -> None:
    document = openapi(api)
    assert document["openapi"].startswith("3.")
    assert document["info"]["title"] == "lezha"
    for operations in document["paths"].values():
        for operation in operations.values():
            assert operation["operationId"]


@pytest.fixture(scope="module")
def described(api: Api) -> Any:
    return openapi(api)


def test_the_openapi_document_asks_for_a_bearer_token(described: Any) -> None:
    assert described["components"]["securitySchemes"] == {"bearer": {"type": "http", "scheme": "bearer"}}
    assert described["security"] == [{"bearer": []}]


@pytest.mark.parametrize(("method", "path", "right", "data", "answer"), ROUTES, ids=NAMES)
def test_the_openapi_document_tells_every_answer_and_every_body(
    api: Api, described: Any, method: str, path: str, right: Right, data: Any, answer: int
) -> None:
    operation = described["paths"][path][method.lower()]
    assert ("requestBody" in operation) == bool(data)
    problem = jsonschema_rs.validator_for(
        {"$ref": "#/components/schemas/Problem", "components": described["components"]}
    )
    calls = [api.call(who, method, path, data) for who in (NOBODY, *(role.value for role in Role))]
    query: dict[str, str] = {"nonsense": "1"}
    where = path.removeprefix("/api/v1")
    calls += [api.node.call(method, where, None if data is None else b"[", query)]
    calls += [api.node.call("DELETE", where)]
    for status, body in calls:
        assert str(status) in operation["responses"], (status, body)
        if status >= 400:
            described_by = operation["responses"][str(status)]["content"]["application/json"]["schema"]
            assert described_by == {"$ref": "#/components/schemas/Problem"}
            assert problem.is_valid(json.loads(body)), body


# --- secrets --------------------------------------------------------------------------------------------------------


def test_no_secret_is_in_any_answer_or_in_the_log(api: Api) -> None:
    node = api.node
    folder = node.home / "keys"
    private = [
        line
        for path in folder.iterdir()
        for block in re.findall(r"BEGIN PRIVATE KEY-----(.*?)-----END", path.read_text(), re.DOTALL)
        for line in block.split()
    ]
    secrets = private + [token.split("_", 2)[2] for token in api.tokens.values() if token]
    assert len(secrets) > 8
    said = [body for method, path, _, data, _ in ROUTES for body in _answers(api, method, path, data)]
    said += [node.call("POST", "/tokens", b'{"name": "admin", "role": "admin"}').body]
    said += [node.log.read_bytes()]
    for secret in secrets:
        assert not [one for one in said if secret.encode() in one], "a secret was told"


def _answers(api: Api, method: str, path: str, data: Any) -> list[bytes]:
    return [api.call(who, method, path, data)[1] for who in (*api.tokens, NOBODY)]


def test_a_token_is_told_once_and_only_its_hash_is_kept(api: Api) -> None:
    made = api.node.post("/tokens", {"name": "told-once", "role": "analyst"})["token"]
    secret = made.split("_", 2)[2]
    for path in api.node.home.rglob("*"):
        if path.is_file():
            assert secret.encode() not in path.read_bytes(), path
    assert secret not in api.node.log.read_text()


def test_an_invitation_is_told_once_and_only_its_hash_is_kept(api: Api) -> None:
    from lezha.federation import enrolment

    made = api.node.post("/peers/invite", {"name": "skopje"})["invitation"]
    secret = enrolment.read_offer(made).secret
    for path in api.node.home.rglob("*"):
        if path.is_file():
            assert secret.encode() not in path.read_bytes(), path


# --- limits ---------------------------------------------------------------------------------------------------------


def test_a_body_beyond_the_limit_is_refused(api: Api) -> None:
    before = api.node.written()
    large = bundle([indicator("large.example", description="x" * MAX_BUNDLE)])
    assert _status(api.node, "/publish", large, tlp="green", to="everyone") == 413
    assert api.node.written() == before
    assert api.node.alive


@pytest.mark.parametrize(
    ("method", "path", "body", "title"),
    [
        ("GET", "/objects/a%2Fb", None, "There is no such page or object on this node."),
        ("GET", "/nothing", None, "There is no such page or object on this node."),
        ("DELETE", "/objects", None, "This address can't be used in that way."),
    ],
)
def test_what_the_protocol_refuses_is_a_sentence(
    api: Api, method: str, path: str, body: bytes | None, title: str
) -> None:
    assert api.node.call(method, path, body).json()["title"] == title


def test_a_body_that_says_it_is_too_large_is_refused_in_a_sentence_before_it_comes(api: Api) -> None:
    host, _, port = api.node.url.removeprefix("http://").partition(":")
    conn = HTTPConnection(host, int(port), timeout=20)
    try:
        conn.putrequest("POST", "/api/v1/objects")
        conn.putheader("Authorization", f"Bearer {api.node.token}")
        conn.putheader("Content-Type", "application/json")
        conn.putheader("Content-Length", str(MAX_BUNDLE + 1))
        conn.endheaders()
        with conn.getresponse() as reply:
            title = "This is larger than what is taken here in one request: send it in parts."
            assert (reply.status, json.loads(reply.read())["title"]) == (413, title)
    finally:
        conn.close()


def test_a_row_that_no_view_can_have_is_refused(api: Api) -> None:
    query = {"after": "9" * 30}
    assert api.node.call("GET", "/sensor/indicators", None, query, api.tokens["sensor"]).status == 400


def test_a_sensors_report_is_held_to_a_smaller_limit(api: Api) -> None:
    raw = b'{"id": "' + b"x" * (1 << 20) + b'", "taken": "2026-01-05T08:00:00Z", "reports": []}'
    before = api.node.written()
    assert _status(api.node, "/sensor/reports", raw, api.tokens["sensor"]) == 413
    assert api.node.written() == before


@pytest.mark.parametrize(
    "data", [b'{"id": "\xff"}', b'{"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"], ids=["bytes", "depth"]
)
def test_reports_that_are_no_json_are_refused_in_words(api: Api, data: bytes) -> None:
    answer = api.node.call("POST", "/sensor/reports", data, token=api.tokens["sensor"])
    assert answer.status == 422, answer
    assert "The reports can't be read" in answer.json()["title"]


@pytest.mark.parametrize(
    "data",
    [
        b"", b"x", b"[]", b"{}", b'{"name": 1}', b'{"name": "x", "rule": "x"}', b"\xff", b'{"name": "\xff"}',
        b'{"name": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
    ids=lambda data: repr(data[:30]),
)  # fmt: skip
@pytest.mark.parametrize(
    "path", ["/tokens", "/peers/invite", "/peers/accept", "/peers/confirm", "/communities"]
)
def test_a_body_of_another_shape_is_refused_in_words(api: Api, path: str, data: bytes) -> None:
    before = api.node.written()
    answer = api.node.call("POST", path, data)
    assert answer.status in (400, 422), answer
    assert answer.json()["title"]
    assert api.node.written() == before


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "0"}, {"limit": "1001"}, {"limit": "x"}, {"before": "x"}, {"before": "-1"},
        {"before": "9" * 30}, {"value": "'; DROP TABLE contents; --"},
        {"text": "%" * 5000}, {"id": "\x00"}, {"type": "\ud7ff"},
    ],
)  # fmt: skip
def test_a_strange_search_harms_nothing(api: Api, query: dict[str, str]) -> None:
    before = api.node.written()
    assert api.node.call("GET", "/objects", query=query).status in (200, 400, 422)
    assert api.node.written() == before


@pytest.mark.parametrize(
    "content", ["zz", "0" * 63, "0" * 64, "0" * 63 + "g", "%00", "0" * 5000, "%F0%9F%92%A9"]
)
def test_what_is_no_hash_of_a_content_is_not_found(api: Api, content: str) -> None:
    answer = api.node.call("GET", f"/contents/{content}")
    assert answer.status == 404
    assert answer.json()["title"]


# What a path can carry where a name or an id is wanted.
ODD = ["%00", "zz", "%ED%A0%80", "..", "%20", "a%2Fb", "'; DROP TABLE peers; --", "%E2%80%AE", "x" * 5000]


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize(
    ("method", "path", "data"), [(method, path, data) for method, path, _, data, _ in ROUTES if "{" in path]
)
def test_odd_names_and_ids_in_a_path_are_not_found(
    api: Api, method: str, path: str, data: Any, odd: str
) -> None:
    where = re.sub(r"\{\w+\}", lambda _: urllib.parse.quote(odd, safe="%"), path.removeprefix("/api/v1"))
    answer = api.node.call(method, where, None if data is None else json.dumps(data).encode())
    assert answer.status in (404, 405), answer
    assert answer.json()["title"]


@pytest.fixture(scope="module")
def searched(api: Api) -> RunningNode:
    """The node with three objects that have the label `searched`."""
    node = api.node
    plain: dict[str, Any] = {"labels": ["searched"]}
    first = indicator("first.searched.example", **plain, created_by_ref=node.member)
    later = json.loads(first) | {"modified": "2027-01-01T00:00:00.000Z", "name": "later"}
    for raw in (first, json.dumps(later).encode(), indicator("gone.searched.example", **plain, revoked=True)):
        node.publish(bundle([raw]), "everyone", tlp="green")
    return node


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({}, ["gone", "later", "first"]),
        ({"value": "searched.example"}, ["gone", "later", "first"]),
        ({"value": "first[.]searched[dot]example"}, ["later", "first"]),
        ({"value": "https://first.searched.example/a"}, ["later", "first"]),
        ({"value": "someone@mail.first.searched.example"}, ["later", "first"]),
        ({"value": "https://searched.example/"}, []),
        ({"text": "first.sear"}, ["later", "first"]),
        ({"text": '"searched first"'}, []),
        ({"type": "malware"}, []),
        ({"creator": "self"}, ["later", "first"]),
        ({"creator": "Tirana", "revoked": "true"}, []),
        ({"origin": "self"}, ["gone", "later", "first"]),
        ({"origin": "identity--00000000-0000-4000-8000-000000000000"}, []),
        ({"since": "24h", "until": ""}, ["gone", "later", "first"]),
        ({"until": "2w"}, []),
        ({"sighted": "true"}, []),
        ({"sighted": "false", "revoked": "false"}, ["later", "first"]),
        ({"tlp": "amber+strict"}, []),
        ({"marking": "marking-definition--1"}, []),
        ({"since": "2026-01-01T00:00:00Z", "until": "2999-01-01T00:00:00+01:00"}, ["gone", "later", "first"]),
        ({"since": "0500-01-01T00:00:00Z"}, ["gone", "later", "first"]),
        ({"until": "2020-01-01T00:00:00Z"}, []),
        ({"modified_since": "2027-01-01T00:00:00Z"}, ["later"]),
        ({"modified_until": "2027-01-01T00:00:00Z"}, ["gone", "first"]),
    ],
)
def test_all_conditions_of_a_search_must_hold(
    searched: RunningNode, query: dict[str, str], names: list[str]
) -> None:
    found = searched.get("/objects", label="searched", **query)
    assert [one["name"].partition(".")[0] for one in found["objects"]] == names
    assert found["next"] is None


def test_pages_of_a_search_follow_one_another(searched: RunningNode) -> None:
    walked, before = [], "0"
    while before != "None":
        found = searched.get("/objects", label="searched", limit="1", before=before)
        walked += [(one["name"].partition(".")[0], one["state"], one["barred"]) for one in found["objects"]]
        before = str(found["next"])
    assert walked == [("gone", "revoked", ""), ("later", "current", ""), ("first", "superseded", "")]


@pytest.mark.parametrize(
    "query",
    [
        {"sighted": "perhaps"},
        {"revoked": "2"},
        {"tlp": "white"},
        {"since": "today"},
        {"until": "2026-01-01T00:00:00"},
        {"since": "24hours"},
        {"since": "0001-01-01T00:00:00+14:00"},
        {"until": "9999-12-31T23:59:59-14:00"},
    ],
)
def test_a_condition_that_is_none_is_refused_in_words(searched: RunningNode, query: dict[str, str]) -> None:
    answer = searched.call("GET", "/objects", query=query)
    assert answer.status in (400, 422)
    assert answer.json()["title"]


@pytest.mark.parametrize("field", ["origin", "creator"])
def test_a_member_that_nobody_knows_is_an_error_that_names_those_known(
    searched: RunningNode, field: str
) -> None:
    answer = searched.call("GET", "/objects", query={field: "nobody"})
    assert (answer.status, answer.json()["title"]) == (
        422,
        "There is no member 'nobody'. Known here: self, tirana; or write an identity's id.",
    )


@pytest.mark.parametrize(
    ("method", "path", "title"),
    [
        ("GET", "/objects?lable=x", "There is no parameter 'lable' here: did you mean 'label'?"),
        ("GET", "/objects?nonsense=1", "There is no parameter 'nonsense' here: there are before, creator, "),
        ("GET", "/export?typ=tool", "There is no parameter 'typ' here: did you mean 'type'?"),
        ("GET", "/peers?x=1", "There is no parameter 'x' here: there are none."),
        ("GET", "/objects?log=1", "There is no parameter 'log' here"),
        ("POST", "/publish?tlp=green&to=everyone&dryrun=1", "did you mean 'dry_run'?"),
        ("GET", "/objects?limit=0", "The parameter 'limit' must be a whole number from 1 to 1,000."),
        ("GET", "/objects?limit=many", "The parameter 'limit' must be a whole number from 1 to 1,000."),
        ("GET", "/objects?before=-1", "The parameter 'before' must be a whole number from 0 to 4,611,"),
        ("GET", "/objects?sighted=perhaps", "The parameter 'sighted' must be true or false."),
        ("GET", "/objects?tlp=white", "'tlp' must be one of clear, green, amber, amber+strict, red."),
        ("GET", "/about", "The parameter 'value' is missing."),
        ("GET", "/sightings?limit=10001", "'limit' must be a whole number from 1 to 10,000."),
        ("POST", "/publish?tlp=green", "The parameter 'to' is missing."),
        ("POST", "/publish?to=everyone&tlp=x", "'tlp' must be one of clear,"),
    ],
)
def test_a_parameter_that_is_wrong_is_named_with_what_it_must_be(
    searched: RunningNode, method: str, path: str, title: str
) -> None:
    before = searched.written()
    answer = searched.call(method, path, b"{}" if method == "POST" else None)
    assert answer.status == 400, answer
    assert title in answer.json()["title"]
    assert searched.written() == before


@pytest.mark.parametrize(
    ("path", "body", "title"),
    [
        ("/tokens", b"", "The body must be a JSON object."),
        ("/tokens", b"[]", "The body must be a JSON object."),
        ("/tokens", b"{}", "The body has no 'name'."),
        ("/tokens", b'{"name": "x", "role": "admin", "x": 1}', "The body has 'x', which means nothing here."),
        ("/tokens", b'{"name": 1, "role": "admin"}', "'name' in the body must be text."),
        (
            "/tokens",
            b'{"name": "x", "role": "root"}',
            (
                "'role' in the body must be one of admin, coordinator, analyst, sensor, system, constituent, "
                "auditor, monitor."
            ),
        ),
        ("/store/purge", b'{"ids": [], "why": "x"}', "'ids' in the body must be a list of 1 to 1,000."),
        ("/store/purge", b'{"ids": [1], "why": "x"}', "'ids' in the body must be a list of 1 to 1,000."),
        ("/communities", b'{"name": "x", "members": [1]}', "'members' in the body must be a list of text."),
    ],
)
def test_a_body_that_is_wrong_is_told_by_the_part_that_is(
    searched: RunningNode, path: str, body: bytes, title: str
) -> None:
    answer = searched.call("POST", path, body)
    assert (answer.status, answer.json()["title"]) == (400, title)


def test_everything_about_a_value_comes_in_groups(searched: RunningNode) -> None:
    found = searched.get("/about", value=" First.Searched.Example. ")
    assert (found["kind"], found["value"]) == ("domain", "first.searched.example")
    (itself, *_) = found["groups"]
    assert itself["what"] == "this value itself"
    assert [one["state"] for one in itself["objects"]] == ["current", "superseded"]
    assert [group["more"] for group in found["groups"]] == [""] * len(found["groups"])


@pytest.mark.parametrize(
    "value", ["", "\x00", "'; DROP TABLE observables; --", "x" * 5000, "1.2.3.4/99", "@", "//"]
)
def test_nothing_is_told_about_what_is_no_value(searched: RunningNode, value: str) -> None:
    found = searched.get("/about", value=value)
    assert (found["kind"], found["groups"]) == ("", [])


def test_an_object_tells_of_its_purge(searched: RunningNode) -> None:
    raw = indicator("purged.example")
    searched.publish(bundle([raw]), "everyone")
    stix_id = json.loads(raw)["id"]
    searched.post("/store/purge", {"ids": [stix_id], "why": "a test"})
    (report,) = searched.get(f"/objects/{stix_id}")
    assert (report["found"]["state"], report["found"]["barred"], report["disputed"]) == (
        "barred",
        "purged",
        "",
    )
    assert (report["purged"]["actor"], report["purged"]["why"]) == ("admin", "a test")


@pytest.mark.parametrize(
    "query",
    [
        {"to": "everyone"},
        {"tlp": "green"},
        {"tlp": "purple", "to": "everyone"},
        {"tlp": "green", "to": "everyone", "expires": "tomorrow"},
        {"tlp": "green", "to": "everyone", "expires": "2026-01-05T08:00:00"},
        {"tlp": "green", "to": "everyone", "expires": "2020-01-05T08:00:00Z"},
        {"tlp": "green", "to": "atlantis"},
    ],
)
def test_terms_that_are_not_clear_publish_nothing(api: Api, query: dict[str, str]) -> None:
    before = api.node.written()
    answer = api.node.call("POST", "/publish", bundle([indicator("unclear.example")]), query)
    assert answer.status in (400, 422), answer
    assert answer.json()["title"]
    assert api.node.written() == before


def _status(node: RunningNode, path: str, raw: bytes, token: str | None = None, **query: str) -> int:
    try:
        return node.call("POST", path, raw, query, token).status
    except OSError:
        return 413  # it may cut the connection before all is sent


# --- what else answers ----------------------------------------------------------------------------------------------


def test_the_command_line_takes_the_url_and_a_token_instead_of_a_folder(api: Api, tmp_path: Path) -> None:
    token = tmp_path / "analyst.token"
    token.write_text(api.tokens["analyst"] + "\n")
    done = lezha("objects", "search", "known.example", "--url", api.node.url, "--token-file", token, "--json")
    assert done.returncode == 0
    assert len(json.loads(done.stdout)["objects"]) == 1


def test_a_revoked_token_ends_at_once(api: Api) -> None:
    made = api.node.post("/tokens", {"name": "short-lived", "role": "analyst"})["token"]
    assert api.node.call("GET", "/status", token=made).status == 200
    api.node.post("/tokens/short-lived/revoke", {})
    assert api.node.call("GET", "/status", token=made).status == 401


@pytest.mark.parametrize(
    "name", ["", "---", "../x; DROP TABLE", "a b", "a\nb", "\u202eadmin", "\0", "é", "x" * 61]
)
def test_a_token_is_named_as_a_peer_is(api: Api, name: str) -> None:
    before = api.node.written()
    answer = api.node.call("POST", "/tokens", json.dumps({"name": name, "role": "analyst"}).encode())
    assert (answer.status, "can't name a token: use letters" in answer.json()["title"]) == (422, True)
    assert api.node.written() == before


def test_the_last_administrator_is_not_locked_out(api: Api) -> None:
    answer = api.node.call("POST", "/tokens/admin/revoke", b"{}")
    assert answer.status == 409
    assert "make another one first" in answer.json()["title"]
    assert api.node.alive
