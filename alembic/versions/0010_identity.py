"""which machine a host is, what it last wrote into its pools, and a clock of the servers that no operator sets"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("listening") as table:
        table.add_column(sa.Column("clock", sa.Double(), nullable=False, server_default="0"))
        table.add_column(sa.Column("steps", sa.Integer(), nullable=False, server_default="0"))
        table.add_column(sa.Column("step_s", sa.Double()))
        table.add_column(sa.Column("stepped_at", sa.Double()))
    op.execute("UPDATE listening SET clock = alive_at")
    with op.batch_alter_table("hosts") as table:
        table.add_column(sa.Column("machine", sa.String(36)))
        table.add_column(sa.Column("claimant", sa.JSON()))
        table.add_column(sa.Column("proofs", sa.JSON()))
        table.add_column(sa.Column("fence_address", sa.String(255)))
        table.add_column(sa.Column("boot", sa.String(36)))
        table.add_column(sa.Column("resume_until", sa.Double))


def downgrade() -> None:
    with op.batch_alter_table("hosts") as table:
        for name in ("machine", "claimant", "proofs", "fence_address", "boot", "resume_until"):
            table.drop_column(name)
    with op.batch_alter_table("listening") as table:
        for name in ("clock", "steps", "step_s", "stepped_at"):
            table.drop_column(name)
