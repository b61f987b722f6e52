"""``/v1``: what the Compute API lacks. Operations of every kind as they are, and their timelines."""

from collections.abc import Sequence
from typing import Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field

from migrator.api.process.services import Services
from migrator.api.routing import Answer, ApiRequest
from migrator.api.timestamps import iso_us
from migrator.db import events, hosts, instance_list, operation_list, progress, transfer_stats
from migrator.errors import BadRequest, Conflict
from migrator.operations import Actor, table_of
from migrator.scheduler.decision.operation_data import ContextJson, SteeringJson
from migrator.scheduler.requests import steer as steering
from migrator.scheduler.state import host_views

_COPIED = (
    "id",
    "uuid",
    "kind",
    "status",
    "phase",
    "forward",
    "epoch",
    "active",
    "source",
    "destination",
    "requested_host",
    "error",
    "outcome",
    "cancel_requested",
    "request_id",
    "user_id",
    "project_id",
)


class SteerRequest(BaseModel):
    """What may be wanted of a live migration's transfer. What is left out stays as it is."""

    model_config = ConfigDict(extra="forbid", strict=True)

    bandwidth_mib_s: int = Field(0, ge=0, le=2**31 - 1, description="MiB/s; 0 is no limit")
    max_downtime_ms: int = Field(500, ge=1, le=2_000_000, description="ms, in place of the steps")
    held: bool = Field(False, description="throttled to the least there is, until it is false again")
    post_copy: Literal[True] = Field(True, description="switch over now, and fetch the rest afterwards")


_TIMES = ("created_at", "updated_at", "finished_at")


class OperationsQuery(BaseModel):
    instance: str | None = Field(None, max_length=255, pattern=r"^[^\x00]*$")
    active: bool | None = None
    progress: bool = Field(False, description="with counters and the instance's name")
    limit: int = Field(100, ge=1, le=1000)
    marker: str | None = Field(None, max_length=255)


def index(request: ApiRequest) -> Answer:
    """Newest first, of all instances or of one; with ``marker``, those after the operation of that id. Errors: 400 for
    a marker that is not among them. With ``progress`` each has ``instance_name`` and, where a transfer is under way or
    was, its newest counters (``progress``) and how far it is (``percent``)."""
    query: OperationsQuery = request.query
    with request.services.db.read() as connection:
        found = operation_list.listed(connection, query.instance, query.active, query.limit, query.marker)
        more = _with_progress(connection, found) if query.progress else [{} for _ in found]
    return Answer(200, {"operations": [view(row) | added for row, added in zip(found, more, strict=True)]})


def _with_progress(connection: Any, found: Sequence[Any]) -> Sequence[dict[str, Any]]:
    jobs = transfer_stats.of_operations(connection, [row.id for row in found if row.moves])
    names = instance_list.names(connection, {row.instance_uuid for row in found})
    shown: list[dict[str, Any]] = []
    for row in found:
        job = jobs.get(row.id)
        far = transfer_stats.percent(row.kind, job) if job is not None else None
        shown.append({"instance_name": names.get(row.instance_uuid), "progress": job, "percent": far})
    return shown


def show(request: ApiRequest) -> Answer:
    with request.services.db.read() as connection:
        row = operation_list.find(connection, request.params["ident"])
        return Answer(200, {"operation": _live(request.services, connection, row)})


def timeline(request: ApiRequest) -> Answer:
    """Everything that happened, oldest first; ``offset_ms`` counts from the request."""
    with request.services.db.read() as connection:
        row = operation_list.find(connection, request.params["ident"])
        lines = events.of_operation(connection, row.id)
        shown = _live(request.services, connection, row)
    return Answer(200, {"operation": shown, "events": [_event(line, row.created_at) for line in lines]})


def series(request: ApiRequest) -> Answer:
    """The transfer's counters (``protocol.JobFact``), about one a second, oldest first."""
    with request.services.db.read() as connection:
        row = operation_list.find(connection, request.params["ident"])
        found = progress.of_operation(connection, row.id)
    at = [(p.at + p.behind_s, p.job) for p in found]
    shown = [{"at": iso_us(t), "offset_ms": _offset(t, row.created_at), **job} for t, job in at]
    return Answer(200, {"progress": shown})


