"""What a sensor watches for follows from what is held, not from the order of arrival nor from when it asked."""

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.federation.keys import AT, PODGORICA, TIRANA, Party
from tests.flows.alliance import (
    PRISTINA,
    VIENNA,
    Station,
    batch,
    copied,
    digest,
    said,
    stream,
    take,
    taken_back,
    told,
)

from lezha.federation.frame import Parcel
from lezha.flows import check, detect, ingest, look, purge
from lezha.flows.errors import FlowError, NothingTaken
from lezha.flows.purge import Rule
from lezha.node.clock import later, utc_now
from lezha.sharing.release import Recipient, Standing
from lezha.sharing.terms import Audience, Terms
from lezha.sharing.tlp import Tlp
from lezha.stix import bundle, encode
from lezha.store import peers, search
from lezha.store.errors import Conflict, StoreError
from lezha.store.log import Log
from lezha.store.peers import PeerState
from lezha.store.search import Query

SENSOR = Recipient("sensor:1", Standing.OWN, Tlp.RED)
VENDOR = "identity--00000000-0000-4000-8000-00000000c15a"
NAME = str(told(TIRANA, 1)["id"])
EXPIRED = Terms(Tlp.GREEN, Audience(members=(PODGORICA.member,)), expires="2022-01-01T00:00:00.000000Z")
ANYONE = Terms(Tlp.GREEN, Audience(members=(PODGORICA.member,)))
Step = tuple[str, int]
Watch = dict[str, str]


def version(number: int, creator: str) -> bytes:
    """Version 1 to 4 of one indicator, each with a value of its own; the third is revoked."""
    changes = {
        "modified": f"2022-08-0{number}T00:00:00.000Z",
        "pattern": f"[ipv4-addr:value = '198.51.100.{number}']",
    }
    revoked = {"revoked": True} if number == 3 else {}
    return encode(told(TIRANA, 1, created_by_ref=creator, **changes, **revoked))


class Story:
    """What happens at Podgorica, whose sensor asks now and then; Tirana and Vienna are its peers.

    A step is a verb and the number of a version.
    """

    def __init__(self, log: Log, creator: str = VENDOR) -> None:
        self.here, self.creator = Station(PODGORICA, log), creator
        self.head, self.heard, self.streams = 0, dict[str, tuple[tuple[str, str], ...]](), 0

    async def begin(self) -> None:
        await self.here.links(Station(TIRANA, self.here.log), Station(VIENNA, self.here.log), since=AT)

    async def happens(self, *steps: Step) -> Watch:
        """Go through the steps and return what a sensor watches for that starts then."""
        for verb, number in steps:
            await getattr(self, verb)(number)
        return await self.anew()

    async def brought(self, number: int) -> None:
        raw = bundle.write([version(number, self.creator)])
        await ingest.take(self.here.log, self.here.members, self.here.member, raw, "test")

    async def published(self, number: int) -> None:
        with suppress(NothingTaken):  # another member's objects are not this one's to publish
            await self.here.publish(json.loads(version(number, self.creator)))

    async def tirana(self, number: int) -> None:
        await self._says(TIRANA, number, ANYONE)

    async def vienna(self, number: int) -> None:
        await self._says(VIENNA, number, ANYONE)

    async def recalls(self, number: int) -> None:
        """Tirana takes back what it says of a version, maybe before that has come."""
        await self._sends(TIRANA, taken_back(TIRANA, digest(self._said(TIRANA, number, ANYONE))))

    async def withdraws(self, number: int) -> None:
        """Podgorica takes back what it published itself, if it did."""
        at = f"2022-08-0{number}T00:00:00.000Z"
        with suppress(FlowError, StoreError):
            await self.here.recall(NAME, version=at)

    async def expired(self, number: int) -> None:
        """Vienna says something that holds no more."""
        await self._says(VIENNA, number, EXPIRED)

    async def creates(self, number: int) -> None:
        """Pristina says it, who is enrolled if need be."""
        await self.enrols(number)
        await self._says(PRISTINA, number, ANYONE)

    async def enrols(self, _number: int) -> None:
        with suppress(Conflict):
            await self.here.links(Station(PRISTINA, self.here.log), since=AT)
        await self.here.log.write(lambda tx: peers.set_state(tx, PRISTINA.member, PeerState.ACTIVE, "test"))

    async def invites(self, _number: int) -> None:
        """Pristina is a peer whose phrase was not compared yet."""
        await self.here.links(Station(PRISTINA, self.here.log), state=PeerState.PENDING, since=AT)

    async def retires(self, _number: int) -> None:
        await purge.retire(self.here.log, [Rule("indicator", 1, utc_now())])

    async def asks(self, _number: int) -> None:
        feed = await detect.feed(self.here.log, SENSOR, self.head, utc_now())
        self.head = feed.head
        self.heard |= {one.key: one.observables for one in feed.items}

    async def running(self) -> Watch:
        await self.asks(0)
        return _watch(self.heard)

    async def anew(self) -> Watch:
        feed = await detect.feed(self.here.log, SENSOR, 0, utc_now())
        return _watch({one.key: one.observables for one in feed.items})

    def states(self) -> dict[int, str]:
        """Version -> what pages call it."""
        with self.here.log.read() as conn:
            listed = look.listed(conn, search.find(conn, Query(id=NAME, limit=100)))
        return {int(one.version[9]): one.barred or one.state.value for one in listed}

    async def _says(self, party: Party, number: int, terms: Terms) -> None:
        await self._sends(party, self._said(party, number, terms))

    def _said(self, party: Party, number: int, terms: Terms) -> Parcel:
        return said(party, version(number, self.creator), terms=terms)

    async def _sends(self, party: Party, parcel: Parcel) -> None:
        self.streams += 1
        sent = batch(*stream(parcel))
        sent = type(sent)(sent.protocol, f"{self.streams:032x}", sent.sent, sent.frames)
        await take(self.here, Station(party, self.here.log), sent)


