"""Batches for a peer that asks: each is given out until its receipt has come, and nothing waits for ever."""

import asyncio

import pytest

from lezha.federation import polled
from lezha.federation.errors import LinkFault
from lezha.federation.polled import Polled


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for moments where a node waits for half a minute."""
    for name in ("HOLD_S", "_UNASKED_S", "_UNANSWERED_S"):
        monkeypatch.setattr(polled, name, 0.2)


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_question_waits_for_a_batch_and_the_next_one_brings_the_receipt() -> None:
    line = Polled()
    asking = asyncio.create_task(line.ask(b""))
    await settle()
    sending = asyncio.create_task(line.send(b"one"))
    assert await asking == b"one"
    asking = asyncio.create_task(line.ask(b"receipt of one"))
    assert await sending == b"receipt of one"
    sending = asyncio.create_task(line.send(b"two"))
    assert await asking == b"two"
    sending.cancel()


async def test_a_batch_waits_for_a_question() -> None:
    line = Polled()
    sending = asyncio.create_task(line.send(b"one"))
    await settle()
    assert await line.ask(b"") == b"one"
    assert await line.ask(b"receipt") == b""
    assert await sending == b"receipt"


async def test_a_receipt_that_comes_before_a_batch_was_given_out_is_for_none() -> None:
    line = Polled()
    sending = asyncio.create_task(line.send(b"one"))
    await settle()
    assert await line.ask(b"an old receipt") == b"one"
    assert not sending.done()
    await line.ask(b"receipt of one")
    assert await sending == b"receipt of one"


async def test_whoever_did_not_hear_the_answer_asks_again_and_the_older_question_ends() -> None:
    line = Polled()
    older = asyncio.create_task(line.ask(b""))
    await settle()
    newer = asyncio.create_task(line.ask(b""))
    assert await older == b""
    sending = asyncio.create_task(line.send(b"one"))
    assert await newer == b"one"
    assert await line.ask(b"") == b"one", "the answer was lost on the way"
    sending.cancel()


async def test_a_question_without_a_batch_is_answered_by_nothing_after_a_while() -> None:
    assert await Polled().ask(b"") == b""


async def test_a_batch_that_nobody_asks_for_fails_and_so_does_one_without_a_receipt() -> None:
    line = Polled()
    with pytest.raises(LinkFault, match="does not ask"):
        await line.send(b"one")
    sending = asyncio.create_task(line.send(b"two"))
    await settle()
    assert await line.ask(b"") == b"two"
    with pytest.raises(LinkFault, match="does not ask"):
        await sending
    assert await line.ask(b"") == b"", "what failed is not given out any more"
