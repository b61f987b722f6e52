"""migrate, resize, confirmResize and revertResize.

Owns what the answer itself must say of hosts and flavors; everything later is in the migration's record.
"""

from collections.abc import Mapping
from typing import Any

from migrator.api import flavor_and_image
from migrator.api.routing import ApiRequest
from migrator.api.v2_1.actions import schemas
from migrator.api.v2_1.actions.action import ServerAction, StartedAction
from migrator.api.v2_1.servers.servers import project_scope
from migrator.db import hosts, operations
from migrator.errors import BadRequest, Conflict
from migrator.operations import Kind
from migrator.scheduler.requests import cold_migration
from migrator.scheduler.requests.requests import ALLOWED
from migrator.scheduler.state import host_views

_TO_A_HOST = (2, 56)


def _migrate(request: ApiRequest, row: Any, value: Any) -> StartedAction:
    host = (value or {}).get("host") if request.version >= _TO_A_HOST else None
    if host is not None:
        request.require("os_compute_api:os-migrate-server:migrate:host", row)
    if _may_move(row, Kind.MIGRATION):
        _check_hosts(request, row, host)
    return StartedAction(cold_migration.migrate(request.services.db, request.caller, row.uuid, host=host))


def _may_move(row: Any, kind: Kind) -> bool:
    """In a wrong state the answer is 409, whatever else is wrong: so says ``requests/cold_migration.py``."""
    return row.task_state is None and row.vm_state in ALLOWED[kind][1]


def _check_hosts(request: ApiRequest, row: Any, host: str | None) -> None:
    """The source must answer, and a destination must be known and another host. Whether that one is up is the
    scheduler's to find."""
    services = request.services
    with services.db.read() as connection:
        found = hosts.by_names(connection, {name for name in (host, row.host) if name})
    views = {h.name: host_views.host_view(h, services.settings.service_down_time) for h in found}
    if host is not None and host not in views:
        raise BadRequest(f"Compute host {host} could not be found.")
    if host is not None and host == row.host:
        raise BadRequest("Cannot migrate to the host where the server exists.")
    if row.host in views and not views[row.host].up:
        raise Conflict("Service is unavailable at this time.")


def _resize(request: ApiRequest, row: Any, value: Any) -> StartedAction:
    with request.services.db.read() as connection:
        flavor = flavor_and_image.flavor(connection, str(value["flavorRef"]), project_scope(request))
        image = flavor_and_image.image_if_known(connection, row.image_id) if row.image_id else None
    if _may_move(row, Kind.RESIZE):
        flavor_and_image.check_supported(flavor)
        if image is not None:
            flavor_and_image.check_fits(flavor, image)
        _check_hosts(request, row, None)
    settings = request.services.settings
    return StartedAction(
        cold_migration.resize(
            request.services.db,
            request.caller,
            row.uuid,
            flavor=flavor,
            same_host=settings.allow_resize_to_same_host,
            quotas=settings.quotas,
            disk_config=value.get("OS-DCF:diskConfig"),
        )
    )


def _confirm(request: ApiRequest, row: Any, _value: Any) -> StartedAction:
    return StartedAction(cold_migration.confirm(request.services.db, request.caller, row.uuid))


def _revert(request: ApiRequest, row: Any, _value: Any) -> StartedAction:
    """The source has to show its disks before anything else is done: one that is silent cannot."""
    services = request.services
    with services.db.read() as connection:
        active = operations.active_of_instance(connection, row.uuid)
        names = {active.source} if active is not None and active.source and row.vm_state == "resized" else set()
        found = hosts.by_names(connection, names)
    for host in found:
        if not host_views.host_view(host, services.settings.service_down_time).up:
            raise Conflict(_silent_source(row, f"host {host.name}"), without_hosts=_silent_source(row, "the host"))
    return StartedAction(cold_migration.revert(request.services.db, request.caller, row.uuid))


def _silent_source(row: Any, host: str) -> str:
    return (
        f"Cannot 'revertResize' instance {row.uuid}: {host}, which has the instance's former disks, is down, and has "
        "to show them before those it runs on are given up. Wait until it is back; or confirm, and the instance "
        "stays where it is; or, when that host is lost too, evacuate it once it is fenced"
    )


ACTIONS: Mapping[str, ServerAction] = {
    "migrate": ServerAction(_migrate, schemas.MIGRATE),
    "resize": ServerAction(_resize, schemas.RESIZE),
    "confirmResize": ServerAction(_confirm, status=204),
    "revertResize": ServerAction(_revert),
}
