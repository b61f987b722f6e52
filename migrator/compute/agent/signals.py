"""SIGTERM and SIGINT: an agent ends in peace, and leaves its transfers alone."""

import asyncio
import signal
from collections.abc import Callable
from typing import Any

from migrator.compute.agent.agent import Agent
from migrator.compute.agent.client import ServerClient


async def until_signalled(agent: Agent, server: ServerClient) -> None:
    stop = asyncio.Event()
    on_signal(stop.set)
    try:
        await agent.run(stop)
    finally:
        await server.close()


def on_signal(act: Callable[[], Any]) -> None:
    """Call ``act`` in the running loop on SIGTERM and SIGINT."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, act)
