"""what agents remember: the order of an instance's operations, and when a fact was last told"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table, column in (("operations", "serial"), ("instances", "served"), ("copies", "served")):
        op.add_column(table, sa.Column(column, sa.BigInteger(), nullable=False, server_default="0"))
    # as new ones get theirs: microseconds since the epoch
    op.execute("UPDATE operations SET serial = CAST(created_at * 1000000 AS BIGINT)")
    op.add_column("facts", sa.Column("told_at", sa.Double(), nullable=True))
    op.add_column("hosts", sa.Column("heard_since", sa.Double(), nullable=True))


def downgrade() -> None:
    for table, column in (("hosts", "heard_since"), ("facts", "told_at")):
        with op.batch_alter_table(table) as change:
            change.drop_column(column)
    for table, column in (("copies", "served"), ("instances", "served"), ("operations", "serial")):
        with op.batch_alter_table(table) as change:
            change.drop_column(column)
