"""Where the instances are that an instance's server group and scheduler hints are about.

Owns what counts as a host of an instance: the recorded one and, while an operation of it is under way, every host on
which it holds a claim. A claim that is left after that is of files only.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import cast

from sqlalchemy import ColumnElement, Connection, and_, bindparam, false, or_, select, true

from migrator.db.rows import ServerGroupRow
from migrator.db.tables import claims, instances, neighbours, operations, server_groups

SAME_HOST, DIFFERENT_HOST = "same_host", "different_host"
_GROUP = (
    select(server_groups)
    .select_from(instances.join(server_groups, instances.c.server_group == server_groups.c.uuid))
    .where(instances.c.uuid == bindparam("wanted"))
)
_HINTS = select(neighbours).where(
    or_(
        neighbours.c.instance_uuid == bindparam("wanted"),
        and_(neighbours.c.other_uuid == bindparam("wanted"), neighbours.c.hint == DIFFERENT_HOST),
    )
)


def add(connection: Connection, instance_uuid: str, hint: str, others: Collection[str]) -> None:
    rows = [{"instance_uuid": instance_uuid, "hint": hint, "other_uuid": other} for other in sorted(set(others))]
    if rows:
        connection.execute(neighbours.insert(), rows)


def group_of(connection: Connection, instance_uuid: str) -> ServerGroupRow | None:
    return cast(ServerGroupRow | None, connection.execute(_GROUP, {"wanted": instance_uuid}).one_or_none())


def named(connection: Connection, instance_uuid: str) -> Mapping[str, frozenset[str]]:
    """Hint -> instances: those that its own hints name, and for ``different_host`` those whose hints name it."""
    found: dict[str, set[str]] = {SAME_HOST: set(), DIFFERENT_HOST: set()}
    for row in connection.execute(_HINTS, {"wanted": instance_uuid}):
        found[row.hint].add(row.other_uuid if row.instance_uuid == instance_uuid else row.instance_uuid)
    return {hint: frozenset(uuids) for hint, uuids in found.items()}


def members(connection: Connection, group_uuid: str, without: str) -> Mapping[str, frozenset[str]]:
    """Instance -> its hosts, of the group's instances but one."""
    return _places(connection, and_(instances.c.server_group == group_uuid, instances.c.uuid != without))


def groups(connection: Connection, uuids: Collection[str]) -> Mapping[str, ServerGroupRow]:
    """Server group -> its row."""
    if not uuids:
        return {}
    found = connection.execute(select(server_groups).where(server_groups.c.uuid.in_(uuids))).all()
    return {row.uuid: row for row in cast(Sequence[ServerGroupRow], found)}


def all_named(connection: Connection, uuids: Collection[str] | None) -> Mapping[str, Mapping[str, frozenset[str]]]:
    """Instance -> as ``named``, of each one that a hint is about. None: of all instances."""
    n, found = neighbours.c, dict[str, dict[str, set[str]]]()
    query = select(n.instance_uuid, n.hint, n.other_uuid)
    if uuids is not None:
        about = or_(n.instance_uuid.in_(uuids), and_(n.other_uuid.in_(uuids), n.hint == DIFFERENT_HOST))
        query = query.where(about)
    for uuid, hint, other in connection.execute(query):
        found.setdefault(uuid, {SAME_HOST: set(), DIFFERENT_HOST: set()})[hint].add(other)
        if hint == DIFFERENT_HOST:
            found.setdefault(other, {SAME_HOST: set(), DIFFERENT_HOST: set()})[hint].add(uuid)
    return {uuid: {hint: frozenset(ids) for hint, ids in hints.items()} for uuid, hints in found.items()}


def members_of(connection: Connection, group_uuids: Collection[str]) -> Mapping[str, Mapping[str, frozenset[str]]]:
    """Server group -> instance -> its hosts."""
    if not group_uuids:
        return {}
    mine = and_(instances.c.server_group.in_(group_uuids), instances.c.deleted == false())
    places_ = _places(connection, instances.c.server_group.in_(group_uuids))
    found: dict[str, dict[str, frozenset[str]]] = {}
    for uuid, group in connection.execute(select(instances.c.uuid, instances.c.server_group).where(mine)):
        if uuid in places_:
            found.setdefault(group, {})[uuid] = places_[uuid]
    return found


def hosts_of(connection: Connection, uuids: Collection[str]) -> Mapping[str, frozenset[str]]:
    """Instance -> its hosts; one that is gone is left out."""
    return _places(connection, instances.c.uuid.in_(uuids)) if uuids else {}


def _places(connection: Connection, which: ColumnElement[bool]) -> Mapping[str, frozenset[str]]:
    moving = and_(
        operations.c.instance_uuid == instances.c.uuid,
        operations.c.active == true(),
        operations.c.locks_instance == true(),
    )
    held = and_(claims.c.instance_uuid == instances.c.uuid, operations.c.id.is_not(None))
    query = (
        select(instances.c.uuid, instances.c.host, claims.c.host.label("claimed"))
        .select_from(instances.outerjoin(operations, moving).outerjoin(claims, held))
        .where(instances.c.deleted == false(), which)
    )
    found: dict[str, set[str]] = {}
    for row in connection.execute(query):
        found.setdefault(row.uuid, set()).update(host for host in (row.host, row.claimed) if host)
    return {uuid: frozenset(hosts) for uuid, hosts in found.items()}
