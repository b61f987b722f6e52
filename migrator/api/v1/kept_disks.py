"""``/v1/kept-disks``: what hosts keep of instances that were evacuated from them; put back or dropped by a word."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, Field

from migrator.api.pages import page
from migrator.api.routing import Answer, ApiRequest
from migrator.scheduler.requests import kept_disks

Ident = Annotated[str, Field(pattern=r"^[0-9a-f-]{36}$", description="a UUID")]


class KeptDisksQuery(BaseModel):
    host: str | None = Field(None, max_length=255, pattern=r"^[^\x00]*$")
    limit: int = Field(1000, ge=1, le=1000)
    marker: str | None = Field(None, max_length=5000, pattern=r"^[^\x00]*$")


class KeptDisksPath(BaseModel):
    instance: Ident
    operation: Ident


def index(request: ApiRequest) -> Answer:
    """``age_s``: how long they have been kept; ``left_s``: until their host deletes them; ``told_s``: how long ago its
    agent said so; ``next``: the marker of what follows, null at the end."""
    query: KeptDisksQuery = request.query
    with request.services.db.read() as connection:
        found = kept_disks.listed(connection, query.host)
    rows = [{"host": f.host, "told_s": f.age_s, **f.disks.model_dump(mode="json")} for f in found]
    shown, after = page(rows, _key, query.limit, query.marker)
    return Answer(200, {"kept_disks": shown, "next": after})


def _key(row: Mapping[str, Any]) -> str:
    return "/".join((row["host"], row["instance"], row["operation"], row["pool"]))


def restore(request: ApiRequest) -> Answer:
    """Put them in the place of the instance's disks, which are kept in their stead. Errors: 404; 409 unless the
    instance is stopped and on the host that keeps them."""
    services, params = request.services, request.params
    begun = kept_disks.restore(services.db, request.caller, params["instance"], params["operation"])
    services.reconciler.reconcile(begun)
    return Answer(202, {"operation": {"id": begun}})


def delete(request: ApiRequest) -> Answer:
    """Delete them before their time. Errors: 404."""
    services, params = request.services, request.params
    begun = kept_disks.delete(services.db, request.caller, params["instance"], params["operation"])
    for one in begun:
        services.reconciler.reconcile(one)
    return Answer(202, {"operations": [{"id": one} for one in begun]})
