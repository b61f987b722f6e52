"""an index for every list, and what has ended is counted once"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_MOVES, _REQUESTS = sa.text("moves"), sa.text("name IN ('cancel', 'force', 'confirm', 'revert')")
_OF_MOVES = ("status", "source", "destination", "kind", "instance_uuid", "user_id", "project_id")
_OF_INSTANCES = (
    "task_state",
    "power_state",
    "image_id",
    "user_id",
    "key_name",
    "reservation_id",
    "availability_zone",
    "locked_by",
)
_MORE = (
    ("ix_operations_history", "operations", ["instance_uuid", "created_at", "id"]),
    ("ix_operations_request", "operations", ["instance_uuid", "request_id"]),
    ("ix_instances_deleted", "instances", ["deleted", "id"]),
    ("ix_instances_created", "instances", ["deleted", "created_at", "id"]),
    ("ix_instances_name", "instances", ["deleted", "name", "id"]),
    ("ix_instances_vm_state", "instances", ["deleted", "vm_state", "id"]),
    ("ix_instances_changed", "instances", ["updated_at", "created_at"]),
    *((f"ix_instances_{name}", "instances", [name, "id"]) for name in _OF_INSTANCES),
)
# name, table, columns before, columns from now on
_WIDER = (
    ("ix_operations_active", "operations", ["active"], ["active", "id"]),
    ("ix_instances_host", "instances", ["host"], ["host", "deleted", "id"]),
)


def _partly(name: str, table: str, columns: list[str], condition: sa.TextClause) -> None:
    op.create_index(name, table, columns, sqlite_where=condition, postgresql_where=condition)


def upgrade() -> None:
    for name, table, _, columns in _WIDER:
        op.drop_index(name, table_name=table)
        op.create_index(name, table, columns)
    for name, table, columns in _MORE:
        op.create_index(name, table, columns)
    op.drop_index("ix_operations_moves", table_name="operations")
    _partly("ix_operations_moves", "operations", ["created_at", "id"], _MOVES)
    for column in _OF_MOVES:
        _partly(f"ix_operations_moves_{column}", "operations", [column, "created_at", "id"], _MOVES)
    _partly("ix_operations_moves_updated_at", "operations", ["updated_at"], _MOVES)
    _partly("ix_events_requests", "events", ["instance_uuid", "at", "id"], _REQUESTS)
    totals = op.create_table(
        "ended_totals",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("finished_at", sa.Double(), nullable=False),
        sa.Column("operation_id", sa.Integer(), nullable=False),
        sa.Column("totals", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_ended_totals"),
    )
    op.bulk_insert(totals, [{"id": 1, "finished_at": 0.0, "operation_id": 0, "totals": {}}])


def downgrade() -> None:
    op.drop_table("ended_totals")
    op.drop_index("ix_events_requests", table_name="events")
    for column in ("updated_at", *_OF_MOVES):
        op.drop_index(f"ix_operations_moves_{column}", table_name="operations")
    op.drop_index("ix_operations_moves", table_name="operations")
    op.create_index("ix_operations_moves", "operations", ["moves", "created_at", "id"])
    for name, table, _ in _MORE:
        op.drop_index(name, table_name=table)
    for name, table, columns, _ in _WIDER:
        op.drop_index(name, table_name=table)
        op.create_index(name, table, columns)
