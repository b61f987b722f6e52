"""guest_failures: which start answered a failure, so that one that fails itself is told from one that worked"""

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("guest_failures", sa.Column("operation_id", sa.Integer(), nullable=True))


def downgrade() -> None:
    op.drop_column("guest_failures", "operation_id")
