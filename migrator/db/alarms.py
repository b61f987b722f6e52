"""Alarms: raised and cleared, at most one open for each kind, host, instance and operation.

Owns their rows and the timeline's lines about them. Never decides what is alarming. A transaction that holds other
rows raises and clears alarms last, in the order of (kind, host, instance, operation), so that two never wait for each
other.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, cast

from sqlalchemy import Connection, bindparam, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from migrator.alarms import DISPUTES, AlarmKind
from migrator.db import events
from migrator.db.clock import now_expression
from migrator.db.rows import AlarmRow
from migrator.db.tables import alarms
from migrator.event_types import EventType

_OPEN = alarms.c.cleared_at.is_(None)
# Every poll of every agent asks: built once.
_OPEN_OF_HOST = select(alarms).where(_OPEN, alarms.c.host == bindparam("wanted")).order_by(alarms.c.id.desc())

_OPEN_OF_HOSTS = select(alarms.c.kind, alarms.c.host).where(
    _OPEN, alarms.c.host.in_(bindparam("hosts", expanding=True)), alarms.c.kind.in_(bindparam("kinds", expanding=True))
)
_OPEN_DISPUTES = (
    select(alarms.c.instance_uuid, alarms.c.message)
    .where(_OPEN, alarms.c.instance_uuid.in_(bindparam("wanted", expanding=True)), alarms.c.kind.in_(DISPUTES))
    .order_by(alarms.c.kind, alarms.c.host)
)


def raise_alarm(
    connection: Connection,
    kind: AlarmKind,
    message: str,
    *,
    host: str | None = None,
    instance_uuid: str | None = None,
    operation_uuid: str | None = None,
    details: Mapping[str, Any] | None = None,
    told: bool = False,
) -> bool:
    """Open the alarm, or bring the words of the open one up to date. True: it was not open before. ``told``: the
    timeline has a line about it already."""
    subject = {"kind": kind.value, "host": host or "", "instance_uuid": instance_uuid or ""}
    subject["operation_uuid"] = operation_uuid or ""
    said = {"message": message, "details": dict(details) if details is not None else None}
    found = connection.execute(select(alarms.c.id, alarms.c.message).where(_OPEN, *_about(subject))).one_or_none()
    if found is not None:
        if found.message != message:
            connection.execute(
                update(alarms).where(alarms.c.id == found.id).values(changed_at=now_expression(connection), **said)
            )
        return False
    if not _insert(connection, subject | said):
        return False  # another server raised it at this moment
    if not told:
        events.add(
            connection, EventType.ALARM, message, instance_uuid=instance_uuid, host=host, details={"kind": kind.value}
        )
    return True


def _insert(connection: Connection, values: Mapping[str, Any]) -> bool:
    make = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    statement = make(alarms).values(raised_at=now_expression(connection), **values)
    subject = ["kind", "host", "instance_uuid", "operation_uuid"]
    statement = statement.on_conflict_do_nothing(index_elements=subject, index_where=_OPEN)
    return connection.execute(statement.returning(alarms.c.id)).first() is not None


def clear_alarm(
    connection: Connection,
    kind: AlarmKind,
    *,
    host: str | None = None,
    instance_uuid: str | None = None,
    operation_uuid: str | None = None,
) -> bool:
    """Close the alarm about exactly this subject. True: it was open."""
    about = {"host": host or "", "instance_uuid": instance_uuid or "", "operation_uuid": operation_uuid or ""}
    return clear_alarms(connection, [kind], **about) > 0


def clear_alarms(
    connection: Connection,
    kinds: Collection[AlarmKind],
    *,
    host: str | None = None,
    instance_uuid: str | None = None,
    operation_uuid: str | None = None,
) -> int:
    """Close every open alarm of these kinds that is about this host, this instance or this operation; how many there
    were. A part of the subject that is None may be anything, one that is "" must be missing."""
    query = select(alarms).where(_OPEN, alarms.c.kind.in_([kind.value for kind in kinds]))
    subject = {"host": host, "instance_uuid": instance_uuid, "operation_uuid": operation_uuid}
    query = query.where(*_about({name: value for name, value in subject.items() if value is not None}))
    order = (alarms.c.kind, alarms.c.host, alarms.c.instance_uuid, alarms.c.operation_uuid)
    closed = 0
    for row in connection.execute(query.order_by(*order)).all():
        change = update(alarms).where(alarms.c.id == row.id, _OPEN).values(cleared_at=now_expression(connection))
        if connection.execute(change).rowcount == 0:
            continue  # another server cleared it at this moment
        closed += 1
        message = f"no longer: {row.message}"
        about = {"instance_uuid": row.instance_uuid or None, "host": row.host or None}
        events.add(connection, EventType.ALARM_CLEARED, message, details={"kind": row.kind}, **about)
    return closed


def listed(
    connection: Connection,
    *,
    host: str | None = None,
    instance_uuid: str | None = None,
    kinds: Sequence[str] = (),
    cleared: bool = False,
    limit: int | None = None,
) -> Sequence[AlarmRow]:
    """Rows of ``alarms``, newest first: the open ones, or with ``cleared`` all of them."""
    if host is not None and instance_uuid is None and not kinds and not cleared and limit is None:
        return cast(Sequence[AlarmRow], connection.execute(_OPEN_OF_HOST, {"wanted": host}).all())
    query = select(alarms)
    if not cleared:
        query = query.where(_OPEN)
    if host is not None:
        query = query.where(alarms.c.host == host)
    if instance_uuid is not None:
        query = query.where(alarms.c.instance_uuid == instance_uuid)
    if kinds:
        query = query.where(alarms.c.kind.in_(list(kinds)))
    query = query.order_by(alarms.c.id.desc())
    rows = connection.execute(query if limit is None else query.limit(limit)).all()
    return cast(Sequence[AlarmRow], rows)


def open_of_hosts(
    connection: Connection, hosts: Collection[str], kinds: Collection[AlarmKind]
) -> Collection[tuple[str, str]]:
    """(kind, host) of each open alarm of these kinds about these hosts."""
    asked = {"hosts": list(hosts), "kinds": [kind.value for kind in kinds]}
    return {(row.kind, row.host) for row in connection.execute(_OPEN_OF_HOSTS, asked)}


def disputes(connection: Connection, uuids: Collection[str]) -> Mapping[str, str]:
    """Instance -> why nothing may be done to it, where an open alarm says so."""
    if not uuids:
        return {}
    found: dict[str, list[str]] = {}
    for row in connection.execute(_OPEN_DISPUTES, {"wanted": list(uuids)}):
        found.setdefault(row.instance_uuid, []).append(row.message)
    return {uuid: "; ".join(messages) for uuid, messages in found.items()}


def open_by_kind(connection: Connection) -> Mapping[str, int]:
    """Kind -> how many are open."""
    query = select(alarms.c.kind, func.count().label("number")).where(_OPEN).group_by(alarms.c.kind)
    return {row.kind: row.number for row in connection.execute(query)}


def _about(subject: Mapping[str, str]) -> list[Any]:
    return [alarms.c[name] == value for name, value in subject.items()]
