"""a reset of a server's state is a request of its own"""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

_INDEX = "ix_events_requests"
_BEFORE = "name IN ('cancel', 'force', 'confirm', 'revert')"
_AFTER = "name IN ('cancel', 'force', 'confirm', 'revert', 'state-reset')"


def _replace(condition: str) -> None:
    op.drop_index(_INDEX, table_name="events")
    where = sa.text(condition)
    op.create_index(_INDEX, "events", ["instance_uuid", "at", "id"], sqlite_where=where, postgresql_where=where)


def upgrade() -> None:
    _replace(_AFTER)


def downgrade() -> None:
    _replace(_BEFORE)
