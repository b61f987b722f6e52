"""``/v1/alarms``: what was found wrong and is not over. Never raises or clears one: what found it does."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from migrator import alarms as kinds
from migrator.api.auth import STRATEGIES
from migrator.api.dependencies import Service
from migrator.api.request_ids import new_request_id
from migrator.api.v2_1.servers.view import iso_us
from migrator.db import alarms

router = APIRouter(prefix="/v1", tags=["native"])
Subject = Annotated[str | None, Query(min_length=1, max_length=255, pattern=r"^[^\x00]*$")]


@router.get("/alarms")
def index(
    services: Service,
    request: Request,
    host: Subject = None,
    instance: Subject = None,
    kind: Annotated[list[kinds.AlarmKind] | None, Query(max_length=100)] = None,
    cleared: bool = False,
    limit: Annotated[int, Query(ge=1, le=1000)] = 1000,
) -> dict[str, Any]:
    """The open alarms, newest first; with ``cleared`` also those that are over. ``total`` counts all open ones."""
    STRATEGIES[services.settings.auth_strategy]().caller(request.headers, new_request_id())
    wanted = [one.value for one in kind or ()]
    with services.db.read() as connection:
        rows = alarms.listed(connection, host=host, instance_uuid=instance, kinds=wanted, cleared=cleared, limit=limit)
        total = sum(alarms.open_by_kind(connection).values())
    return {"alarms": [view(row) for row in rows], "total": total}


def view(row: Any) -> dict[str, Any]:
    """``since``: when it was raised; ``message``: what was found; ``advice``: what to do."""
    host, instance_uuid = row.host or None, row.instance_uuid or None
    return {
        "id": row.id,
        "kind": row.kind,
        "host": host,
        "instance": instance_uuid,
        "message": row.message,
        "advice": kinds.advice(row.kind, host, instance_uuid),
        "details": row.details,
        "since": iso_us(row.raised_at),
        "changed_at": iso_us(row.changed_at),
        "cleared_at": iso_us(row.cleared_at),
    }
