"""Objects and the manifest: order, filters, pages (TAXII 2.1 §3.2 to §3.5, §3.7, §5.3, §5.4, §5.6), over HTTP."""

from typing import Any

import pytest
from tests.taxii.clients import (
    ALL,
    COLLECTIONS,
    CREATED,
    FIRST,
    INBOX,
    LAST,
    NOBODY,
    STIX,
    Client,
    assert_error,
    common,
    domain,
    indicator,
    publish,
)
from tests.taxii.conftest import (
    ALLIED,
    ALLIED_AMBER,
    AMBER,
    GREEN,
    MANY,
    RED,
    UNPUBLISHED,
    VERSIONS,
    Served,
)

ID = indicator(MANY)["id"]
OBJECTS, MANIFEST = f"{ALL}/objects/", f"{ALL}/manifest/"
BOTH = pytest.mark.parametrize("path", [OBJECTS, MANIFEST])
LATEST = "2026-02-09T00:00:00.000Z"
IN_ORDER = [
    *(indicator(number)["id"] for number in GREEN if number != MANY),
    ID,  # its latest version came after the others
    *(common(kind, 1)["id"] for kind in ("malware", "tool", "campaign")),
    domain(1)["id"],
    *(
        indicator(number)["id"]
        for group in (AMBER, RED, ALLIED, ALLIED_AMBER, UNPUBLISHED)
        for number in group
    ),
]
VERSIONS_IN_ORDER = [CREATED, *(f"2026-02-{day:02d}T00:00:00.000Z" for day in VERSIONS)]


def ids(found: list[Any]) -> list[str]:
    return [one["id"] for one in found]


# --- order and contents -----------------------------------------------------------------------------------------------


@BOTH
def test_a_list_is_in_the_order_in_which_its_rows_were_added(served: Served, path: str) -> None:
    assert ids(served.own.items(path)) == IN_ORDER


def test_the_manifest_is_about_the_objects_row_by_row(served: Served) -> None:
    query = {"match[version]": "all"}
    objects, manifest = served.own.ask(OBJECTS, query).items, served.own.ask(MANIFEST, query).items
    assert ids(objects) == ids(manifest)
    for one, row in zip(objects, manifest, strict=True):
        assert row["version"] == one.get("modified", row["date_added"])
        assert row["media_type"] == STIX


def test_dates_rise_and_none_is_there_twice(served: Served) -> None:
    dates = [one["date_added"] for one in served.own.ask(MANIFEST, {"match[version]": "all"}).items]
    assert dates == sorted(set(dates))


def test_objects_are_as_they_were_told(served: Served) -> None:
    for wanted in (indicator(2), common("malware", 1, is_family=False), domain(1)):
        assert served.own.items(f"{OBJECTS}{wanted['id']}/") == [wanted]


def test_a_whole_list_has_neither_more_nor_next(served: Served) -> None:
    for path in (OBJECTS, MANIFEST, f"{OBJECTS}{ID}/", f"{OBJECTS}{ID}/versions/"):
        body = served.own.ask(path).body
        assert not body.get("more")
        assert "next" not in body


def test_each_client_gets_what_it_may_have_and_nothing_else(served: Served) -> None:
    red = {indicator(number)["id"] for number in RED}
    assert ids(served.amber.items(OBJECTS)) == [one for one in IN_ORDER if one not in red]
    given = {one for alias in served.ministry.collections() for one in _in(served.ministry, alias)}
    assert given == {common(kind, 1)["id"] for kind in ("malware", "tool", "campaign")} | {domain(1)["id"]}


def test_each_collection_holds_what_was_published_so(served: Served) -> None:
    expected = {
        "everyone-amber": AMBER,
        "everyone-red": RED,
        "wb6-green": ALLIED,
        "wb6-amber": ALLIED_AMBER,
        "inbox": UNPUBLISHED,
    }
    for alias, numbers in expected.items():
        assert _in(served.own, alias) == [indicator(number)["id"] for number in numbers]
    assert len(_in(served.own, "everyone-green")) == len(GREEN)


def test_the_inbox_of_another_client_is_another(served: Served) -> None:
    assert _in(served.amber, "inbox") == []


def _in(client: Client, alias: str) -> list[str]:
    return ids(client.items(f"{COLLECTIONS}/{alias}/objects/"))


# --- dates of a page --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("query", [{}, {"limit": 1}, {"limit": 7}, {"match[type]": "tool"}], ids=str)
def test_headers_tell_the_dates_of_the_first_and_the_last_row(
    served: Served, query: dict[str, object]
) -> None:
    rows = served.own.ask(MANIFEST, query).items
    for path in (OBJECTS, MANIFEST):
        headers = served.own.ask(path, query).headers
        assert (headers[FIRST], headers[LAST]) == (rows[0]["date_added"], rows[-1]["date_added"])


