"""measured use: what hosts and instances really used, an hour at a time"""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "use_hours",
        sa.Column("hour", sa.Integer(), primary_key=True),
        sa.Column("host", sa.String(255), primary_key=True),
        sa.Column("instance_uuid", sa.String(36), primary_key=True),
        sa.Column("samples", sa.Integer(), nullable=False),
        sa.Column("cpus", sa.Double(), nullable=False),
        sa.Column("cpus_peak", sa.Double(), nullable=False),
        sa.Column("waiting_cpus", sa.Double(), nullable=False),
        sa.Column("memory_mb", sa.Double(), nullable=False),
        sa.Column("memory_peak_mb", sa.Double(), nullable=False),
    )
    op.create_index("ix_use_hours_host", "use_hours", ["host", "instance_uuid"])
    op.create_index("ix_use_hours_instance_uuid", "use_hours", ["instance_uuid"])
    sampling = op.create_table(
        "use_sampling",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("begun_at", sa.Double(), nullable=False),
    )
    op.bulk_insert(sampling, [{"id": 1, "begun_at": 0.0}])


def downgrade() -> None:
    op.drop_table("use_sampling")
    op.drop_index("ix_use_hours_instance_uuid", "use_hours")
    op.drop_index("ix_use_hours_host", "use_hours")
    op.drop_table("use_hours")
