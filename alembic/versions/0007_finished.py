"""what has ended is read in the order in which it ended"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_operations_finished", "operations", ["finished_at", "id"])


def downgrade() -> None:
    op.drop_index("ix_operations_finished", table_name="operations")
