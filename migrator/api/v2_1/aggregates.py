"""/os-aggregates: hosts that belong together, and the availability zones that they make. The texts are Nova's.

Owns what a request may change: the zone of a host with instances stays (``db/aggregates`` says how that holds).
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from migrator.api.request_input import check_body
from migrator.api.routing import Answer, ApiRequest, Schema, Versioned
from migrator.api.timestamps import iso_us
from migrator.api.v2_1.common.schemas import HOST, NAME, closed
from migrator.db import aggregates as rows
from migrator.db import hosts
from migrator.db.aggregates import DEFAULT_ZONE, ZONE
from migrator.db.engine import Connection
from migrator.db.rows import AggregateRow
from migrator.errors import BadRequest, Conflict, NotFound
from migrator.scheduler.fleet.plan import ha_policy

_LARGEST_ID = 2**31 - 1
_MOST_ITEMS = 128  # of an aggregate's metadata
_ZONE_NAME: Schema = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^(?!\s)[^:\x00-\x1f]*(?<!\s)$"}
_ZONE_OR_NONE: Schema = {**_ZONE_NAME, "type": ["string", "null"]}
_VALUE: Schema = {"type": ["string", "null"], "maxLength": 255}
_METADATA: Schema = {
    "type": "object",
    "properties": {ZONE: _ZONE_OR_NONE},
    "patternProperties": {r"^[a-zA-Z0-9-_:. ]{1,255}$": _VALUE},
    "additionalProperties": False,
    "maxProperties": _MOST_ITEMS,
}
_FIELDS: Schema = {"name": NAME, ZONE: _ZONE_OR_NONE}
CREATE: Versioned = (((2, 1), closed({"aggregate": closed(_FIELDS, ("name",))}, ("aggregate",))),)
UPDATE: Versioned = (((2, 1), closed({"aggregate": {**closed(_FIELDS), "minProperties": 1}}, ("aggregate",))),)
_HOST: Schema = closed({"host": HOST}, ("host",))
_SET: Schema = closed({"metadata": _METADATA}, ("metadata",))
ACTIONS: Mapping[str, Versioned] = {
    name: (((2, 1), closed({name: schema}, (name,))),)
    for name, schema in (("add_host", _HOST), ("remove_host", _HOST), ("set_metadata", _SET))
}


def index(request: ApiRequest) -> Answer:
    with request.services.db.read() as connection:
        found, members = rows.every(connection), rows.members(connection)
    return Answer(200, {"aggregates": [_view(request, row, members.get(row.id, [])) for row in found]})


def show(request: ApiRequest) -> Answer:
    with request.services.db.read() as connection:
        return _answer(request, connection, rows.get(connection, _id(request)))


def create(request: ApiRequest) -> Answer:
    wanted = request.body["aggregate"]
    metadata = {ZONE: wanted[ZONE]} if wanted.get(ZONE) else {}
    with request.services.db.write() as connection:
        row = rows.create(connection, wanted["name"], metadata)
    shown = _view(request, row, [])
    return Answer(200, {"aggregate": {name: shown[name] for name in shown if name not in ("hosts", "metadata")}})


def update(request: ApiRequest) -> Answer:
    wanted, key = request.body["aggregate"], _id(request)
    with request.services.db.write() as connection:
        row, members = rows.locked(connection, key)
        values = {"name": wanted["name"]} if "name" in wanted else {}
        if ZONE in wanted:
            values["metadata"] = _changed(connection, row, members, {ZONE: wanted[ZONE]}, "update aggregate")
        return _answer(request, connection, rows.change(connection, key, values))


def delete(request: ApiRequest) -> Answer:
    key = _id(request)
    with request.services.db.write() as connection:
        _, members = rows.locked(connection, key)
        if members:
            raise BadRequest(f"Cannot remove host from aggregate {key}. Reason: Host aggregate is not empty.")
        rows.remove(connection, key)
    return Answer(200)


def act(request: ApiRequest) -> Answer:
    body = request.body
    name = next(iter(body), "") if isinstance(body, Mapping) and len(body) == 1 else ""
    if name not in ACTIONS:
        raise BadRequest(f"There is no such action: {name}; one of {', '.join(ACTIONS)}")
    request.require(f"os_compute_api:os-aggregates:{name}")
    check_body(ACTIONS[name], body, request.version)
    key = _id(request)
    with request.services.db.write() as connection:
        host = body[name].get("host")
        row, members = rows.locked(connection, key, [host] if host else ())
        _ACTS[name](connection, row, members, body[name])
        return _answer(request, connection, rows.get(connection, key))


def images(request: ApiRequest) -> Answer:
    """Hosts fetch the images of their guests when they need them."""
    with request.services.db.read() as connection:
        rows.get(connection, _id(request))
    raise BadRequest("images of aggregates are not supported: each host fetches an image when a guest needs it")


def _add(connection: Connection, row: AggregateRow, _members: Sequence[str], value: Mapping[str, Any]) -> None:
    host, zone = value["host"], row.metadata.get(ZONE)
    if not hosts.by_names(connection, [host]):
        raise NotFound(f"Compute host {host} could not be found.")
    message = f"Cannot add host to aggregate {row.id}. Reason:"
    if zone is not None:
        here = rows.zones(connection, [host]).get(host)
        if here not in (None, zone):
            raise Conflict(f'{message} Host already in availability zone "{here}".')
        if here is None and zone != DEFAULT_ZONE:
            _refuse_occupied(connection, [host], message)
    if not rows.add_host(connection, row.id, host):
        raise Conflict(f"Aggregate {row.id} already has host {host}.")


def _remove(connection: Connection, row: AggregateRow, members: Sequence[str], value: Mapping[str, Any]) -> None:
    host, before = value["host"], rows.zones(connection, [value["host"]])
    if host not in members or not rows.remove_host(connection, row.id, host):
        raise NotFound(f"Cannot remove host {host} in aggregate {row.id}")
    if rows.zones(connection, [host]).get(host, DEFAULT_ZONE) != before.get(host, DEFAULT_ZONE):
        _refuse_occupied(connection, [host], f"Cannot remove host from aggregate {row.id}. Reason:")


def _set(connection: Connection, row: AggregateRow, members: Sequence[str], value: Mapping[str, Any]) -> None:
    ha_policy.check(value["metadata"])
    metadata = _changed(connection, row, members, value["metadata"], "update aggregate metadata of")
    if len(metadata) > _MOST_ITEMS:
        raise BadRequest(f"Invalid input for field/attribute metadata. At most {_MOST_ITEMS} items are allowed.")
    rows.change(connection, row.id, {"metadata": metadata})


_ACTS = {"add_host": _add, "remove_host": _remove, "set_metadata": _set}


def _changed(
    connection: Connection, row: AggregateRow, members: Collection[str], wanted: Mapping[str, str | None], action: str
) -> dict[str, str]:
    """The aggregate's metadata with these changes; None takes an item away. Raises BadRequest, and Conflict for a zone
    that may not change."""
    merged = {key: value for key, value in {**row.metadata, **wanted}.items() if value is not None}
    before, zone = row.metadata.get(ZONE), merged.get(ZONE)
    if zone == before or not members:
        return merged
    message = f"Cannot {action} {row.id}. Reason:"
    for other in rows.every(connection):
        shared = set(members) & set(rows.members(connection).get(other.id, ())) if other.id != row.id else set()
        if shared and zone is not None and other.metadata.get(ZONE) not in (None, zone):
            raise BadRequest(f"{message} One or more hosts already in different availability zone(s).")
    if (before or DEFAULT_ZONE) != (zone or DEFAULT_ZONE):
        _refuse_occupied(connection, members, message)
    return merged


def _refuse_occupied(connection: Connection, names: Collection[str], message: str) -> None:
    """Instances are pinned to zones, and shown in them: their host's stays. Raises Conflict."""
    if found := rows.occupied(connection, names):
        raise Conflict(f"{message} One or more hosts contain instances in this zone ({', '.join(found)})")


def _id(request: ApiRequest) -> int:
    ident = request.params["id"]
    digits = ident.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()):
        raise BadRequest("Invalid input received: id must be an integer")
    if not 0 <= int(ident[:20]) <= _LARGEST_ID:
        raise NotFound(f"Aggregate {ident[:20]} could not be found.")
    return int(ident)


def _answer(request: ApiRequest, connection: Connection, row: AggregateRow) -> Answer:
    return Answer(200, {"aggregate": _view(request, row, rows.members(connection).get(row.id, []))})


def _view(request: ApiRequest, row: AggregateRow, members: Sequence[str]) -> dict[str, Any]:
    return {
        "id": row.id,
        **({"uuid": row.uuid} if request.version >= (2, 41) else {}),
        "name": row.name,
        "hosts": list(members),
        "metadata": dict(row.metadata),
        "created_at": iso_us(row.created_at),
        "updated_at": iso_us(row.updated_at),
        "deleted_at": None,
        "deleted": False,
        ZONE: row.metadata.get(ZONE),
    }
