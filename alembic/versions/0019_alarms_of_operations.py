"""alarms about one operation, of which an instance may have several

An open alarm is given to the one active operation of its instance that says the same. Where several do, or none does,
it is closed. An operation that is left without an alarm forgets that it had one: its next look raises it anew.
"""

import json
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_STILL_OPEN = sa.text("cleared_at IS NULL")
# How the reason to wait begins, by which an operation tells that the alarm was raised; of an overdue one its context.
_WAITING = {
    "split": "SPLIT:",
    "lost": "LOST:",
    "torn": "TORN:",
    "operation-unreadable": "this server cannot read the operation",
}
_OVERDUE = "operation-overdue"

_ALARMS = sa.table(
    "alarms", *(sa.column(name) for name in ("id", "kind", "instance_uuid", "operation_uuid", "cleared_at"))
)
_OPERATIONS = sa.table(
    "operations",
    *(sa.column(name) for name in ("id", "uuid", "instance_uuid", "waiting", "generation")),
    sa.column("active", sa.Boolean()),
    sa.column("context", sa.JSON()),
)


def upgrade() -> None:
    op.add_column("alarms", sa.Column("operation_uuid", sa.String(36), nullable=False, server_default=""))
    _give_to_operations(op.get_bind())
    _index("kind", "host", "instance_uuid", "operation_uuid")


def downgrade() -> None:
    op.execute(
        "UPDATE alarms SET cleared_at = raised_at WHERE cleared_at IS NULL AND id NOT IN "
        "(SELECT MAX(id) FROM alarms WHERE cleared_at IS NULL GROUP BY kind, host, instance_uuid)"
    )
    _index("kind", "host", "instance_uuid")
    with op.batch_alter_table("alarms") as change:
        change.drop_column("operation_uuid")


def _index(*columns: str) -> None:
    op.drop_index("uq_alarms_one_open", "alarms")
    name, still_open = "uq_alarms_one_open", {"sqlite_where": _STILL_OPEN, "postgresql_where": _STILL_OPEN}
    op.create_index(name, "alarms", list(columns), unique=True, **still_open)


def _give_to_operations(connection: sa.Connection) -> None:
    saying: dict[tuple[str, str], list[Any]] = {}  # (instance, kind) -> the operations that say it, which want an alarm
    c = _OPERATIONS.c
    context = sa.cast(c.context, sa.Text()).label("context")  # one that is damaged keeps no database from its upgrade
    query = sa.select(c.id, c.uuid, c.instance_uuid, c.waiting, context).where(c.active == sa.true())
    for operation in connection.execute(query).all():
        for kind in _said(operation):
            saying.setdefault((operation.instance_uuid, kind), []).append(operation)
    is_open = sa.select(_ALARMS).where(_STILL_OPEN, _ALARMS.c.kind.in_([*_WAITING, _OVERDUE]))
    for alarm in connection.execute(is_open).all():
        about = saying.get((alarm.instance_uuid, alarm.kind), [])
        values: dict[str, Any] = {"cleared_at": sa.func.coalesce(sa.column("changed_at"), sa.column("raised_at"))}
        if len(about) == 1:
            values = {"operation_uuid": about.pop().uuid}
        connection.execute(sa.update(_ALARMS).where(_ALARMS.c.id == alarm.id).values(values))
    for (_, kind), operations in saying.items():
        for operation in operations:
            _forget(connection, operation, kind)


def _said(operation: Any) -> Iterator[str]:
    if _context(operation).get("overdue"):
        yield _OVERDUE
    yield from (kind for kind, words in _WAITING.items() if (operation.waiting or "").startswith(words))


def _context(operation: Any) -> dict[str, Any]:
    try:
        found = json.loads(operation.context)
    except (TypeError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _forget(connection: sa.Connection, operation: Any, kind: str) -> None:
    """What keeps the operation from raising the alarm."""
    forgotten = {"context": {**_context(operation), "overdue": ""}} if kind == _OVERDUE else {"waiting": None}
    change = sa.update(_OPERATIONS).where(_OPERATIONS.c.id == operation.id)
    connection.execute(change.values(generation=_OPERATIONS.c.generation + 1, **forgotten))
