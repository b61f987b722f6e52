"""access addresses, the disk configuration and the host name of instances"""

import json
import re

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

_COLUMNS = {"hostname": 255, "access_ip_v4": 39, "access_ip_v6": 39, "disk_config": 8}


def upgrade() -> None:
    for name, length in _COLUMNS.items():
        op.add_column("instances", sa.Column(name, sa.String(length), nullable=True))
    _record_hostnames()


def _record_hostnames() -> None:
    """Instances of earlier releases keep the host name that they were made with, or that their name gave: a filter
    finds what is shown. A row that cannot be read keeps no database from its upgrade."""
    instances = sa.table("instances", *(sa.column(name) for name in ("id", "name", "spec", "hostname", "deleted")))
    query = sa.select(instances.c.id, instances.c.name, sa.cast(instances.c.spec, sa.Text()).label("spec"))
    for row in op.get_bind().execute(query.where(instances.c.deleted == sa.false())).all():
        try:
            told = str(json.loads(row.spec).get("hostname") or "")
        except (ValueError, AttributeError):
            told = ""
        made = re.sub(r"[^a-z0-9-]", "", re.sub(r"[ _.]", "-", row.name.lower())).strip("-")[:63]
        values = {"hostname": (told or made or "server")[:255]}
        op.get_bind().execute(sa.update(instances).where(instances.c.id == row.id).values(values))


def downgrade() -> None:
    with op.batch_alter_table("instances") as change:
        for name in _COLUMNS:
            change.drop_column(name)
