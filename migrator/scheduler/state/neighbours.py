"""Reads who an instance has to share a host with, and who it is kept apart from. Changes nothing."""

from migrator.db import neighbours as rows
from migrator.db.engine import Connection
from migrator.scheduler.checks.neighbours import MAX_PER_HOST, Neighbours, ServerGroup


def load(connection: Connection, instance_uuid: str) -> Neighbours:
    group, hints = rows.group_of(connection, instance_uuid), rows.named(connection, instance_uuid)
    found = rows.places(connection, frozenset().union(*hints.values()))
    same, different = (
        {uuid: found[uuid] for uuid in hints[hint] if uuid in found} for hint in (rows.SAME_HOST, rows.DIFFERENT_HOST)
    )
    if group is None:
        return Neighbours(None, same, different)
    members = rows.members(connection, group.uuid, without=instance_uuid)
    most = int((group.rules or {}).get(MAX_PER_HOST, 1))
    return Neighbours(ServerGroup(group.name, group.policy, most, members), same, different)
