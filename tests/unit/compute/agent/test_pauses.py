"""An agent's pauses end when they are cancelled, whatever happens in the same moment."""

import asyncio

import pytest

from migrator.compute.agent.pauses import set_within


@pytest.mark.parametrize("turns", range(4))
def test_a_cancellation_that_comes_with_the_event_is_not_lost(turns: int) -> None:
    async def raced() -> bool:
        event = asyncio.Event()
        going = False

        async def loop() -> None:
            nonlocal going
            await set_within(event, 30.0)
            await asyncio.sleep(0)
            going = True

        task = asyncio.create_task(loop())
        for _ in range(3):
            await asyncio.sleep(0)
        event.set()
        for _ in range(turns):
            await asyncio.sleep(0)
        ended = task.done()
        task.cancel()
        await asyncio.wait([task], timeout=5)
        return ended or (task.cancelled() and not going)

    assert asyncio.run(raced())
