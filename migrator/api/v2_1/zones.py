"""/os-availability-zone and, below 2.43, /os-hosts: where hosts are. Rows become JSON here."""

from collections.abc import Mapping
from typing import Any

from migrator import capacity
from migrator.api.routing import Answer, ApiRequest
from migrator.api.timestamps import iso_us
from migrator.api.v2_1.common import paging
from migrator.api.v2_1.services import BINARY
from migrator.db import aggregates, hosts
from migrator.db.rows import HostRow
from migrator.errors import NotFound
from migrator.scheduler.state import host_views

HOSTS_QUERY = (((2, 1), {"type": "object", "properties": {"zone": paging.TEXT}}),)
_SERVICE = "compute"


def index(request: ApiRequest) -> Answer:
    shown = [_zone(name, rows, None) for name, rows in _by_zone(request).items()]
    return Answer(200, {"availabilityZoneInfo": [zone for zone in shown if zone["zoneState"]["available"]]})


def detail(request: ApiRequest) -> Answer:
    down_after = request.services.settings.service_down_time
    shown = [
        _zone(name, rows, {row.name: {BINARY: _state(row, down_after)} for row in rows})
        for name, rows in _by_zone(request).items()
    ]
    return Answer(200, {"availabilityZoneInfo": shown})


def _by_zone(request: ApiRequest) -> Mapping[str, list[HostRow]]:
    with request.services.db.read() as connection:
        rows, zones = hosts.every(connection), aggregates.zones(connection)
    found: dict[str, list[HostRow]] = {} if rows else {aggregates.DEFAULT_ZONE: []}
    for row in rows:
        found.setdefault(zones.get(row.name, aggregates.DEFAULT_ZONE), []).append(row)
    return dict(sorted(found.items()))


def _open(row: HostRow) -> bool:
    return row.approved and not row.disabled


def _state(row: HostRow, down_after: float) -> dict[str, Any]:
    active = host_views.host_view(row, down_after).up
    return {"available": _open(row), "active": active, "updated_at": iso_us(row.last_seen + row.behind_s)}


def _zone(name: str, rows: list[HostRow], shown: dict[str, Any] | None) -> dict[str, Any]:
    return {"zoneName": name, "zoneState": {"available": not rows or any(map(_open, rows))}, "hosts": shown}


def hosts_index(request: ApiRequest) -> Answer:
    wanted = paging.first(request.query, "zone") or None  # a blank one asks for none, as in Nova
    shown = [
        {"host_name": row.name, "service": _SERVICE, "zone": zone}
        for zone, rows in _by_zone(request).items()
        for row in rows
        if wanted in (None, zone)
    ]
    return Answer(200, {"hosts": shown})


def hosts_show(request: ApiRequest) -> Answer:
    """What the host has, and what claims hold of it, and what no instance is given."""
    row = _host(request)
    with request.services.db.read() as connection:
        used = hosts.used(connection).get(row.name)
    taken = capacity.taken(host_views.report_of(row)[0])
    mine = {name: int(getattr(used, name)) if used is not None else 0 for name in ("vcpus", "memory_mb", "disk_gb")}
    lines = (
        ("(total)", row.vcpus, row.memory_mb, row.disk_gb),
        ("(used_now)", mine["vcpus"], mine["memory_mb"] + int(taken.memory_mb), mine["disk_gb"] + int(taken.disk_gb)),
        ("(used_max)", mine["vcpus"], mine["memory_mb"], mine["disk_gb"]),
    )
    shown = [
        {"resource": {"host": row.name, "project": name, "cpu": cpu, "memory_mb": memory_mb, "disk_gb": disk_gb}}
        for name, cpu, memory_mb, disk_gb in lines
    ]
    return Answer(200, {"host": shown})


def _host(request: ApiRequest) -> HostRow:
    name = request.params["id"]
    with request.services.db.read() as connection:
        found = hosts.by_names(connection, [name])
    if not found:
        raise NotFound(f"Compute host {name} could not be found.")
    return found[0]
