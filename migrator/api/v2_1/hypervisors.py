"""/os-hypervisors: the hosts as hypervisors, in all the shapes the microversions had."""

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from migrator import capacity
from migrator.api.routing import Answer, ApiRequest, Schema, Versioned
from migrator.api.v2_1 import uptimes
from migrator.api.v2_1.common import paging
from migrator.api.v2_1.common.schemas import TRUE
from migrator.api.v2_1.services import as_uuid, reason_of
from migrator.db import hosts as rows
from migrator.db.rows import HostRow
from migrator.errors import ActionNotImplemented, BadRequest, NotFound
from migrator.protocol import HostReport
from migrator.scheduler.state import host_views

_UUIDS, _ALWAYS_LISTED, _PLAIN = (2, 53), (2, 75), (2, 88)
_PAGED: Schema = {"limit": paging.INTEGER, "marker": paging.TEXT}
_WITH_SERVERS: Schema = {"with_servers": paging.BOOLEAN}
QUERY: Versioned = (
    ((2, 1), {"type": "object"}),
    ((2, 33), {"type": "object", "properties": _PAGED}),
    (_UUIDS, paging.closed(_PAGED | _WITH_SERVERS | {"hypervisor_hostname_pattern": paging.TEXT})),
)
SHOW_QUERY: Versioned = (((2, 1), {"type": "object"}), (_UUIDS, paging.closed(_WITH_SERVERS)))


def index(request: ApiRequest) -> Answer:
    return _page(request, "os-hypervisors", _brief)


def detail(request: ApiRequest) -> Answer:
    return _page(request, "os-hypervisors/detail", _full)


def show(request: ApiRequest) -> Answer:
    row = _find(request)
    body = _full(request, row, _used(request)) | _uptimes(request, [row]).get(row.name, {})
    if request.version >= _UUIDS and _flag(request, "with_servers"):
        body |= _servers(request, [row])[row.name]
    return Answer(200, {"hypervisor": body})


def statistics(request: ApiRequest) -> Answer:
    used = _used(request)
    views = [_capacity(row, host_views.report_of(row)[0], used) for row in _all(request)]
    total: dict[str, Any] = {key: sum(view[key] for view in views) for key in _capacity_keys()}
    return Answer(200, {"hypervisor_statistics": {"count": len(views), **total}})


def search(request: ApiRequest) -> Answer:
    return Answer(200, {"hypervisors": [_brief(request, row, {}) for row in _matching(request, request.params["id"])]})


def servers(request: ApiRequest) -> Answer:
    found = _matching(request, request.params["id"])
    on = _servers(request, found)
    return Answer(200, {"hypervisors": [_brief(request, row, {}) | on.get(row.name, {}) for row in found]})


def uptime(request: ApiRequest) -> Answer:
    """Below 2.88; from there on it stands with the rest. Raises BadRequest for a host that is down, and
    ActionNotImplemented where the host's agent does not tell."""
    row = _find(request)
    if not host_views.host_view(row, request.services.settings.service_down_time).up:
        raise BadRequest(f"Compute service of {row.name} is unavailable at this time.")
    told = uptimes.of_hosts(request.services, [row])[row.name]
    if told is None:
        raise ActionNotImplemented("The requested functionality is not supported.")
    return Answer(200, {"hypervisor": _brief(request, row, {}) | {"uptime": told}})


def _all(request: ApiRequest) -> Sequence[HostRow]:
    with request.services.db.read() as connection:
        return sorted(rows.every(connection), key=lambda row: int(row.id))


def _used(request: ApiRequest) -> Mapping[str, Any]:
    with request.services.db.read() as connection:
        return rows.used(connection)


def _matching(request: ApiRequest, pattern: str) -> list[HostRow]:
    found = [row for row in _all(request) if pattern in row.name]
    if not found:
        raise NotFound(f"No hypervisor matching '{pattern}' could be found.")
    return found


def _find(request: ApiRequest) -> HostRow:
    ident = request.params["id"]
    if request.version >= _UUIDS:
        wanted = as_uuid(ident)
        found = next((row for row in _all(request) if row.hypervisor_uuid == wanted), None)
    else:
        found = next((row for row in _all(request) if str(row.id) == ident), None)
    if found is None:
        raise NotFound(f"Hypervisor with ID '{ident}' could not be found.")
    return found


