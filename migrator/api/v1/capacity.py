"""``/v1/what-if`` and ``/v1/capacity``: what would become of instances if hosts were lost, named ones or any. Only
reads."""

from typing import Any

from pydantic import BaseModel, Field

from migrator.api.routing import Answer, ApiRequest
from migrator.api.v1.drains import Name, plan_view, planned_view
from migrator.scheduler.fleet import losses
from migrator.scheduler.fleet.losses import LossResult
from migrator.scheduler.fleet.plan.model import PlannedMove

_NAMED = 100  # servers of one loss


class WhatIfQuery(BaseModel):
    lose: list[Name] = Field(min_length=1, max_length=1000, description="the hosts that are lost together")
    discard_local_disks: bool = Field(False, description="make anew disks whose data only the lost hosts have")


def what_if(request: ApiRequest) -> Answer:
    """Where each instance of the hosts would be restarted, by the plan that an evacuation would begin with; or that it
    would stay down, why, and what would have to change. ``lost_disks``: those whose data only the lost hosts have;
    ``arriving``: names of instances that are on their way to one of the hosts. Errors: 400 for a host that is named
    twice, or when no host would be left; 404."""
    query: WhatIfQuery = request.query
    services, discard = request.services, query.discard_local_disks
    found = losses.what_if(services.db, query.lose, services.settings, discard=discard)
    moves = [loss_view(move) for move in found.plan.moves]
    stay = len([move for move in found.plan.moves if move.way is None])
    shown: dict[str, Any] = {"lose": list(found.hosts), "discard_local_disks": discard}
    shown |= {"restarted": len(moves) - stay, "stay_down": stay, "arriving": list(found.arriving)}
    return Answer(200, {"what_if": shown | plan_view(found.plan) | {"moves": moves}})


class CapacityQuery(BaseModel):
    lose: int = Field(1, ge=1, le=100, description="hosts that are lost together")
    discard_local_disks: bool = Field(False, description="make anew disks whose data only the lost hosts have")
    limit: int = Field(100, ge=1, le=1000, description="losses that are answered, the worst first")


def capacity(request: ApiRequest) -> Answer:
    """Whether the fleet survives the loss of any ``lose`` hosts: which losses would leave instances down, which and
    why. ``losses_with_instances_down`` counts all of these losses, ``hosts_with_local_disks`` the hosts whose loss
    would cost an instance data. Of each loss 100 servers are answered. Errors: 400 when no host would be left, or there
    are more than 5000 combinations of so many hosts."""
    query: CapacityQuery = request.query
    services, discard = request.services, query.discard_local_disks
    found = losses.capacity(services.db, query.lose, services.settings, discard=discard)
    shown: dict[str, Any] = {"lose": found.lose, "discard_local_disks": discard, "survives": not found.losses}
    shown |= {"hosts": found.hosts, "instances": found.instances, "combinations": found.combinations}
    shown |= {"losses_with_instances_down": len(found.losses), "hosts_with_local_disks": len(found.without_data)}
    return Answer(200, {"capacity": shown | {"losses": [_result(one) for one in found.losses[: query.limit]]}})


def _result(one: LossResult) -> dict[str, Any]:
    shown: dict[str, Any] = {"hosts": list(one.hosts), "instances": one.instances, "stay_down": len(one.stay)}
    return shown | {"servers": [_down(move) for move in one.stay[:_NAMED]]}


def _down(move: PlannedMove) -> dict[str, Any]:
    told = ("server", "name", "source", "why", "remedy", "lost_disks")
    view = loss_view(move)
    return {name: view[name] for name in told}


def loss_view(move: PlannedMove) -> dict[str, Any]:
    told = ("target", "pool", "made_from", "image_id")
    disks = [{name: fate[name] for name in told} for fate in move.guest.lost_disks]
    return planned_view(move) | {"lost_disks": disks}
