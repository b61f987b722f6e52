"""Instances, the writing side: what an operation's effects change in the instance's row."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, false, select, update

from migrator.db.clock import now
from migrator.db.tables import instances
from migrator.errors import InstanceNotFound


def get(connection: Connection, uuid: str, *, deleted: bool = False) -> Row[Any]:
    """The instance's row. Raises InstanceNotFound; a deleted one is only found when asked for."""
    row = connection.execute(select(instances).where(instances.c.uuid == uuid)).one_or_none()
    if row is None or (row.deleted and not deleted):
        raise InstanceNotFound(f"Instance {uuid} could not be found.")
    return row


def on_host(connection: Connection, host: str) -> Sequence[Row[Any]]:
    """Rows of every instance recorded there, oldest first."""
    query = select(instances).where(instances.c.host == host, instances.c.deleted == false())
    return connection.execute(query.order_by(instances.c.id)).all()


def create(connection: Connection, values: Mapping[str, Any]) -> None:
    connection.execute(instances.insert().values(created_at=now(connection), **values))


def change(connection: Connection, uuid: str, values: Mapping[str, Any]) -> None:
    connection.execute(update(instances).where(instances.c.uuid == uuid).values(updated_at=now(connection), **values))


def launched(connection: Connection, uuid: str) -> None:
    connection.execute(update(instances).where(instances.c.uuid == uuid).values(launched_at=now(connection)))


def terminated(connection: Connection, uuid: str) -> None:
    connection.execute(
        update(instances)
        .where(instances.c.uuid == uuid)
        .values(terminated_at=now(connection), deleted=True, vm_state="deleted", power_state=0, task_state=None)
    )
