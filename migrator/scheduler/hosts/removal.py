"""Removes a host: refused while anything of it is outstanding, by Nova's words where Nova has some.

Owns what counts as outstanding. Never touches the host itself: its agent's credential is gone, so that the agent is
refused from then on and cannot register again without an operator.
"""

import logging
from collections.abc import Sequence

from migrator.db import events, host_removal, hosts, machines
from migrator.db.engine import Connection, Database
from migrator.errors import Conflict, HostNotFound
from migrator.event_types import EventType
from migrator.scheduler.requests import kept_disks

log = logging.getLogger(__name__)
_NAMED = 5  # things, in a message
_HOSTING = "Unable to delete compute service that is hosting instances. Migrate or delete the instances first."
_MOVING = (
    "Unable to delete compute service that has in-progress migrations. Complete the migrations or delete the "
    "instances first."
)
_HOLDING = "Unable to delete compute service that something is outstanding on."
_ADVICE = (
    "see `migrator list --host`, `migrator migration-list --host`, `migrator kept-disks` and `migrator alarms`; a host "
    "that was lost for good is given to another machine first: `migrator host-replace`"
)


def remove(db: Database, host: str, by: str) -> None:
    """Raises HostNotFound, and Conflict that names what is outstanding."""
    with db.write() as connection:
        host_removal.lock_credential(connection, host)
        if not hosts.lock(connection, [host]):  # from here on nothing is claimed there
            raise HostNotFound(f"Host {host} is not registered")
        left = outstanding(connection, host)
        if left:
            raise Conflict(_removal_message(host, left), advice=_ADVICE, details={"outstanding": left})
        host_removal.remove(connection, host)
        events.add(connection, EventType.HOST_REMOVED, f"{by} removed host {host}", host=host)
    log.warning("%s removed host %s", by, host, extra={"host": host})


def outstanding(connection: Connection, host: str) -> list[str]:
    """Everything that keeps the host, in words: instances first, then claims and operations, then what it holds."""
    found = list(machines.recorded(connection, host))
    found += [f"a copy of {uuid} ({state})" for uuid, state in host_removal.copies_of(connection, host)]
    found += [f"kept disks of {kept.disks.instance}" for kept in kept_disks.listed(connection, host)]
    found += [f"alarm {alarm.kind}: {alarm.message}" for alarm in host_removal.alarms_about_copies(connection, host)]
    return found


def _removal_message(host: str, left: Sequence[str]) -> str:
    kinds = {item.partition(" ")[0] for item in left}
    first = _HOSTING if "instance" in kinds else _MOVING if "operation" in kinds else _HOLDING
    return f"{first} Outstanding on {host}: {', '.join(left[:_NAMED])}{', ...' if len(left) > _NAMED else ''}"
