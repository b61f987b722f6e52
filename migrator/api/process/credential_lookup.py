"""Whose a credential is, from memory: agents ask thousands of times a second, and so may strangers.

Owns this process's copy of the table of credentials, and its age: a credential that was removed or replaced is refused
within a second, whichever process did it. Never asks the database for one request alone: all that wait share one look,
in a thread of its own, so that a stranger's requests take no capacity from agents.
"""

import asyncio
import math
import time
from collections.abc import Callable, Mapping

from anyio import CapacityLimiter, to_thread

from migrator.db import credentials, join_tokens
from migrator.db.engine import Database
from migrator.errors import MigratorError, Unauthorized

_OLDEST_S = 0.5  # that the copy may be when a credential is taken for good
_REST_S = 0.2  # between two looks, however many ask for a credential that is not in the copy
_REST = 9.0  # or so many times as long as a look took


class CredentialLookup:
    """``holder``: on any event loop, one at a time; ``forget``: from any thread."""

    def __init__(self, db: Database, clock: Callable[[], float] = time.monotonic) -> None:
        self._db, self._clock = db, clock
        self._hosts: Mapping[str, str] = {}  # digest -> host
        self._join_tokens: Mapping[str, str] = {}  # digest of a join token -> host
        self._began = -math.inf  # the last look, before it asked the database
        self._changed = -math.inf  # this process changed the table
        self._next = 0.0  # when another may begin
        self._error: MigratorError | None = None
        self._turn = asyncio.Lock()
        self._thread = CapacityLimiter(1)

    def forget(self) -> None:
        """This process has just changed the table."""
        self._changed = self._clock()

    async def holder(self, token: str) -> str | None:
        """The host whose agent holds this token, or None. Raises Unavailable."""
        return await self._known(token, lambda: self._hosts)

    async def joining_host(self, token: str) -> str | None:
        """The host that this join token is for, or None. Raises Unavailable."""
        return await self._known(token, lambda: self._join_tokens)

    async def _known(self, token: str, table: Callable[[], Mapping[str, str]]) -> str | None:
        digest, asked = credentials.digest(token), self._clock()
        await self._look(not_before=asked - _OLDEST_S)
        if digest not in table():  # it may have been issued a moment ago
            await self._look(not_before=asked)
        return table().get(digest)

    async def _look(self, not_before: float) -> None:
        """See that the copy was taken then or later. Raises what that look met, also for those that waited for it."""
        if self._began < max(not_before, self._changed):
            async with self._turn:
                if self._began < max(not_before, self._changed):
                    await asyncio.sleep(max(0.0, self._next - self._clock()))
                    await self._refresh()
        if self._error is not None:
            raise self._error.with_traceback(None)

    async def _refresh(self) -> None:
        began = self._clock()
        try:
            self._hosts, self._join_tokens = await to_thread.run_sync(self._read, limiter=self._thread)
            self._error = None
        except MigratorError as error:
            self._hosts, self._join_tokens, self._error = {}, {}, error
        self._began = began
        ended = self._clock()
        self._next = ended + max(_REST_S, min(1.0, _REST * (ended - began)))

    def _read(self) -> tuple[Mapping[str, str], Mapping[str, str]]:
        with self._db.read() as connection:
            return credentials.holders(connection), join_tokens.hosts(connection)


def token_of(authorization: str) -> str:
    """Out of the header of that name. Raises Unauthorized."""
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthorized(
            "An agent's credential is required.", advice="issue one with `migrator agent-credential HOST`"
        )
    return token
