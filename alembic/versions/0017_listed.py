"""when each host's newest complete list of copies was compared with the records"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("hosts", sa.Column("listed_at", sa.Double(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("hosts") as change:
        change.drop_column("listed_at")
