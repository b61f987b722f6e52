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
    extra: Mapping[str, str] = flavor.get("extra_specs") or {}
    specs = {key.removeprefix(SCOPE): str(value) for key, value in extra.items() if key.startswith(SCOPE)}
    if zone is None and not specs:
        return NO_AGGREGATES
    return HostAggregates(
        zone=zone,
        specs=specs,
        zones=rows.zones(connection, names) if zone is not None else {},
        metadata=rows.metadata(connection, names) if specs else {},
        default_zone=rows.DEFAULT_ZONE,
    )
