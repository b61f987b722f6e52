"""Quotas that were set: of projects, and of classes, of which "default" is every project's."""

from sqlalchemy import Column, Integer, String, Table

from migrator.db.tables.schema import metadata

quotas = Table(
    "quotas",
    metadata,
    Column("project_id", String(255), primary_key=True),
    Column("resource", String(64), primary_key=True),
    Column("hard_limit", Integer, nullable=False),  # -1: none
)

quota_classes = Table(
    "quota_classes",
    metadata,
    Column("class_name", String(255), primary_key=True),
    Column("resource", String(64), primary_key=True),
    Column("hard_limit", Integer, nullable=False),
)
