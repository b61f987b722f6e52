"""which instances each host's agent works on, and when it told"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("hosts", sa.Column("working", sa.JSON(), nullable=True))
    op.add_column("hosts", sa.Column("working_at", sa.Double(), nullable=True))


def downgrade() -> None:
    for column in ("working_at", "working"):
        with op.batch_alter_table("hosts") as change:
            change.drop_column(column)
