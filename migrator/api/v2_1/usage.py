"""/os-simple-tenant-usage: what projects' servers have used in a time. The shapes and words are Nova's.

From 2.40 in pages of servers: a project on two pages has a sum on each, which clients add up.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from migrator.api.json_schema import shortened
from migrator.api.routing import Answer, ApiRequest, Schema, Versioned
from migrator.api.timestamps import iso_us
from migrator.api.v2_1.common import paging
from migrator.db import clock
from migrator.db import usage as rows
from migrator.db.key_pairs import Owner
from migrator.errors import BadRequest

_PAGED, _STRICT = (2, 40), (2, 75)
_FORMATS = ("%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S.%f", "%Y-%m-%d %H:%M:%S.%f")
_INSTANT_S = 1e-5  # between the defaults of start and end, which are both now
_HOUR_S = 3600.0
_TIMES: Schema = dict.fromkeys(("start", "end"), paging.TEXT)
_PAGES: Schema = {"limit": paging.INTEGER, "marker": paging.TEXT}
_DETAILED: Schema = {"detailed": paging.TEXT}


def _query(more: Schema) -> Versioned:
    return (
        ((2, 1), {"type": "object", "properties": _TIMES | more}),
        (_PAGED, {"type": "object", "properties": _TIMES | more | _PAGES}),
        (_STRICT, paging.closed(_TIMES | more | _PAGES)),
    )


LIST_QUERY, SHOW_QUERY = _query(_DETAILED), _query({})


class _Period(NamedTuple):
    start: float
    stop: float
    now: float


def index(request: ApiRequest) -> Answer:
    detailed = paging.first(request.query, "detailed") == "1"
    found, period = _read(request, None)
    body: dict[str, Any] = {"tenant_usages": _by_project(found, period, detailed=detailed)}
    return Answer(200, body | _links(request, "tenant_usages_links", "os-simple-tenant-usage", found))


def show(request: ApiRequest) -> Answer:
    project = request.params["id"]
    request.require("os_compute_api:os-simple-tenant-usage:show", Owner(project, request.caller.user_id))
    found, period = _read(request, project)
    usage = next(iter(_by_project(found, period, detailed=True)), {})
    links = _links(request, "tenant_usage_links", f"os-simple-tenant-usage/{project}", found)
    return Answer(200, {"tenant_usage": usage} | links)


def _read(request: ApiRequest, project: str | None) -> tuple[Sequence[Any], _Period]:
    paged = request.version >= _PAGED
    limit = paging.limit(request) if paged else None
    marker = paging.first(request.query, "marker") if paged else None
    with request.services.db.read() as connection:
        period = _period(request, clock.now(connection))
        return rows.listed(connection, period.start, period.stop, project, limit, marker), period


def _links(request: ApiRequest, name: str, path: str, found: Sequence[Any]) -> dict[str, Any]:
    if request.version < _PAGED or not found or len(found) < paging.limit(request):
        return {}
    return {name: paging.next_link(request, path, found[-1].uuid)}


def _period(request: ApiRequest, now: float) -> _Period:
    start = _moment(paging.first(request.query, "start"), now - _INSTANT_S)
    stop = _moment(paging.first(request.query, "end"), now)
    if start >= stop:
        raise BadRequest("Invalid start time. The start time cannot occur after the end time.")
    return _Period(start, min(stop, now), now)


def _moment(text: str | None, otherwise: float) -> float:
    if not text:
        return otherwise
    for form in _FORMATS:
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC).timestamp()
        except (ValueError, OverflowError):
            continue
    raise BadRequest(f"Invalid datetime string: Datetime is in invalid format: {shortened(text)}")


def _by_project(found: Sequence[Any], period: _Period, *, detailed: bool) -> list[dict[str, Any]]:
    sums: dict[str, dict[str, Any]] = {}
    totals = ("total_local_gb_usage", "total_vcpus_usage", "total_memory_mb_usage", "total_hours")
    times = {name: _iso(moment) for name, moment in (("start", period.start), ("stop", period.stop))}
    for row in found:
        new = {"tenant_id": row.project_id, **dict.fromkeys(totals, 0.0), **times}
        own = sums.setdefault(row.project_id, new)
        one = _of_one(row, period)
        for total, amount in zip(totals, (one["local_gb"], one["vcpus"], one["memory_mb"], 1), strict=True):
            own[total] += amount * one["hours"]
        if detailed:
            own.setdefault("server_usages", []).append(one)
    return list(sums.values())


def _of_one(row: Any, period: _Period) -> Mapping[str, Any]:
    ended = row.terminated_at if row.terminated_at is not None else period.now
    seconds = max(0.0, min(period.stop, ended) - max(period.start, row.launched_at))
    flavor = row.flavor
    return {
        "hours": seconds / _HOUR_S,
        "flavor": flavor["name"],
        "instance_id": row.uuid,
        "name": row.name,
        "memory_mb": flavor["memory_mb"],
        "local_gb": flavor["disk_gb"] + (flavor.get("ephemeral_gb") or 0),
        "vcpus": flavor["vcpus"],
        "tenant_id": row.project_id,
        "started_at": iso_us(row.launched_at),
        "ended_at": iso_us(row.terminated_at),
        "state": "terminated" if row.terminated_at is not None else row.vm_state,
        "uptime": max(0, int(ended - row.launched_at)),
    }


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).replace(tzinfo=None).isoformat(timespec="microseconds")
