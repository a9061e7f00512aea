"""The client library of OASIS itself, taxii2-client, against a running node; stix2 reads what it brings."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests
import stix2  # type: ignore[import-untyped]  # it has no types
from taxii2client.exceptions import AccessError  # type: ignore[import-untyped]  # it has no types
from taxii2client.v21 import (  # type: ignore[import-untyped]  # it has no types
    ApiRoot,
    Collection,
    Server,
    Status,
    as_pages,
)
from tests.taxii.clients import COLLECTIONS, CREATED, INBOX, ROOT, Client, indicator, version
from tests.taxii.conftest import MANY, VERSIONS, Served

_PAGES_AT_MOST = 200


class Bearer(requests.auth.AuthBase):
    """A token, as RFC 6750 shows it; the library's own `TokenAuth` names a scheme that no RFC has."""

    def __init__(self, token: str) -> None:
        self.token = token

    def __call__(self, r: requests.PreparedRequest) -> requests.PreparedRequest:
        r.headers["Authorization"] = f"Bearer {self.token}"
        return r


@pytest.fixture(params=["basic", "bearer"])
def way(request: pytest.FixtureRequest) -> Any:
    """How a client shows who it is."""
    return request.param


def shown(client: Client, way: str) -> dict[str, Any]:
    return (
        {"auth": Bearer(client.token)} if way == "bearer" else {"user": client.name, "password": client.token}
    )


def collection(client: Client, alias: str) -> Collection:
    url = f"{client.node.url}{COLLECTIONS}/{client.collections()[alias]['id']}/"
    return Collection(url, **shown(client, "basic"))


def walked(call: Any, per_request: int, **filters: Any) -> Iterator[dict[str, Any]]:
    """Give page by page what `as_pages` gives; fail where it would go on for ever, as it does if `next` is missing."""
    for number, page in enumerate(as_pages(call, per_request=per_request, **filters)):
        assert number < _PAGES_AT_MOST, "it goes round"
        yield page


def test_it_finds_everything_from_the_address_of_discovery(served: Served, way: str) -> None:
    with Server(f"{served.node.url}/taxii2/", **shown(served.own, way)) as server:
        assert server.title
        assert server.api_roots == [server.default]
        assert server.default.url == f"{served.node.url}{ROOT}/"
        assert server.custom_properties == {}
        found = {one.id: one for one in server.default.collections}
        assert found.keys() == {one["id"] for one in served.own.collections().values()}
        assert sum(len(one.get_objects().get("objects", [])) for one in found.values() if one.can_read) > 0


def test_it_reads_an_api_root_and_what_that_takes(served: Served, way: str) -> None:
    with ApiRoot(f"{served.node.url}{ROOT}/", **shown(served.own, way)) as root:
        assert root.title
        assert root.max_content_length > 0
        assert root.versions == ["application/taxii+json;version=2.1"]
        assert root.custom_properties == {}


def test_it_reads_each_collection_of_each_client(served: Served) -> None:
    for client in (served.own, served.amber, served.ministry):
        for alias, told in client.collections().items():
            with collection(client, alias) as found:
                assert (found.id, found.title, found.can_write) == (
                    told["id"],
                    told["title"],
                    told["can_write"],
                )
                ids = [one["id"] for one in found.get_objects().get("objects", [])]
                assert ids == [one["id"] for one in client.items(f"{COLLECTIONS}/{alias}/objects/")]


@pytest.mark.parametrize("per_request", [1, 7, 1000])
@pytest.mark.parametrize("name", ["get_objects", "get_manifest"])
def test_it_walks_objects_and_manifest_to_their_ends(served: Served, name: str, per_request: int) -> None:
    with collection(served.own, "all") as found:
        pages = list(walked(getattr(found, name), per_request))
        whole = getattr(found, name)()
    assert [one for page in pages for one in page["objects"]] == whole["objects"]
    assert all(page["objects"] for page in pages)


def test_it_walks_by_type_too(served: Served) -> None:
    with collection(served.own, "all") as found:
        pages = list(walked(found.get_manifest, 4, type=["malware", "tool", "campaign"]))
    assert len([one for page in pages for one in page["objects"]]) == 3


def test_a_walk_over_nothing_ends(served: Served) -> None:
    with collection(served.own, "all") as found:
        assert list(walked(found.get_manifest, 5, type="no-such-type")) == [{}]


def test_it_gets_one_object_and_its_versions(served: Served) -> None:
    one = indicator(MANY)["id"]
    days = [CREATED, *(version(MANY, day)["modified"] for day in VERSIONS)]
    with collection(served.own, "all") as found:
        assert found.get_object(one)["objects"] == [version(MANY, max(VERSIONS))]
        assert [each["modified"] for each in found.get_object(one, version="all")["objects"]] == days
        assert found.object_versions(one)["versions"] == days
        with pytest.raises(requests.HTTPError, match="404"):
            found.get_object("indicator--00000000-0000-4000-8000-000000000000")


def test_it_adds_objects_waits_for_their_status_and_deletes_them(written: Served) -> None:
    one, other = indicator(1), indicator(2)
    with collection(written.own, "inbox") as inbox:
        status = inbox.add_objects({"objects": [one, other, {"type": "indicator"}]}, wait_for_completion=True)
        assert (status.status, status.total_count) == ("complete", 3)
        assert (status.success_count, status.failure_count, status.pending_count) == (2, 1, 0)
        assert status.failures[0]["message"]
        status.refresh()
        assert status.status == "complete"
        assert inbox.get_objects()["objects"] == [one, other]
        inbox.delete_object(one["id"])
        assert inbox.get_objects()["objects"] == [other]


def test_it_asks_for_a_status_by_its_id(written: Served) -> None:
    told = written.own.posted(indicator(3))
    who = shown(written.own, "bearer")
    with ApiRoot(f"{written.node.url}{ROOT}/", **who) as root:
        assert root.get_status(told["id"]).success_count == 1
    with Status(f"{written.node.url}{ROOT}/status/{told['id']}/", **who) as status:
        assert status.id == told["id"]


def test_it_does_not_even_try_to_write_where_nothing_can_be_written(served: Served) -> None:
    with collection(served.own, "all") as found, pytest.raises(AccessError):
        found.add_objects({"objects": [indicator(4)]})


def test_it_goes_on_from_the_last_date_that_it_saw(written: Served) -> None:
    written.own.posted(indicator(10), indicator(11))
    seen = written.own.ask(f"{INBOX}/manifest/").items[-1]["date_added"]
    with collection(written.own, "inbox") as inbox:
        assert inbox.get_objects(added_after=seen) == {}
        written.own.posted(indicator(12))
        assert inbox.get_objects(added_after=seen)["objects"] == [indicator(12)]


def test_stix2_reads_all_that_is_served(served: Served) -> None:
    read = 0
    for client in (served.own, served.amber, served.ministry):
        for alias in client.collections():
            with collection(client, alias) as found:
                for page in walked(found.get_objects, 10, version="all"):
                    for one in page.get("objects", []):
                        assert stix2.parse(one, version="2.1").id == one["id"]
                        read += 1
    assert read > 100
