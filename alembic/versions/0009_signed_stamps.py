"""stamps of domains are signed, and hosts are believed about instances that they ever had"""

import secrets
import time

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    keys = op.create_table(
        "keys",
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("value", sa.String(255), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_keys"),
    )
    op.bulk_insert(keys, [{"name": "stamp", "value": secrets.token_hex(32), "created_at": time.time()}])
    op.add_column("copies", sa.Column("stamp_operation", sa.String(36)))
    op.add_column("copies", sa.Column("stamp_epoch", sa.BigInteger()))
    op.add_column("copies", sa.Column("stamp_host", sa.String(255)))
    op.add_column("copies", sa.Column("believed", sa.Boolean(), nullable=False, server_default=sa.true()))
    op.add_column("instances", sa.Column("accepted_stamps", sa.JSON()))


def downgrade() -> None:
    op.drop_column("instances", "accepted_stamps")
    for name in ("believed", "stamp_host", "stamp_epoch", "stamp_operation"):
        op.drop_column("copies", name)
    op.drop_table("keys")
