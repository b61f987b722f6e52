"""rebalances: proposed moves, and what became of them"""

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "rebalances",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("uuid", sa.String(36), nullable=False, unique=True),
        sa.Column("objective", sa.String(16), nullable=False),
        sa.Column("request", sa.JSON(), nullable=False),
        sa.Column("plan", sa.JSON(), nullable=False),
        sa.Column("user_id", sa.String(255), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
    )
    op.create_table(
        "rebalance_moves",
        sa.Column("rebalance_id", sa.Integer(), sa.ForeignKey("rebalances.id"), primary_key=True),
        sa.Column("instance_uuid", sa.String(36), primary_key=True),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("source", sa.String(255), nullable=False),
        sa.Column("destination", sa.String(255), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("group_uuid", sa.String(36), nullable=True),
        sa.Column("proposal", sa.JSON(), nullable=False),
        sa.Column("drain_id", sa.Integer(), sa.ForeignKey("drains.id"), nullable=True),
    )
    op.create_index("ix_rebalance_moves_drain", "rebalance_moves", ["drain_id"])


def downgrade() -> None:
    op.drop_index("ix_rebalance_moves_drain", "rebalance_moves")
    op.drop_table("rebalance_moves")
    op.drop_table("rebalances")
