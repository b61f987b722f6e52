"""Key pairs of users: the public halves alone."""

from sqlalchemy import Column, Double, Index, Integer, String, Table, Text

from migrator.db.tables.schema import metadata

key_pairs = Table(
    "key_pairs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("project_id", String(255), nullable=False),
    Column("user_id", String(255), nullable=False),
    Column("name", String(255), nullable=False),
    Column("type", String(16), nullable=False),  # ssh or x509
    Column("public_key", Text, nullable=False),
    Column("fingerprint", String(255), nullable=False),
    Column("created_at", Double, nullable=False),
    Index("ix_key_pairs_owner", "project_id", "user_id", "name", unique=True),
)
