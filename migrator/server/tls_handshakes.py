"""TLS handshakes at the server's sockets: a connection counts like any other while it makes its own, and has a time.

Owns a connection until its handshake is over, and hands it to the protocol that it is for. Never sees what that sends.
asyncio's own ``create_server(ssl=...)`` reports no connection before its handshake has ended well.
"""

import asyncio
import ssl
from collections.abc import Callable
from typing import cast

from migrator.reloaded import Reloaded
from migrator.server.connections import Limits

_HANDSHAKE_S = 10.0  # a connection that has not finished it is closed
_GOODBYE_S = 2.0  # for the other end to confirm that a connection ends


class TlsHandshake(asyncio.Protocol):
    """The protocol of a connection that has to become TLS; ``then``: makes the one that it is for."""

    def __init__(self, then: Callable[[], asyncio.Protocol], context: Reloaded[ssl.SSLContext], bounds: Limits) -> None:
        self._then, self._context, self._bounds = then, context, bounds
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        raw = cast(asyncio.Transport, transport)
        door, address = raw.get_extra_info("sockname")[1], raw.get_extra_info("peername", ("",))[0]
        refusal = self._bounds.enter(door, address)
        if refusal is not None:
            self._bounds.refusals.note(refusal, f"{address} at port {door}")
            raw.abort()
            return
        raw.pause_reading()  # what comes first is the handshake's
        self._task = asyncio.get_running_loop().create_task(self._upgrade(raw, door, address))

    async def _upgrade(self, raw: asyncio.Transport, door: int, address: str) -> None:
        early = _Early()
        try:
            secured = await asyncio.get_running_loop().start_tls(
                raw,
                early,
                await self._context.latest(),
                server_side=True,
                ssl_handshake_timeout=_HANDSHAKE_S,
                ssl_shutdown_timeout=_GOODBYE_S,
            )
        except OSError as error:  # refused by either end, cut off, or too slow
            self._bounds.refusals.note("a TLS handshake failed", f"{address}: {error}")
            raw.abort()
            return
        finally:
            self._bounds.leave(door, address)
        if secured is not None:
            early.hand_over(secured, self._then())


class _Early(asyncio.Protocol):
    """Keeps what a client sends in one breath with the end of its handshake, until the protocol is there to read it."""

    def __init__(self) -> None:
        self._received: list[bytes] = []
        self._lost = False
        self._to: asyncio.Protocol | None = None

    def data_received(self, data: bytes) -> None:
        self._received.append(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Perhaps on its way here while the connection was handed over."""
        self._lost = True
        if self._to is not None:
            self._to.connection_lost(exc)

    def hand_over(self, transport: asyncio.Transport, to: asyncio.Protocol) -> None:
        if self._lost:
            return
        self._to = to
        transport.set_protocol(to)
        to.connection_made(transport)
        for data in self._received:
            to.data_received(data)
