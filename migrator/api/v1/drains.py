"""``/v1/drains``: all instances away from a host, as one object with a plan, budgets and results; and back again. The
evacuation of a lost host is such an object, too.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from migrator.api.routing import Answer, ApiRequest
from migrator.api.timestamps import iso_us
from migrator.db import drains, operations, transfer_stats
from migrator.db.drain_rows import DrainEventRow, DrainMoveRow, DrainRow
from migrator.db.engine import Connection
from migrator.db.rows import OperationRow
from migrator.scheduler.fleet import requests
from migrator.scheduler.fleet.plan.model import FleetPlan, PlannedMove, Way
from migrator.scheduler.fleet.plan.vocabulary import DrainRequest

Name = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[a-zA-Z0-9-._]*$")]
Strategy = Literal["live", "cold", "stop", "leave"]


class _MovesOfAHost(BaseModel):
    """What is asked of all moves away from one host, whatever begins them."""

    model_config = ConfigDict(extra="forbid", strict=True)

    to: list[Name] = Field([], max_length=1000, description="the only destinations; none: every host")
    at_most: int | None = Field(None, ge=1, le=1000, description="moves at once; null: as the settings say")
    deadline_s: int | None = Field(None, ge=1, le=31_536_000, description="no move begins after so many seconds")
    reason: str = Field("", max_length=200, pattern=r"^[^\x00-\x1f]*$")
    dry_run: bool = Field(False, description="answer the plan, and begin nothing")


class NewDrain(_MovesOfAHost):
    """What a drain is asked to do."""

    host: Name
    strategies: list[Strategy] = Field(["live", "cold"], min_length=1, max_length=4, description="the preferred first")
    disable: bool = Field(True, description="the host takes nothing in from now on")


class HostEvacuation(_MovesOfAHost):
    """How the instances of a lost host are evacuated."""

    discard_local_disks: bool = Field(False, description="make anew disks whose data only the lost host has")


class DrainsQuery(BaseModel):
    host: Name | None = None
    active: bool | None = None
    limit: int = Field(100, ge=1, le=1000)
    marker: str | None = Field(None, min_length=1, max_length=36, description="a drain's id or UUID: older ones")


class Cancellation(BaseModel):
    """How a drain ends."""

    model_config = ConfigDict(extra="forbid", strict=True)

    undo: bool = Field(False, description="bring back what went already")


def create(request: ApiRequest) -> Answer:
    """Begin, or with ``dry_run`` only plan. Errors: 400 for options that contradict each other; 404; 409 for a host
    that is being drained, is down, or has no other one to send to."""
    wanted: NewDrain = request.body
    services = request.services
    asked = DrainRequest(
        [Way(way) for way in wanted.strategies], tuple(wanted.to), wanted.at_most, wanted.reason, wanted.disable
    )
    if wanted.dry_run:
        found = requests.forecast(services.db, wanted.host, asked, wanted.deadline_s, services.settings)
        return Answer(200, {"plan": _plan(found, wanted.host)})
    told = (wanted.host, asked, wanted.deadline_s, services.settings)
    return _advanced(request, requests.begin(services.db, request.caller, *told))


def evacuate(request: ApiRequest) -> Answer:
    """Begin all instances of a lost host elsewhere, or with ``dry_run`` only plan. Answers a drain of the kind
    ``evacuation``. Errors: 400 for a host that is up, or options that contradict each other; 404; 409 without evidence
    that the host runs nothing, for one that is being drained or evacuated, or has no other one to go to."""
    wanted: HostEvacuation = request.body
    services, host = request.services, request.params["name"]
    discard = wanted.discard_local_disks
    asked = DrainRequest(
        [Way.EVACUATE], tuple(wanted.to), wanted.at_most, wanted.reason, disable=False, discard=discard
    )
    if wanted.dry_run:
        found = requests.forecast(services.db, host, asked, wanted.deadline_s, services.settings)
        return Answer(200, {"plan": _plan(found, host)})
    told = (host, asked, wanted.deadline_s, services.settings)
    return _advanced(request, requests.begin_evacuation(services.db, request.caller, *told))


def restore(request: ApiRequest) -> Answer:
    """Let the host take instances in again, and bring back what drains took away. Errors: 404; 409."""
    services = request.services
    return _advanced(request, requests.restore(services.db, request.caller, request.params["name"], services.settings))


def index(request: ApiRequest) -> Answer:
    """The newest first; with ``marker``, those that are older than that drain. Errors: 400 for a marker that is no
    drain."""
    query: DrainsQuery = request.query
    with request.services.db.read() as connection:
        rows = drains.listed(connection, query.host, query.active, query.limit, query.marker)
        counts = drains.counts(connection, [row.id for row in rows])
    return Answer(200, {"drains": [drain_view(row) | {"moves": counts[row.id]} for row in rows]})


def show(request: ApiRequest) -> Answer:
    """With its plan: every instance, its operation and how far that is; and the newest 1000 events, oldest first."""
    return _shown(request, request.params["ident"], 200)


def pause(request: ApiRequest) -> Answer:
    return _ask(request, "pause")


def resume(request: ApiRequest) -> Answer:
    return _ask(request, "resume")


def cancel(request: ApiRequest) -> Answer:
    """Moves under way are undone where they still can be. With ``undo`` what went already comes back, by a restore."""
    return _ask(request, "cancel", undo=request.body.undo)


def _ask(request: ApiRequest, verb: str, *, undo: bool = False) -> Answer:
    services = request.services
    row = requests.ask(services.db, request.caller, request.params["ident"], verb, undo=undo)
    return _advanced(request, row)


def _advanced(request: ApiRequest, row: DrainRow) -> Answer:
    advance(request, row)
    return _shown(request, row.uuid, 202)


def advance(request: ApiRequest, row: DrainRow) -> None:
    """As far as it goes now. The audit names the operations that the request begins, and those under way that it is
    about. Those that begin later have the request's id, as the drain has."""
    services, about = request.services, request.caller.operations
    with services.db.read() as connection:
        about += drains.operations_under_way(connection, row.id)
    services.drains.advance(row.id)
    with services.db.read() as connection:
        about += [key for key in drains.operations_under_way(connection, row.id) if key not in about]


