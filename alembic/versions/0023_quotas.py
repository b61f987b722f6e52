"""quotas"""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table, owner in (("quotas", "project_id"), ("quota_classes", "class_name")):
        op.create_table(
            table,
            sa.Column(owner, sa.String(255), primary_key=True),
            sa.Column("resource", sa.String(64), primary_key=True),
            sa.Column("hard_limit", sa.Integer(), nullable=False),
        )


def downgrade() -> None:
    op.drop_table("quota_classes")
    op.drop_table("quotas")
