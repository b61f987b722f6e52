"""Takes agents' polls together, in one transaction, for thousands of hosts poll all day and have nothing new to say.

Which of them are routine is ``scheduler/hosts/routine_polls.py``'s to say; every other poll is worked on alone, in the
lane of the polls.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from migrator.api.process import agent_messages, request_groups
from migrator.api.process.admission import Admission, Kind
from migrator.api.process.request_groups import RequestGroups
from migrator.api.process.wakeups import HostNotifier
from migrator.db.engine import Database
from migrator.errors import DatabaseUnavailable
from migrator.protocol import Poll
from migrator.scheduler.hosts import routine_polls

log = logging.getLogger(__name__)
# Between two groups, for each host that polls. In a small cluster no host waits.
_REST_S = 0.0002
_LONGEST_REST_S = 0.1


@dataclass(frozen=True, slots=True)
class Taken:
    """A poll that was read. ``heard``: its heartbeat is noted, and it had no news; ``asked``: some operation may ask
    something of its host."""

    poll: Poll
    answered: bool = False
    asked: bool = True


class PollGroups:
    """On the event loop."""

    def __init__(self, db: Database, admission: Admission, notifier: HostNotifier) -> None:
        self._db, self._admission, self._wakers = db, admission, notifier
        self._groups = RequestGroups(admission, Kind.POLL, self._work, self._rest_s)

    @property
    def waiting(self) -> int:
        """How many polls are in no group yet."""
        return self._groups.waiting

    async def take(self, host: str, content: bytes) -> Taken:
        """Read the poll, and note its heartbeat if it is routine. Raises BadRequest and DatabaseUnavailable."""
        if len(content) > request_groups.GROUPED_BYTES:
            return Taken(await self._admission.run(host, Kind.POLL, partial(agent_messages.read, Poll, content)))
        return await self._groups.take(host, content)

    def _rest_s(self) -> float:
        return min(_LONGEST_REST_S, _REST_S * self._wakers.held)

    def _work(self, contents: Mapping[str, bytes]) -> Mapping[str, Taken | Exception]:
        polls, wrong = agent_messages.read_each(Poll, contents)
        return {**wrong, **(self._routine(polls) if polls else {})}

    def _routine(self, polls: Mapping[str, Poll]) -> Mapping[str, Taken | Exception]:
        try:
            heard = routine_polls.take(self._db, polls)
        except DatabaseUnavailable as error:
            return {host: error.with_traceback(None) for host in polls}
        except Exception:  # what one host says keeps no other host from being heard
            log.exception("polls cannot be taken together: each is worked on alone")
            heard = {}
        return {host: Taken(poll, host in heard, heard.get(host, True)) for host, poll in polls.items()}
