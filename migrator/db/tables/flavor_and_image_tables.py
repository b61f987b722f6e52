"""What instances are made from: flavors and images."""

from sqlalchemy import JSON, BigInteger, Boolean, Column, Double, Integer, String, Table, Text

from migrator.db.tables.schema import metadata

flavors = Table(
    "flavors",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("flavorid", String(255), nullable=False, unique=True),
    Column("name", String(255), nullable=False, unique=True),
    Column("vcpus", Integer, nullable=False),
    Column("memory_mb", Integer, nullable=False),
    Column("disk_gb", Integer, nullable=False),
    Column("ephemeral_gb", Integer, nullable=False, default=0),
    Column("swap_mb", Integer, nullable=False, default=0),
    Column("rxtx_factor", Double, nullable=False, default=1.0),
    Column("is_public", Boolean, nullable=False, default=True),
    Column("disabled", Boolean, nullable=False, default=False),
    Column("description", Text),
    Column("extra_specs", JSON, nullable=False),
    Column("access", JSON, nullable=False),  # project ids, for private ones
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double),
)

images = Table(
    "images",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("name", String(255)),
    Column("status", String(16), nullable=False),  # queued, saving, active
    Column("visibility", String(16), nullable=False),
    Column("protected", Boolean, nullable=False, default=False),
    Column("os_hidden", Boolean, nullable=False, default=False),
    Column("owner", String(255)),
    Column("disk_format", String(32)),
    Column("container_format", String(32)),
    Column("min_disk", Integer, nullable=False, default=0),
    Column("min_ram", Integer, nullable=False, default=0),
    Column("size", BigInteger),
    Column("virtual_size", BigInteger),
    Column("checksum", String(32)),  # md5, Glance's
    Column("checksum_sha256", String(64)),
    Column("properties", JSON, nullable=False),  # kernel_id, ramdisk_id, os_command_line, ...
    Column("tags", JSON, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
)
