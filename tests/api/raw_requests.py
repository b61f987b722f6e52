"""Requests as a server hands them to the application: many on one event loop, each from an address that is chosen."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

from tests.api.harness import Web

JSON = {"Content-Type": "application/json"}


class Asked:
    """``parts``: of the body; ``gate``: must be set before the last of them arrives; ``left``: the client, once they
    have."""

    def __init__(self, parts: Sequence[bytes] = (), gate: asyncio.Event | None = None, *, left: bool = False) -> None:
        self._parts, self._gate, self._left = list(parts), gate, left
        self.parts_read, self.status, self.body = 0, 0, b""
        self.headers: dict[str, str] = {}

    async def receive(self) -> dict[str, Any]:
        if self.parts_read == len(self._parts) - 1 and self._gate is not None:
            await self._gate.wait()
        if self._left and self.parts_read >= max(1, len(self._parts)):
            return {"type": "http.disconnect"}
        part = self._parts[self.parts_read] if self.parts_read < len(self._parts) else b""
        self.parts_read += 1
        return {"type": "http.request", "body": part, "more_body": self.parts_read < len(self._parts)}

    async def send(self, message: dict[str, Any]) -> None:
        self.status = message.get("status", self.status)
        self.headers |= {name.decode(): value.decode() for name, value in message.get("headers", ())}
        self.body += message.get("body", b"")


async def ask(
    web: Web, method: str, path: str, headers: dict[str, str], asked: Asked | None = None, address: str = "192.0.2.1"
) -> Asked:
    app: Any = web.client.app
    found = asked or Asked()
    encoded = [(k.lower().encode(), v.encode()) for k, v in ({"Host": "testserver"} | headers).items()]
    scope = {
        "type": "http",
        "method": method,
        "path": path.partition("?")[0],
        "raw_path": path.partition("?")[0].encode(),
        "query_string": path.partition("?")[2].encode(),
        "root_path": "",
        "scheme": "http",
        "headers": encoded,
        "server": ("127.0.0.1", 8774),
        "client": (address, 4711),
    }
    await app(scope, found.receive, found.send)
    return found


async def turns(number: int = 50) -> AsyncIterator[int]:
    """Let everything that can run on the event loop do so."""
    for each in range(number):
        await asyncio.sleep(0)
        yield each
