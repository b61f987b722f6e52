"""Reads in which zone and aggregates hosts are, where an instance or its flavor asks for one. Changes nothing."""

from collections.abc import Collection, Mapping
from typing import Any

from migrator.db import aggregates as rows
from migrator.db.engine import Connection
from migrator.scheduler.checks.aggregates import NO_AGGREGATES, SCOPE, HostAggregates


def load(
    connection: Connection, zone: str | None, flavor: Mapping[str, Any], names: Collection[str] | None = None
) -> HostAggregates:
    """``names``: the hosts in question; None: all of them."""
    specs = _specs(flavor)
    if zone is None and not specs:
        return NO_AGGREGATES
    zones = rows.zones(connection, names) if zone is not None else {}
    metadata = rows.metadata(connection, names) if specs else {}
    return HostAggregates(zone, specs, zones, metadata, rows.DEFAULT_ZONE)


def asked(every: HostAggregates, zone: str | None, flavor: Mapping[str, Any]) -> HostAggregates:
    """As ``load``, out of what ``load_every`` has read."""
    specs = _specs(flavor)
    if zone is None and not specs:
        return NO_AGGREGATES
    return HostAggregates(zone, specs, every.zones, every.metadata, every.default_zone)


def load_every(connection: Connection) -> HostAggregates:
    """Of all hosts, before it is known who asks."""
    return HostAggregates(None, {}, rows.zones(connection), rows.metadata(connection), rows.DEFAULT_ZONE)


def _specs(flavor: Mapping[str, Any]) -> Mapping[str, str]:
    extra: Mapping[str, str] = flavor.get("extra_specs") or {}
    return {key.removeprefix(SCOPE): str(value) for key, value in extra.items() if key.startswith(SCOPE)}
