"""The order of one peer's batches: whoever gives up is not overtaken by the next."""

import asyncio

from lezha.federation.turn import Turn, Turns


async def come(turn: Turn, order: list[int], number: int) -> None:
    await turn.come()
    order.append(number)


async def test_each_comes_once_the_one_before_has_ended_and_members_do_not_wait_for_one_another() -> None:
    turns, order = Turns(), list[int]()
    first, second, other = turns.take("one"), turns.take("one"), turns.take("other")
    waiting = asyncio.create_task(come(second, order, 2))
    await asyncio.wait_for(come(other, order, 9), 5)
    assert order == [9]
    await first.come()
    first.end()
    first.end()
    await asyncio.wait_for(waiting, 5)
    assert order == [9, 2]


async def test_one_that_is_given_up_early_lets_nobody_past_the_one_before_it() -> None:
    turns, order = Turns(), list[int]()
    first, second, third = (turns.take("one") for _ in range(3))
    waiting = asyncio.create_task(come(third, order, 3))
    second.end()
    await asyncio.sleep(0.01)
    assert order == []
    first.end()
    await asyncio.wait_for(waiting, 5)
    assert order == [3]
