"""guest_failures: guests that stopped by a failure, and may be started again"""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "guest_failures",
        sa.Column("instance_uuid", sa.String(36), primary_key=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failed_at", sa.Double(), nullable=False),
        sa.Column("due", sa.Boolean(), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("guest_failures")
