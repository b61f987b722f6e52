"""``GET /v1/hosts``: hosts as an operator looks at them. State, what they hold, and why a silent one counts as stopped.

Only reads. What an operator says about a host is ``hosts.py``'s.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, Field

from migrator import capacity
from migrator.api.process.services import Services
from migrator.api.routing import Answer, ApiRequest
from migrator.api.timestamps import iso_us
from migrator.db import host_pages, hosts, use_samples
from migrator.db.rows import HostRow
from migrator.errors import BadRequest, Conflict
from migrator.protocol import HostReport
from migrator.scheduler.checks.host_checks import approval_wanted
from migrator.scheduler.decision.snapshot import HostView
from migrator.scheduler.requests import lost_host
from migrator.scheduler.state import fencing, host_views


class State(StrEnum):
    UP = "up"
    AWAITED = "awaited"
    SILENT = "silent"
    FORCED_DOWN = "forced-down"
    UNREADABLE = "unreadable"


class HostsQuery(BaseModel):
    name: str | None = Field(
        None, min_length=1, max_length=255, pattern=r"^[^\x00]*$", description="a part of the name"
    )
    limit: int = Field(1000, ge=1, le=1000)
    marker: str | None = Field(None, max_length=255, pattern=r"^[^\x00]*$", description="hosts after this name")


def index(request: ApiRequest) -> Answer:
    """By name. ``total``: how many match on all pages; ``next``: the marker of the next page, null at the end."""
    query: HostsQuery = request.query
    with request.services.db.read() as connection:
        rows = host_pages.page(connection, query.name, query.marker, query.limit + 1)
        total = host_pages.count(connection, query.name)
        used = hosts.used(connection, [row.name for row in rows])
        guests = host_pages.instance_counts(connection, [row.name for row in rows])
        measured = use_samples.of_hosts_now(connection, [row.name for row in rows])
    shown = rows[: query.limit]
    body = [
        _view(request.services, row, used.get(row.name), guests.get(row.name, 0)) | _measured(measured.get(row.name))
        for row in shown
    ]
    return Answer(200, {"hosts": body, "total": total, "next": shown[-1].name if len(rows) > len(shown) else None})


def show(request: ApiRequest) -> Answer:
    """Errors: 404."""
    name = request.params["name"]
    with request.services.db.read() as connection:
        row = hosts.get(connection, name)
        used = hosts.used(connection, [name])
        guests = host_pages.instance_counts(connection, [name])
        measured = use_samples.of_hosts_now(connection, [name])
    view = _view(request.services, row, used.get(name), guests.get(name, 0))
    return Answer(200, {"host": view | _measured(measured.get(name))})


def _measured(told: tuple[Any, float] | None) -> dict[str, Any]:
    """What all of the host really used, as its newest survey says; null: its agent does not tell, or not yet."""
    if told is None:
        return {"measured": None}
    body, age_s = told
    return {"measured": {name: body[name] for name in ("cpus", "memory_mb", "over_s")} | {"age_s": round(age_s, 1)}}


def _view(services: Services, row: HostRow, used: Any, guests: int) -> dict[str, Any]:
    """``silent_s``: since its agent spoke; ``evidence``: what counts as proof that it runs nothing, null while it is
    heard; ``evacuation``: whether its instances could be evacuated, and if not, why; ``disabled_reason``: why it takes
    no instances; ``capacity``: what the host has, what instances may be given of it, and what claims hold."""
    settings = services.settings
    view = host_views.host_view(row, settings.service_down_time)
    found = fencing.evidence(row, settings)
    refusal = _refusal(row, services)
    return {
        "name": row.name,
        "service": row.uuid,
        "state": _state(view),
        "silent_s": round(row.silent_s, 1),
        "last_seen": iso_us(row.last_seen + row.behind_s),
        "enabled": not view.disabled,
        "disabled_reason": _reason(row, view),
        "approved": row.approved,
        "forced_down": row.forced_down,
        "evidence": found and {"kind": found.kind, "by": found.by, "message": found.message, "at": iso_us(found.at)},
        "fence_attempt": _attempt(row),
        "evacuation": {"possible": refusal is None, "refusal": refusal},
        "instances": guests,
        "capacity": _capacity(row, view.report, used),
        "address": view.report.address or None,
        "hypervisor": view.report.hypervisor_type,
        "cpu_model": view.report.cpu_model,
    }


def _state(view: HostView) -> State:
    if view.forced_down:
        return State.FORCED_DOWN
    if view.unreadable:
        return State.UNREADABLE
    if view.up:
        return State.UP
    return State.AWAITED if view.awaited else State.SILENT


def _reason(row: HostRow, view: HostView) -> str | None:
    """Why it takes no instances, the first that applies."""
    if row.disabled:
        return row.disabled_reason or "an operator disabled it"
    return view.unreadable or ("" if row.approved else approval_wanted(row.name)) or None


def _refusal(row: HostRow, services: Services) -> str | None:
    try:
        lost_host.check(row, services.settings, "Nothing can be evacuated:")
    except (BadRequest, Conflict) as error:
        return error.message
    return None


def _attempt(row: HostRow) -> Mapping[str, Any] | None:
    """The newest run of the fence command; ``ok`` null: it runs."""
    run = row.fence_attempt
    return {"at": iso_us(run.get("at")), "ok": run.get("ok"), "message": run.get("words")} if run else None


def _capacity(row: HostRow, report: HostReport, used: Any) -> dict[str, Mapping[str, float]]:
    """``allowed`` is by the host's ratios and an operator's limits; what is neither claimed nor free of it was taken
    away since."""
    allowed, free = capacity.left(report, row.allowed or {}), (row.free_vcpus, row.free_memory_mb, row.free_disk_gb)
    names: Sequence[str] = ("vcpus", "memory_mb", "disk_gb")
    return {
        name: {
            "total": getattr(row, name),
            "allowed": round(getattr(allowed, name)),
            "claimed": int(getattr(used, name)) if used is not None else 0,
            "free": round(left),
        }
        for name, left in zip(names, free, strict=True)
    }
