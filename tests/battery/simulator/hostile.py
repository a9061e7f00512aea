"""A member in the hands of an attacker: it has the keys of its node, and says and answers what it likes.

It attacks several nodes at once, each by many connections, and waits for nothing that it is asked to wait for. What it
sends back to back is drawn from its chance, and so is how it answers what is sent to it.
"""

import asyncio
import hashlib
import json
import random
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace
from tests.battery.simulator.forgery import Forger
from tests.battery.simulator.member import ENDPOINT, Member, known, party
from tests.battery.simulator.network import Network
from tests.battery.simulator.virtual import seconds, wall_clock

from lezha.federation import envelope, frame
from lezha.federation.envelope import PayloadType
from lezha.federation.errors import Busy, Fenced, LinkFault, Refused
from lezha.federation.frame import Batch, Frame, FrameKind, Parcel, Receipt
from lezha.store.views import GENESIS

_MANY = 256
_Trick = Callable[["_Stream"], bytes | None]
_Answer = Callable[[str, Batch], Awaitable[bytes]]


@dataclass
class _Stream:
    """What it knows of its stream to one node: the life that it pretends to be in, and how far that has been taken."""

    incarnation: str
    head: int = 0
    chain: bytes = GENESIS
    earlier: list[str] = field(default_factory=list)
    sent: "deque[bytes]" = field(default_factory=lambda: deque(maxlen=20))


