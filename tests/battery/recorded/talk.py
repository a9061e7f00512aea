"""Two nodes in conversation, in virtual time: both real, to record it; or one, and the other's part from a tape.

A script tells step by step what either end does beside the link; between the steps the sender's link says all it has to
say. What belongs to an end that is not real is left out. Each step has its own second on the clocks of both.
"""

import asyncio
import random
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec.structs import replace
from tests.battery.recorded.tape import Exchange, exchange
from tests.battery.simulator.member import Member, Watcher
from tests.battery.simulator.network import Network
from tests.federation.keys import Party, charter, roster
from tests.stix.examples import indicator

from lezha.federation import checkpoint, document, envelope, frame, outbox
from lezha.federation import roster as rosters
from lezha.federation.checkpoint import Commitment
from lezha.federation.envelope import PayloadType
from lezha.federation.errors import LinkFault
from lezha.flows import convene, publish, recall, renew
from lezha.node.clock import later
from lezha.sharing.terms import Audience, Terms
from lezha.sharing.tlp import Tlp
from lezha.stix import bundle, encode
from lezha.store import checkpoints, peers
from lezha.store.checkpoints import Made
from lezha.store.peers import PeerState

_BEGIN = "2026-03-01T12:00:00.000000Z"
_QUIET_S = 20.0
"""After how long nothing more is to be expected in a step; less than until a link greets again by itself."""
_REST_S = 1.0
SENDER, RECEIVER = 1, 2
_TLS_ROOT = Path(__file__).with_name("sender-tls-root.pem")


