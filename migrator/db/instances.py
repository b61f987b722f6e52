"""Instances, the writing side: what an operation's effects change in the instance's row."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, cast

from sqlalchemy import Connection, bindparam, false, select, update

from migrator.db.clock import now_expression
from migrator.db.partial_rows import SpecRow
from migrator.db.rows import InstanceRow
from migrator.db.tables import instances, operations
from migrator.errors import InstanceNotFound

_ONE = select(instances).where(instances.c.uuid == bindparam("wanted"))
_SPECS = select(
    instances.c.uuid, instances.c.spec, instances.c.host, instances.c.deleted, instances.c.delete_requested
).where(instances.c.uuid.in_(bindparam("uuids", expanding=True)))


def get(connection: Connection, uuid: str, *, deleted: bool = False) -> InstanceRow:
    """The instance's row. Raises InstanceNotFound; a deleted one is only found when asked for."""
    row = connection.execute(_ONE, {"wanted": uuid}).one_or_none()
    if row is None or (row.deleted and not deleted):
        raise InstanceNotFound(f"Instance {uuid} could not be found.")
    return cast(InstanceRow, row)


def lock(connection: Connection, uuid: str) -> InstanceRow:
    """The instance's row as it is now, locked until this transaction is over. Raises InstanceNotFound."""
    row = connection.execute(_ONE.with_for_update(), {"wanted": uuid}).one_or_none()
    if row is None or row.deleted:
        raise InstanceNotFound(f"Instance {uuid} could not be found.")
    return cast(InstanceRow, row)


def specs(connection: Connection, uuids: Collection[str]) -> Mapping[str, SpecRow]:
    """By UUID, of these instances, deleted ones too."""
    if not uuids:
        return {}
    rows = connection.execute(_SPECS, {"uuids": list(uuids)}).all()
    return {row.uuid: row for row in cast(Sequence[SpecRow], rows)}


def specs_of_operations(connection: Connection, operation_ids: Collection[int]) -> Sequence[Any]:
    """The spec of each instance that one of these operations is about."""
    about = select(operations.c.instance_uuid).where(operations.c.id.in_(operation_ids))
    return connection.execute(select(instances.c.spec).where(instances.c.uuid.in_(about))).scalars().all()


def on_host(connection: Connection, host: str) -> Sequence[InstanceRow]:
    """Rows of every instance recorded there, oldest first."""
    query = select(instances).where(instances.c.host == host, instances.c.deleted == false())
    return cast(Sequence[InstanceRow], connection.execute(query.order_by(instances.c.id)).all())


def on_hosts(connection: Connection, names: Collection[str] | None = None) -> Sequence[InstanceRow]:
    """Rows of every instance recorded on one of these hosts, oldest first. None: on any host."""
    where = instances.c.host.in_(names) if names is not None else instances.c.host.is_not(None)
    query = select(instances).where(where, instances.c.deleted == false()).order_by(instances.c.id)
    return cast(Sequence[InstanceRow], connection.execute(query).all())


def by_uuids(connection: Connection, uuids: Collection[str]) -> Mapping[str, InstanceRow]:
    """The instances that there are among these, without deleted ones."""
    if not uuids:
        return {}
    query = select(instances).where(instances.c.uuid.in_(uuids), instances.c.deleted == false())
    return {row.uuid: row for row in cast(Sequence[InstanceRow], connection.execute(query).all())}


def create(connection: Connection, values: Mapping[str, Any]) -> None:
    connection.execute(instances.insert().values(created_at=now_expression(connection), **values))


def change(connection: Connection, uuid: str, values: Mapping[str, Any]) -> None:
    connection.execute(
        update(instances).where(instances.c.uuid == uuid).values(updated_at=now_expression(connection), **values)
    )


def launched(connection: Connection, uuid: str) -> None:
    connection.execute(update(instances).where(instances.c.uuid == uuid).values(launched_at=now_expression(connection)))


def terminated(connection: Connection, uuid: str) -> None:
    connection.execute(
        update(instances)
        .where(instances.c.uuid == uuid)
        .values(
            terminated_at=now_expression(connection), deleted=True, vm_state="deleted", power_state=0, task_state=None
        )
    )
