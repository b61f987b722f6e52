"""steering a transfer, and its progress as a time series"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("operations", schema=None) as batch_op:
        batch_op.add_column(sa.Column("steering", sa.JSON(), nullable=True))
    op.create_table(
        "progress",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("operation_id", sa.Integer(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("remaining_bytes", sa.BigInteger(), nullable=False),
        sa.Column("job", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["operation_id"], ["operations.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_progress_operation", "progress", ["operation_id", "at"])
    op.create_index("ix_progress_low", "progress", ["operation_id", "remaining_bytes", "at"])


def downgrade() -> None:
    op.drop_index("ix_progress_low", table_name="progress")
    op.drop_index("ix_progress_operation", table_name="progress")
    op.drop_table("progress")
    with op.batch_alter_table("operations", schema=None) as batch_op:
        batch_op.drop_column("steering")
