"""What a peer is given tells nothing of what is withheld from it.

A pair of worlds: one node, in both of which the same happens that its peer Podgorica may know, and in each of which
other things happen in between that Podgorica may not know. Whatever Podgorica gets is the same to the last byte, in the
same order, at the same times: frames of the link with their numbers and chains, receipts for what it sends itself, and
the file that is exported for it (docs/design.md, Release). The same holds for a bank, a constituent, and its view.
"""

import asyncio
import hashlib
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.federation.keys import PODGORICA, TIRANA, Party, charter, roster
from tests.flows.alliance import INCARNATION, PRISTINA, VIENNA, Station, batch, free, said, told, written

from lezha.federation import frame
from lezha.federation import roster as rosters
from lezha.federation.frame import Batch, Frame, Parcel
from lezha.federation.outbox import Send
from lezha.federation.pieces import Pieces
from lezha.federation.turn import Turn
from lezha.flows import (
    batches,
    convene,
    detect,
    export,
    hand_out,
    ingest,
    publish,
    purge,
    recall,
    receive,
    share,
)
from lezha.flows import constituents as flow
from lezha.flows.errors import FlowError
from lezha.flows.receive import Arrival
from lezha.node.clock import later
from lezha.sharing.release import Recipient, Standing
from lezha.sharing.terms import Audience, Terms
from lezha.sharing.tlp import Tlp
from lezha.stix import bundle, encode
from lezha.store import communities, constituents, peers, views
from lezha.store.errors import NotFound
from lezha.store.log import Log
from lezha.store.peers import PeerState

START = "2026-01-01T00:00:00.000000Z"
SENSOR = Recipient("sensor:1", Standing.OWN, Tlp.RED)
NATO, WB6 = charter(TIRANA, name="NATO"), charter(TIRANA, name="WB6")
OTHERS = (TIRANA.member, VIENNA.member, PRISTINA.member)
"""All but Podgorica."""


@dataclass
class World:
    """The node of Tirana and what Podgorica has got from it."""

    here: Station
    time: list[str]
    got: list[bytes] = field(default_factory=list)
    handed: list[bytes] = field(default_factory=list)
    """What the bank has got."""
    acknowledged: int = 0
    heads: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    """Of the streams that peers send here: the last number and chain."""

    def tick(self) -> None:
        """Go on to the next second, in which one thing happens that Podgorica may know."""
        self.time[0] = later(self.time[0], seconds=1)

    async def settle(self) -> None:
        """Decide for everyone, as the links of a node do after each commit."""
        for name in ("podgorica", "vienna", "pristina"):
            with self.here.log.read() as conn:
                peer = peers.by_name(conn, name)
            await share.decide(self.here.log, peer.recipient())

    async def receive(self, sender: Party, *parcels: Parcel) -> bytes:
        """Take the next frames of a peer's stream; return the receipt."""
        number, chain = self.heads.get(sender.member, (0, views.GENESIS))
        frames: list[Frame] = []
        for parcel in parcels:
            number += 1
            frames.append(Frame(number, parcel.kind, chain, parcel.envelope, parcel.contents))
            chain = frames[-1].chain()
        self.heads[sender.member] = (number, chain)
        sent = batch(*frames)
        latest = later(self.time[0], minutes=5)
        arrival = Arrival(sent, latest, Pieces(), Turn(None), free)
        return await receive.batch(self.here.log, self.here.receiver, sender.member, arrival)

    async def contact(self) -> None:
        """Give Podgorica what it is given now, over the link and as a file, and keep the bytes."""
        with self.here.log.read() as conn:
            recipient = peers.by_member(conn, PODGORICA.member).recipient()
            packed = batches.pack(conn, recipient, INCARNATION, Send(self.acknowledged), self.time[0])
        if packed.denied:
            await self.here.log.write(lambda tx: views.void(tx, recipient.id, packed.denied))
        self.got.append(frame.encode(packed.batch))
        self.acknowledged += len(packed.batch.frames)
        with self.here.log.read() as conn:
            bank = constituents.by_name(conn, "bank").recipient()
        found = await hand_out.view(self.here.log, bank, 0, hand_out.ROWS, self.time[0])
        self.handed.append(msgspec.json.encode(found))
        where, done = export.stretch(self.here.log, 0, "", ""), False
        while not done:
            page = export.page(self.here.log, "podgorica", SENSOR, where, self.time[0])
            self.got += page.objects
            where, done = export.Stretch(page.head.cursor, where.upto), page.head.last

    async def publish(self, *given: dict[str, Any], **terms: Any) -> None:
        request = publish.Request(bundle.write([encode(one) for one in given]), Terms(**terms))
        with suppress(FlowError):  # what can't be told on these terms is refused in both worlds alike
            await publish.publish(self.here.log, self.here.author, self.here.members, request, "analyst")

    async def bring(self, *given: dict[str, Any]) -> None:
        raw = bundle.write([encode(one) for one in given])
        await ingest.take(self.here.log, self.here.members, self.here.member, raw, "analyst")


