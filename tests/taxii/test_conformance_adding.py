"""Adding objects, their status, and deleting (TAXII 2.1 §4.3, §5.5, §5.7), over HTTP."""

import json
import random
from typing import Any
from uuid import uuid4

import pytest
from tests.taxii.clients import (
    ALL,
    COLLECTIONS,
    FIRST,
    INBOX,
    NOBODY,
    ROOT,
    TAXII,
    Answer,
    assert_error,
    domain,
    envelope,
    indicator,
    publish,
    version,
)
from tests.taxii.conftest import MOST_BYTES, Served

_NUMBERS = iter(range(1, 10_000))


def new(**more: object) -> dict[str, Any]:
    """Return an indicator that no other test has."""
    return indicator(next(_NUMBERS), **more)


def post(written: Served, body: bytes, to: str = INBOX) -> Answer:
    return written.own.ask(f"{to}/objects/", method="POST", body=body)


def delete(client: Any, one: dict[str, Any], at: str = INBOX, **query: str) -> Answer:
    found: Answer = client.ask(f"{at}/objects/{one['id']}/", query, method="DELETE")
    return found


# --- the status of a POST ---------------------------------------------------------------------------------------------


def test_a_post_is_answered_202_with_a_status_whose_counts_add_up(written: Served) -> None:
    answer = written.own.post(new(), new(), {"type": "indicator"})
    assert (answer.status, answer.headers["Content-Type"]) == (202, TAXII)
    told = answer.body
    assert told["status"] == "complete"
    parts = [told[f"{name}_count"] for name in ("success", "failure", "pending")]
    assert parts == [2, 1, 0]
    assert told["total_count"] == sum(parts)


def test_a_status_is_the_same_when_it_is_asked_for(written: Served) -> None:
    told = written.own.posted(new(), {"type": "x"})
    for end in ("/", ""):  # taxii2-client asks without the slash
        found = written.own.ask(f"{ROOT}/status/{told['id']}{end}")
        assert (found.status, found.body) == (200, told)


def test_a_status_is_still_there_after_a_restart(written: Served) -> None:
    told = written.own.posted(new())
    written.node.kill()
    written.node.start()
    assert written.own.ask(f"{ROOT}/status/{told['id']}/").body == told


def test_the_status_of_another_client_is_as_unknown_as_any(written: Served) -> None:
    told = written.own.posted(new())
    nothing = written.amber.ask(f"{ROOT}/status/{NOBODY}/")
    found = written.amber.ask(f"{ROOT}/status/{told['id']}/")
    assert_error(found, 404)
    assert found.raw == nothing.raw


def test_two_posts_have_two_statuses(written: Served) -> None:
    one = new()
    assert written.own.posted(one)["id"] != written.own.posted(one)["id"]


def test_a_status_has_no_empty_list(written: Served) -> None:
    for told in (written.own.posted(new()), written.own.posted({"type": "x"})):
        assert [name for name, value in told.items() if value == []] == []


# --- what becomes of objects ------------------------------------------------------------------------------------------


def test_what_was_posted_is_served_when_it_is_answered_and_after_a_kill(written: Served) -> None:
    one, other = new(), domain(next(_NUMBERS))
    written.own.posted(one, other)
    written.node.kill()
    written.node.start()
    for wanted in (one, other):
        for at in (INBOX, ALL):
            assert written.own.items(f"{at}/objects/{wanted['id']}/") == [wanted]


def test_the_good_objects_of_a_post_are_taken_without_the_bad(written: Served) -> None:
    good, bad = [new() for _ in range(3)], new(created="yesterday")
    told = written.own.posted(good[0], None, good[1], 7, [], "text", {}, bad, good[2])
    assert (told["success_count"], told["failure_count"], told["total_count"]) == (3, 6, 9)
    inbox = [one["id"] for one in written.own.items(f"{INBOX}/objects/")]
    assert [one["id"] for one in good if one["id"] not in inbox] == []
    assert bad["id"] not in inbox


