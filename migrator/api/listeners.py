"""Serves one application at several sockets, of which some speak TLS. Owns nothing but how a socket is listened at:
state, limits, signals and the end are uvicorn's, for all of them together."""

import asyncio
import socket
import ssl
from collections.abc import Mapping

import uvicorn

_HANDSHAKE_S = 10.0  # a connection that has not finished it is closed
_GOODBYE_S = 2.0  # for the other end to confirm that a connection ends


class ServerWithTls(uvicorn.Server):
    """``serve(sockets)``, of which those in ``tls`` (socket -> context) speak TLS."""

    def __init__(self, config: uvicorn.Config, tls: Mapping[socket.socket, ssl.SSLContext]) -> None:
        super().__init__(config)
        self._tls = tls

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup([each for each in sockets or [] if each not in self._tls])
        for each, context in self._tls.items():
            self.servers.append(
                await asyncio.get_running_loop().create_server(
                    self._protocol,
                    sock=each,
                    ssl=context,
                    backlog=self.config.backlog,
                    ssl_handshake_timeout=_HANDSHAKE_S,
                    ssl_shutdown_timeout=_GOODBYE_S,
                )
            )

    def _protocol(self) -> asyncio.Protocol:
        kind = self.config.http_protocol_class
        made: asyncio.Protocol = kind(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return made
