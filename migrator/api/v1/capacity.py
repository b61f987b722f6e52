"""``/v1/what-if``: what would become of instances if hosts were lost. Only reads."""

from typing import Any

from pydantic import BaseModel, Field

from migrator.api.routing import Answer, ApiRequest
from migrator.api.v1.drains import Name, plan_view, planned_view
from migrator.scheduler.fleet import losses
from migrator.scheduler.fleet.plan.model import PlannedMove


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


def loss_view(move: PlannedMove) -> dict[str, Any]:
    told = ("target", "pool", "made_from", "image_id")
    disks = [{name: fate[name] for name in told} for fate in move.guest.lost_disks]
    return planned_view(move) | {"lost_disks": disks}
