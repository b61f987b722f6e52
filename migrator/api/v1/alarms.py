"""``/v1/alarms``: what was found wrong and is not over. Never raises or clears one: what found it does."""

from typing import Annotated, Any

from pydantic import BaseModel, Field

from migrator import alarms as kinds
from migrator.api.routing import Answer, ApiRequest
from migrator.api.timestamps import iso_us
from migrator.db import alarms

Subject = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^\x00]*$")]


class AlarmsQuery(BaseModel):
    host: Subject | None = None
    instance: Subject | None = None
    kind: list[kinds.AlarmKind] | None = Field(None, max_length=100)
    cleared: bool = False
    limit: int = Field(1000, ge=1, le=1000)


def index(request: ApiRequest) -> Answer:
    """The open alarms, newest first; with ``cleared`` also those that are over. ``total`` counts all open ones."""
    query: AlarmsQuery = request.query
    with request.services.db.read() as connection:
        rows = alarms.listed(
            connection,
            host=query.host,
            instance_uuid=query.instance,
            kinds=[one.value for one in query.kind or ()],
            cleared=query.cleared,
            limit=query.limit,
        )
        total = sum(alarms.open_by_kind(connection).values())
    return Answer(200, {"alarms": [view(row) for row in rows], "total": total})


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
