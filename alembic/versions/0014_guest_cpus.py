"""whose guests see a CPU: each host's own, so that none displaces another's"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_table("guest_cpus")  # agents tell of them again within seconds
    op.create_table(
        "guest_cpus",
        sa.Column("host", sa.String(255), primary_key=True),
        sa.Column("key", sa.String(36), primary_key=True),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("seen_at", sa.Double(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("guest_cpus")
    op.create_table(
        "guest_cpus",
        sa.Column("key", sa.String(36), primary_key=True),
        sa.Column("seen_at", sa.Double(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
    )
