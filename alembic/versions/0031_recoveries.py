"""recoveries: evacuations that the servers begin, one for each loss of a host; moves pause between attempts"""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "recoveries",
        sa.Column("drain_id", sa.Integer(), sa.ForeignKey("drains.id"), primary_key=True),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("lost_at", sa.Double(), nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=False),
    )
    op.create_index("uq_recoveries_one_a_loss", "recoveries", ["host", "lost_at"], unique=True)
    op.add_column("drain_moves", sa.Column("not_before", sa.Double(), nullable=True))


def downgrade() -> None:
    op.drop_column("drain_moves", "not_before")
    op.drop_table("recoveries")