def _page(request: ApiRequest, path: str, view: Any) -> Answer:
    pattern = paging.first(request.query, "hypervisor_hostname_pattern") if request.version >= _UUIDS else None
    found = _matching(request, pattern) if pattern is not None else list(_all(request))
    paged = request.version >= (2, 33)
    limit = paging.limit(request) if paged else 0
    marker = paging.first(request.query, "marker")
    if paged and marker is not None:
        ids = [str(_id(request, row)) for row in found]
        if marker not in ids:
            raise BadRequest(f"marker [{marker}] not found")
        found = found[ids.index(marker) + 1 :]
    more = paged and len(found) >= limit
    found = found[:limit] if paged else found
    used = _used(request)
    on = _servers(request, found) if request.version >= _UUIDS and _flag(request, "with_servers") else {}
    up = _uptimes(request, found) if view is _full else {}
    shown = [view(request, row, used) | up.get(row.name, {}) | on.get(row.name, {}) for row in found]
    body: dict[str, Any] = {"hypervisors": shown}
    if more and found and paging.first(request.query, "limit"):
        body["hypervisors_links"] = paging.next_link(request, path, str(_id(request, found[-1])))
    return Answer(200, body)


def _uptimes(request: ApiRequest, found: Sequence[HostRow]) -> Mapping[str, dict[str, Any]]:
    """Host -> {"uptime": ...}, from 2.88 on."""
    if request.version < _PLAIN:
        return {}
    return {name: {"uptime": told} for name, told in uptimes.of_hosts(request.services, found).items()}


def _flag(request: ApiRequest, name: str) -> bool:
    return paging.first(request.query, name) in TRUE


def _servers(request: ApiRequest, found: Sequence[HostRow]) -> dict[str, dict[str, Any]]:
    """Host -> {"servers": [...]}. A host without any has no such field below 2.75."""
    empty = request.version >= _ALWAYS_LISTED
    on: dict[str, dict[str, Any]] = {row.name: {"servers": []} if empty else {} for row in found}
    with request.services.db.read() as connection:
        for row in rows.instances_on(connection, [row.name for row in found]):
            entry = {"name": f"instance-{row.id:08x}", "uuid": row.uuid}
            on[row.host].setdefault("servers", []).append(entry)
    return on


def _id(request: ApiRequest, row: HostRow) -> Any:
    return row.hypervisor_uuid if request.version >= _UUIDS else row.id


def _brief(request: ApiRequest, row: HostRow, _used: Mapping[str, Any]) -> dict[str, Any]:
    view = host_views.host_view(row, request.services.settings.service_down_time)
    return {
        "id": _id(request, row),
        "hypervisor_hostname": row.name,
        "state": "up" if view.up else "down",
        "status": "disabled" if view.disabled else "enabled",
    }


def _ip(address: str) -> str | None:
    """Nova's is an IP address or nothing, which its clients hold it against; an operator may give a name instead."""
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return None


def _full(request: ApiRequest, row: HostRow, used: Mapping[str, Any]) -> dict[str, Any]:
    report, unreadable = host_views.report_of(row)
    service_id = row.uuid if request.version >= _UUIDS else row.id
    body = _brief(request, row, used) | {
        "hypervisor_type": report.hypervisor_type,
        "hypervisor_version": report.hypervisor_version,
        "host_ip": _ip(report.address),
        "service": {"id": service_id, "host": row.name, "disabled_reason": reason_of(row, unreadable)},
    }
    if request.version >= _PLAIN:
        return body
    cpu = {
        "arch": report.arch,
        "model": report.cpu_model,
        "vendor": report.cpu_vendor,
        "features": report.cpu_features,
        "topology": report.cpu_topology,
    }
    shown_cpu = cpu if request.version >= (2, 28) else orjson.dumps(cpu).decode()
    return body | _capacity(row, report, used) | {"cpu_info": shown_cpu}


def _capacity_keys() -> tuple[str, ...]:
    return (
        "current_workload",
        "disk_available_least",
        "free_disk_gb",
        "free_ram_mb",
        "local_gb",
        "local_gb_used",
        "memory_mb",
        "memory_mb_used",
        "running_vms",
        "vcpus",
        "vcpus_used",
    )


def _capacity(row: HostRow, report: HostReport, used: Mapping[str, Any]) -> dict[str, Any]:
    """What the host has, and what claims hold of it (claims, not guests: a stopped instance keeps its place), beside
    what no instance is given."""
    mine, taken = used.get(row.name), capacity.taken(report)
    memory = (int(mine.memory_mb) if mine else 0) + int(taken.memory_mb)
    disk = (int(mine.disk_gb) if mine else 0) + int(taken.disk_gb)
    return {
        "vcpus": row.vcpus,
        "memory_mb": row.memory_mb,
        "local_gb": row.disk_gb,
        "vcpus_used": int(mine.vcpus) if mine else 0,
        "memory_mb_used": memory,
        "local_gb_used": disk,
        "free_ram_mb": row.memory_mb - memory,
        "free_disk_gb": row.disk_gb - disk,
        "current_workload": 0,
        "running_vms": int(mine.count) if mine else 0,
        "disk_available_least": min((pool.free_gb for pool in report.storage.values()), default=0),
    }
