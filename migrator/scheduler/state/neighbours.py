"""Reads who an instance has to share a host with, and who it is kept apart from. Changes nothing."""

from collections.abc import Collection, Mapping, Sequence

from migrator.db import neighbours as rows
from migrator.db.engine import Connection
from migrator.db.rows import InstanceRow, ServerGroupRow
from migrator.scheduler.checks.neighbours import MAX_PER_HOST, NO_NEIGHBOURS, Neighbours, Places, ServerGroup

_NO_HINTS: Mapping[str, frozenset[str]] = {rows.SAME_HOST: frozenset(), rows.DIFFERENT_HOST: frozenset()}


def load(connection: Connection, instance_uuid: str) -> Neighbours:
    group, hints = rows.group_of(connection, instance_uuid), rows.named(connection, instance_uuid)
    found = rows.hosts_of(connection, frozenset().union(*hints.values()))
    members = rows.members(connection, group.uuid, without=instance_uuid) if group is not None else {}
    return _neighbours(group, members, hints, found)


def load_all(
    connection: Connection, instances: Sequence[InstanceRow], uuids: Collection[str] | None
) -> Mapping[str, Neighbours]:
    """Of each instance that has any. ``uuids``: of the instances; None: they are all that there are."""
    groups = rows.groups(connection, {row.server_group for row in instances if row.server_group is not None})
    members = rows.members_of(connection, groups.keys())
    hints = rows.all_named(connection, uuids)
    hinted = frozenset().union(*(named for one in hints.values() for named in one.values()))
    found, none = rows.hosts_of(connection, hinted), dict[str, frozenset[str]]()
    loaded: dict[str, Neighbours] = {}
    for row in instances:
        group = groups.get(row.server_group or "")
        others = {uuid: at for uuid, at in members.get(row.server_group or "", none).items() if uuid != row.uuid}
        one = _neighbours(group, others, hints.get(row.uuid, _NO_HINTS), found)
        if one != NO_NEIGHBOURS:
            loaded[row.uuid] = one
    return loaded


def _neighbours(
    group: ServerGroupRow | None, members: Places, hints: Mapping[str, frozenset[str]], found: Places
) -> Neighbours:
    same, different = (
        {uuid: found[uuid] for uuid in hints[hint] if uuid in found} for hint in (rows.SAME_HOST, rows.DIFFERENT_HOST)
    )
    if group is None:
        return Neighbours(None, same, different)
    most = int((group.rules or {}).get(MAX_PER_HOST, 1))
    return Neighbours(ServerGroup(group.name, group.policy, most, members), same, different)
