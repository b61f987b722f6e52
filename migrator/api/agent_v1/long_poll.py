"""When a long-poll looks at what its host should make true: soon after that changed, and not again and again.

Owns how often; what there is to see is ``scheduler/agents.py``'s.
"""

import asyncio
import contextlib
import math
from collections.abc import Callable

from migrator.api.process.admission import Kind
from migrator.api.process.poll_groups import Taken
from migrator.api.process.services import Services
from migrator.api.process.wakeups import FALLBACK_S
from migrator.protocol import Assignments, Poll
from migrator.scheduler import agents
from migrator.scheduler.state import host_operations

_WHOLE_S = 1.0  # what no operation's row shows is looked at so often: a host's description, or that it is up again
_REST = 9.0  # times as long as a look took, until the host's next one: what changes until then is seen together
_LONGEST_REST_S = 0.5


class AssignmentPoller:
    """Looks for one poll of the host's agent. ``event``: set when something may have changed."""

    def __init__(self, services: Services, host: str, event: asyncio.Event) -> None:
        self._services = services
        self._host = host
        self._event = event
        self._clock = asyncio.get_running_loop().time
        self._marks: host_operations.Versions | None = None
        self._found: Assignments | None = None
        self._began = 0.0  # the last whole look, by the loop's clock
        self._pace = services.notifier.paces[host]

    async def first(self, taken: Taken) -> Assignments:
        """Note that the agent polls; all of the host's assignments, as they are now. Raises HostNotFound."""
        if taken.answered and not taken.asked:
            self._marks, self._began, self._found = (), self._clock(), agents.NOTHING
            return self._found
        poll = None if taken.answered else taken.poll
        if self._rest_s() <= 0:
            return await self._in_thread(lambda: self._whole(poll))
        if poll is not None:
            await self._services.admission.run(self._host, Kind.POLL, lambda: self._heartbeat(poll))
        await asyncio.sleep(self._rest_s())
        self._event.clear()
        return await self._in_thread(self._whole)

    async def next(self, deadline: float) -> Assignments:
        """After something may have changed, and at the latest after a while: the assignments, worked out anew
        if any operation of the host moved."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._event.wait(), min(self._patience_s(), max(0.0, deadline - self._clock())))
        await asyncio.sleep(self._rest_s())
        self._event.clear()
        if self._clock() >= deadline and not self._marks and self._services.notifier.watched:
            assert self._found is not None  # ``first`` has looked
            return self._found
        overdue = self._clock() - self._began >= _WHOLE_S
        return await self._in_thread(lambda: self._whole() if overdue else self._if_moved())

    async def _in_thread(self, read: Callable[[], Assignments]) -> Assignments:
        began = self._clock()
        found = await self._services.admission.run(self._host, Kind.POLL, read)
        self._pace.ended = self._clock()
        if found is not self._found:
            self._pace.took = self._pace.ended - began
            self._began, self._found = began, found
        return found

    def _patience_s(self) -> float:
        """Where a thread looks for all hosts, a poll is woken; of an operation that asks something of the host, all
        that its assignment follows from is looked at again, too. Of a host of which nothing is asked, nothing is."""
        if not self._services.notifier.watched:
            return FALLBACK_S
        return _WHOLE_S if self._marks else math.inf

    def _rest_s(self) -> float:
        return max(0.0, self._pace.ended + min(_REST * self._pace.took, _LONGEST_REST_S) - self._clock())

    def _if_moved(self) -> Assignments:
        marks = host_operations.versions(self._services.db, self._host)
        return self._found if self._found is not None and marks == self._marks else self._whole()

    def _whole(self, poll: Poll | None = None) -> Assignments:
        if poll is not None:
            self._heartbeat(poll)
        # first: what moves during the look is looked at again
        self._marks = host_operations.versions(self._services.db, self._host)
        return agents.assignments(self._services.db, self._host, self._services.settings)

    def _heartbeat(self, poll: Poll) -> None:
        agents.heartbeat(self._services.db, self._host, poll, self._services.settings)
