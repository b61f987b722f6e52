"""Networks that the operator has named, and the ports that instances have in them."""

from sqlalchemy import JSON, Column, Double, Index, Integer, String, Table

from migrator.db.tables.schema import metadata

networks = Table(
    "networks",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("uuid", String(36), nullable=False, unique=True),
    Column("name", String(255), nullable=False, unique=True),
    Column("kind", String(16), nullable=False),  # protocol.NetworkKind
    Column("bridge", String(15), nullable=False),
    Column("vlan", Integer),  # None: untagged
    Column("cidr", String(43)),  # None: migrator knows no addresses of it
    Column("gateway", String(39)),
    Column("dns", JSON, nullable=False),
    Column("ranges", JSON, nullable=False),  # [[first, last]] of the addresses that are given to ports
    Column("created_at", Double, nullable=False),
)

ports = Table(  # from the record of an instance until its deletion
    "ports",
    metadata,
    Column("id", Integer, primary_key=True),  # order of an instance's interfaces
    Column("uuid", String(36), nullable=False, unique=True),
    Column("instance_uuid", String(36), nullable=False),
    Column("network_uuid", String(36)),  # None: a network that only the hosts' settings name
    Column("mac", String(17), nullable=False, unique=True),
    Column("ip", String(39), unique=True),  # ranges of two networks never overlap
    Column("tag", String(60)),
    Column("created_at", Double, nullable=False),
    Index("ix_ports_instance_uuid", "instance_uuid"),
    Index("ix_ports_network_uuid", "network_uuid"),
)
