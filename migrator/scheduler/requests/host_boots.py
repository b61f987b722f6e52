"""What becomes of the guests of a host that was rebooted: with ``resume_guests_state_on_host_boot`` those that ran are
started again, as Nova starts them; else their records say that they are stopped.

Owns which boot of a host was seen last, and for how long after a reboot a guest that is found stopped counts as ended
by it. The start is an operation like any other. An instance that is elsewhere by now, or that an operation holds, is
never started so.
"""

import uuid as uuids
from collections.abc import Sequence

from migrator.db import alarms, events, host_domains, hosts
from migrator.db.engine import Connection
from migrator.errors import Conflict, MigratorError
from migrator.event_types import EventType
from migrator.operations import Kind
from migrator.scheduler.requests.requests import Caller, at_rest, begin, refuse_second_copy
from migrator.scheduler.state import newer_copies

WITHIN_S = 600.0  # after that a guest that stops has shut itself down
_USER = "resume_guests_state_on_host_boot"


def noted(connection: Connection, host: str, boot: str) -> bool:
    """Whether the host was rebooted a moment ago. The first boot that it tells of is no reboot. Its row is locked."""
    return bool(boot) and hosts.booted(connection, host, boot, WITHIN_S)


def resume(connection: Connection, host: str, stopped: Sequence[str]) -> None:
    """Begin to start these instances of the host, which were found stopped."""
    if hosts.get(connection, host).forced_down:
        return
    for uuid in stopped:
        try:
            row = at_rest(connection, uuid, Kind.START)
            refuse_second_copy(Kind.START, row, host_domains.live_elsewhere(connection, uuid, row.host))
            refuse_disputed(connection, uuid)
        except MigratorError as error:
            message = f"{host} was rebooted, and the guest is not started again: {error.message}"
            events.add(connection, EventType.POWER_STATE_CHANGED, message, instance_uuid=uuid, host=host)
            continue
        caller = Caller(_USER, row.project_id, f"req-{uuids.uuid4()}")
        begin(connection, caller, Kind.START, uuid, row.host, seen=row)


def refuse_disputed(connection: Connection, uuid: str) -> None:
    """No client asked for this start, so that it does not wait for an operator's word either. Raises Conflict."""
    newer_copies.raise_if_newer(connection, uuid)
    if message := alarms.disputes(connection, [uuid]).get(uuid):
        raise Conflict(message)