# --- what Podgorica may know: it happens in both worlds ---------------------------------------------------------------

TO_PODGORICA = Audience(members=(PODGORICA.member,))
EVERYONE = Audience(everyone=True)
wide = st.sampled_from([EVERYONE, TO_PODGORICA, Audience(members=(PODGORICA.member, VIENNA.member))])
numbers = st.integers(1, 4)
open_levels = st.sampled_from([Tlp.CLEAR, Tlp.GREEN, Tlp.AMBER])


@dataclass(frozen=True)
class Tell:
    """Tirana publishes an indicator to Podgorica, perhaps among others."""

    number: int
    level: Tlp
    audience: Audience
    nato: bool

    async def happen(self, world: World) -> None:
        audience = in_nato(world) if self.nato else self.audience
        await world.publish(told(TIRANA, self.number), tlp=self.level, audience=audience)


@dataclass(frozen=True)
class PassOn:
    """Vienna tells something that Tirana may pass on."""

    number: int
    level: Tlp

    async def happen(self, world: World) -> None:
        terms = Terms(self.level, Audience(True, members=(PODGORICA.member,)), onward=True)
        await world.receive(VIENNA, said(VIENNA, written(VIENNA, 20 + self.number), terms=terms))


@dataclass(frozen=True)
class Hear:
    """Podgorica sends something itself, in order or not, and gets a receipt."""

    number: int
    right: bool

    async def happen(self, world: World) -> None:
        right = written(PODGORICA, 30 + self.number)
        wrong = written(VIENNA, 30 + self.number)
        receipt = await world.receive(PODGORICA, said(PODGORICA, right if self.right else wrong))
        world.got.append(receipt)


@dataclass(frozen=True)
class Enlist:
    """NATO gets its next roster, with Podgorica or without."""

    without: bool

    async def happen(self, world: World) -> None:
        await accept(world, NATO, OTHERS if self.without else (*OTHERS, PODGORICA.member))


@dataclass(frozen=True)
class TakeBack:
    """What Tirana told is recalled."""

    number: int

    async def happen(self, world: World) -> None:
        await take_back(world, told(TIRANA, self.number)["id"])


@dataclass(frozen=True)
class Destroy:
    """What Tirana told is purged."""

    number: int

    async def happen(self, world: World) -> None:
        await forget(world, told(TIRANA, self.number)["id"])


public = st.one_of(
    st.builds(Tell, numbers, open_levels, wide, st.booleans()),
    st.builds(Tell, numbers, open_levels, wide, st.booleans()),
    st.builds(PassOn, numbers, open_levels),
    st.builds(Hear, numbers, st.booleans()),
    st.builds(Enlist, st.booleans()),
    st.builds(Destroy, numbers),
    st.builds(TakeBack, numbers),
)

# --- what Podgorica may not know: each world has its own --------------------------------------------------------------


