"""Migrations as the Compute API shows them: in ``os-migrations`` and under a server. Pure: rows in, dicts out."""

from collections.abc import Mapping, Sequence
from typing import Any

from migrator.api.timestamps import iso_us
from migrator.api.v2_1.servers.view import Version, links
from migrator.db.migration_list import MigrationRow

_LIVE = "live-migration"
# statuses in which a live migration can be looked at under its server
IN_PROGRESS = frozenset({"queued", "preparing", "running", "post-migrating"})
# in place of what only those see who may know of hosts
NO_HOSTS = dict.fromkeys(("source_compute", "source_node", "dest_compute", "dest_node", "dest_host"))
_BYTES = tuple(f"{what}_{part}_bytes" for what in ("memory", "disk") for part in ("total", "processed", "remaining"))


def listed(
    rows: Sequence[MigrationRow],
    version: Version,
    base: str,
    root: str,
    addresses: Mapping[str, str],
    flavors: Mapping[str, int],
) -> list[dict[str, Any]]:
    """``os-migrations``' lines. Built by unpacking tuples: a page has a thousand rows. ``flavors``: instance -> id of
    its flavor, for live migrations, which keep it."""
    typed, numbered, owned = version >= (2, 23), version >= (2, 59), version >= (2, 80)
    found = []
    for key, uuid, kind, instance, status, source, dest, user, project, created, updated, active, old, new in rows:
        line: dict[str, Any] = {"id": key}
        if numbered:
            line["uuid"] = uuid
        line["source_compute"] = line["source_node"] = source
        line["dest_compute"] = line["dest_node"] = dest
        line["dest_host"] = addresses.get(dest)
        if kind == _LIVE:
            old = new = flavors.get(instance)
        line["old_instance_type_id"], line["new_instance_type_id"] = old, new
        line["instance_uuid"] = instance
        line["status"] = status
        if typed:
            line["migration_type"] = kind
        if owned:
            line["user_id"] = user
            line["project_id"] = project
        line["created_at"] = iso_us(created)
        line["updated_at"] = iso_us(updated)
        if typed and active and kind == _LIVE and status in IN_PROGRESS:
            line["links"] = links(base, root, f"servers/{instance}/migrations", key)
        found.append(line)
    return found


def of_server(
    row: MigrationRow, version: Version, address: str | None, job: Mapping[str, Any] | None
) -> dict[str, Any]:
    """A live migration under its server, with what libvirt counts (``protocol.JobFact``; None: nothing yet). A
    count of 0 is null: Nova's schema of the answer takes no 0."""
    shown: dict[str, Any] = {
        "created_at": iso_us(row.created_at),
        "dest_compute": row.destination,
        "dest_host": address,
        "dest_node": row.destination,
        "id": row.id,
        "server_uuid": row.instance_uuid,
        "source_compute": row.source,
        "source_node": row.source,
        "status": row.status,
        "updated_at": iso_us(row.updated_at),
    }
    shown |= {name: (job.get(name) or None) if job else None for name in _BYTES}
    if version >= (2, 59):
        shown["uuid"] = row.uuid
    if version >= (2, 80):
        shown["user_id"] = row.user_id
        shown["project_id"] = row.project_id
    return shown