def test_the_same_object_again_is_a_success_and_there_once(written: Served) -> None:
    one = new()
    written.own.posted(one)
    told = written.own.posted(one, one)
    assert told["failure_count"] == 0
    every = written.own.ask(f"{ALL}/manifest/", {"match[id]": one["id"], "match[version]": "all"}).items
    assert len(every) == 1


def test_what_there_is_already_keeps_its_date(written: Served) -> None:
    one = new()
    written.own.posted(one)
    before = written.own.ask(f"{ALL}/objects/{one['id']}/").headers[FIRST]
    written.own.posted(one)
    assert written.own.ask(f"{ALL}/objects/{one['id']}/").headers[FIRST] == before


def test_an_earlier_version_that_comes_later_is_not_the_last(written: Served) -> None:
    number = next(_NUMBERS)
    for day in (5, 2):
        written.own.posted(version(number, day))
    path = f"{ALL}/objects/{version(number, 5)['id']}/"
    assert written.own.items(path) == [version(number, 5)]
    assert len(written.own.items(path, **{"match[version]": "all"})) == 2


def test_properties_that_the_server_does_not_know_are_kept(written: Served) -> None:
    one = new(x_acme_score=7, x_acme_deep={"a": [1, {"b": None}]}, name="Zërat \U0001d50a")
    written.own.posted(one)
    assert written.own.items(f"{INBOX}/objects/{one['id']}/") == [one]


def test_what_was_posted_is_for_own_systems_alone(written: Served) -> None:
    one = new()
    written.own.posted(one)
    assert written.amber.items(f"{ALL}/objects/{one['id']}/") == [one]
    assert_error(written.amber.ask(f"{INBOX}/objects/{one['id']}/"), 404)
    for alias in written.ministry.collections():
        assert_error(written.ministry.ask(f"{COLLECTIONS}/{alias}/objects/{one['id']}/"), 404)


def test_what_was_posted_above_the_clearance_of_another_is_hidden_from_it(written: Served) -> None:
    red = new(object_marking_refs=["marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1"])
    told = written.own.posted(red)
    assert told["success_count"] == 1, told
    assert_error(written.amber.ask(f"{ALL}/objects/{red['id']}/"), 404)


def test_what_was_published_leaves_the_inbox(written: Served) -> None:
    one = new()
    written.own.posted(one)
    publish(written.node, "green", "everyone", one)
    assert_error(written.own.ask(f"{INBOX}/objects/{one['id']}/"), 404)
    assert len(written.own.items(f"{COLLECTIONS}/everyone-green/objects/{one['id']}/")) == 1


# --- bodies that are none ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "statuses"),
    [
        pytest.param(b"", {400, 422}, id="nothing"),
        pytest.param(b"not json", {400, 422}, id="not JSON"),
        pytest.param(b'{"objects":[', {400, 422}, id="cut short"),
        pytest.param(b'{"objects":[]} x', {400, 422}, id="more behind it"),
        pytest.param(b'\xff\xfe{"objects":[]}', {400, 422}, id="not UTF-8"),
        pytest.param('{"objects":[]}'.encode("utf-16"), {400, 422}, id="UTF-16"),
        pytest.param(b'{"x":{"objects":[]}}', {422}, id="a list within something else"),
        pytest.param(
            b'{"type":"indicator","x":{"objects":[1]}}', {422}, id="an object alone with a list within it"
        ),
        pytest.param(b"{nonsense", {400, 422}, id="a brace and no JSON"),
        pytest.param(b"{\xff}", {400, 422}, id="a brace and no UTF-8"),
        pytest.param(b'{"objects" 5}', {400, 422}, id="a colon is missing"),
        pytest.param(b"[]", {400, 422}, id="a list"),
        pytest.param(b"null", {400, 422}, id="null"),
        pytest.param(b"7", {400, 422}, id="a number"),
        pytest.param(b'{"objects":{}}', {400, 422}, id="objects are no list"),
        pytest.param(b'{"objects":null}', {400, 422}, id="objects are null"),
        pytest.param(b"[" * 100_000, {400, 422}, id="deep"),
        pytest.param(b'{"a":' * 50_000 + b"1" + b"}" * 50_000, {400, 413, 422}, id="deep outside"),
        pytest.param(b'{"objects":["' + b" " * MOST_BYTES + b'"]}', {413}, id="too large"),
    ],
)
def test_a_body_that_is_no_envelope_is_refused_as_a_whole(
    written: Served, raw: bytes, statuses: set[int]
) -> None:
    before = written.own.ask(f"{ALL}/manifest/").headers["X-TAXII-Date-Added-Last"]
    answer = post(written, raw)
    assert answer.status in statuses, answer.raw
    assert_error(answer, answer.status)
    assert written.own.ask(f"{ALL}/manifest/").headers["X-TAXII-Date-Added-Last"] == before


