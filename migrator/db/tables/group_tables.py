"""Server groups, and the scheduler hints that name other instances."""

from sqlalchemy import JSON, Column, Double, Index, Integer, String, Table

from migrator.db.tables.schema import metadata

server_groups = Table(  # its members are the instances that name it: ``instances.server_group``
    "server_groups",
    metadata,
    Column("id", Integer, primary_key=True),  # order of creation, for paging
    Column("uuid", String(36), nullable=False, unique=True),
    Column("name", String(255), nullable=False),
    Column("policy", String(32), nullable=False),
    Column("rules", JSON, nullable=False),
    Column("project_id", String(255), nullable=False),
    Column("user_id", String(255), nullable=False),
    Column("created_at", Double, nullable=False),
    Index("ix_server_groups_project", "project_id", "id"),
)

neighbours = Table(  # instances that a scheduler hint of another one names
    "neighbours",
    metadata,
    Column("instance_uuid", String(36), primary_key=True),  # whose hint it is
    Column("hint", String(16), primary_key=True),  # same_host or different_host
    Column("other_uuid", String(36), primary_key=True),
    Index("ix_neighbours_other", "other_uuid"),
)
