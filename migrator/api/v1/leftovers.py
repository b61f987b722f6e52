"""``/v1/leftovers``: what lies on hosts and no record knows, or nothing uses."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from migrator.api.dependencies import Service
from migrator.api.v2_1.common.paging import page
from migrator.scheduler.hosts import leftovers

router = APIRouter(prefix="/v1", tags=["native"])


@router.get("/leftovers")
def index(
    services: Service,
    host: Annotated[str | None, Query(max_length=255, pattern=r"^[^\x00]*$")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 1000,
    marker: Annotated[str | None, Query(max_length=5000, pattern=r"^[^\x00]*$")] = None,
) -> dict[str, Any]:
    """``age_s``: for how long nothing has used it; ``removed``: whether its host's agent removes it after
    ``unused_file_retention``; ``told_s``: how long ago that agent said so; ``next``: the marker of what follows, null
    at the end."""
    with services.db.read() as connection:
        found = leftovers.listed(connection, host)
    rows = [
        {"host": one.host, "told_s": one.told_s, "why": one.words, "removed": one.removed, **one.what.model_dump()}
        for one in found
    ]
    shown, after = page(rows, lambda row: f"{row['host']}/{row['path']}", limit, marker)
    return {"leftovers": shown, "next": after}