@dataclass(frozen=True)
class Secret:
    """Tirana publishes something that is withheld from Podgorica: by its audience, or by its level."""

    number: int
    later: bool
    level: Tlp
    wb6: bool

    async def happen(self, world: World) -> None:
        # Also later versions of what Podgorica knows; what they say is told to others alone.
        changes = {"modified": "2025-01-01T00:00:00.000Z", "name": "secret"} if self.later else {}
        number = self.number if self.later else 10 + self.number
        to = in_wb6(world) if self.wb6 else Audience(members=(VIENNA.member,))
        audience = EVERYONE if self.level is Tlp.RED else to
        await world.publish(told(TIRANA, number, **changes), tlp=self.level, audience=audience)


@dataclass(frozen=True)
class Keep:
    """Something is brought here for own systems alone."""

    number: int

    async def happen(self, world: World) -> None:
        await world.bring(told(TIRANA, 40 + self.number, created_by_ref=None))


@dataclass(frozen=True)
class Confide:
    """Vienna tells Tirana something that may not be passed on, or something that is not in order."""

    number: int
    right: bool

    async def happen(self, world: World) -> None:
        creator = VIENNA if self.right else PRISTINA
        terms = Terms(Tlp.AMBER, EVERYONE)
        await world.receive(VIENNA, said(VIENNA, written(creator, 50 + self.number), terms=terms))


@dataclass(frozen=True)
class Elsewhere:
    """A community without Podgorica gets its next roster, or a peer is suspended and back."""

    suspend: bool

    async def happen(self, world: World) -> None:
        if self.suspend:
            for state in (PeerState.SUSPENDED, PeerState.ACTIVE):
                await world.here.log.write(
                    lambda tx, to=state: peers.set_state(tx, PRISTINA.member, to, "officer")  # type: ignore[misc]
                )
        else:
            await accept(world, WB6, OTHERS)


@dataclass(frozen=True)
class Lose:
    """Something is purged that Podgorica never had."""

    number: int

    async def happen(self, world: World) -> None:
        await forget(world, told(TIRANA, 10 + self.number)["id"])


@dataclass(frozen=True)
class Retract:
    """Something is recalled that Podgorica never had."""

    number: int

    async def happen(self, world: World) -> None:
        await take_back(world, told(TIRANA, 10 + self.number)["id"])


@dataclass(frozen=True)
class Watch:
    """A sensor asks for what to look for."""

    async def happen(self, world: World) -> None:
        await detect.feed(world.here.log, SENSOR, 0, world.time[0])


secret = st.one_of(
    st.builds(Secret, numbers, st.booleans(), st.sampled_from(Tlp), st.booleans()),
    st.builds(Secret, numbers, st.booleans(), st.sampled_from(Tlp), st.booleans()),
    st.builds(Keep, numbers),
    st.builds(Confide, numbers, st.booleans()),
    st.builds(Elsewhere, st.booleans()),
    st.builds(Lose, numbers),
    st.builds(Retract, numbers),
    st.builds(Watch),
)
Step = Any
secrets = st.lists(secret, max_size=3)
scripts = st.lists(st.tuples(public, secrets, secrets, st.booleans()), min_size=1, max_size=8)
"""What both worlds see, what each sees after it, and whether Podgorica is in contact then."""


def in_nato(world: World) -> Audience:
    with world.here.log.read() as conn:
        return publish.audience(conn, ["NATO"])


def in_wb6(world: World) -> Audience:
    with world.here.log.read() as conn:
        return publish.audience(conn, ["WB6"])


async def accept(world: World, of: Any, members: Sequence[str]) -> None:
    with world.here.log.read() as conn:
        held = communities.latest(conn, [of.community])
    number = held[0].number + 1 if held else 1
    before = dict(held[0].members) if held else {}
    draft = roster(
        of,
        number,
        # Who comes back is admitted anew.
        members={member: before.get(member, number) for member in members},
        expires="2027-01-01T00:00:00.000000Z",
        previous=held[0].hash if held else "",
    )
    await convene.accept(world.here.log, rosters.draft(draft, TIRANA.signer), "officer")


async def forget(world: World, stix_id: str) -> None:
    with suppress(FlowError):  # it is not there
        await purge.purge(world.here.log, world.here.member, [stix_id], "a mistake", "officer")


async def take_back(world: World, stix_id: str) -> None:
    here = world.here
    with suppress(FlowError, NotFound):  # it was never told, or not by Tirana
        await recall.recall(here.log, here.author, here.members, recall.Request(stix_id), "officer")


