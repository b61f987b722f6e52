"""Availability zones, as clients may choose them. Reads only."""

from migrator.db import aggregates, hosts
from migrator.db.engine import Connection


def available(connection: Connection) -> set[str]:
    """The zones with a host that takes instances."""
    found = aggregates.zones(connection)
    return {
        found.get(row.name, aggregates.DEFAULT_ZONE)
        for row in hosts.every(connection)
        if row.approved and not row.disabled
    }
