"""aggregates of hosts"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "aggregates",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("uuid", sa.String(36), nullable=False, unique=True),
        sa.Column("name", sa.String(255), nullable=False, unique=True),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=True),
    )
    op.create_table(
        "aggregate_hosts",
        sa.Column("aggregate_id", sa.Integer(), primary_key=True),
        sa.Column("host", sa.String(255), primary_key=True),
    )
    op.create_index("ix_aggregate_hosts_host", "aggregate_hosts", ["host"])


def downgrade() -> None:
    op.drop_table("aggregate_hosts")
    op.drop_table("aggregates")
