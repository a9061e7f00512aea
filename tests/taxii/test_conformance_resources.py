"""Discovery, API root and collections (TAXII 2.1 §2, §3.8, §4.1, §4.2, §5.1, §5.2), over HTTP."""

import re
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from tests.battery.nodes import RunningNode
from tests.taxii.clients import ALL, COLLECTIONS, INBOX, NOBODY, ROOT, STIX, TAXII, assert_error, indicator
from tests.taxii.conftest import MANY, Served, constituent, own_system

TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
NAME = re.compile(r"[a-z0-9_]{1,250}")


# --- types and names --------------------------------------------------------------------------------------------------


def test_names_of_properties_are_small_letters_digits_and_underscores(served: Served) -> None:
    for path in ("/taxii2/", f"{ROOT}/", f"{COLLECTIONS}/", f"{ALL}/", f"{ALL}/manifest/"):
        assert all(NAME.fullmatch(name) for name in _names(served.own.ask(path).body)), path


def _names(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from _names(inner)
    if isinstance(value, list):
        for inner in value:
            yield from _names(inner)


def test_times_are_utc_in_microseconds(served: Served) -> None:
    answer = served.own.ask(f"{ALL}/manifest/")
    times = [one["date_added"] for one in answer.items]
    times += [answer.headers["X-TAXII-Date-Added-First"], answer.headers["X-TAXII-Date-Added-Last"]]
    assert [time for time in times if not TIMESTAMP.fullmatch(time)] == []


def test_the_time_of_a_request_is_in_microseconds_too(written: Served) -> None:
    assert TIMESTAMP.fullmatch(written.own.posted(indicator(1))["request_timestamp"])


def test_ids_of_collections_are_uuids_of_version_4(served: Served) -> None:
    ids = [uuid.UUID(one["id"]) for one in served.own.collections().values()]
    assert {(one.version, one.variant) for one in ids} == {(4, uuid.RFC_4122)}


def test_ids_of_statuses_are_uuids_of_version_4(written: Served) -> None:
    assert uuid.UUID(written.own.posted(indicator(2))["id"]).version == 4


# --- discovery, API root ----------------------------------------------------------------------------------------------


def test_discovery_has_a_title_and_the_api_roots_with_their_default(served: Served) -> None:
    told = served.own.ask("/taxii2/").body
    assert told["title"]
    assert told["default"] in told["api_roots"]
    assert told["api_roots"] == [f"{served.node.url}{ROOT}/"]


def test_each_api_root_that_discovery_names_is_there(served: Served) -> None:
    for url in served.own.ask("/taxii2/").body["api_roots"]:
        assert served.own.ask(url.removeprefix(served.node.url)).status == 200


def test_discovery_names_the_host_that_was_asked(served: Served) -> None:
    # Behind a reverse proxy a client must not be sent to loopback.
    told = served.own.ask("/taxii2/", headers={"Host": "lezha.example:8442"}).body
    assert told["default"].split("/", 3)[3] == f"{ROOT[1:]}/"
    assert "lezha.example:8442" in told["default"]


def test_behind_a_proxy_with_tls_that_is_believed_the_api_root_has_tls_too(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    node = RunningNode(tmp_path_factory.mktemp("taxii"), "vlora")
    kept = node.home / "lezha.toml"
    told, wanted = "proxies = []", 'proxies = ["127.0.0.1"]'
    assert told in kept.read_text()
    kept.write_text(kept.read_text().replace(told, wanted))
    try:
        node.start()
        client = own_system(node, "opencti", "red")
        shown = {"Host": "lezha.example:8442", "X-Forwarded-Proto": "https"}
        assert client.ask("/taxii2/", headers=shown).body["api_roots"] == [
            f"https://lezha.example:8442{ROOT}/"
        ]
    finally:
        node.kill()


def test_the_api_root_has_its_title_versions_and_largest_body(served: Served) -> None:
    told = served.own.ask(f"{ROOT}/").body
    assert told["title"]
    assert TAXII in told["versions"]
    assert type(told["max_content_length"]) is int
    assert 0 < told["max_content_length"] < 2**53


# --- collections ------------------------------------------------------------------------------------------------------


def test_each_collection_says_what_may_be_done_with_it(served: Served) -> None:
    for client in (served.own, served.amber, served.ministry):
        for told in client.collections().values():
            assert isinstance(told["title"], str)
            assert (type(told["can_read"]), type(told["can_write"])) == (bool, bool)
            assert told["media_types"] == [STIX]


def test_own_systems_have_all_the_inbox_and_one_for_each_audience_and_level(served: Served) -> None:
    published = {"everyone-clear", "everyone-green", "everyone-amber", "wb6-green", "wb6-amber"}
    assert served.own.collections().keys() == {"all", "inbox", "everyone-red", *published}
    assert served.amber.collections().keys() == {"all", "inbox", *published}


def test_the_inbox_alone_can_be_written(served: Served) -> None:
    for client in (served.own, served.amber, served.ministry):
        for alias, told in client.collections().items():
            assert (told["can_read"], told["can_write"]) == (True, alias == "inbox")


def test_a_constituent_is_told_of_neither_community_nor_inbox(served: Served) -> None:
    assert served.ministry.collections().keys() <= {"clear", "green", "amber"}


def test_collections_come_in_the_same_order_each_time(served: Served) -> None:
    first, second = (served.own.ask(f"{COLLECTIONS}/").raw for _ in range(2))
    assert first == second


def test_an_id_stays_the_same_after_a_restart(written: Served) -> None:
    before = written.own.collections()
    written.node.stop()
    written.node.start()
    assert written.own.collections() == before


def test_one_collection_is_as_the_list_says_by_id_and_by_alias(served: Served) -> None:
    for alias, told in served.own.collections().items():
        for name in (told["id"], alias):
            assert served.own.ask(f"{COLLECTIONS}/{name}/").body == told
            by_name = served.own.items(f"{COLLECTIONS}/{name}/manifest/")
            assert by_name == served.own.items(f"{COLLECTIONS}/{alias}/manifest/")


def test_no_two_clients_share_the_id_of_a_collection_of_different_rights(served: Served) -> None:
    ids = [
        {one["id"] for one in client.collections().values()}
        for client in (served.own, served.amber, served.ministry)
    ]
    assert len(set.union(*ids)) == sum(map(len, ids))


@pytest.mark.parametrize("end", ["", "objects/", "manifest/", f"objects/{indicator(MANY)['id']}/"])
def test_another_s_collection_is_as_unknown_as_one_that_does_not_exist(served: Served, end: str) -> None:
    nowhere = served.ministry.ask(f"{COLLECTIONS}/{NOBODY}/{end}")
    assert_error(nowhere, 404)
    for told in (*served.own.collections().values(), *served.amber.collections().values()):
        found = served.ministry.ask(f"{COLLECTIONS}/{told['id']}/{end}")
        assert (found.status, found.raw) == (nowhere.status, nowhere.raw)


def test_who_has_no_collection_gets_an_empty_answer(written: Served) -> None:
    answer = constituent(written.node, "bank", "clear").ask(f"{COLLECTIONS}/")
    assert (answer.status, answer.body) == (200, {})


def test_a_collection_that_is_empty_is_an_empty_answer_without_dates(written: Served) -> None:
    new = own_system(written.node, "new", "clear")
    for path in (f"{INBOX}/objects/", f"{INBOX}/manifest/"):
        answer = new.ask(path)
        assert (answer.status, answer.body) == (200, {})
        assert answer.headers["X-TAXII-Date-Added-First"] is answer.headers["X-TAXII-Date-Added-Last"] is None
