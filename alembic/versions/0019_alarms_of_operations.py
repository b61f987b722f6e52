"""alarms about one operation, of which an instance may have several"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_KINDS = "kind IN ('split', 'lost', 'torn', 'operation-overdue', 'operation-unreadable')"
_STILL_OPEN = sa.text("cleared_at IS NULL")


def upgrade() -> None:
    op.add_column("alarms", sa.Column("operation_uuid", sa.String(36), nullable=False, server_default=""))
    active = "instance_uuid = alarms.instance_uuid AND active = true AND holds = true"
    newest = f"SELECT MAX(id) FROM operations WHERE {active}"
    op.execute(
        "UPDATE alarms SET operation_uuid = "
        f"COALESCE((SELECT o.uuid FROM operations AS o WHERE o.id = ({newest})), '') "
        f"WHERE cleared_at IS NULL AND {_KINDS}"
    )
    op.execute(  # whose operation is over
        "UPDATE alarms SET cleared_at = COALESCE(changed_at, raised_at) "
        f"WHERE cleared_at IS NULL AND operation_uuid = '' AND {_KINDS}"
    )
    _index("kind", "host", "instance_uuid", "operation_uuid")


def downgrade() -> None:
    op.execute(
        "UPDATE alarms SET cleared_at = raised_at WHERE cleared_at IS NULL AND id NOT IN "
        "(SELECT MAX(id) FROM alarms WHERE cleared_at IS NULL GROUP BY kind, host, instance_uuid)"
    )
    _index("kind", "host", "instance_uuid")
    with op.batch_alter_table("alarms") as change:
        change.drop_column("operation_uuid")


def _index(*columns: str) -> None:
    op.drop_index("uq_alarms_one_open", "alarms")
    name, still_open = "uq_alarms_one_open", {"sqlite_where": _STILL_OPEN, "postgresql_where": _STILL_OPEN}
    op.create_index(name, "alarms", list(columns), unique=True, **still_open)
