"""``POST /v1/notifications``: what monitors find out about hosts, in the wire format of Masakari's API.

Owns what of it is fencing evidence: that a host has stopped, is out of the cluster, and is known to be off. Anything
else is recorded, and begins nothing.
"""

import uuid as uuids
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from migrator.api.routing import Answer, ApiRequest
from migrator.api.timestamps import iso_us, moment
from migrator.api.v1.drains import Name
from migrator.api.validation import validated
from migrator.db import events, fencing, hosts
from migrator.db.clock import now
from migrator.db.engine import Connection
from migrator.db.rows import HostRow
from migrator.errors import BadRequest
from migrator.event_types import EventType
from migrator.scheduler.state.fencing import notified_too_early

_AHEAD_S = 2.0  # by which the sender's clock may be ahead of the database's


class HostPayload(BaseModel):
    """``host_status`` NORMAL: the monitor knows that the host has no power; UNKNOWN: it does not."""

    model_config = ConfigDict(extra="forbid", strict=True)

    event: Literal["STARTED", "STOPPED"]
    host_status: Literal["NORMAL", "UNKNOWN"] | None = None
    cluster_status: Literal["ONLINE", "OFFLINE"] | None = None


class Notification(BaseModel):
    """``payload`` of a COMPUTE_HOST: event, host_status, cluster_status."""

    model_config = ConfigDict(extra="forbid", strict=True)

    type: Literal["COMPUTE_HOST", "VM", "PROCESS"]
    hostname: Name
    generated_time: str = Field(max_length=64, description="ISO 8601, in UTC where no zone is named")
    payload: dict[str, Any]


class NotificationBody(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    notification: Notification


def create(request: ApiRequest) -> Answer:
    """A COMPUTE_HOST that STOPPED, is OFFLINE in its cluster and whose ``host_status`` is NORMAL counts as fencing
    evidence, if it was generated at least 2 s after the host was last heard. ``status``: "finished" where it counts,
    "ignored" where it does not, and ``message`` says why. Errors: 400 for a host that is not known, and for a time that
    is to come."""
    told: Notification = request.body.notification
    payload = validated(HostPayload, told.payload) if told.type == "COMPUTE_HOST" else None
    services, by = request.services, request.caller.user_id
    with services.db.write() as connection:
        row, said_at = _host(connection, told.hostname), moment("generated_time", told.generated_time)
        age_s = now(connection) - said_at
        if age_s < -_AHEAD_S:
            message = f"generated_time is {-age_s:.0f} s from now: the sender's clock is wrong"
            raise BadRequest(message, advice="let both machines keep their time (chrony or ntpd)")
        age_s = max(0.0, age_s)
        ignored = _no_evidence(payload) or notified_too_early(row, age_s + _AHEAD_S)  # it may be as much older
        message = f"a monitor of {by} said at {iso_us(said_at)}: {_message(told)}"
        if not ignored:
            fencing.witness(connection, row.name, by, message, age_s)
        events.add(connection, EventType.HOST_NOTIFIED, f"{message}{f'; {ignored}' if ignored else ''}", host=row.name)
        return Answer(202, {"notification": _view(told, row, ignored, now(connection))})


def _host(connection: Connection, name: str) -> HostRow:
    """Its row, locked. Raises BadRequest, as Masakari does."""
    if not hosts.lock(connection, [name]):
        raise BadRequest(f"Host with name {name} could not be found.")
    return hosts.get(connection, name)


def _no_evidence(payload: HostPayload | None) -> str:
    """Why it says nothing of the host's guests; "": it does."""
    if payload is None:
        return "only notifications of the type COMPUTE_HOST are evidence"
    if payload.event != "STOPPED" or payload.cluster_status != "OFFLINE":
        return "only a host that STOPPED and is OFFLINE counts as lost"
    if payload.host_status != "NORMAL":
        return "host_status is not NORMAL, so the host may still have power"
    return ""


def _message(told: Notification) -> str:
    if told.type != "COMPUTE_HOST":
        return f"{told.type} on {told.hostname}"
    status = ", ".join(f"{name} {told.payload[name]}" for name in sorted(told.payload))
    return f"{told.type} {told.hostname}, {status}"


def _view(told: Notification, row: HostRow, ignored: str, at: float) -> dict[str, Any]:
    """As Masakari shows one."""
    shown: dict[str, Any] = {"notification_uuid": str(uuids.uuid4()), "source_host_uuid": row.uuid}
    shown |= told.model_dump(include={"type", "hostname", "generated_time", "payload"})
    shown |= {"status": "ignored" if ignored else "finished", "message": ignored or "it is fencing evidence"}
    return shown | {"created_at": iso_us(at), "updated_at": None}
