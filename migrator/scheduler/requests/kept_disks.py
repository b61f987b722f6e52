"""Disks that hosts keep aside: which there are, and how an operator has them put back or dropped.

Owns what must be true before either may begin. What hosts keep is known from their agents' surveys. Never touches a
disk: the agent of the host does.
"""

from collections.abc import Collection
from dataclasses import dataclass

from migrator.db import events, instances, operations
from migrator.db.engine import Connection, Database
from migrator.errors import Conflict, NotFound
from migrator.event_types import EventType
from migrator.operations import OPERATIONS, Kind
from migrator.protocol import KeptDisks
from migrator.scheduler.requests.requests import Caller, at_rest, begin, until_unchanged
from migrator.scheduler.state import surveys


@dataclass(frozen=True, slots=True)
class KeptOnHost:
    host: str
    age_s: float  # since its agent told of it
    disks: KeptDisks


def listed(connection: Connection, host: str | None = None) -> list[KeptOnHost]:
    """By host and instance, as their agents told last."""
    found = surveys.load(connection, [host] if host is not None else None, ())
    return [
        KeptOnHost(name, surveyed.age_s, disks)
        for name, surveyed in sorted(found.items())
        for disks in sorted(surveyed.survey.kept, key=lambda one: (one.instance, one.operation, one.pool))
    ]


def restore(db: Database, caller: Caller, uuid: str, kept: str) -> int:
    """Begin to put the disks that the operation ``kept`` set aside in the place of the instance's present ones, which
    are kept in their stead; the operation's id. The instance is stopped, on the host that keeps them. Raises NotFound,
    Conflict, InstanceBusy."""

    def ask(connection: Connection) -> int:
        row = at_rest(connection, uuid, Kind.KEPT_RESTORE)
        places = _hosts_of(connection, uuid, kept)
        if row.host not in places:
            raise Conflict(
                f"Cannot 'restore kept disks' of instance {uuid}: they are on {', '.join(sorted(places))}, and the "
                f"instance is on {row.host}; move it there first: `migrator start`, `migrate --host`, "
                "`resize-confirm`, `stop`"
            )
        return begin(connection, caller, Kind.KEPT_RESTORE, uuid, row.host, params={"kept": kept}, seen=row)

    return until_unchanged(db, ask)


def delete(db: Database, caller: Caller, uuid: str, kept: str) -> list[int]:
    """Begin to delete them, on every host that has some; the operations' ids. Raises NotFound."""
    table, begun = OPERATIONS[Kind.KEPT_DROP], []
    with db.write() as connection:
        for host in sorted(_hosts_of(connection, uuid, kept)):
            new = operations.NewOperation(
                kind=table.kind.value,
                instance_uuid=uuid,
                phase=table.phases[0].name,
                status="running",
                moves=False,
                source=host,
                params={"kept": kept},
                request_id=caller.request_id,
                user_id=caller.user_id,
                project_id=caller.project_id,
                locks_instance=False,
            )
            ident = operations.create(connection, new)
            message = f"{table.action} requested by {caller.user_id}: what operation {kept} set aside on {host}"
            events.add(
                connection, EventType.REQUESTED, message, operation_id=ident, instance_uuid=uuid, host=host, epoch=1
            )
            begun.append(ident)
    caller.operations.extend(begun)
    return begun


def _hosts_of(connection: Connection, uuid: str, kept: str) -> Collection[str]:
    """Raises NotFound, InstanceNotFound."""
    instances.get(connection, uuid, deleted=True)
    found = {one.host for one in listed(connection) if (one.disks.instance, one.disks.operation) == (uuid, kept)}
    if not found:
        raise NotFound(f"No host keeps disks of instance {uuid} that operation {kept} set aside.")
    return found
