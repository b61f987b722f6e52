"""``/v1/leftovers``: what lies on hosts and no record knows, or nothing uses."""

from pydantic import BaseModel, Field

from migrator.api.pages import page
from migrator.api.routing import Answer, ApiRequest
from migrator.scheduler.hosts import leftovers


class LeftoversQuery(BaseModel):
    host: str | None = Field(None, max_length=255, pattern=r"^[^\x00]*$")
    limit: int = Field(1000, ge=1, le=1000)
    marker: str | None = Field(None, max_length=5000, pattern=r"^[^\x00]*$")


def index(request: ApiRequest) -> Answer:
    """``age_s``: for how long nothing has used it; ``removed``: whether its host's agent removes it after
    ``unused_file_retention``; ``told_s``: how long ago that agent said so; ``next``: the marker of what follows, null
    at the end."""
    query: LeftoversQuery = request.query
    with request.services.db.read() as connection:
        found = leftovers.listed(connection, query.host)
    rows = [
        {"host": one.host, "told_s": one.told_s, "why": one.reason, "removed": one.removed, **one.what.model_dump()}
        for one in found
    ]
    shown, after = page(rows, lambda row: f"{row['host']}/{row['path']}", query.limit, query.marker)
    return Answer(200, {"leftovers": shown, "next": after})