def _watch(heard: dict[str, tuple[tuple[str, str], ...]]) -> Watch:
    """Name of the member -> the last number of the address that is looked for under its key."""
    names = {one.member: name for name, one in PARTIES.items()} | {"": ""}
    return {
        names[key.partition(" ")[0]]: value.rpartition(".")[2]
        for key, values in heard.items()
        for _, value in values
    }


PARTIES = {"podgorica": PODGORICA, "tirana": TIRANA, "vienna": VIENNA, "pristina": PRISTINA}


@pytest.fixture
async def story(log: Log) -> Story:
    begun = Story(log)
    await begun.begin()
    return begun


SCENES: list[tuple[list[Step], Watch]] = [
    # What was brought here is watched for whatever members say of the same bytes.
    ([("brought", 1), ("expired", 1)], {"": "1"}),
    ([("brought", 1), ("tirana", 1)], {"tirana": "1"}),
    ([("brought", 1), ("tirana", 1), ("tirana", 3)], {"": "1"}),
    ([("brought", 1), ("tirana", 1), ("tirana", 2)], {"": "1", "tirana": "2"}),
    ([("brought", 1), ("vienna", 3)], {"": "1"}),
    # Nor does what they sign bring back what was outdated.
    ([("brought", 1), ("brought", 3), ("tirana", 3)], {}),
    ([("brought", 1), ("brought", 2), ("tirana", 2)], {"tirana": "2"}),
    ([("brought", 1), ("brought", 2), ("tirana", 1)], {"": "2", "tirana": "1"}),
    ([("brought", 1), ("brought", 2), ("expired", 2)], {"": "2"}),
    # What this member signs itself ends what it brought.
    ([("brought", 1), ("published", 1)], {"podgorica": "1"}),
    ([("brought", 1), ("published", 2)], {"podgorica": "2"}),
    ([("brought", 1), ("published", 1), ("published", 3)], {}),
    ([("brought", 1), ("brought", 2), ("published", 2)], {"podgorica": "2"}),
    ([("brought", 2), ("published", 1)], {"": "2", "podgorica": "1"}),
    # What was taken back is as if it had never been said.
    ([("tirana", 1), ("tirana", 2), ("recalls", 2)], {"tirana": "1"}),
    ([("tirana", 1), ("tirana", 3), ("recalls", 3)], {"tirana": "1"}),
    ([("tirana", 1), ("vienna", 1), ("recalls", 1)], {"vienna": "1"}),
    ([("brought", 1), ("tirana", 1), ("recalls", 1)], {"": "1"}),
    ([("recalls", 1), ("recalls", 2), ("tirana", 1), ("tirana", 2)], {}),
    # Of what was said for a time that is over, nothing before it counts again.
    ([("vienna", 1), ("expired", 2)], {}),
    # Nothing comes after a revocation.
    ([("brought", 3), ("brought", 4)], {}),
    ([("brought", 3), ("brought", 4), ("tirana", 4)], {"tirana": "4"}),
]