def test_a_body_is_as_long_as_the_api_root_says_and_no_longer(written: Served) -> None:
    most = written.own.ask(f"{ROOT}/").body["max_content_length"]
    body = envelope(new())
    assert post(written, body.ljust(most)).status == 202
    assert_error(post(written, body.ljust(most + 1)), 413)


@pytest.mark.parametrize("body", [b"{}", b'{"objects":[]}', b'{"more":false}'])
def test_an_envelope_without_objects_adds_nothing(written: Served, body: bytes) -> None:
    answer = post(written, body)
    if answer.status == 202:
        assert answer.body["total_count"] == 0
    else:
        assert_error(answer, 422)


def test_an_envelope_is_one_however_its_name_is_written(written: Served) -> None:
    one = new()
    raw = envelope(one).replace(b'"objects"', b'"obj\\u0065cts"')
    assert post(written, raw).body["success_count"] == 1


def test_an_envelope_with_properties_that_nobody_knows_is_taken(written: Served) -> None:
    # §7.1: custom properties are allowed, and mean nothing to who does not know them.
    one = new()
    body = json.dumps({"x_note": [1], "more": False, "next": "x", "objects": [one]}).encode()
    assert post(written, body).body["success_count"] == 1


def test_a_bundle_is_no_envelope_and_its_objects_are_not_lost_silently(written: Served) -> None:
    one = new()
    body = json.dumps({"type": "bundle", "id": f"bundle--{uuid4()}", "objects": [one]}).encode()
    answer = post(written, body)
    if answer.status == 202:  # its `objects` are read, and the rest are unknown properties
        assert answer.body["success_count"] == 1
        assert written.own.items(f"{INBOX}/objects/{one['id']}/") == [one]
    else:
        assert_error(answer, 422)


@pytest.mark.parametrize("depth", [100, 5_000, 50_000])
def test_an_object_however_deep_is_no_error_of_the_server(written: Served, depth: int) -> None:
    deep = b'{"type":"indicator","x":' + b"[" * depth + b"]" * depth + b"}"
    answer = post(written, b'{"objects":[' + deep + b"]}")
    assert answer.status in {202, 400, 422}, answer.raw
    assert written.node.alive


def test_bytes_at_random_are_no_error_of_the_server(written: Served) -> None:
    source = random.Random(6)
    for length in range(1, 200):
        answer = post(written, source.randbytes(length))
        assert_error(answer, answer.status)
        assert answer.status in {400, 422}


# --- where nothing can be added ---------------------------------------------------------------------------------------


def test_a_collection_that_can_be_read_alone_is_403(written: Served) -> None:
    publish(written.node, "clear", "everyone", new())
    for alias in written.own.collections().keys() - {"inbox"}:
        assert_error(post(written, envelope(new()), f"{COLLECTIONS}/{alias}"), 403)
    for alias in written.ministry.collections():
        assert_error(written.ministry.post(new(), to=f"{COLLECTIONS}/{alias}"), 403)


def test_one_that_the_client_does_not_have_is_404(written: Served) -> None:
    inbox = written.own.collections()["inbox"]["id"]
    for client in (written.amber, written.ministry):
        for name in (inbox, NOBODY):
            assert_error(client.post(new(), to=f"{COLLECTIONS}/{name}"), 404)
    assert_error(written.ministry.post(new()), 404)


# --- DELETE -----------------------------------------------------------------------------------------------------------


