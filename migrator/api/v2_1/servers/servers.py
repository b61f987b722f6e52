"""/servers: create, list, show, rename, delete.

Handlers only: bodies become build requests in ``create``, queries in ``query``, rows become JSON in
``view``; operations begin in ``scheduler/requests``.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from migrator.api import flavor_and_image
from migrator.api.faults import SEES_HOSTS
from migrator.api.json_schema import shortened
from migrator.api.routing import Answer, ApiRequest
from migrator.api.v2_1.common import paging
from migrator.api.v2_1.servers import create as server_create
from migrator.api.v2_1.servers import query as server_query
from migrator.api.v2_1.servers import view
from migrator.db import aggregates, instances, transfer_stats
from migrator.db import instance_list as instance_rows
from migrator.db.key_pairs import Owner
from migrator.errors import BadRequest, Conflict
from migrator.scheduler.requests import build, requests

PINNED = "pinned_availability_zone"


def project_scope(request: ApiRequest) -> str | None:
    """The project whose instances the caller may reach; None: all of them."""
    return None if request.caller.is_admin else request.caller.project_id


def find(request: ApiRequest, uuid: str) -> instance_rows.InstanceRow:
    """Raises InstanceNotFound, also for one of another project."""
    with request.services.db.read() as connection:
        return instance_rows.get(connection, uuid, project_scope(request))


def view_context(request: ApiRequest, rows: Any = ()) -> view.ViewContext:
    states: Mapping[str, str] | None = None
    if request.version >= (2, 16) and request.allows("os_compute_api:servers:show:host_status"):
        names = {row.host for row in rows if row.host}
        with request.services.db.read() as connection:
            states = instance_rows.host_states(connection, names, request.services.settings.service_down_time)
    moving = [row.uuid for row in rows if row.task_state in view.TRANSFERRING]
    percents: Mapping[str, int] = {}
    if moving:
        with request.services.db.read() as connection:
            percents = transfer_stats.percents(connection, moving)
    seen = (request.allows(SEES_HOSTS), request.allows(flavor_and_image.SEES_EXTRA_SPECS))
    with request.services.db.read() as connection:
        zones = aggregates.zones(connection, {row.host for row in rows if row.host}) if rows else {}
    return view.ViewContext(request.version, request.base, request.bookmarks, *seen, states, percents, zones)


def create(request: ApiRequest) -> Answer:
    services, body = request.services, request.body
    for rule in server_create.rules(body["server"]):
        request.require(rule)
    owner = Owner(request.caller.project_id, request.caller.user_id)
    wanted = server_create.new_instances(services.db, body, request.version, project_scope(request), owner)
    reservation = build.reservation_id()
    least = int(body["server"].get("min_count", 1))
    reserved = [replace(new, reservation_id=reservation) for new in wanted]
    made = build.create_instances(services.db, request.caller, reserved, least, services.settings.quotas)
    for _, operation_id in made:
        services.reconciler.reconcile(operation_id)
    if str(body["server"].get("return_reservation_id", "")).lower() in ("true", "1", "on", "yes"):
        return Answer(202, {"reservation_id": reservation})
    uuid = made[0][0]
    server = {
        "id": uuid,
        "links": view.links(request.base, request.bookmarks, "servers", uuid),
        "OS-DCF:diskConfig": wanted[0].display_columns.get("disk_config") or "MANUAL",
        "security_groups": [{"name": "default"}],
    }
    return Answer(202, {"server": server}, headers={"Location": f"{request.base}/servers/{uuid}"})


def _rights(request: ApiRequest, listing: str) -> server_query.Rights:
    rule = f"os_compute_api:servers:{listing}:get_all_tenants"
    everything = request.allows("os_compute_api:servers:allow_all_filters")
    caller = request.caller
    return server_query.Rights(caller.project_id, caller.is_admin, request.allows(rule), everything, rule)


def index(request: ApiRequest) -> Answer:
    return _page(request, "servers", detail=False)


def detail(request: ApiRequest) -> Answer:
    return _page(request, "servers/detail", detail=True)


def _page(request: ApiRequest, path: str, *, detail: bool) -> Answer:
    query = server_query.parse(
        request.query,
        request.version,
        _rights(request, "detail" if detail else "index"),
        most=request.services.settings.max_limit,
    )
    if query is None:
        return Answer(200, {"servers": []})
    with request.services.db.read() as connection:
        rows = instance_rows.page(connection, query, detail=detail)
    context = view_context(request, rows if detail else ())
    if detail:
        found = [view.detail(row, context, single=False) for row in rows]
    else:
        found = [view.brief(row, context) for row in rows]
    body: dict[str, Any] = {"servers": found}
    if rows and len(rows) == query.limit:
        body["servers_links"] = paging.next_link(request, path, rows[-1].uuid)
    return Answer(200, body)


def show(request: ApiRequest) -> Answer:
    row = find(request, request.params["id"])
    return Answer(200, {"server": view.detail(row, view_context(request, [row]), single=True)})


def rename(request: ApiRequest) -> Answer:
    """PUT: what is recorded of the server and told to no guest, and the zone that it is pinned to."""
    uuid = request.params["id"]
    find(request, uuid)
    wanted = request.body["server"]
    values = {name: wanted[name] for name in ("name", "description", "hostname") if name in wanted}
    values |= server_create.view(wanted)
    with request.services.db.write() as connection:
        if PINNED in wanted:
            values["availability_zone"] = _pinned(connection, uuid, wanted[PINNED])
        if values:
            instances.change(connection, uuid, values)
    row = find(request, uuid)
    context = view_context(request, [row])
    if request.version >= (2, 75):
        return Answer(200, {"server": view.detail(row, context, single=True)})
    groups = {"server_groups": view.groups(row)} if request.version >= (2, 71) else {}
    return Answer(200, {"server": view.core(row, context) | groups})


def _pinned(connection: Any, uuid: str, zone: str | None) -> str | None:
    """The zone, if the server may be pinned to it: where it is, and stays. Raises BadRequest, Conflict."""
    row = instances.lock(connection, uuid)
    if zone is None:
        return None
    if row.task_state is not None:
        raise Conflict(f"Cannot pin instance {uuid} to a zone while it is in task_state {row.task_state}")
    here = aggregates.zones(connection, [row.host]).get(row.host, aggregates.DEFAULT_ZONE) if row.host else None
    if zone != here:
        where = f"it is in {here}" if row.host else "it is on no host"
        raise BadRequest(
            f"Invalid input for field/attribute {PINNED}. Value: {shortened(zone)}. "
            f"A server can only be pinned to the availability zone that it is in: {where}"
        )
    return zone


def delete(request: ApiRequest) -> Answer:
    uuid = request.params["id"]
    find(request, uuid)
    request.services.reconciler.reconcile(requests.delete_instance(request.services.db, request.caller, uuid))
    return Answer(204)
