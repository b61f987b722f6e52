"""Many connections at once: all of them are let in, a few in each turn of the event loop."""

import asyncio
import socket
from collections import Counter
from typing import Any

import uvicorn

from migrator.server import connections
from migrator.server.listeners import ACCEPTED_AT_ONCE, ServerWithTls, listen_at
from migrator.settings import ServerSettings
from tests.ports import free_port

CONNECTIONS = 300


async def nothing(_scope: Any, _receive: Any, _send: Any) -> None:
    return


def test_of_many_connections_at_once_each_turn_of_the_loop_accepts_a_few_and_none_is_lost() -> None:
    """All 2,000 agents were accepted in one turn, and no client was served until then."""
    port, made = free_port(), Counter[int]()
    limits = connections.limits(ServerSettings())

    class Noted(connections.GuardedProtocol):
        bounds = limits

        def connection_made(self, transport: Any) -> None:
            made[turn] += 1
            super().connection_made(transport)

    turn = 0

    async def main() -> None:
        nonlocal turn
        config = uvicorn.Config(
            nothing, http=Noted, ws="none", backlog=ACCEPTED_AT_ONCE, lifespan="off", log_config=None
        )
        server, opened = ServerWithTls(config, limits, {}), listen_at(f"127.0.0.1:{port}")
        serving = asyncio.create_task(server.serve(sockets=[opened]))
        while not server.started:
            await asyncio.sleep(0.01)
        # The loop does nothing in this time, so that the system alone keeps them.
        clients = [socket.create_connection(("127.0.0.1", port), timeout=5) for _ in range(CONNECTIONS)]
        while made.total() < CONNECTIONS:
            turn += 1
            await asyncio.sleep(0)
        for client in clients:
            client.close()
        server.should_exit = True
        await serving

    asyncio.run(main())
    assert max(made.values()) <= ACCEPTED_AT_ONCE
