"""What the records say of instances whose directories lie on a host: one query. Never decides what is left over."""

from collections.abc import Collection, Sequence
from typing import Any, cast

from sqlalchemy import Connection, exists, or_, select, true

from migrator.db.partial_rows import LeftoverRow
from migrator.db.tables import hosts, instances, operations


def records(connection: Connection, host: str, uuids: Collection[str]) -> Sequence[LeftoverRow]:
    """Of the recorded ones."""
    if not uuids:
        return ()
    o, i = operations.c, instances.c
    involved = exists().where(
        o.instance_uuid == i.uuid, o.active == true(), or_(o.source == host, o.destination == host)
    )
    query = select(i.uuid, i.host, i.deleted, hosts.c.report["storage"].label("pools"), involved.label("involved"))
    query = query.outerjoin_from(instances, hosts, hosts.c.name == i.host).where(i.uuid.in_(uuids))
    return cast(Sequence[LeftoverRow], connection.execute(query).all())


def pools(connection: Connection, host: str) -> Any:
    """What the host says of its storage: pool -> body; None for an unknown host."""
    return connection.execute(select(hosts.c.report["storage"]).where(hosts.c.name == host)).scalar_one_or_none()
