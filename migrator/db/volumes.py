"""Volumes: network disks that another system keeps, each free or one instance's.

Every change of whose it is compares with what it was, so that of two who want a volume one gets it.
"""

import uuid as uuids
from collections.abc import Collection, Sequence
from typing import cast

from sqlalchemy import Connection, bindparam, delete, false, or_, select, update
from sqlalchemy.exc import IntegrityError

from migrator.db.clock import now
from migrator.db.rows import VolumeRow
from migrator.db.tables import instances, operations, volumes
from migrator.errors import AlreadyExists, Conflict, VolumeNotFound

_LOOKED_AT_MOST = 1000
_OF_HOST = (
    select(volumes.c.source)
    .where(
        or_(
            volumes.c.instance_uuid.in_(
                select(instances.c.uuid).where(instances.c.host == bindparam("wanted"), instances.c.deleted == false())
            ),
            volumes.c.instance_uuid.in_(
                select(operations.c.instance_uuid).where(operations.c.id.in_(bindparam("ids", expanding=True)))
            ),
        )
    )
    .order_by(volumes.c.attached_at.desc())
    .limit(_LOOKED_AT_MOST)
)


def create(connection: Connection, name: str, source: str, size_gb: int, image_id: str | None) -> str:
    """The id of a free one. Raises AlreadyExists for a source that is known."""
    values = {"id": str(uuids.uuid4()), "name": name, "source": source, "size_gb": size_gb, "image_id": image_id}
    try:
        with connection.begin_nested():
            connection.execute(volumes.insert().values(**values, created_at=now(connection)))
    except IntegrityError as error:
        raise AlreadyExists(f"there is a volume at {source} already") from error
    return str(values["id"])


def get(connection: Connection, ident: str) -> VolumeRow:
    """Raises VolumeNotFound."""
    row = connection.execute(select(volumes).where(volumes.c.id == ident)).one_or_none()
    if row is None:
        raise VolumeNotFound(f"Volume {ident} could not be found.")
    return cast(VolumeRow, row)


def every(connection: Connection) -> Sequence[VolumeRow]:
    """By name."""
    rows = connection.execute(select(volumes).order_by(volumes.c.name, volumes.c.id)).all()
    return cast(Sequence[VolumeRow], rows)


def of_host(connection: Connection, host: str, operation_ids: Collection[int] = ()) -> Sequence[str]:
    """Sources of the volumes of instances that are recorded on the host, or which these operations are about: the
    newest first, and no more than an agent could look at."""
    return connection.execute(_OF_HOST, {"wanted": host, "ids": list(operation_ids)}).scalars().all()


def remove(connection: Connection, ident: str) -> None:
    """Forget it; what it holds is its keeper's. Raises VolumeNotFound, Conflict while it is an instance's."""
    gone = connection.execute(delete(volumes).where(volumes.c.id == ident, volumes.c.instance_uuid.is_(None)))
    if gone.rowcount == 0:
        row = get(connection, ident)
        raise Conflict(
            f"Volume {ident} is attached to instance {row.instance_uuid}", advice="delete the instance first"
        )


def attach(connection: Connection, ident: str, instance_uuid: str, target: str) -> VolumeRow:
    """Make it the instance's; its row. Raises VolumeNotFound, Conflict when it is another's."""
    taken = connection.execute(
        update(volumes)
        .where(volumes.c.id == ident, volumes.c.instance_uuid.is_(None))
        .values(instance_uuid=instance_uuid, target=target, attached_at=now(connection))
    )
    row = get(connection, ident)
    if taken.rowcount == 0:
        raise Conflict(f"Invalid volume: volume {ident} is attached to instance {row.instance_uuid}")
    return row


def release(connection: Connection, instance_uuid: str) -> None:
    """The instance is no more: its volumes are free."""
    connection.execute(
        update(volumes)
        .where(volumes.c.instance_uuid == instance_uuid)
        .values(instance_uuid=None, target=None, attached_at=None)
    )