def test_so_they_do_for_one_object_and_its_versions(served: Served) -> None:
    every = {"match[version]": "all"}
    dates = [one["date_added"] for one in served.own.ask(MANIFEST, {**every, "match[id]": ID}).items]
    assert len(dates) == len(VERSIONS_IN_ORDER)
    for answer in (served.own.ask(f"{OBJECTS}{ID}/", every), served.own.ask(f"{OBJECTS}{ID}/versions/")):
        assert (answer.headers[FIRST], answer.headers[LAST]) == (dates[0], dates[-1])


@pytest.mark.parametrize("path", [OBJECTS, MANIFEST, f"{OBJECTS}{ID}/", f"{OBJECTS}{ID}/versions/"])
def test_where_nothing_is_left_there_is_an_empty_object_and_no_date(served: Served, path: str) -> None:
    answer = served.own.ask(path, {"added_after": "2126-01-01T00:00:00Z"})
    assert (answer.status, answer.body) == (200, {})
    assert answer.headers[FIRST] is answer.headers[LAST] is None


# --- added_after ------------------------------------------------------------------------------------------------------


@BOTH
def test_added_after_leaves_out_the_row_of_that_very_date(served: Served, path: str) -> None:
    rows = served.own.items(MANIFEST)
    for position in (0, 5, len(rows) - 1):
        found = served.own.items(path, added_after=rows[position]["date_added"])
        assert ids(found) == ids(rows[position + 1 :])


@pytest.mark.parametrize("digits", range(7))
def test_added_after_is_read_with_each_number_of_digits(served: Served, digits: int) -> None:
    rows = served.own.items(MANIFEST)
    date = rows[4]["date_added"]
    cut = date[: 20 + digits].rstrip(".") + "Z"
    # A date that was cut is earlier: what is after it holds the row itself unless nothing was cut off.
    padded = cut[:-1].ljust(19, ".")
    whole = (padded if "." in padded else padded + ".").ljust(26, "0") + "Z"
    assert ids(served.own.items(MANIFEST, added_after=cut)) == [
        one["id"] for one in rows if one["date_added"] > whole
    ]


def test_added_after_with_more_than_six_digits_loses_nothing(served: Served) -> None:
    rows = served.own.items(MANIFEST)
    date = rows[4]["date_added"]
    assert ids(served.own.items(MANIFEST, added_after=f"{date[:-1]}999Z")) == ids(rows[5:])
    before = f"{rows[3]['date_added'][:-1]}999Z"
    assert ids(served.own.items(MANIFEST, added_after=before)) == ids(rows[4:])


def test_added_after_selects_among_the_latest_versions(served: Served) -> None:
    first = served.own.ask(MANIFEST, {"match[id]": ID, "match[version]": "first"}).items[0]["date_added"]
    assert [one["modified"] for one in served.own.items(OBJECTS, added_after=first) if one["id"] == ID] == [
        LATEST
    ]


# --- match ------------------------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({"match[id]": ID}, 1),
        ({"match[id]": f"{ID},{indicator(2)['id']}"}, 2),
        ({"match[id]": f"{ID},{ID}"}, 1),
        ({"match[id]": f"{ID},indicator--{NOBODY},not-an-id"}, 1),
        ({"match[id]": f"indicator--{NOBODY}"}, 0),
        ({"match[type]": "indicator"}, len(IN_ORDER) - 4),
        ({"match[type]": "malware,tool"}, 2),
        ({"match[type]": "malware,no-such-type"}, 1),
        ({"match[type]": "no-such-type"}, 0),
        ({"match[type]": "Indicator"}, 0),
        ({"match[spec_version]": "2.1"}, len(IN_ORDER)),
        ({"match[spec_version]": "2.0"}, 0),
        ({"match[spec_version]": "2.0,2.1"}, len(IN_ORDER)),
        ({"match[spec_version]": "2.1", "match[type]": "domain-name"}, 1),
        ({"match[id]": ID, "match[type]": "indicator"}, 1),
        ({"match[id]": ID, "match[type]": "malware"}, 0),
        ({"match[id]": ID, "match[version]": "all"}, 4),
        ({"match[id]": ID, "match[version]": "all", "match[spec_version]": "2.0"}, 0),
        ({"match[version]": "all"}, len(IN_ORDER) + 3),
        ({"match[version]": "first"}, len(IN_ORDER)),
    ],
    ids=str,
)
def test_a_comma_is_or_and_fields_are_and(
    served: Served, path: str, query: dict[str, object], count: int
) -> None:
    assert len(served.own.ask(path, query).items) == count


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (None, [LATEST]),
        ("last", [LATEST]),
        ("first", [CREATED]),
        ("all", VERSIONS_IN_ORDER),
        ("first,last", [CREATED, LATEST]),
        ("last,first", [CREATED, LATEST]),
        ("last,last", [LATEST]),
        (f"last,{LATEST}", [LATEST]),
        (VERSIONS_IN_ORDER[2], [VERSIONS_IN_ORDER[2]]),
        ("2026-02-03T00:00:00Z", [VERSIONS_IN_ORDER[2]]),
        ("2026-02-03T00:00:00.000000Z", [VERSIONS_IN_ORDER[2]]),
        (f"{VERSIONS_IN_ORDER[3]},{VERSIONS_IN_ORDER[2]}", [VERSIONS_IN_ORDER[2], VERSIONS_IN_ORDER[3]]),
        (f"first,{VERSIONS_IN_ORDER[3]}", [CREATED, VERSIONS_IN_ORDER[3]]),
        ("2020-01-01T00:00:00Z", []),
    ],
    ids=str,
)
def test_versions_are_those_that_match_version_names(
    served: Served, wanted: str | None, found: list[str]
) -> None:
    query = {} if wanted is None else {"match[version]": wanted}
    of_it = query | {"match[id]": ID}
    assert [one["modified"] for one in served.own.ask(f"{OBJECTS}{ID}/", query).items] == found
    assert [one["modified"] for one in served.own.ask(OBJECTS, of_it).items] == found
    assert [one["version"] for one in served.own.ask(MANIFEST, of_it).items] == found


