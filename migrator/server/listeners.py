"""The server's sockets: opens them, and serves one application at all of them, of which some speak TLS.

Owns nothing but how a socket is listened at: state, limits, signals and the end are uvicorn's, for all of them."""

import asyncio
import socket
import ssl
from collections.abc import Mapping
from functools import partial

import uvicorn

from migrator.api.gate.listener_guard import split
from migrator.errors import MigratorError
from migrator.reloaded import Reloaded
from migrator.server.connections import Limits
from migrator.server.tls_handshakes import TlsHandshake

# In one turn of the event loop, which does nothing else until it has taken them: all of 2,000 agents that connected at
# once were accepted in one turn, and every client waited.
ACCEPTED_AT_ONCE = 20
_QUEUED = 2048  # connections that the system keeps until they are accepted


Contexts = Mapping[socket.socket, Reloaded[ssl.SSLContext]]


class ServerWithTls(uvicorn.Server):
    """``serve(sockets)``; those in ``tls`` speak it by the context that is theirs, under ``limits`` until they do."""

    def __init__(self, config: uvicorn.Config, limits: Limits, tls: Contexts) -> None:
        super().__init__(config)
        self._limits, self._tls = limits, tls
        self.listening = asyncio.Event()  # at every socket

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
        for each in sockets or []:
            each.listen(_QUEUED)  # asyncio has one number for both
        self.listening.set()

    def _protocol(self) -> asyncio.Protocol:
        kind = self.config.http_protocol_class
        made: asyncio.Protocol = kind(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return made


def listen_at(endpoint: str) -> socket.socket:
    """Bound, not yet listened at. Raises CannotListen."""
    host, port = split(endpoint)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol must be named: asyncio turns Nagle off (40 ms an answer) only where it sees TCP.
    opened = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        opened.bind((host, int(port)))
    except OSError as error:
        opened.close()
        raise CannotListen(f"cannot listen on {endpoint}: {error.strerror}") from error
    return opened


class CannotListen(MigratorError):
    code = "cannot_listen"
