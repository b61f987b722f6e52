"""networks and ports"""

import json
import uuid

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "networks",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("uuid", sa.String(36), nullable=False, unique=True),
        sa.Column("name", sa.String(255), nullable=False, unique=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("bridge", sa.String(15), nullable=False),
        sa.Column("vlan", sa.Integer(), nullable=True),
        sa.Column("cidr", sa.String(43), nullable=True),
        sa.Column("gateway", sa.String(39), nullable=True),
        sa.Column("dns", sa.JSON(), nullable=False),
        sa.Column("ranges", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
    )
    ports = op.create_table(
        "ports",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("uuid", sa.String(36), nullable=False, unique=True),
        sa.Column("instance_uuid", sa.String(36), nullable=False),
        sa.Column("network_uuid", sa.String(36), nullable=True),
        sa.Column("mac", sa.String(17), nullable=False, unique=True),
        sa.Column("ip", sa.String(39), nullable=True, unique=True),
        sa.Column("tag", sa.String(60), nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
    )
    op.create_index("ix_ports_instance_uuid", "ports", ["instance_uuid"])
    op.create_index("ix_ports_network_uuid", "ports", ["network_uuid"])
    _record_interfaces(ports)


def _record_interfaces(ports: sa.Table) -> None:
    """Instances of earlier releases have interfaces: no new one gets a MAC of theirs. Of two that chose the same MAC
    the older one's is recorded; a row that cannot be read keeps no database from its upgrade."""
    instances = sa.table(
        "instances", *(sa.column(name) for name in ("id", "uuid", "networks", "deleted", "created_at"))
    )
    query = sa.select(instances.c.uuid, sa.cast(instances.c.networks, sa.Text()).label("nics"), instances.c.created_at)
    found: dict[str, dict[str, object]] = {}
    for row in op.get_bind().execute(query.where(instances.c.deleted == sa.false()).order_by(instances.c.id)):
        try:
            macs = [str(nic["mac"])[:17] for nic in json.loads(row.nics)]
        except (ValueError, TypeError, KeyError):
            continue
        for mac in macs:
            about = {"instance_uuid": row.uuid, "mac": mac, "created_at": row.created_at}
            found.setdefault(mac, {"uuid": str(uuid.uuid4()), **about})
    if found:
        op.bulk_insert(ports, list(found.values()))


def downgrade() -> None:
    op.drop_table("ports")
    op.drop_table("networks")