def test_an_object_without_versions_is_its_first_its_last_and_all_of_it(served: Served) -> None:
    for wanted in ("first", "last", "all", "first,last"):
        found = served.own.ask(OBJECTS, {"match[type]": "domain-name", "match[version]": wanted}).items
        assert found == [domain(1)]


def test_the_date_of_what_has_no_version_is_its_version(served: Served) -> None:
    (row,) = served.own.ask(MANIFEST, {"match[type]": "domain-name"}).items
    assert row["version"] == row["date_added"]
    exact = {"match[type]": "domain-name", "match[version]": row["version"]}
    assert served.own.ask(OBJECTS, exact).items == [domain(1)]


def test_the_last_version_is_the_last_that_the_client_may_have(written: Served) -> None:
    # A client that is cleared for less does not find out that there is a later version.
    told = indicator(50, modified="2026-03-01T00:00:00.000Z")
    publish(written.node, "green", "everyone", indicator(50))
    publish(written.node, "red", "everyone", told)
    for client, version in ((written.own, told["modified"]), (written.amber, CREATED)):
        assert [one["modified"] for one in client.items(f"{OBJECTS}{told['id']}/")] == [version]
        assert [one["version"] for one in client.ask(MANIFEST, {"match[id]": told["id"]}).items] == [version]
    assert written.amber.items(f"{OBJECTS}{told['id']}/versions/") == [CREATED]


# --- one object -------------------------------------------------------------------------------------------------------


def test_an_object_that_the_client_may_not_have_is_as_unknown_as_any(served: Served) -> None:
    nothing = served.amber.ask(f"{OBJECTS}indicator--{NOBODY}/")
    hidden = served.amber.ask(f"{OBJECTS}{indicator(RED[0])['id']}/")
    assert_error(hidden, 404)
    assert hidden.raw == nothing.raw


def test_an_object_is_not_in_a_collection_that_does_not_hold_it(served: Served) -> None:
    assert_error(served.own.ask(f"{INBOX}/objects/{ID}/"), 404)
    assert_error(served.own.ask(f"{COLLECTIONS}/everyone-red/objects/{ID}/"), 404)


def test_one_object_has_pages_too(served: Served) -> None:
    query = {"match[version]": "all", "limit": 3}
    pages = list(served.own.pages(f"{OBJECTS}{ID}/", query))
    assert [len(page.items) for page in pages] == [3, 1]
    assert [one["modified"] for page in pages for one in page.items] == VERSIONS_IN_ORDER


# --- versions (§5.8) --------------------------------------------------------------------------------------------------


def test_versions_come_in_the_order_in_which_they_were_added(served: Served) -> None:
    assert served.own.ask(f"{OBJECTS}{ID}/versions/").body == {"versions": VERSIONS_IN_ORDER}


