"""Batches for a peer that asks: each answers a question that waits, and nothing waits for ever."""

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


async def asking(line: Polled, receipt: bytes = b"") -> "asyncio.Task[bytes]":
    task = asyncio.create_task(line.ask(receipt))
    await settle()
    return task


async def sending(line: Polled, batch: bytes) -> "asyncio.Task[bytes]":
    task = asyncio.create_task(line.send(batch))
    await settle()
    return task


async def test_a_batch_answers_the_question_that_waits_and_the_next_one_brings_the_receipt() -> None:
    line = Polled()
    question = await asking(line)
    await line.opened()
    sent = await sending(line, b"one")
    assert await question == b"one"
    question = await asking(line, b"receipt of one")
    assert await sent == b"receipt of one"
    assert line.is_open(), "what brings a receipt asks for more"
    sent = await sending(line, b"two")
    assert await question == b"two"
    sent.cancel()


async def test_nothing_is_kept_until_somebody_asks() -> None:
    line = Polled()
    assert not line.is_open()
    with pytest.raises(LinkFault, match="ceased to wait"):
        await line.send(b"one")
    assert await line.ask(b"") == b""
    with pytest.raises(LinkFault, match="ceased to wait"):
        await line.send(b"two")
    with pytest.raises(LinkFault, match="does not ask"):
        await line.opened()


async def test_a_question_opens_the_line_for_whoever_waits_for_that() -> None:
    line = Polled()
    opened = asyncio.create_task(line.opened())
    await settle()
    assert not opened.done()
    question = await asking(line)
    await opened
    question.cancel()


async def test_whoever_did_not_get_the_answer_begins_anew_and_it_is_made_anew() -> None:
    line = Polled()
    question = await asking(line)
    sent = await sending(line, b"one")
    assert await question == b"one"
    question = await asking(line)
    with pytest.raises(LinkFault, match="begins anew"):
        await sent
    sent = await sending(line, b"one as it may be sent by now")
    assert await question == b"one as it may be sent by now"
    sent.cancel()


async def test_the_older_of_two_questions_ends() -> None:
    line = Polled()
    older, newer = await asking(line), await asking(line)
    assert await older == b""
    sent = await sending(line, b"one")
    assert await newer == b"one"
    sent.cancel()


async def test_a_receipt_when_nothing_was_given_out_is_for_nothing() -> None:
    line = Polled()
    question = await asking(line, b"an old receipt")
    sent = await sending(line, b"one")
    assert await question == b"one"
    assert not sent.done()
    question = await asking(line, b"receipt of one")
    assert await sent == b"receipt of one"


async def test_a_batch_without_a_receipt_fails_after_a_while() -> None:
    line = Polled()
    question = await asking(line)
    sent = await sending(line, b"one")
    assert await question == b"one"
    with pytest.raises(LinkFault, match="does not say whether"):
        await sent


async def test_whoever_closes_it_lets_nobody_wait() -> None:
    line = Polled()
    question = await asking(line)
    await line.close()
    assert await question == b""
