"""Turns of addresses: no more at once than there are, whatever becomes of waiters."""

import asyncio
import contextlib

from migrator.api.identity.fair_turns import FairTurns
from migrator.errors import ServerBusy


def test_a_waiter_that_is_refused_and_cancelled_at_one_moment_frees_no_turn() -> None:
    turns, running, most = FairTurns(1, each=10, most=2, retry_after_s=1.0), 0, 0
    end = asyncio.Event()

    async def work(address: str) -> None:
        nonlocal running, most
        async with turns.turn(address):
            running += 1
            most = max(most, running)
            await end.wait()
            running -= 1

    async def story() -> None:
        holder, first, last = (asyncio.create_task(work("a")) for _ in range(3))
        await asyncio.sleep(0)
        other = asyncio.create_task(work("b"))
        asyncio.get_running_loop().call_soon(last.cancel)  # after the other one took its place, before it hears of it
        for _ in range(5):
            await asyncio.sleep(0)
        assert last.done()
        end.set()
        with contextlib.suppress(asyncio.CancelledError, ServerBusy):
            await last
        await asyncio.gather(holder, first, other)

    asyncio.run(story())
    assert most == 1