class Talk:
    """A conversation. `tape` is that of the end that is not real, `recorded` what was said."""

    def __init__(self, folder: Path, tape: list[Exchange] | None, *, sender: bool, receiver: bool) -> None:
        self.tape = tape or []
        self.recorded: list[Exchange] = []
        self.differences: list[str] = []
        self.step = 0
        self.now = _BEGIN
        self.behind = 0.0
        """By how many seconds the receiver's clock is slow."""
        self.away = False
        """Whether the receiver can't be reached."""
        self.lose = False
        """Whether the next answer is lost."""
        self.sender = _End(SENDER, folder, self) if sender else None
        self.receiver = _End(RECEIVER, folder, self) if receiver else None
        self._folder = folder
        self._said = 0

    async def begin(self, empty: Path) -> None:
        """Start the ends that are real. The link speaks from then on."""
        both = {SENDER: self.sender, RECEIVER: self.receiver}
        everybody = [_End(number, self._folder, self) for number in both]
        for number, one in both.items():
            if one is not None:
                shutil.copyfile(empty, one.path)
                one.know(other for other in everybody if other.member != one.member)
                one.linked = [*everybody] if number == SENDER else []
                one.start()
        await self.settle()

    async def settle(self) -> None:
        """Let the sender say all it has to say, or play what it said."""
        if self.sender is None:
            await self._play()
        else:
            await asyncio.sleep(_QUIET_S)
        self.step += 1
        self.now = later(_BEGIN, seconds=self.step)

    async def end(self) -> None:
        """Stop the ends that are real, and see that all of the tape was played."""
        for one in (self.sender, self.receiver):
            if one is not None:
                await one.stop()
        if self.tape and self._said != len(self.tape):
            self.differences.append(f"only {self._said} of {len(self.tape)} exchanges took place")

    # --- the steps of scripts -----------------------------------------------------------------------------------------

    async def tell(self, number: int, **changes: Any) -> None:
        """Have the sender publish an indicator to everyone."""
        await self._tick()
        if self.sender is not None:
            one = self.sender
            terms = Terms(Tlp.GREEN, Audience(everyone=True), onward=True)
            request = publish.Request(bundle.write([encode(_indicator(one, number) | changes)]), terms)
            await publish.publish(one.log, one.author, one.members, request, "analyst")

    async def narrow(self) -> None:
        """Have the sender find that the line lets little through."""
        if self.sender is not None:
            link = self.sender.links.get(Party(RECEIVER).member)
            assert link is not None
            link._outbox._most = frame.LEAST_BYTES

    async def take_back(self, number: int) -> None:
        """Have the sender recall an indicator."""
        await self._tick()
        if self.sender is not None:
            one = self.sender
            request = recall.Request(_indicator(one, number)["id"], why="a busy resolver")
            await recall.recall(one.log, one.author, one.members, request, "analyst")

    async def enlist(self, number: int, *members: int) -> None:
        """Have both accept a roster, as far as they are real and not the receiver of a later one."""
        await self._tick()
        steward = Party(SENDER)
        found = charter(steward, name="NATO")
        raw = rosters.draft(
            roster(
                found,
                number,
                members={Party(one).member: 1 for one in members},
                issued=_BEGIN,
                expires="2030-01-01T00:00:00.000000Z",
                previous="" if number == 1 else "0" * 64,
            ),
            steward.signer,
        )
        for one in (self.sender, self.receiver):
            if one is not None and (one is self.sender or number == 1):
                await convene.accept(one.log, raw, "officer")

    async def commit(self) -> None:
        """Have the sender commit itself to its log, which is any for the link."""
        await self._tick()
        if self.sender is not None:
            one = self.sender
            made = checkpoint.sign_commitment(Commitment(one.member, "5" * 64, self.now), one.party.signer)
            kept = Made(0, self.now, b"", b"", made.digest, made.raw)
            await one.log.write(lambda tx: checkpoints.add(tx, "commitment", made.digest, "node", kept))

    async def renew(self) -> None:
        """Have the sender announce a new document. Its TLS root is a file: made anew it would be another each time."""
        await self._tick()
        if self.sender is not None:
            one = self.sender
            changes = {
                "number": 2,
                "endpoints": ("https://192.0.2.9:8441",),
                "tls_root": _TLS_ROOT.read_text(),
            }
            raw = document.sign(replace(one.known.document, **changes), envelope.signer(one.party.root))
            await one.log.write(lambda tx: renew.announce(tx, document.read(raw)))

    async def suspend(self, end: int, state: PeerState = PeerState.SUSPENDED) -> None:
        """Have one end suspend the other, or take it back."""
        await self._tick()
        one, other = (self.sender, RECEIVER) if end == SENDER else (self.receiver, SENDER)
        if one is not None:
            member = Party(other).member
            await one.log.write(lambda tx: peers.set_state(tx, member, state, "officer"))

    async def back_up(self, end: int) -> None:
        """Take a backup of one end."""
        await self._with(end, _back_up)

    async def restore(self, end: int) -> None:
        """Have one end begin again from its backup."""
        await self._with(end, _restore)

    async def again(self) -> None:
        """Have the network bring the last batch another time."""
        if self.receiver is None:
            self._said += 1
            return
        raw = self.tape[self._said].raw if self.sender is None else self.recorded[-1].raw
        receipt = await self.receiver.answer(Party(SENDER).member, raw)
        if self.sender is None:
            self._compare_receipt(self.tape[self._said], receipt)
            self._said += 1
        self.recorded.append(exchange(self.step, raw, receipt, again=True))

    async def _tick(self) -> None:
        """Let the link come to rest, and some time pass: then what is signed has the very time of the clock."""
        if self.sender is not None:
            await asyncio.sleep(_REST_S)
        self.now = later(self.now, seconds=0.01)

    async def _with(self, end: int, work: "Callable[[_End], Awaitable[None]]") -> None:
        one = self.sender if end == SENDER else self.receiver
        if one is not None:
            await work(one)

    # --- the two ends of the link -------------------------------------------------------------------------------------

    async def carry(self, batch: bytes) -> bytes:
        """Take what the real sender says to the receiver, real or recorded. Raises LinkFault."""
        await asyncio.sleep(0.001)
        if self.away:
            raise LinkFault("The receiver is away.")
        lost, self.lose = self.lose, False
        if self.receiver is not None:
            receipt = await self.receiver.answer(Party(SENDER).member, batch)
            said = exchange(self.step, batch, receipt, lost=lost)
            if not (self.recorded and _is_the_same(said, self.recorded[-1])):
                self.recorded.append(said)
        else:
            found = self._next(batch)
            self._compare_batch(found, batch)
            receipt, lost = found.receipt.encode(), found.lost
        if lost:
            raise LinkFault("The answer was lost.")
        return receipt

    async def _play(self) -> None:
        assert self.receiver is not None
        while self._said < len(self.tape):
            found = self.tape[self._said]
            if found.step != self.step or found.again:
                return
            self._said += 1
            self._compare_receipt(found, await self.receiver.answer(Party(SENDER).member, found.raw))

    def _next(self, batch: bytes) -> Exchange:
        """Return what is next on the tape. A greeting that changes nothing may be repeated at will."""
        if self._said < len(self.tape) and self.tape[self._said].step == self.step:
            self._said += 1
            return self.tape[self._said - 1]
        last = self.tape[self._said - 1]
        if frame.decode(batch).frames or frame.decode(last.raw).frames:
            self.differences.append(f"step {self.step}: the sender says more than was recorded")
        return last

    def _compare_batch(self, found: Exchange, batch: bytes) -> None:
        """A batch has to be the same to the byte, apart from the time that it says for people."""
        then, now = frame.decode(found.raw), frame.decode(batch)
        same = frame.encode(_with_time(now, then.sent)) == found.raw and frame.encode(now) == batch
        if not same:
            self.differences.append(f"step {found.step}, {found.says}: the sender says {now}, not {then}")

    def _compare_receipt(self, found: Exchange, receipt: bytes) -> None:
        """A receipt has to be the same to the byte, apart from its time, and what is signed because of that."""
        then = frame.read_receipt(found.receipt.encode(), [Party(RECEIVER).key], *_MEMBERS)
        now = frame.read_receipt(receipt, [Party(RECEIVER).key], *_MEMBERS)
        raw = envelope.peek(receipt, PayloadType.RECEIPT).replace(now.at.encode(), then.at.encode())
        if envelope.seal(raw, PayloadType.RECEIPT, Party(RECEIVER).signer) != found.receipt.encode():
            self.differences.append(
                f"step {found.step}, {found.says}: the receiver answers {now}, not {then}"
            )


