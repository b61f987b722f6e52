"""alarms that are open until what raised them is over"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "alarms",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("instance_uuid", sa.String(36), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("details", sa.JSON()),
        sa.Column("raised_at", sa.Double(), nullable=False),
        sa.Column("changed_at", sa.Double()),
        sa.Column("cleared_at", sa.Double()),
        sa.PrimaryKeyConstraint("id", name="pk_alarms"),
    )
    still_open = sa.text("cleared_at IS NULL")
    op.create_index(
        "uq_alarms_one_open",
        "alarms",
        ["kind", "host", "instance_uuid"],
        unique=True,
        sqlite_where=still_open,
        postgresql_where=still_open,
    )
    op.create_index("ix_alarms_instance_uuid", "alarms", ["instance_uuid", "id"])
    op.create_index("ix_alarms_host", "alarms", ["host", "id"])


def downgrade() -> None:
    op.drop_table("alarms")