def steer(request: ApiRequest) -> Answer:
    """Set what is wanted of the transfer from now on. Errors: 404; 409 while nothing is being transferred, and for
    post-copy where it is not permitted, or was not when the transfer began, or would make a paused guest run."""
    wanted: SteerRequest = request.body
    services = request.services
    changes = cast(SteeringJson, wanted.model_dump(exclude_unset=True, exclude={"post_copy"}))
    if post_copy := "post_copy" in wanted.model_fields_set:
        if not services.settings.live_migration_permit_post_copy:
            raise Conflict("post-copy is not permitted here (live_migration_permit_post_copy)")
        changes["force"] = True
    if not changes:
        raise BadRequest(f"Nothing to steer; expected one or more of {', '.join(SteerRequest.model_fields)}")
    with services.db.read() as connection:
        row = operation_list.find(connection, request.params["ident"])
    services.notifier.wake([steering.steer(services.db, request.caller, row.id, changes, post_copy=post_copy)])
    return Answer(202, {"operation": {"id": row.id, "uuid": row.uuid}})


def _offset(at: float, begin: float) -> int:
    return round((at - begin) * 1000)


def view(row: Any) -> dict[str, Any]:
    """``evidence``: what was accepted as proof that a silent host runs nothing. ``owed``: what hosts still have to
    clean up, [{phase, host}]. ``strategy``: by which means a live migration was begun and went on, why, what was
    measured and what predicted (``outcome`` has what happened); None where nothing was chosen. ``disks``: what becomes
    of each disk of an evacuated instance; ``set_aside``: what its old host kept of it when it returned."""
    body = {name: getattr(row, name) for name in _COPIED}
    body |= {"holds": row.locks_instance, "waiting": row.wait_reason}
    context = cast(ContextJson, row.context)
    body["strategy"] = context.get("strategy")
    body |= {"disks": context.get("disks"), "set_aside": context.get("set_aside")}
    body |= {"instance": row.instance_uuid, "evidence": context.get("evidence"), "owed": _owed(row)}
    body["phase_since"] = iso_us(row.phase_since + row.behind_s)
    return body | {name: iso_us(getattr(row, name)) for name in _TIMES}


def _owed(row: Any) -> list[dict[str, Any]]:
    if not row.active:
        return []
    table = table_of(row.kind)
    actors = {phase.name: phase.actor for phase in table.phases} if table is not None else {}
    put_off = (
        cast(ContextJson, row.context).get("owed", ())
        if not row.forward
        else (() if row.locks_instance else (row.phase,))
    )
    hosts_of = {Actor.SOURCE: row.source, Actor.DESTINATION: row.destination}
    return [{"phase": name, "host": hosts_of.get(actors[name])} for name in put_off if name in actors]


def _live(services: Services, connection: Any, row: Any) -> dict[str, Any]:
    """With the seconds since a silent host last spoke added to the reason for waiting, the transfer's counters, and the
    instance's name."""
    body = view(row) | {"progress": transfer_stats.of_operation(connection, row.id) if row.moves else None}
    body["instance_name"] = instance_list.names(connection, [row.instance_uuid]).get(row.instance_uuid)
    if row.wait_reason:
        names = [name for name in (row.source, row.destination) if name]
        rows, patience_s = hosts.by_names(connection, names), services.settings.service_down_time
        views = [host_views.host_view(one, patience_s) for one in rows]
        silent = [v for v in views if not (v.up or v.unreadable) and f"host {v.name}" in row.wait_reason]
        if silent:
            body["waiting"] = f"{row.wait_reason} for {silent[0].silent_s:.0f} s"
    return body


def _event(line: Any, begin: float) -> dict[str, Any]:
    return {
        "at": iso_us(line.at),
        "offset_ms": _offset(line.at, begin),
        "name": line.name,
        "phase": line.phase,
        "epoch": line.epoch,
        "host": line.host,
        "message": line.message,
        "details": line.details,
    }
