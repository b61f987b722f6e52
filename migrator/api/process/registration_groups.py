"""Takes agents' registrations together, in one transaction: thousands of agents that start at one moment are registered
within seconds.

What becomes of each is ``scheduler/hosts/registration.py``'s to say.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from migrator.api.process import agent_messages, request_groups
from migrator.api.process.admission import Admission, Kind
from migrator.api.process.request_groups import RequestGroups
from migrator.db.engine import Database
from migrator.protocol import Registration
from migrator.scheduler.hosts import registration
from migrator.settings import ServerSettings


@dataclass(frozen=True, slots=True)
class Sent:
    """What an agent sent, and the token that it sent it with."""

    token: str
    content: bytes


class RegistrationGroups:
    """On the event loop."""

    def __init__(self, db: Database, admission: Admission, settings: ServerSettings) -> None:
        self._db, self._admission, self._settings = db, admission, settings
        self._groups = RequestGroups(admission, Kind.REGISTRATION, self._work, lambda: 0.0)

    async def take(self, host: str, sent: Sent) -> None:
        """Register the host. Raises BadRequest, DatabaseUnavailable and what ``registration.take`` gives for it."""
        if len(sent.content) <= request_groups.GROUPED_BYTES:
            await self._groups.take(host, sent)
            return
        alone = await self._admission.run(host, Kind.REGISTRATION, partial(self._work, {host: sent}))
        if (error := alone[host]) is not None:
            raise error

    def _work(self, sent: Mapping[str, Sent]) -> Mapping[str, Exception | None]:
        told, refused = agent_messages.read_each(Registration, {host: one.content for host, one in sent.items()})
        tokens = {host: one.token for host, one in sent.items()}
        down_after, approve_new = self._settings.service_down_time, self._settings.approve_new_hosts
        refused |= registration.take(self._db, told, down_after, tokens=tokens, approve_new=approve_new)
        return {host: refused.get(host) for host in sent}
