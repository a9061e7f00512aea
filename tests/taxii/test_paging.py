"""Whatever is written meanwhile and however long pages are: each row of a view once, in the order of its date."""

import threading
from itertools import count
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.taxii.clients import ALL, INBOX, LAST, Client, indicator, publish, version
from tests.taxii.conftest import Served, own_system

_NUMBERS = count(1)
_NAMES = count(1)
LIMITS = st.lists(st.integers(1, 9), min_size=1, max_size=12)
WAYS = st.sampled_from(["next", "next and the last date", "the last date"])
PATHS = st.sampled_from([f"{ALL}/objects/", f"{INBOX}/objects/", f"{ALL}/manifest/", f"{INBOX}/manifest/"])
slow = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
few = settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])


class Act(NamedTuple):
    """What happens between two pages."""

    what: str
    many: int


ACTS = st.lists(
    st.builds(
        Act,
        st.sampled_from(["post", "later version", "earlier version", "publish", "nothing"]),
        st.integers(1, 6),
    ),
    max_size=12,
)


class Row(NamedTuple):
    """A row of a list: an object in a version."""

    id: str
    version: str


def row(one: dict[str, Any]) -> Row:
    return Row(one["id"], one.get("modified") or one["version"])


class Reader:
    """One who walks a list by `way`, in pages of any lengths, and remembers each row and each page's last date."""

    def __init__(
        self, client: Client, path: str, way: str, limits: list[int], start: str | None = None
    ) -> None:
        self.client, self.path, self.way, self.limits = client, path, way, limits
        self.seen: list[Row] = []
        self.dates: list[str] = []
        self.following: str | None = None
        self.date = start
        self.is_at_the_end = False
        self._turn = 0

    def page(self) -> None:
        """Read one page more."""
        query: dict[str, object] = {"limit": self.limits[self._turn % len(self.limits)]}
        self._turn += 1
        if self.following is not None:
            query["next"] = self.following
        if self.date is not None and (self.following is None or self.way == "next and the last date"):
            query["added_after"] = self.date
        answer = self.client.ask(self.path, query)
        rows = [row(one) for one in answer.items]
        assert len(rows) <= int(str(query["limit"]))
        self.seen += rows
        assert len(self.seen) == len(set(self.seen)), "a row came twice"
        if rows:
            self.date = answer.headers[LAST]
            self.dates.append(self.date)
        more = bool(answer.body.get("more"))
        assert ("next" in answer.body) == more
        self.following = answer.body["next"] if more and self.way != "the last date" else None
        self.is_at_the_end = not more

    def finish(self) -> None:
        """Read on until nothing is left: an empty page, or one that says that there is no more."""
        for _ in range(200):
            self.page()
            if self.is_at_the_end:
                return
        raise AssertionError("It goes round.")


def perform(act: Act, written: Served, client: Client, posted: list[int]) -> None:
    numbers = [next(_NUMBERS) for _ in range(act.many)]
    if act.what == "post":
        client.posted(*(indicator(number) for number in numbers))
        posted += numbers
    if act.what == "publish":
        publish(written.node, "green", "everyone", *(indicator(number) for number in numbers))
    if act.what.endswith("version") and posted:
        day = 1 + len(posted) % 20 if act.what == "earlier version" else 21 + act.many % 7
        client.posted(*(version(number, day) for number in posted[: act.many]))


def start_of(client: Client, path: str) -> str | None:
    """Return the date of the last row that is there now: what other tests have left is none of this one's."""
    last: str | None = None
    for page in client.pages(path, {"limit": 1000, "match[version]": "all"}):
        last = page.headers[LAST] or last
    return last


@pytest.fixture(scope="module")
def client(written: Served) -> Client:
    return own_system(written.node, "reader", "red")


@slow
@given(PATHS, WAYS, LIMITS, ACTS)
def test_who_pages_sees_each_row_once_and_in_order_whatever_comes_meanwhile(
    written: Served, path: str, way: str, limits: list[int], acts: list[Act]
) -> None:
    client = own_system(written.node, f"reader-{next(_NAMES)}", "red")
    start = start_of(client, path)
    posted = [next(_NUMBERS) for _ in range(4)]
    client.posted(*map(indicator, posted))
    reader = Reader(client, path, way, limits, start)
    for act in acts:
        reader.page()
        perform(act, written, client, posted)
    reader.finish()
    assert reader.dates == sorted(set(reader.dates))
    after = {} if start is None else {"added_after": start}
    every = [
        row(one) for page in client.pages(path, {"match[version]": "all", **after}) for one in page.items
    ]
    order = {one: position for position, one in enumerate(every)}
    positions = [order[one] for one in reader.seen]
    assert positions == sorted(positions)
    last = {row(one) for page in client.pages(path, after) for one in page.items}
    assert last <= set(reader.seen)


@few
@given(WAYS, WAYS, LIMITS, LIMITS)
def test_two_who_page_while_two_post_see_each_row_once_and_in_order(
    written: Served, client: Client, one_way: str, other_way: str, limits: list[int], others: list[int]
) -> None:
    path = f"{ALL}/objects/"
    start = start_of(client, path)
    done = threading.Event()
    wrong: list[BaseException] = []

    def post(poster: Client) -> None:
        for size in (1, 7, 2, 5, 1, 9):
            poster.posted(*(indicator(next(_NUMBERS)) for _ in range(size)))

    def read(reader: Reader) -> None:
        while not done.is_set():
            reader.page()
        reader.finish()

    def kept(work: Any, argument: Any) -> None:
        try:
            work(argument)
        except BaseException as error:  # noqa: BLE001  # told by the test's own thread
            wrong.append(error)

    readers = [
        Reader(client, path, way, sizes, start) for way, sizes in ((one_way, limits), (other_way, others))
    ]
    posting = [threading.Thread(target=kept, args=(post, one)) for one in (written.own, written.amber)]
    reading = [threading.Thread(target=kept, args=(read, one)) for one in readers]
    for thread in (*reading, *posting):
        thread.start()
    for thread in posting:
        thread.join()
    done.set()
    for thread in reading:
        thread.join()
    assert wrong == []
    after = {} if start is None else {"added_after": start}
    whole = [row(one) for page in client.pages(path, after) for one in page.items]
    assert len(whole) == 50
    assert [reader.seen for reader in readers] == [whole, whole]
