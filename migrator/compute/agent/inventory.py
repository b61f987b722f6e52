"""The host's description and the domains it holds, looked at in the background.

Apart from the poll loop, so that a hypervisor that hangs or is down never keeps the agent from being heard. Changes
nothing.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from migrator.compute.driver import Driver
from migrator.compute.machine import identify
from migrator.errors import MigratorError
from migrator.protocol import DomainEntry, HostReport

log = logging.getLogger("migrator.agent")

LOOK_S = 10.0  # between two lists of copies
REPORT_LOOKS = 6  # looks at the copies for each look at the host's description
_AGAIN_S = 2.0  # while the hypervisor cannot be reached

InThread = Callable[[Callable[[], Any]], Awaitable[Any]]


class Inventory:
    """``report``: the newest description, None until there is one. ``take_copies``: a list not handed out yet."""

    def __init__(self, driver: Driver, in_thread: InThread, tags: dict[str, Any], kept: Path | None = None) -> None:
        """``kept``: the file that keeps the machine's identity."""
        self._driver = driver
        self._in_thread = in_thread
        self._tags = tags
        self._kept = kept
        self._copies: tuple[DomainEntry, ...] | None = None
        self.report: HostReport | None = None
        self.machine = ""  # "": not known yet
        self._listed = asyncio.Event()  # set after the first list of copies, whether there was one or not
        self.first = asyncio.Event()  # set after the first look, whether it saw anything or not

    async def run(self) -> None:
        """For ever. The copies apart from the description: they can be listed while a pool's storage is not mounted, or
        hangs, and a description cannot be given then, for a host that seems to share nothing would lose what it
        shares."""
        await asyncio.gather(
            self._repeat(self._list_copies, LOOK_S), self._repeat(self._describe, LOOK_S * REPORT_LOOKS)
        )

    async def _repeat(self, read: Callable[[], Awaitable[None]], every_s: float) -> None:
        while True:
            wait = every_s
            try:
                await read()
            except MigratorError as error:
                log.warning("cannot look at the host: %s", error.sentence, extra=self._tags)
                wait = _AGAIN_S
            except Exception:  # a defect here must not end the agent
                log.exception("cannot look at the host", extra=self._tags)
                wait = LOOK_S
            await asyncio.sleep(wait)

    async def _list_copies(self) -> None:
        try:
            if not self.machine:
                self.machine = await self._in_thread(lambda: identify(self._driver, self._kept))
            self._copies = tuple(await self._in_thread(self._driver.list_copies))
        finally:
            self._listed.set()

    async def _describe(self) -> None:
        await self._listed.wait()  # after the machine, for the poll that comes first
        try:
            self.report = await self._in_thread(self._driver.host_report)
        finally:
            self.first.set()

    def take_copies(self) -> tuple[DomainEntry, ...] | None:
        copies, self._copies = self._copies, None
        return copies
