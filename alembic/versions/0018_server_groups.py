"""server groups, and scheduler hints that name other instances"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "server_groups",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("uuid", sa.String(36), nullable=False, unique=True),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("policy", sa.String(32), nullable=False),
        sa.Column("rules", sa.JSON(), nullable=False),
        sa.Column("project_id", sa.String(255), nullable=False),
        sa.Column("user_id", sa.String(255), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
    )
    op.create_index("ix_server_groups_project", "server_groups", ["project_id", "id"])
    op.create_table(
        "neighbours",
        sa.Column("instance_uuid", sa.String(36), primary_key=True),
        sa.Column("hint", sa.String(16), primary_key=True),
        sa.Column("other_uuid", sa.String(36), primary_key=True),
    )
    op.create_index("ix_neighbours_other", "neighbours", ["other_uuid"])
    op.add_column("instances", sa.Column("server_group", sa.String(36), nullable=True))
    op.add_column("instances", sa.Column("scheduler_hints", sa.JSON(), nullable=True))
    op.create_index("ix_instances_server_group", "instances", ["server_group"])


def downgrade() -> None:
    op.drop_index("ix_instances_server_group", "instances")
    for column in ("scheduler_hints", "server_group"):
        with op.batch_alter_table("instances") as change:
            change.drop_column(column)
    op.drop_table("neighbours")
    op.drop_table("server_groups")