def test_what_was_deleted_is_nowhere(written: Served) -> None:
    one = new()
    written.own.posted(one)
    assert delete(written.own, one).status == 200
    for at in (INBOX, ALL):
        assert_error(written.own.ask(f"{at}/objects/{one['id']}/"), 404)
        assert_error(written.own.ask(f"{at}/objects/{one['id']}/versions/"), 404)
        for path in (f"{at}/objects/", f"{at}/manifest/"):
            assert written.own.items(path, **{"match[id]": one["id"]}) == []
    assert written.amber.items(f"{ALL}/objects/", **{"match[id]": one["id"]}) == []
    assert_error(delete(written.own, one), 404)


def test_what_was_deleted_can_be_posted_again(written: Served) -> None:
    one = new()
    written.own.posted(one)
    delete(written.own, one)
    assert written.own.posted(one)["success_count"] == 1
    assert written.own.items(f"{INBOX}/objects/{one['id']}/") == [one]


@pytest.mark.parametrize(
    ("wanted", "left"),
    [
        ("first", [3, 5]),
        ("last", [1, 3]),
        ("2026-02-03T00:00:00.000Z", [1, 5]),
        ("2026-02-03T00:00:00Z", [1, 5]),
        ("first,last", [3]),
        ("all", []),
        (None, []),
        ("2020-01-01T00:00:00Z", [1, 3, 5]),
    ],
    ids=str,
)
def test_those_versions_are_deleted_that_are_named_and_all_if_none_is(
    written: Served, wanted: str | None, left: list[int]
) -> None:
    number = next(_NUMBERS)
    days = {day: version(number, day) for day in (1, 3, 5)}
    written.own.posted(*days.values())
    answer = delete(written.own, days[1], **({} if wanted is None else {"match[version]": wanted}))
    assert answer.status in ({200} if len(left) < 3 else {200, 404}), answer.raw
    found = written.own.ask(f"{INBOX}/objects/", {"match[id]": days[1]["id"], "match[version]": "all"}).items
    assert found == [days[day] for day in left]


def test_what_was_published_stays(written: Served) -> None:
    one = new()
    written.own.posted(one)
    publish(written.node, "green", "everyone", one)
    assert_error(delete(written.own, one), 403)
    assert written.own.items(f"{ALL}/objects/{one['id']}/") != []


def test_what_another_posted_stays_and_is_unknown_in_one_s_own_inbox(written: Served) -> None:
    one = new()
    written.own.posted(one)
    assert_error(delete(written.amber, one), 404)
    assert_error(delete(written.amber, one, at=ALL), 403)
    assert written.own.items(f"{INBOX}/objects/{one['id']}/") == [one]


def test_what_two_posted_stays_until_both_have_deleted_it(written: Served) -> None:
    one = new()
    written.own.posted(one)
    written.amber.posted(one)
    assert delete(written.own, one).status == 200
    assert written.amber.items(f"{INBOX}/objects/{one['id']}/") == [one]
    assert written.own.items(f"{ALL}/objects/{one['id']}/") == [one]
    assert delete(written.amber, one).status == 200
    assert_error(written.own.ask(f"{ALL}/objects/{one['id']}/"), 404)


def test_nothing_is_deleted_in_a_collection_that_can_be_read_alone(written: Served) -> None:
    one = new()
    publish(written.node, "clear", "everyone", one)
    for at in (ALL, f"{COLLECTIONS}/everyone-clear"):
        assert_error(delete(written.own, one, at=at), 403)
    assert_error(delete(written.ministry, one, at=f"{COLLECTIONS}/clear"), 403)


def test_what_there_is_not_can_t_be_deleted(written: Served) -> None:
    nothing = {"id": f"indicator--{NOBODY}"}
    assert_error(delete(written.own, nothing), 404)
    assert_error(delete(written.own, nothing, at=f"{COLLECTIONS}/{NOBODY}"), 404)
    assert_error(delete(written.ministry, nothing), 404)


def test_deleting_with_a_version_that_is_none_is_400(written: Served) -> None:
    one = new()
    written.own.posted(one)
    assert_error(delete(written.own, one, **{"match[version]": "newest"}), 400)
    assert written.own.items(f"{INBOX}/objects/{one['id']}/") == [one]