@pytest.mark.parametrize(("steps", "wanted"), SCENES)
@pytest.mark.parametrize("backwards", [False, True])
async def test_what_is_watched_for(story: Story, steps: list[Step], wanted: Watch, backwards: bool) -> None:
    await story.happens(*(reversed(steps) if backwards else steps))
    assert await story.anew() == wanted


async def test_what_was_brought_here_after_a_member_said_it_is_brought_all_the_same(story: Story) -> None:
    await story.happens(("expired", 1), ("brought", 1), ("brought", 1))
    assert await story.anew() == {"": "1"}
    assert story.states() == {1: "current"}
    assert list(check.check(story.here.log)) == []


async def test_pages_say_what_sensors_do(story: Story) -> None:
    await story.happens(("brought", 1), ("brought", 2), ("published", 2))
    assert story.states() == {1: "superseded", 2: "current"}
    await story.happens(("tirana", 1))
    assert (await story.anew(), story.states()) == (
        {"podgorica": "2", "tirana": "1"},
        {1: "current", 2: "current"},
    )
    await story.happens(("published", 3))
    assert (await story.anew(), story.states()) == (
        {"tirana": "1"},
        {1: "current", 2: "superseded", 3: "revoked"},
    )


async def test_a_running_sensor_hears_what_is_told_of_a_version_that_was_purged(story: Story) -> None:
    await story.happens(("brought", 2), ("retires", 0), ("tirana", 1), ("asks", 0))
    assert await story.running() == {"tirana": "1"}
    await story.happens(("tirana", 2))
    assert await story.running() == await story.anew() == {}
    await story.happens(("vienna", 1), ("asks", 0), ("vienna", 2))
    assert await story.running() == await story.anew() == {}
    head = story.head
    await story.happens(("enrols", 0), ("asks", 0))
    assert story.head == head, "it is said once"


@pytest.mark.parametrize(
    ("before", "then", "wanted"),
    [
        ([("vienna", 1)], [("enrols", 0)], {}),
        ([("vienna", 1)], [("creates", 1)], {"pristina": "1"}),
        ([("brought", 1)], [("creates", 1)], {"pristina": "1"}),
        ([("brought", 1), ("vienna", 1)], [("creates", 2)], {"pristina": "2"}),
        ([("vienna", 1)], [("invites", 0), ("asks", 0), ("enrols", 0)], {}),
        ([("vienna", 2), ("retires", 0), ("vienna", 1)], [("creates", 1)], {"pristina": "1"}),
    ],
)
async def test_a_running_sensor_drops_what_was_forged_once_its_creator_is_enrolled(
    log: Log, before: list[Step], then: list[Step], wanted: Watch
) -> None:
    story = Story(log, PRISTINA.member)
    await story.begin()
    await story.happens(*before, ("asks", 0))
    await story.happens(*then)
    assert await story.running() == await story.anew() == wanted