def test_versions_have_pages_and_dates_page_by_page(served: Served) -> None:
    path = f"{OBJECTS}{ID}/versions/"
    every = {"match[id]": ID, "match[version]": "all"}
    dates = [one["date_added"] for one in served.own.ask(MANIFEST, every).items]
    pages = list(served.own.pages(path, {"limit": 1}))
    assert [page.items for page in pages] == [[one] for one in VERSIONS_IN_ORDER]
    assert [(page.headers[FIRST], page.headers[LAST]) for page in pages] == [(one, one) for one in dates]
    assert pages[0].body["more"] is True
    assert "next" not in pages[-1].body
    assert served.own.items(path, added_after=dates[1]) == VERSIONS_IN_ORDER[2:]


def test_versions_are_filtered_by_the_version_of_the_specification(served: Served) -> None:
    path = f"{OBJECTS}{ID}/versions/"
    assert served.own.ask(path, {"match[spec_version]": "2.1"}).items == VERSIONS_IN_ORDER
    assert served.own.ask(path, {"match[spec_version]": "2.0"}).body == {}


def test_what_has_no_version_has_one_the_date_at_which_it_was_added(served: Served) -> None:
    (row,) = served.own.ask(MANIFEST, {"match[type]": "domain-name"}).items
    assert served.own.items(f"{OBJECTS}{row['id']}/versions/") == [row["date_added"]]


# --- limit and next ---------------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("limit", [1, 2, 40, len(IN_ORDER) - 1])
def test_no_page_holds_more_than_its_limit_and_more_says_whether_there_is_more(
    served: Served, path: str, limit: int
) -> None:
    pages = list(served.own.pages(path, {"limit": limit}))
    assert [one for page in pages for one in ids(page.items)] == IN_ORDER
    assert all(0 < len(page.items) <= limit for page in pages)
    assert [page.body.get("more", False) for page in pages] == [True] * (len(pages) - 1) + [False]
    assert ["next" in page.body for page in pages] == [True] * (len(pages) - 1) + [False]


@BOTH
@pytest.mark.parametrize("limit", [len(IN_ORDER), len(IN_ORDER) + 1, 10**6, 2**53, 2**70])
def test_a_limit_that_is_not_reached_gives_the_whole_list(served: Served, path: str, limit: int) -> None:
    answer = served.own.ask(path, {"limit": limit})
    assert ids(answer.items) == IN_ORDER
    assert not answer.body.get("more")


def test_pages_keep_to_their_filters(served: Served) -> None:
    query = {"match[type]": "indicator", "match[version]": "all", "limit": 5}
    found = [one for page in served.own.pages(OBJECTS, query) for one in page.items]
    assert found == served.own.ask(OBJECTS, query | {"limit": 1000}).items


@BOTH
def test_a_page_is_the_same_each_time_it_is_asked_for(served: Served, path: str) -> None:
    token = served.own.ask(path, {"limit": 3}).body["next"]
    pages = {served.own.ask(path, {"limit": 3, "next": token}).raw for _ in range(3)}
    assert len(pages) == 1


@BOTH
def test_a_limit_may_change_and_added_after_move_from_page_to_page(served: Served, path: str) -> None:
    # What OpenCTI does: `next` and the last date together.
    answer = served.own.ask(path, {"limit": 3})
    found = ids(answer.items)
    for limit in (1, 10, 2, 100):
        query = {"next": answer.body["next"], "added_after": answer.headers[LAST], "limit": limit}
        answer = served.own.ask(path, query)
        found += ids(answer.items)
    assert found == IN_ORDER


def test_going_on_without_next_by_the_last_date_gives_the_same(served: Served) -> None:
    found: list[str] = []
    query: dict[str, object] = {"limit": 4}
    while items := (answer := served.own.ask(OBJECTS, query)).items:
        found += ids(items)
        query = {"limit": 4, "added_after": answer.headers[LAST]}
    assert found == IN_ORDER


@BOTH
def test_a_next_that_was_changed_is_400_or_shows_nothing_that_the_client_may_not_have(
    served: Served, path: str
) -> None:
    token = served.amber.ask(path, {"limit": 3}).body["next"]
    allowed = set(ids(served.amber.items(path)))
    changed = [
        token[:-1],
        token + "A",
        token[::-1],
        token.upper(),
        token.lower(),
        "A" * len(token),
        "",
        "9" * 400,
    ]
    changed += [token[:at] + chr(ord(token[at]) ^ 1) + token[at + 1 :] for at in range(len(token))]
    for one in changed:
        answer = served.amber.ask(path, {"next": one})
        if answer.status != 200:
            assert_error(answer, 400)
        else:
            assert set(ids(answer.items)) <= allowed


def test_the_next_of_another_client_opens_nothing(served: Served) -> None:
    token = served.own.ask(OBJECTS, {"limit": 3}).body["next"]
    answer = served.amber.ask(OBJECTS, {"next": token})
    allowed = set(ids(served.amber.items(OBJECTS)))
    assert answer.status == 400 or set(ids(answer.items)) <= allowed
