"""what agents see when nothing is moved"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "surveys",
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("received_at", sa.Double(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("host", name=op.f("pk_surveys")),
    )
    op.create_table(
        "guest_cpus",
        sa.Column("key", sa.String(length=36), nullable=False),
        sa.Column("seen_at", sa.Double(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_guest_cpus")),
    )


def downgrade() -> None:
    op.drop_table("guest_cpus")
    op.drop_table("surveys")
