"""``/v1/usage``: what a host or an instance really used, hour by hour. Only reads."""

from typing import Any

from pydantic import BaseModel, Field

from migrator.api.routing import Answer, ApiRequest
from migrator.api.timestamps import iso_us
from migrator.db import hosts, instances, use_samples
from migrator.db.use_samples import HourRow, UseRow
from migrator.errors import BadRequest

_DAY_S = 86_400.0


class UsageQuery(BaseModel):
    host: str | None = Field(None, min_length=1, max_length=255, pattern=r"^[^\x00]*$")
    instance: str | None = Field(None, min_length=1, max_length=36, pattern=r"^[^\x00]*$", description="its UUID")
    limit: int = Field(24, ge=1, le=1000, description="hours, the newest")


def show(request: ApiRequest) -> Answer:
    """``hours``: oldest first, each with the mean and the peak of its samples; processors, and MiB. Of a host also its
    instances, over the last day. Errors: 400 unless one of ``host`` and ``instance`` is named; 404."""
    query: UsageQuery = request.query
    if (query.host is None) == (query.instance is None):
        raise BadRequest("name either host or instance", advice="such as /v1/usage?host=compute1")
    with request.services.db.read() as connection:
        if query.host is not None:
            host = hosts.get(connection, query.host).name
            found = use_samples.hours(connection, host, "", query.limit)
            guests = [row for row in use_samples.window(connection, _DAY_S, host) if row.instance_uuid]
            shown: dict[str, Any] = {"host": host, "hours": [_hour(row) for row in found]}
            return Answer(200, {"usage": shown | {"instances": [_guest(row) for row in guests]}})
        uuid = instances.get(connection, str(query.instance)).uuid
        found = use_samples.hours(connection, None, uuid, query.limit)
    return Answer(200, {"usage": {"instance": uuid, "hours": [_hour(row) for row in found]}})


def _hour(row: HourRow) -> dict[str, Any]:
    return {"at": iso_us(row.at)} | _numbers(row)


def _guest(row: UseRow) -> dict[str, Any]:
    return {"server": row.instance_uuid} | _numbers(row)


def _numbers(row: HourRow | UseRow) -> dict[str, Any]:
    return {
        "samples": row.samples,
        "cpus": {"mean": round(row.cpus, 3), "peak": round(row.cpus_peak, 3)},
        "waiting_cpus": round(row.waiting_cpus, 3),
        "memory_mb": {"mean": round(row.memory_mb), "peak": round(row.memory_peak_mb)},
    }