class Hostile:
    """The host of a hostile member. `did` counts (what it tried, what came of it)."""

    def __init__(self, number: int, other: int, network: Network, chance: random.Random) -> None:
        self.party, self.known = party(number), known(number, ENDPOINT)
        self.member, self.name, self.endpoint = self.party.member, f"node{number}", ENDPOINT
        self.up, self.life = True, 1
        self.did: Counter[tuple[str, str]] = Counter()
        self._network, self._chance = network, chance
        self._forger = Forger(self.party, party(other), wall_clock(0.0)())
        self._forgeries = self._forger.forgeries()
        self._documents = self._forger.documents(self.known, known(other, ENDPOINT))
        # By the digests of parcels. In `forged` are the bytes that they carry.
        self.expected = {one.parcel.digest(): one.code for one in (*self._forgeries, *self._documents)}
        self.forged = [raw for one in self._forgeries for raw in one.parcel.contents]
        self._heard: list[Parcel] = []
        self._streams: dict[str, _Stream] = {}
        self._heads: dict[tuple[str, str], tuple[int, bytes]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._tricks: list[_Trick] = [
            self._forged,
            self._many_forged,
            self._many_lives,
            self._forked,
            self._with_a_hole,
            self._said_before,
            self._greeting,
            self._noise,
            self._new_life,
            self._earlier_life,
            self._documented,
            self._told_on,
            self._equivocal,
        ]
        if chance.random() < 0.3:  # whoever asks is told nothing otherwise
            self._tricks.append(self._question)
        self._manners = [self._in_order, *chance.sample(self._ways_to_answer(), 5)]

    def begin(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def stop(self) -> None:
        """End all that it does."""
        self.up = False
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- what it sends ------------------------------------------------------------------------------------------------

    async def attack(self, victims: Sequence[Member], connections: int, end: float) -> None:
        """Send what it likes until `end`, to each of some nodes by so many connections."""
        for one in victims:
            self._streams[one.member] = _Stream(self._life())
        work = [self._flood(one, end) for one in victims for _ in range(connections)]
        await asyncio.gather(*map(self.begin, work))

    async def _flood(self, victim: Member, end: float) -> None:
        stream = self._streams[victim.member]
        trick: _Trick = self._many_lives  # all at once, to begin with
        while seconds() < end:
            name = trick.__name__.strip("_")
            self.did[name, await self._outcome(victim, stream, trick(stream))] += 1
            await asyncio.sleep(0.15 * self._chance.random())
            trick = self._chance.choice(self._tricks)

    async def _outcome(self, victim: Member, stream: _Stream, raw: bytes | None) -> str:
        """Send a batch, or ask for one with a receipt that is none; say what comes of it."""
        try:
            life = await self._network.connect(self.member, victim.member)
            if raw is None:
                await self._network.ask(
                    self.member, victim.member, life, lambda host: host.give(self.member, b"no receipt"), 1.0
                )
                return "answered"
            stream.sent.append(raw)
            answer = await self._network.ask(
                self.member, victim.member, life, lambda host: host.answer(self.member, raw)
            )
        except Busy:
            return "held back"
        except Fenced:
            self._begin_anew(stream)
            return frame.SUPERSEDED
        except LinkFault as fault:
            return fault.__cause__.code if isinstance(fault.__cause__, Refused) else "no answer"
        self._note(stream, answer)
        return "receipt"

    def _note(self, stream: _Stream, answer: bytes) -> None:
        said = json.loads(envelope.peek(answer, PayloadType.RECEIPT))
        if said["incarnation"] == stream.incarnation and said["head"] >= stream.head:
            stream.head, stream.chain = said["head"], bytes.fromhex(said["chain"])

    def _life(self) -> str:
        return f"{self._chance.getrandbits(128):032x}"

    def _begin_anew(self, stream: _Stream) -> None:
        stream.earlier.append(stream.incarnation)
        stream.incarnation, stream.head, stream.chain = self._life(), 0, GENESIS

    def _batch(self, stream: _Stream, parcels: Sequence[Parcel], skip: int = 0, chain: bytes = b"") -> bytes:
        previous, frames = chain or stream.chain, []
        for number, one in enumerate(parcels, stream.head + 1 + skip):
            frames.append(Frame(number, one.kind, previous, one.envelope, one.contents))
            previous = frames[-1].chain()
        # Its clock says what it likes: it decides nothing.
        sent = self._chance.choice([self._forger.now, "9999-12-31T23:59:59.999999Z", "soon"])
        return frame.encode(Batch(frame.PROTOCOL, stream.incarnation, sent, tuple(frames)))

    def _some(self, count: int) -> list[Parcel]:
        return [one.parcel for one in self._chance.choices(self._forgeries, k=count)]

    def _forged(self, stream: _Stream) -> bytes:
        return self._batch(stream, self._some(self._chance.randint(1, 6)))

    def _many_forged(self, stream: _Stream) -> bytes:
        return self._batch(stream, self._some(_MANY))

    def _many_lives(self, _stream: _Stream) -> bytes:
        """So many in a life of their own, that none of them was taken before."""
        return self._batch(_Stream(self._life()), self._some(_MANY))

    def _forked(self, stream: _Stream) -> bytes:
        return self._batch(stream, self._some(3), chain=b"x" * 32)

    def _with_a_hole(self, stream: _Stream) -> bytes:
        return self._batch(stream, self._some(3), skip=self._chance.choice([1, 1000, 2**40]))

    def _said_before(self, stream: _Stream) -> bytes:
        return self._chance.choice(stream.sent) if stream.sent else self._greeting(stream)

    def _greeting(self, stream: _Stream) -> bytes:
        return self._batch(stream, [])

    def _noise(self, stream: _Stream) -> bytes:
        chance = self._chance
        whole = self._batch(stream, self._some(2))
        void = Frame(1, FrameKind.VOID, GENESIS, bytes(32))
        return chance.choice(
            [
                chance.randbytes(chance.randint(0, 5000)),
                b"\x91" * 100_000,
                b"{}",
                whole[: -chance.randint(1, 100)],
                frame.encode(Batch(frame.PROTOCOL, "5a" * 16, self._forger.now, (void,) * (_MANY + 1))),
                frame.encode(Batch(frame.PROTOCOL, "not a name", self._forger.now, (void,))),
            ]
        )

    def _new_life(self, stream: _Stream) -> bytes:
        if self._chance.random() < 0.5:
            return self._greeting(stream)
        self._begin_anew(stream)
        return self._forged(stream)

    def _earlier_life(self, stream: _Stream) -> bytes:
        if not stream.earlier:
            return self._greeting(stream)
        return self._batch(_Stream(self._chance.choice(stream.earlier)), self._some(2))

    def _documented(self, stream: _Stream) -> bytes:
        return self._batch(
            stream, [*self._some(1), self._chance.choice(self._documents).parcel, *self._some(2)]
        )

    def _told_on(self, stream: _Stream) -> bytes:
        """Tell others what only it was told, and take it back where it has no right to."""
        heard = self._chance.sample(self._heard, min(3, len(self._heard)))
        forged = [
            self._forger.tombstone(
                hashlib.sha256(envelope.peek(one.envelope, PayloadType.STATEMENT)).hexdigest()
            )
            for one in heard
        ]
        self.expected |= {one.parcel.digest(): one.code for one in forged}
        return self._batch(stream, [*heard, *(one.parcel for one in forged)])

    def _equivocal(self, stream: _Stream) -> bytes:
        return self._batch(stream, [*self._forger.equivocal(), self._forger.sound()])

    def _question(self, _stream: _Stream) -> None:
        """Ask for a batch with a receipt that is none."""

    # --- how it answers -----------------------------------------------------------------------------------------------

    async def answer(self, sender: str, batch: bytes) -> bytes:
        sent = frame.decode(batch)
        self._heard += [
            Parcel(one.kind, one.envelope, one.contents)
            for one in sent.frames
            if one.kind is FrameKind.STATEMENT
        ]
        return await self._chance.choice(self._manners)(sender, sent)

    async def give(self, asker: str, receipt: bytes) -> bytes:  # noqa: ARG002  # nobody asks it
        raise LinkFault("It gives nothing.")

    def _ways_to_answer(self) -> list[_Answer]:
        return [
            self._silence,
            self._garbage,
            self._other_life,
            self._too_far,
            self._other_chain,
            self._giant,
            self._nothing,
            self._by_nobody,
            self._error,
            self._busy,
            self._fence,
        ]

    def _receipt(self, sender: str, sent: Batch, **changes: Any) -> Receipt:
        key = (sender, sent.incarnation)
        if sent.frames:
            self._heads[key] = (sent.frames[-1].number, sent.frames[-1].chain())
        head, chain = self._heads.get(key, (0, GENESIS))
        said = Receipt(self.member, sender, sent.incarnation, head, chain.hex(), self._forger.now)
        return replace(said, **changes)

    def _signed(self, receipt: Receipt) -> bytes:
        return frame.sign_receipt(receipt, self.party.signer)

    async def _in_order(self, sender: str, sent: Batch) -> bytes:
        return self._signed(self._receipt(sender, sent))

    async def _silence(self, _sender: str, _sent: Batch) -> bytes:
        await asyncio.sleep(3600)
        return b""

    async def _garbage(self, _sender: str, _sent: Batch) -> bytes:
        return self._chance.randbytes(1000)

    async def _other_life(self, sender: str, sent: Batch) -> bytes:
        return self._signed(self._receipt(sender, sent, incarnation="5a" * 16))

    async def _too_far(self, sender: str, sent: Batch) -> bytes:
        return self._signed(self._receipt(sender, sent, head=2**40))

    async def _other_chain(self, sender: str, sent: Batch) -> bytes:
        return self._signed(self._receipt(sender, sent, chain="5" * 64))

    async def _giant(self, sender: str, sent: Batch) -> bytes:
        refused = tuple((number, "bad_signature") for number in range(4000))
        return self._signed(self._receipt(sender, sent, refused=refused))

    async def _nothing(self, sender: str, sent: Batch) -> bytes:
        """Have taken nothing yet, again and again."""
        return self._signed(self._receipt(sender, sent, head=0, chain=GENESIS.hex()))

    async def _by_nobody(self, sender: str, sent: Batch) -> bytes:
        return frame.sign_receipt(self._receipt(sender, sent), party(66).signer)

    async def _error(self, _sender: str, _sent: Batch) -> bytes:
        raise LinkFault(f"{self.name} answered 500.")

    async def _busy(self, _sender: str, _sent: Batch) -> bytes:
        raise Busy(f"{self.name} takes no more.", 60.0)

    async def _fence(self, _sender: str, _sent: Batch) -> bytes:
        raise Fenced(f"{self.name} takes nothing any more.")