def _shown(request: ApiRequest, ident: str, status: int) -> Answer:
    with request.services.db.read() as connection:
        return Answer(status, {"drain": view(connection, drains.get(connection, ident))})


def view(connection: Connection, row: DrainRow) -> dict[str, Any]:
    """With its moves and its events."""
    found = drains.moves(connection, row.id)
    begun = operations.get_many(connection, [m.operation_id for m in found if m.operation_id is not None])
    by_id = {one.id: one for one in begun}
    moves = [_move(connection, move, by_id.get(move.operation_id or 0)) for move in found]
    events = [_event(line) for line in drains.events(connection, row.id)]
    return drain_view(row) | {"moves": moves, "events": events}


def drain_view(row: DrainRow) -> dict[str, Any]:
    """``note``: why it waits, or how it ended. ``predicted_s``: of the newest plan; ``longest_s``: with every doubt."""
    shown: dict[str, Any] = {name: getattr(row, name) for name in ("id", "uuid", "kind", "host", "state", "note")}
    shown |= dict(row.request) | {"undo": row.undo, "user_id": row.user_id, "request_id": row.request_id}
    shown |= {"predicted_s": round(row.total_s, 1), "longest_s": round(row.longest_s, 1)}
    moments = ("created_at", "planned_at", "deadline_at", "finished_at")
    return shown | {name: iso_us(getattr(row, name)) for name in moments}


def _move(connection: Connection, move: DrainMoveRow, row: OperationRow | None) -> dict[str, Any]:
    """``why`` and ``remedy``: why by this way, or why it cannot go and what would have to change. ``error``: of the
    newest attempt."""
    shown: dict[str, Any] = {"server": move.instance_uuid, "name": move.name}
    shown |= {name: getattr(move, name) for name in ("source", "state", "way", "destination", "attempts", "error")}
    shown |= {name: move.plan.get(name) for name in ("why", "remedy", *_TIMES)}
    if row is None:
        return shown | {"operation": None}
    progress = transfer_stats.of_operation(connection, row.id) if row.active and row.moves else None
    about = {name: getattr(row, name) for name in ("id", "uuid", "kind", "status", "phase")}
    return shown | {"operation": about | {"waiting": row.wait_reason, "progress": progress}}


_TIMES = ("duration_s", "downtime_s", "begin_s", "end_s")


def _event(line: DrainEventRow) -> dict[str, Any]:
    return {
        "id": line.id,
        "at": iso_us(line.at),
        "name": line.name,
        "server": line.instance_uuid,
        "message": line.message,
    }


def _plan(found: FleetPlan, host: str) -> dict[str, Any]:
    """``late``: servers whose moves would end after the deadline."""
    moves = [planned_view(move) for move in found.moves]
    return {"host": host, **plan_view(found), "late": list(found.late), "moves": moves}


def plan_view(found: FleetPlan) -> dict[str, Any]:
    return {"predicted_s": round(found.total_s, 1), "longest_s": round(found.longest_s, 1)}


def planned_view(move: PlannedMove) -> dict[str, Any]:
    shown: dict[str, Any] = {"server": move.guest.uuid, "name": move.guest.name, "source": move.guest.source}
    shown |= {"state": "planned" if move.way is not None else "stuck"}
    return shown | {name: getattr(move, name) for name in ("way", "destination", "why", "remedy", *_TIMES)}
