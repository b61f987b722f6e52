"""Guests that stopped by a failure: how often lately, and whether an answer is due. Never decides on the answer."""

from collections.abc import Collection, Sequence
from typing import cast

from sqlalchemy import Connection, delete, select, true, update

from migrator.db import server_heartbeat
from migrator.db.drain_rows import GuestFailureRow
from migrator.db.tables import guest_failures

WINDOW_S = 3600.0  # a guest that ran for so long begins anew
_F = guest_failures.c


def note(connection: Connection, uuids: Collection[str]) -> None:
    """These instances' guests were found to have failed. The row of their host is locked."""
    for uuid in sorted(uuids):
        moment = server_heartbeat.clock(connection)
        known = connection.execute(select(guest_failures).where(_F.instance_uuid == uuid)).one_or_none()
        if known is None:
            first = {"instance_uuid": uuid, "failures": 1, "failed_at": moment, "due": True}
            connection.execute(guest_failures.insert().values(**first))
            continue
        failures = known.failures + 1 if moment - known.failed_at < WINDOW_S else 1
        values = {"failures": failures, "failed_at": moment, "due": True, "operation_id": None}
        connection.execute(update(guest_failures).where(_F.instance_uuid == uuid).values(**values))


def every(connection: Connection) -> Sequence[GuestFailureRow]:
    age_s = (server_heartbeat.clock_expression(connection) - _F.failed_at).label("age_s")
    query = select(*_F, age_s).order_by(_F.failed_at, _F.instance_uuid)
    return cast(Sequence[GuestFailureRow], connection.execute(query).all())


def answer(connection: Connection, row: GuestFailureRow, operation_id: int | None = None) -> bool:
    """An answer is given to the failure: the start of this id. False: another server gave one, or it failed again."""
    same = (_F.instance_uuid == row.instance_uuid, _F.failed_at == row.failed_at, _F.due == true())
    return (
        connection.execute(update(guest_failures).where(*same).values(due=False, operation_id=operation_id)).rowcount
        > 0
    )


def fail_again(connection: Connection, row: GuestFailureRow) -> bool:
    """The guest could not be started: that is one more failure. False: it is known already, or overtaken."""
    same = (_F.instance_uuid == row.instance_uuid, _F.failed_at == row.failed_at, _F.due == row.due)
    moment = server_heartbeat.clock(connection)
    values = {"failures": row.failures + 1, "failed_at": moment, "due": True, "operation_id": None}
    return connection.execute(update(guest_failures).where(*same).values(**values)).rowcount > 0


def hold_back(connection: Connection, uuid: str) -> bool:
    """A person wants the guest to stay off. False: no answer to a failure of it was due."""
    due = (_F.instance_uuid == uuid, _F.due == true())
    return connection.execute(update(guest_failures).where(*due).values(due=False)).rowcount > 0


def forget(connection: Connection, row: GuestFailureRow) -> None:
    """What is said of the guest is over, unless it failed again."""
    same = (_F.instance_uuid == row.instance_uuid, _F.failed_at == row.failed_at)
    connection.execute(delete(guest_failures).where(*same))