class _End(Member):
    """A member whose clock is that of the script, and whose only way leads to the other end."""

    def __init__(self, number: int, folder: Path, talk: Talk) -> None:
        super().__init__(number, folder, Network(random.Random(0)), random.Random(number), Watcher())
        self.clock = lambda: later(talk.now, seconds=-talk.behind if number == RECEIVER else 0)
        self.talk = talk
        self.copy: Any = None

    def _line(self, _endpoint: str, _member: str, _context: object) -> "_Line":  # type: ignore[override]  # a Line too
        return _Line(self.talk)


class _Line:
    lanes: Final = outbox.LANES

    def __init__(self, talk: Talk) -> None:
        self._talk = talk

    def is_open(self) -> bool:
        return True

    async def opened(self) -> None:
        """It is open."""

    async def send(self, batch: bytes) -> bytes:
        return await self._talk.carry(batch)

    async def abort(self) -> None:
        """Nothing is under way that could be stopped."""

    async def close(self) -> None:
        """Nothing is open."""


async def _back_up(one: _End) -> None:
    one.copy = one.back_up()


async def _restore(one: _End) -> None:
    await one.stop()
    one.restore(one.copy)
    one.start()


def _is_the_same(one: Exchange, other: Exchange) -> bool:
    """Whether a greeting only repeats the one before."""
    then, now = (
        frame.read_receipt(each.receipt.encode(), [Party(RECEIVER).key], *_MEMBERS) for each in (one, other)
    )
    same = msgspec.structs.replace(then, at="") == msgspec.structs.replace(now, at="")
    return same and one.says == other.says == "greeting" and one.step == other.step


_MEMBERS = (Party(RECEIVER).member, Party(SENDER).member)


def _with_time(batch: frame.Batch, sent: str) -> frame.Batch:
    return frame.Batch(batch.protocol, batch.incarnation, sent, batch.frames)


def _indicator(one: Member, number: int) -> dict[str, Any]:
    return indicator(
        id=f"indicator--{number:08d}-0000-4000-8000-000000000000",
        created_by_ref=one.member,
        name=f"{number}.example",
        pattern=f"[domain-name:value = '{number}.example']",
        object_marking_refs=None,
    )
