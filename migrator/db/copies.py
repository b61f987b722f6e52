"""Copies: which domains each host says it holds."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, Row, and_, delete, false, not_, select, true

from migrator.db.clock import now
from migrator.db.tables import copies, events, instances, operations
from migrator.operations import VERIFY


def replace(connection: Connection, host: str, states: Mapping[str, str]) -> None:
    """Make the host's rows exactly ``states``: instance UUID -> domain state."""
    connection.execute(delete(copies).where(copies.c.host == host))
    moment = now(connection)
    rows = [{"host": host, "instance_uuid": u, "state": s, "seen_at": moment} for u, s in states.items()]
    if rows:
        connection.execute(copies.insert(), rows)


def at_rest(connection: Connection, uuids: Sequence[str], quiet_s: float) -> Sequence[Row[str, str | None, str, int]]:
    """Instances among ``uuids`` that nothing acts on and whose record has not changed for ``quiet_s`` seconds, so
    that a copy list made a moment ago cannot contradict it by being old: (uuid, host, vm_state, power_state). A move
    that waits for its confirmation, perhaps for days, acts on nothing meanwhile."""
    if not uuids:
        return ()
    o = operations.c
    unanswered = and_(o.confirm_requested == false(), o.cancel_requested == false())
    waits = and_(o.phase == VERIFY, o.forward == true(), unanswered)
    busy = select(o.instance_uuid).where(o.active == true(), o.holds == true(), not_(waits))
    query = select(instances.c.uuid, instances.c.host, instances.c.vm_state, instances.c.power_state).where(
        instances.c.uuid.in_(uuids),
        instances.c.deleted == false(),
        instances.c.uuid.not_in(busy),
        instances.c.updated_at < now(connection) - quiet_s,
    )
    return connection.execute(query).all()


def running_elsewhere(connection: Connection, uuid: str, host: str | None) -> Sequence[str]:
    """Other hosts that said, since the instance's record last changed, that they run the instance."""
    query = select(copies.c.host).where(
        copies.c.instance_uuid == uuid,
        copies.c.host != host,
        copies.c.state == "running",
        copies.c.seen_at > select(instances.c.updated_at).where(instances.c.uuid == uuid).scalar_subquery(),
    )
    return connection.execute(query.order_by(copies.c.host)).scalars().all()


def owed_by(connection: Connection, instance_uuid: str, host: str) -> bool:
    """Whether an operation waits for this host to clean up what it has of the instance."""
    query = select(operations.c.id).where(
        operations.c.instance_uuid == instance_uuid,
        operations.c.active == true(),
        operations.c.holds == false(),
        (operations.c.source == host) | (operations.c.destination == host),
    )
    return connection.execute(query.limit(1)).first() is not None


def alarmed(connection: Connection, instance_uuid: str, message: str) -> bool:
    """Whether the instance's newest alarm says just this already."""
    query = (
        select(events.c.message)
        .where(events.c.instance_uuid == instance_uuid, events.c.name == "alarm")
        .order_by(events.c.id.desc())
        .limit(1)
    )
    return connection.execute(query).scalar_one_or_none() == message
