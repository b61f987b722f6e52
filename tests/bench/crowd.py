"""Very many simulated agents in one process: the real ones, over real HTTP, with a transport that costs little.

httpx's own takes more processor time for a request than the server does; one machine could then not play 2,000 hosts
beside their server. What the server sees is the same: HTTP/1.1, connections that are kept, one request at a time each.

    python -m tests.bench.crowd SERVER_URL TOKENS.json
"""

import asyncio
import json
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from migrator.compute.agent.client import ServerClient
from migrator.compute.agent.signals import on_signal
from migrator.compute.agent.simulated_main import demo_simulation, make_agent
from migrator.settings import AgentSettings

_THREADS = 16
_Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Transport(httpx.AsyncBaseTransport):
    """HTTP/1.1 to one server, for answers that say how long they are."""

    def __init__(self) -> None:
        self._idle: list[_Connection] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        seconds = request.extensions.get("timeout", {}).get("read")
        try:
            async with asyncio.timeout(seconds):
                return await self._send(request)
        except TimeoutError as error:
            raise httpx.ReadTimeout(f"no answer within {seconds} s", request=request) from error
        except (OSError, EOFError, ValueError) as error:
            raise httpx.ConnectError(str(error), request=request) from error

    async def _send(self, request: httpx.Request) -> httpx.Response:
        content = await request.aread()
        head = [b"%s %s HTTP/1.1" % (request.method.encode(), request.url.raw_path)]
        head += [b"%s: %s" % header for header in request.headers.raw]
        message = b"\r\n".join(head) + b"\r\n\r\n" + content
        while self._idle:
            kept = self._idle.pop()
            try:
                return await self._over(kept, message)
            except (OSError, EOFError):  # closed by the server's timer, or with the server
                kept[1].close()
        host, port = request.url.host, request.url.port or 80
        return await self._over(await asyncio.open_connection(host, port), message)

    async def _over(self, connection: _Connection, message: bytes) -> httpx.Response:
        reader, writer = connection
        try:
            writer.write(message)
            first, *lines = (await reader.readuntil(b"\r\n\r\n"))[:-4].split(b"\r\n")
            headers = [(name.strip(), value.strip()) for name, _, value in (line.partition(b":") for line in lines)]
            length = next((int(value) for name, value in headers if name.lower() == b"content-length"), 0)
            content = await reader.readexactly(length)
        except BaseException:
            writer.close()
            raise
        self._idle.append(connection)
        return httpx.Response(int(first.split(b" ", 2)[1]), headers=headers, content=content)

    async def aclose(self) -> None:
        for _, writer in self._idle:
            writer.close()


async def serve(server_url: str, tokens: Mapping[str, str]) -> None:
    stop = asyncio.Event()
    on_signal(stop.set)
    simulation, threads = demo_simulation(list(tokens)), ThreadPoolExecutor(_THREADS)
    agents = [
        make_agent(
            AgentSettings(server_url=server_url, host=host, simulated=True),
            simulation,
            ServerClient(server_url, host, token, transport=Transport()),
            threads=threads,
        )
        for host, token in tokens.items()
    ]
    print(f"{len(agents)} agents made in {time.process_time():.1f} s", flush=True)
    await asyncio.gather(*(agent.run(stop) for agent in agents))


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], json.loads(Path(sys.argv[2]).read_text())))
