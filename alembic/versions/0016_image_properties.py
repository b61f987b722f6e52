"""the properties that an instance's image had when the instance was made"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("instances", sa.Column("image_properties", sa.JSON(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("instances") as change:
        change.drop_column("image_properties")
