"""Serves one application at several sockets, of which some speak TLS. Owns nothing but how a socket is listened at:
state, limits, signals and the end are uvicorn's, for all of them together."""

import asyncio
import socket
import ssl
from collections.abc import Mapping
from functools import partial

import uvicorn

from migrator.server.connections import Limits
from migrator.server.tls_handshakes import TlsHandshake


class ServerWithTls(uvicorn.Server):
    """``serve(sockets)``; those in ``tls`` (socket -> context) speak TLS, under ``limits`` until they do."""

    def __init__(self, config: uvicorn.Config, limits: Limits, tls: Mapping[socket.socket, ssl.SSLContext]) -> None:
        super().__init__(config)
        self._limits, self._tls = limits, tls

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup([each for each in sockets or [] if each not in self._tls])
        for each, context in self._tls.items():
            self.servers.append(
                await asyncio.get_running_loop().create_server(
                    partial(TlsHandshake, self._protocol, context, self._limits),
                    sock=each,
                    backlog=self.config.backlog,
                )
            )

    def _protocol(self) -> asyncio.Protocol:
        kind = self.config.http_protocol_class
        made: asyncio.Protocol = kind(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return made