steps = st.tuples(
    st.sampled_from(
        [
            "brought",
            "published",
            "tirana",
            "vienna",
            "expired",
            "creates",
            "enrols",
            "retires",
            "recalls",
            "withdraws",
            "asks",
            "asks",
        ]
    ),
    st.integers(1, 4),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    story=st.lists(steps, max_size=9), creator=st.sampled_from([VENDOR, PRISTINA.member, PODGORICA.member])
)
async def test_a_sensor_that_runs_and_one_that_starts_watch_for_the_same(
    empty: Path, story: Sequence[Step], creator: str
) -> None:
    with copied(empty) as log:
        told_here = Story(log, creator)
        await told_here.begin()
        anew = await told_here.happens(*story)
        assert await told_here.running() == anew
        counting = {number for number, state in told_here.states().items() if state == "current"}
        if not any(verb == "expired" for verb, _ in story):
            assert {int(number) for number in anew.values()} == counting, "pages say the same"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    orders=st.lists(
        st.tuples(
            st.sampled_from(["brought", "published", "tirana", "vienna", "expired", "recalls"]),
            st.integers(1, 4),
        ),
        min_size=2,
        max_size=6,
        unique=True,
    ).flatmap(lambda given: st.tuples(st.just(given), st.permutations(given)))
)
async def test_the_order_of_arrival_does_not_matter(
    empty: Path, orders: tuple[list[Step], list[Step]]
) -> None:
    found = []
    for order in orders:
        with copied(empty) as log:
            one = Story(log)
            await one.begin()
            found.append((await one.happens(*order), one.states()))
    assert found[0] == found[1]


async def test_a_watch_ends_with_the_word_on_it_or_with_the_pattern_s_validity(story: Story) -> None:
    async def ends() -> dict[str, str]:
        feed = await detect.feed(story.here.log, SENSOR, 0, utc_now())
        return {one.key.partition(" ")[0]: one.valid_until for one in feed.items if one.observables}

    soon, late = later(utc_now(), hours=1), later(utc_now(), days=300)
    for terms in (soon, late):
        await story._says(TIRANA, 1, replace(ANYONE, expires=terms))
    await story._says(VIENNA, 1, replace(ANYONE, expires=soon))
    assert await ends() == {TIRANA.member: late, VIENNA.member: soon}, "the longest word counts"
    await story._says(VIENNA, 1, ANYONE)
    assert await ends() == {TIRANA.member: late, VIENNA.member: ""}
    valid = encode(json.loads(version(2, VENDOR)) | {"valid_until": f"{soon[:19]}Z"})
    await story._sends(VIENNA, said(VIENNA, valid, terms=replace(ANYONE, expires=late)))
    assert (await ends())[VIENNA.member] == f"{soon[:19]}Z"


async def test_what_was_brought_here_is_looked_for_beyond_a_word_that_ends(story: Story) -> None:
    soon = later(utc_now(), hours=1)
    await story.brought(1)
    await story._says(TIRANA, 1, replace(ANYONE, expires=soon))
    assert await story.anew() == {"tirana": "1", "": "1"}
    feed = await detect.feed(story.here.log, SENSOR, 0, later(utc_now(), hours=2))
    assert _watch({one.key: one.observables for one in feed.items}) == {"": "1"}


async def test_both_engines_tell_a_running_sensor_what_they_tell_one_that_starts(
    log: Log, station: Callable[..., Station]
) -> None:
    story = Story(log, PRISTINA.member)
    await story.begin()
    for verb, number in [
        ("vienna", 1), ("brought", 1), ("asks", 0), ("vienna", 2), ("brought", 3), ("asks", 0), ("retires", 0),
        ("asks", 0), ("brought", 2), ("tirana", 2), ("asks", 0), ("recalls", 2), ("asks", 0), ("published", 4),
        ("asks", 0), ("withdraws", 4), ("asks", 0), ("enrols", 0), ("creates", 4), ("asks", 0),
    ]:  # fmt: skip
        await story.happens((verb, number))
        assert await story.running() == await story.anew(), (verb, number)
