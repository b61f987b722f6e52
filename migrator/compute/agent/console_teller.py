"""Tells the server what guests wrote to their consoles, so that their logs follow them through moves.

Owns what was told by this process. The server knows that, too, and takes what it is told twice once. Nothing here
depends on an operation, and no operation waits for it; no guest's text is logged.
"""

import asyncio
import base64
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from migrator.compute.agent.client import ServerClient
from migrator.compute.driver import Driver
from migrator.compute.storage_driver import ConsoleLog
from migrator.errors import MigratorError, ServerUnreachable
from migrator.protocol import CONSOLE_BYTES, PIECE_BYTES, PIECES_BYTES, PIECES_MAX, ConsolePiece

log = logging.getLogger("migrator.agent")

_LONGEST_S = 60.0  # between two attempts, while the server does not take it


@dataclass(frozen=True, slots=True)
class _Told:
    file: int
    end: int
    round: int


@dataclass
class ConsoleTeller:
    """One object is one agent's memory of what it told. Not for two threads at once."""

    driver: Driver
    _sent: dict[str, _Told] = field(default_factory=dict)
    _round: int = 0

    def untold(self) -> tuple[ConsolePiece, ...]:
        """One piece of each log that grew, as many as a message holds, those first that waited longest."""
        logs = self.driver.console_logs()
        self._sent = {uuid: told for uuid, told in self._sent.items() if uuid in logs}
        parts: dict[str, tuple[ConsoleLog, int, bytes]] = {}
        room = PIECES_BYTES
        for uuid in sorted(logs, key=self._turn):
            start = self._start(uuid, logs[uuid])
            most = min(PIECE_BYTES, room, logs[uuid].size - start)
            if most > 0 and len(parts) < PIECES_MAX and (content := self._read(uuid, start, most)):
                parts[uuid] = logs[uuid], start, content
                room -= len(content)
        if not parts:
            return ()
        live = {copy.uuid for copy in self.driver.list_copies(live=True)}
        return tuple(_piece(uuid, *part, live=uuid in live) for uuid, part in parts.items())

    def told(self, pieces: tuple[ConsolePiece, ...]) -> None:
        """The server has these."""
        self._round += 1
        for piece in pieces:
            self._sent[piece.instance] = _Told(piece.file, piece.start + len(piece.content), self._round)

    def _turn(self, uuid: str) -> int:
        told = self._sent.get(uuid)
        return told.round if told is not None else -1

    def _start(self, uuid: str, found: ConsoleLog) -> int:
        told = self._sent.get(uuid)
        known = told.end if told is not None and told.file == found.file and told.end <= found.size else 0
        return max(known, found.size - CONSOLE_BYTES)

    def _read(self, uuid: str, start: int, most: int) -> bytes:
        try:
            return self.driver.read_console(uuid, start, most)
        except MigratorError as error:  # it was removed in between
            log.debug("a console cannot be read: %s", error)
            return b""


def _piece(uuid: str, found: ConsoleLog, start: int, content: bytes, *, live: bool) -> ConsolePiece:
    size = max(found.size, start + len(content))
    text = base64.b64encode(content).decode()
    return ConsolePiece(instance=uuid, file=found.file, start=start, size=size, live=live, text=text)


async def run(
    teller: ConsoleTeller,
    server: ServerClient,
    in_thread: Callable[[Callable[[], Any]], Awaitable[Any]],
    every_s: float,
    tags: Mapping[str, Any],
) -> None:
    """Look and tell, for ever."""
    failures = 0
    await server.answered.wait()  # before that the host may not be registered
    while True:
        wait = every_s
        try:
            pieces = await in_thread(teller.untold)
            if pieces:
                await server.put_consoles(pieces)
                teller.told(pieces)
            failures = 0
        except Exception as error:  # nothing depends on it; a server of an earlier release does not take it
            failures += 1
            wait = min(_LONGEST_S, every_s * 2 ** min(failures, 10)) * random.uniform(0.5, 1.5)
            if isinstance(error, ServerUnreachable):
                wait = max(wait, error.retry_after_s * random.uniform(1.0, 1.5))
            known = isinstance(error, MigratorError)
            level = logging.DEBUG if known else logging.WARNING
            log.log(level, "consoles are not told: %s", error, exc_info=None if known else error, extra=dict(tags))
        await asyncio.sleep(wait)
