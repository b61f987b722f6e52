"""drains: one object for many moves"""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "drains",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("uuid", sa.String(36), nullable=False, unique=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("request", sa.JSON(), nullable=False),
        sa.Column("undo", sa.Boolean(), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("before", sa.JSON(), nullable=False),
        sa.Column("total_s", sa.Double(), nullable=False),
        sa.Column("longest_s", sa.Double(), nullable=False),
        sa.Column("request_id", sa.String(64), nullable=False),
        sa.Column("user_id", sa.String(255), nullable=False),
        sa.Column("project_id", sa.String(255), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("planned_at", sa.Double(), nullable=True),
        sa.Column("deadline_at", sa.Double(), nullable=True),
        sa.Column("finished_at", sa.Double(), nullable=True),
    )
    where = {"sqlite_where": sa.text("active = 1"), "postgresql_where": sa.text("active")}
    op.create_index("uq_drains_one_active", "drains", ["host"], unique=True, **where)
    op.create_index("ix_drains_active", "drains", ["active", "id"])
    op.create_index("ix_drains_host", "drains", ["host", "id"])
    _moves()
    op.create_table(
        "drain_events",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("drain_id", sa.Integer(), sa.ForeignKey("drains.id"), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("instance_uuid", sa.String(36), nullable=True),
        sa.Column("message", sa.Text(), nullable=False),
    )
    op.create_index("ix_drain_events_drain", "drain_events", ["drain_id", "id"])


def _moves() -> None:
    op.create_table(
        "drain_moves",
        sa.Column("drain_id", sa.Integer(), sa.ForeignKey("drains.id"), primary_key=True),
        sa.Column("instance_uuid", sa.String(36), primary_key=True),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("source", sa.String(255), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("way", sa.String(16), nullable=True),
        sa.Column("destination", sa.String(255), nullable=True),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("plan", sa.JSON(), nullable=False),
        sa.Column("group_uuid", sa.String(36), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("operation_id", sa.Integer(), sa.ForeignKey("operations.id"), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
    )
    op.create_index("ix_drain_moves_state", "drain_moves", ["state", "drain_id"])
    op.create_index("ix_drain_moves_instance", "drain_moves", ["instance_uuid"])


def downgrade() -> None:
    op.drop_table("drain_events")
    op.drop_table("drain_moves")
    op.drop_table("drains")
