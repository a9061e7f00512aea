"""What is recorded: one conversation each for what a link can come to.

`python -m tests.battery.recorded` records those that are missing; with names, these anew.
"""

import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.battery.recorded import tape
from tests.battery.recorded.talk import RECEIVER, SENDER, Talk
from tests.battery.recorded.tape import Exchange
from tests.battery.simulator import virtual
from tests.battery.simulator.story import empty

from lezha.store.peers import PeerState


async def every_kind(talk: Talk) -> None:
    """A statement, a later version, a roster, a commitment, a recall."""
    await talk.tell(1)
    await talk.settle()
    await talk.enlist(1, SENDER, RECEIVER)
    await talk.settle()
    await talk.tell(1, modified="2022-07-16T00:00:00.000Z")
    await talk.settle()
    await talk.commit()
    await talk.settle()
    await talk.take_back(1)
    await talk.settle()


async def duplicate(talk: Talk) -> None:
    """An answer is lost, and a batch comes a second time, later."""
    await talk.tell(1)
    talk.lose = True
    await talk.settle()
    await talk.tell(2)
    await talk.settle()
    await talk.again()
    await talk.tell(3)
    await talk.settle()


async def gap(talk: Talk) -> None:
    """The receiver is restored from a backup and lacks what it acknowledged: the sender goes back."""
    await talk.tell(1)
    await talk.settle()
    await talk.back_up(RECEIVER)
    await talk.tell(2)
    await talk.settle()
    await talk.restore(RECEIVER)
    await talk.tell(3)
    await talk.settle()


async def void(talk: Talk) -> None:
    """What was numbered is recalled, and a member is removed, before anything could be sent."""
    await talk.enlist(1, SENDER, RECEIVER)
    talk.away = True
    await talk.tell(1)
    await talk.tell(2)
    await talk.settle()
    await talk.take_back(1)
    await talk.enlist(2, SENDER)
    talk.away = False
    await talk.settle()


async def refusal(talk: Talk) -> None:
    """The receiver's clock is slow by an hour: a statement is put aside, and what follows is taken."""
    talk.behind = 3600
    await talk.tell(1)
    await talk.settle()
    talk.behind = 0
    await talk.tell(2)
    await talk.settle()


async def restored_sender(talk: Talk) -> None:
    """The sender is restored from a backup, and tells all again in a new incarnation."""
    await talk.tell(1)
    await talk.settle()
    await talk.back_up(SENDER)
    await talk.tell(2)
    await talk.settle()
    await talk.restore(SENDER)
    await talk.tell(3)
    await talk.settle()


async def suspended_there(talk: Talk) -> None:
    """The receiver has suspended the sender, takes recalls alone, and goes on when that is over."""
    await talk.tell(1)
    await talk.settle()
    await talk.suspend(RECEIVER)
    await talk.tell(2)
    await talk.settle()
    await talk.take_back(1)
    await talk.settle()
    await talk.suspend(RECEIVER, PeerState.ACTIVE)
    await talk.settle()


async def suspended_here(talk: Talk) -> None:
    """The sender has suspended the receiver, and tells it of recalls alone."""
    await talk.tell(1)
    await talk.settle()
    await talk.suspend(SENDER)
    await talk.tell(2)
    await talk.take_back(1)
    await talk.settle()
    await talk.suspend(SENDER, PeerState.ACTIVE)
    await talk.settle()


async def new_document(talk: Talk) -> None:
    """The sender has a new document, which ends its batch."""
    await talk.tell(1)
    await talk.renew()
    await talk.tell(2)
    await talk.settle()


async def pieces(talk: Talk) -> None:
    """The line lets little through: an object goes in pieces, what follows it whole; an answer is lost between."""
    await talk.narrow()
    await talk.tell(1, description="x" * 40_000)
    await talk.tell(2)
    await talk.settle()
    await talk.narrow()
    await talk.tell(3, description="y" * 40_000)
    talk.lose = True
    await talk.settle()


SCRIPTS: dict[str, Callable[[Talk], Awaitable[None]]] = {
    "every_kind": every_kind,
    "duplicate": duplicate,
    "gap": gap,
    "void": void,
    "refusal": refusal,
    "restored_sender": restored_sender,
    "suspended_there": suspended_there,
    "suspended_here": suspended_here,
    "new_document": new_document,
    "pieces": pieces,
}


def play(
    name: str, said: list[Exchange] | None = None, *, sender: bool = True, receiver: bool = True
) -> Talk:
    """Run a script with the ends that are to be real, and return what was said and what differs from the tape."""

    async def run(folder: Path) -> Talk:
        talk = Talk(folder, said, sender=sender, receiver=receiver)
        await talk.begin(empty())
        await SCRIPTS[name](talk)
        await talk.end()
        return talk

    with tempfile.TemporaryDirectory() as folder:
        return virtual.run(run(Path(folder)))


def record(name: str) -> None:
    """Record a conversation of two real ends."""
    tape.write(name, play(name).recorded)
