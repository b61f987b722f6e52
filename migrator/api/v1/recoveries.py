"""``/v1/recoveries``: evacuations of lost hosts that the servers began on their own, with the evidence. Only reads.

A recovery is a drain of the kind ``evacuation`` with the same id and UUID; as one it is paused, resumed and cancelled.
"""

from typing import Any

from pydantic import BaseModel, Field

from migrator.api.routing import Answer, ApiRequest
from migrator.api.timestamps import iso_us
from migrator.api.v1.drains import Name, drain_view, view
from migrator.db import drains, recoveries
from migrator.db.drain_rows import RecoveryRow


class RecoveriesQuery(BaseModel):
    host: Name | None = None
    active: bool | None = None
    limit: int = Field(100, ge=1, le=1000)


def index(request: ApiRequest) -> Answer:
    """The newest first. ``evidence``: why the host counts as running nothing, from whom and since when."""
    query: RecoveriesQuery = request.query
    with request.services.db.read() as connection:
        rows = recoveries.listed(connection, query.host, query.active, query.limit)
        ids = [row.id for row in rows]
        counts, found = drains.counts(connection, ids), recoveries.of_drains(connection, ids)
    views = [drain_view(row) | {"moves": counts[row.id]} | _evidence(found[row.id]) for row in rows]
    return Answer(200, {"recoveries": views})


def show(request: ApiRequest) -> Answer:
    """With every instance, its operation and how far that is, and why one stays or is stuck; and the newest 1000
    events, oldest first. Errors: 404."""
    with request.services.db.read() as connection:
        row, found = recoveries.get(connection, request.params["ident"])
        return Answer(200, {"recovery": view(connection, row) | _evidence(found)})


def _evidence(row: RecoveryRow) -> dict[str, Any]:
    """``at``: null for evidence that holds on its own, as a lapsed lease does."""
    return {"evidence": dict(row.evidence) | {"at": iso_us(row.evidence["at"])}}
