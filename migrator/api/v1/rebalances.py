"""``/v1/rebalances``: moves that would spread what is used, or empty hosts; accepted, and compared with what came."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from migrator.api.routing import Answer, ApiRequest
from migrator.api.timestamps import iso_us
from migrator.api.v1.drains import advance
from migrator.db import drains, hosts, rebalances, use_samples
from migrator.db.drain_rows import DrainMoveRow, DrainRow
from migrator.db.engine import Connection
from migrator.db.rebalances import RebalanceMoveRow, RebalanceRow
from migrator.scheduler.fleet import rebalances as requests
from migrator.scheduler.fleet.balance.model import Objective
from migrator.scheduler.fleet.balancing import BalanceOptions

_AFTER_HOURS = 6  # that are compared with what was promised
_TOLD = ("why", "cost_s", "gain_s", "duration_s", "downtime_s", "moved_mib")


class NewRebalance(BaseModel):
    """What a rebalance is asked for."""

    model_config = ConfigDict(extra="forbid")

    objective: Objective = Field(Objective.SPREAD, description="spread: no host is hot; pack: hosts become empty")
    at_most: int | None = Field(None, ge=1, le=1000, strict=True, description="moves; null: as the settings say")
    horizon_s: int = Field(3600, ge=60, le=604_800, strict=True, description="in which a move has to pay for itself")
    auto: bool = Field(False, strict=True, description="accept all that is proposed")


class Acceptance(BaseModel):
    """Which moves are accepted."""

    model_config = ConfigDict(extra="forbid", strict=True)

    servers: list[str] = Field([], max_length=1000, description="UUIDs; none: all that are left")


class RebalancesQuery(BaseModel):
    limit: int = Field(100, ge=1, le=1000)


def create(request: ApiRequest) -> Answer:
    """Plan, and keep what is proposed for a while. Nothing begins, unless with ``auto``. Errors: 409 with ``auto``
    while another rebalance moves instances: what was proposed is kept."""
    wanted: NewRebalance = request.body
    services = request.services
    most = wanted.at_most or services.settings.rebalance_at_most
    options = BalanceOptions(wanted.objective, most, float(wanted.horizon_s))
    row = requests.create(services.db, request.caller, options, services.settings)
    with services.db.read() as connection:
        proposed = rebalances.moves(connection, row.id)
    if wanted.auto and proposed:
        advance(request, requests.accept(services.db, request.caller, row.uuid, ()))
    return _shown(request, row.uuid, 201)


def accept(request: ApiRequest) -> Answer:
    """Let proposed moves begin, under the budgets of drains, each checked again when it begins. Errors: 400 for a
    server of which no move is proposed; 404; 409 when it is too old, nothing is left, or another one is under way."""
    services, wanted = request.services, request.body
    row = requests.accept(services.db, request.caller, request.params["ident"], wanted.servers)
    advance(request, row)
    return _shown(request, request.params["ident"], 202)


def index(request: ApiRequest) -> Answer:
    """The newest first."""
    query: RebalancesQuery = request.query
    with request.services.db.read() as connection:
        rows = rebalances.listed(connection, query.limit)
        counts = rebalances.counts(connection, [row.id for row in rows])
    views = []
    for row in rows:
        proposed, accepted = counts.get(row.id, (0, 0))
        views.append(_head(row) | {"proposed": proposed, "accepted": accepted})
    return Answer(200, {"rebalances": views})


def show(request: ApiRequest) -> Answer:
    """With every proposed move and what became of it, and for each host what was promised and what was measured in the
    hours after the last move. Errors: 404."""
    return _shown(request, request.params["ident"], 200)


def _shown(request: ApiRequest, ident: str, status: int) -> Answer:
    with request.services.db.read() as connection:
        row = rebalances.get(connection, ident)
        found = rebalances.moves(connection, row.id)
        ids = sorted({move.drain_id for move in found if move.drain_id is not None})
        begun = [drains.get(connection, str(key)) for key in ids]
        moved = {(m.drain_id, m.instance_uuid): m for key in ids for m in drains.moves(connection, key)}
        measured = _measured(connection, row, begun)
    by_id = {one.id: one for one in begun}
    moves = [_move(row, move, by_id, moved) for move in found]
    told = [{**one, "measured": measured.get(one["host"])} for one in row.plan["hosts"]]
    left = [{"host": host, "why": why} for host, why in sorted(row.plan["left"].items())]
    rest = {"hosts": told, "emptied": row.plan["emptied"], "left": left, "moves": moves}
    return Answer(status, {"rebalance": _head(row) | {"drains": [one.uuid for one in begun]} | rest})


def _head(row: RebalanceRow) -> dict[str, Any]:
    shown = {"id": row.id, "uuid": row.uuid, "objective": row.objective, "expired": row.expired} | dict(row.request)
    return shown | {"user_id": row.user_id, "created_at": iso_us(row.created_at), "expires_at": iso_us(row.expires_at)}


def _move(
    row: RebalanceRow,
    move: RebalanceMoveRow,
    begun: Mapping[int, DrainRow],
    moved: Mapping[tuple[int, str], DrainMoveRow],
) -> dict[str, Any]:
    """``state``: proposed, expired, or that of the drain's move. ``source_use``, ``destination_use``: before and
    after."""
    shown: dict[str, Any] = {"server": move.instance_uuid, "name": move.name, "source": move.source}
    shown |= {"destination": move.destination} | {name: move.proposal[name] for name in _TOLD}
    shown |= {"source_use": move.proposal["source"], "destination_use": move.proposal["destination"]}
    if move.drain_id is None:
        return shown | {"state": "expired" if row.expired else "proposed", "drain": None, "error": None}
    now = moved[move.drain_id, move.instance_uuid]
    return shown | {"state": now.state, "drain": begun[move.drain_id].uuid, "error": now.error}


def _measured(connection: Connection, row: RebalanceRow, begun: Sequence[DrainRow]) -> Mapping[str, Any]:
    """Host -> what it really used, as parts of its size, in whole hours after the last move; nothing before that."""
    if not begun or any(one.finished_at is None for one in begun):
        return {}
    ended = max(one.finished_at for one in begun if one.finished_at is not None)
    names = [one["host"] for one in row.plan["hosts"]]
    sizes = {one.name: one for one in hosts.by_names(connection, names)}
    found = {}
    for used in use_samples.after(connection, names, ended, _AFTER_HOURS):
        size = sizes.get(used.host)
        if size is not None and size.vcpus and size.memory_mb:
            share = {"cpus": round(used.cpus / size.vcpus, 4), "memory": round(used.memory_mb / size.memory_mb, 4)}
            found[used.host] = share | {"samples": used.samples}
    return found
