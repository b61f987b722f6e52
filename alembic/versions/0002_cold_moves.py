"""cold moves: who holds the instance, confirmation, fencing"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("hosts", schema=None) as batch_op:
        batch_op.add_column(sa.Column("fencing", sa.JSON(), nullable=True))
        batch_op.add_column(sa.Column("fence_attempt", sa.JSON(), nullable=True))
    with op.batch_alter_table("operations", schema=None) as batch_op:
        batch_op.drop_index("uq_operations_one_active")
        batch_op.add_column(sa.Column("holds", sa.Boolean(), server_default=sa.true(), nullable=False))
        batch_op.add_column(sa.Column("confirm_requested", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.create_index(
        "uq_operations_one_active",
        "operations",
        ["instance_uuid"],
        unique=True,
        sqlite_where=sa.text("active = 1 AND holds = 1"),
        postgresql_where=sa.text("active AND holds"),
    )


def downgrade() -> None:
    op.drop_index("uq_operations_one_active", table_name="operations")
    with op.batch_alter_table("operations", schema=None) as batch_op:
        batch_op.drop_column("confirm_requested")
        batch_op.drop_column("holds")
    op.create_index(
        "uq_operations_one_active",
        "operations",
        ["instance_uuid"],
        unique=True,
        sqlite_where=sa.text("active = 1"),
        postgresql_where=sa.text("active"),
    )
    with op.batch_alter_table("hosts", schema=None) as batch_op:
        batch_op.drop_column("fence_attempt")
        batch_op.drop_column("fencing")
