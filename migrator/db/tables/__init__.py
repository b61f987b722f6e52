"""Every table, once. Times are seconds since the epoch by the database's clock (see ``clock.py``), as floats.

Owns names, types, keys and indexes; the queries live in the modules beside it, one noun a file. A table stands with its
family, and is imported from here and from nowhere else: so ``metadata`` is whole in every process. Alembic's revisions
are generated against it, and foreign keys lead from one family to another.
"""

from migrator.db.tables.aggregate_tables import aggregate_hosts, aggregates
from migrator.db.tables.capacity_tables import capacity_check
from migrator.db.tables.console_tables import console_logs
from migrator.db.tables.drain_tables import drain_events, drain_moves, drains, guest_failures, recoveries
from migrator.db.tables.flavor_and_image_tables import flavors, images
from migrator.db.tables.group_tables import neighbours, server_groups
from migrator.db.tables.host_tables import (
    agent_credentials,
    copies,
    guest_cpus,
    hosts,
    join_tokens,
    keys,
    listening,
    surveys,
)
from migrator.db.tables.instance_tables import instances, volumes
from migrator.db.tables.key_pair_tables import key_pairs
from migrator.db.tables.network_tables import networks, ports
from migrator.db.tables.operation_tables import MOVES, claims, ended_totals, facts, operations, progress
from migrator.db.tables.quota_tables import quota_classes, quotas
from migrator.db.tables.rebalance_tables import rebalance_moves, rebalances
from migrator.db.tables.schema import metadata
from migrator.db.tables.timeline_tables import IS_REQUEST, alarms, events
from migrator.db.tables.use_tables import use_hours, use_sampling
from migrator.db.tables.webhook_tables import webhook_deliveries, webhooks

__all__ = [
    "IS_REQUEST",
    "MOVES",
    "agent_credentials",
    "aggregate_hosts",
    "aggregates",
    "alarms",
    "capacity_check",
    "claims",
    "console_logs",
    "copies",
    "drain_events",
    "drain_moves",
    "drains",
    "ended_totals",
    "events",
    "facts",
    "flavors",
    "guest_cpus",
    "guest_failures",
    "hosts",
    "images",
    "instances",
    "join_tokens",
    "key_pairs",
    "keys",
    "listening",
    "metadata",
    "neighbours",
    "networks",
    "operations",
    "ports",
    "progress",
    "quota_classes",
    "quotas",
    "rebalance_moves",
    "rebalances",
    "recoveries",
    "server_groups",
    "surveys",
    "use_hours",
    "use_sampling",
    "volumes",
    "webhook_deliveries",
    "webhooks",
]
