"""which hosts an operator approved, and what of them instances may be given at most"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("hosts", sa.Column("approved", sa.Boolean(), nullable=False, server_default=sa.true()))
    op.add_column("hosts", sa.Column("allowed", sa.JSON(), nullable=True))


def downgrade() -> None:
    for column in ("allowed", "approved"):
        with op.batch_alter_table("hosts") as change:
            change.drop_column(column)
