"""``/v1/servers/{id}/reconcile``: record and copies of one instance side by side, and the operator's word for one copy.

Whether a word is taken, ``scheduler/hosts/reconciliation.py`` decides.
"""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from migrator.api.process.services import Services
from migrator.api.routing import Answer, ApiRequest
from migrator.api.v1 import alarms as alarm_view
from migrator.api.v1 import operations
from migrator.db import alarms, operation_list
from migrator.scheduler.hosts import reconciliation
from migrator.scheduler.hosts.reconciliation import Sides, Word

_AT_MOST = 100  # operations that are shown
HostName = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f]+$")]


class Said(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    host: HostName | None = Field(None, description="where the right copy is; without it the record stays")
    given_up: list[HostName] = Field(
        default_factory=list, max_length=100, description="fenced hosts: what they had of the instance counts no more"
    )
    unproven: bool = Field(False, description="also if nothing shows that the host was ever given the instance")


def show(request: ApiRequest) -> Answer:
    """The record, every host's copy with state, stamp and the age of the host's word, open alarms, active operations.
    Also of an instance that was deleted or never recorded, while a host reports it. Errors: 404."""
    return Answer(200, _shown(request.services, request.params["ident"]))


def take(request: ApiRequest) -> Answer:
    """Take the operator's word. Errors: 400 for none; 404; 409 with what is in the way, if the word could make two
    copies run."""
    said: Said = request.body
    services, ident = request.services, request.params["ident"]
    word = Word(said.host, frozenset(said.given_up), said.unproven)
    for operation_id in reconciliation.take(services.db, request.caller, _clean(ident), word, services.settings):
        services.reconciler.reconcile(operation_id)
    if said.host is not None:
        services.notifier.wake([said.host])
    return Answer(200, _shown(services, ident))


def _clean(ident: str) -> str:
    return ident.replace("\x00", "")


def _shown(services: Services, ident: str) -> dict[str, Any]:
    with services.db.read() as connection:
        sides = reconciliation.both_sides(connection, _clean(ident), services.settings)
        raised = alarms.listed(connection, instance_uuid=sides.uuid)
        active = operation_list.listed(connection, sides.uuid, True, _AT_MOST)
    return {
        "reconcile": {
            "server": sides.uuid,
            "record": _record(sides.record),
            "copies": [_copy(sides, copy) for copy in sides.copies],
            "alarms": [alarm_view.view(row) for row in raised],
            "operations": [operations.view(row) for row in active],
        }
    }


def _record(row: Any | None) -> dict[str, Any] | None:
    if row is None:
        return None
    return {name: getattr(row, name) for name in ("name", "host", "vm_state", "task_state", "power_state", "deleted")}


def _copy(sides: Sides, copy: Any) -> dict[str, Any]:
    """``issued_for``: the host for which a server signed the stamp; null: none did. ``newer``: this database knows
    nothing of the operation, or of the epoch, that the stamp names, or of one that the host has served."""
    view = sides.views.get(copy.host)
    stamp = {"operation": copy.stamp_operation, "epoch": copy.stamp_epoch, "issued_for": copy.stamp_host}
    return {
        "host": copy.host,
        "state": copy.state,
        "believed": copy.believed,
        "stamp": stamp | {"newer": copy.host in sides.newer},
        "age_s": round(copy.age_s, 1),
        "host_heard": sides.is_up(copy.host),
        "host_fenced": view is not None and view.fenced,
    }
