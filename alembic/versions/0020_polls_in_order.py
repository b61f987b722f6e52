"""which poll told last what a host's agent works on, and which copies the host has"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("hosts", sa.Column("poll_incarnation", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("hosts", sa.Column("poll_number", sa.BigInteger(), nullable=False, server_default="0"))


def downgrade() -> None:
    for column in ("poll_number", "poll_incarnation"):
        with op.batch_alter_table("hosts") as change:
            change.drop_column(column)
