"""Requests of agents that arrive together begin over many turns of the event loop, and others run between them."""

import asyncio

from migrator.api.process.loop_turns import LoopTurns

MOST, NUMBER = 10, 95


async def _begins(turns: LoopTurns, number: int, begun: list[int]) -> None:
    await turns.begin()
    begun.append(number)


async def _counted(turns: LoopTurns) -> tuple[list[int], list[int]]:
    """The numbers of the requests in the order in which they began, and how many had begun after each turn."""
    begun: list[int] = []
    after: list[int] = []
    tasks = [asyncio.create_task(_begins(turns, number, begun)) for number in range(NUMBER)]
    while len(begun) < NUMBER:
        await asyncio.sleep(0)
        after.append(len(begun))
    await asyncio.gather(*tasks)
    return begun, after


def test_of_many_requests_that_arrive_together_few_begin_in_each_turn_and_in_their_order() -> None:
    begun, after = asyncio.run(_counted(LoopTurns(MOST)))
    steps = [later - earlier for earlier, later in zip([0, *after], after, strict=False)]
    assert begun == list(range(NUMBER))
    assert max(steps) <= MOST
    assert len(after) < 3 * NUMBER / MOST, "turns pass in which none begins"


def test_a_few_requests_begin_at_once() -> None:
    async def main() -> list[int]:
        turns, begun = LoopTurns(MOST), list[int]()
        tasks = [asyncio.create_task(_begins(turns, number, begun)) for number in range(MOST)]
        await asyncio.sleep(0)  # one turn
        at_once = list(begun)
        await asyncio.gather(*tasks)
        return at_once

    assert asyncio.run(main()) == list(range(MOST))


def test_a_request_that_was_given_up_takes_no_place() -> None:
    async def main() -> list[int]:
        turns, begun = LoopTurns(1), list[int]()
        tasks = [asyncio.create_task(_begins(turns, number, begun)) for number in range(5)]
        await asyncio.sleep(0)
        for task in tasks[1:3]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await turns.begin()
        return begun

    assert asyncio.run(main()) == [0, 3, 4]


def test_a_loop_that_ended_while_requests_waited_keeps_no_other_from_beginning() -> None:
    turns = LoopTurns(1)

    async def left_alone() -> None:
        waiting = [asyncio.create_task(_begins(turns, number, [])) for number in range(5)]
        await asyncio.sleep(0)
        for each in waiting:
            each.cancel()

    asyncio.run(left_alone())
    turns_of_another, _ = asyncio.run(_counted(turns))
    assert turns_of_another == list(range(NUMBER))