async def run(
    template: Path, script: Sequence[tuple[Step, Sequence[Step], bool]]
) -> tuple[list[bytes], list[bytes]]:
    """Let things happen in a world of its own; return all bytes that Podgorica got, and the bank."""
    path = shutil.copyfile(template, template.with_name(f"{uuid4().hex}.db"))
    time = [START]
    log = Log(f"sqlite:///{path}", lambda: time[0])
    try:
        world = World(Station(TIRANA, log), time)
        for one, others, contact in script:
            world.tick()
            await one.happen(world)
            await world.settle()
            time[0] = later(time[0], seconds=0.2)
            for other in others:
                await other.happen(world)
                await world.settle()
            if contact:
                world.tick()
                await world.contact()
        world.tick()
        await world.contact()
        return world.got, world.handed
    finally:
        log.close()
        path.unlink()


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the log of Tirana when it has three peers and two communities."""
    path = tmp_path_factory.mktemp("worlds") / "template.db"
    asyncio.run(_begin(path))
    return path


async def _begin(path: Path) -> None:
    time = [START]
    log = Log(f"sqlite:///{path}", lambda: time[0])
    here = Station(TIRANA, log)
    await here.links(*(Station(one, log) for one in (PODGORICA, VIENNA, PRISTINA)), since=START)
    world = World(here, time)
    await accept(world, NATO, (*OTHERS, PODGORICA.member))
    await accept(world, WB6, OTHERS)
    await flow.admit(log, "bank", "", Tlp.GREEN, "officer")
    log.close()


async def same_for_podgorica(
    template: Path, script: Sequence[tuple[Step, list[Step], list[Step], bool]]
) -> None:
    one, _ = await run(template, [(public, first, contact) for public, first, _, contact in script])
    other, _ = await run(template, [(public, second, contact) for public, _, second, contact in script])
    assert len(one) == len(other)
    for place, (left, right) in enumerate(zip(one, other, strict=True)):
        assert left == right, f"part {place} of what Podgorica got: {_told(left)} and {_told(right)}"


def _told(raw: bytes) -> object:
    try:
        found: Batch = frame.decode(raw)
    except Exception:  # noqa: BLE001  # an object or a receipt
        return raw
    return [
        (one.number, one.kind.value, hashlib.sha256(one.envelope).hexdigest()[:8]) for one in found.frames
    ]


_SETTINGS = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
)


@settings(_SETTINGS, max_examples=40)
@given(script=scripts)
async def test_two_worlds_that_differ_in_what_is_withheld_are_one_to_the_peer(
    template: Path, script: list[tuple[Step, list[Step], list[Step], bool]]
) -> None:
    await same_for_podgorica(template, script)


narrow = st.one_of(
    st.builds(
        Secret, numbers, st.booleans(), st.sampled_from([Tlp.AMBER, Tlp.STRICT, Tlp.RED]), st.booleans()
    ),
    st.builds(Keep, numbers),
    st.builds(Confide, numbers, st.booleans()),
    st.builds(Elsewhere, st.booleans()),
    st.builds(Watch),
)
"""What the bank, which is cleared to GREEN, may not know."""


@settings(_SETTINGS, max_examples=25)
@given(
    script=st.lists(
        st.tuples(public, st.lists(narrow, max_size=3), st.lists(narrow, max_size=3), st.booleans())
    )
)
async def test_two_worlds_that_differ_in_what_is_withheld_are_one_to_the_constituent(
    template: Path, script: list[tuple[Step, list[Step], list[Step], bool]]
) -> None:
    _, one = await run(template, [(seen, first, contact) for seen, first, _, contact in script])
    _, other = await run(template, [(seen, second, contact) for seen, _, second, contact in script])
    assert one == other


@pytest.mark.soak
@settings(_SETTINGS, max_examples=10_000)
@given(script=scripts)
async def test_ten_thousand_pairs_of_worlds_are_one_to_the_peer(
    template: Path, script: list[tuple[Step, list[Step], list[Step], bool]]
) -> None:
    await same_for_podgorica(template, script)
