"""capacity_check: what the newest look at the fleet found, whichever server took it"""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    checked = op.create_table(
        "capacity_check",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("begun_at", sa.Double(), nullable=False),
        sa.Column("ended_at", sa.Double(), nullable=True),
        sa.Column("took_s", sa.Double(), nullable=False),
        sa.Column("no_place", sa.Integer(), nullable=False),
        sa.Column("local_disks", sa.Integer(), nullable=False),
    )
    first = {"id": 1, "begun_at": 0.0, "ended_at": None, "took_s": 0.0, "no_place": 0, "local_disks": 0}
    op.bulk_insert(checked, [first])


def downgrade() -> None:
    op.drop_table("capacity_check")
