"""``/v1/kept-disks``: what hosts keep of instances that were evacuated from them; put back or dropped by a word."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request

from migrator.api.auth import STRATEGIES
from migrator.api.dependencies import Service, Services
from migrator.api.request_ids import new_request_id
from migrator.api.v2_1.common.paging import page
from migrator.scheduler.requests import kept_disks
from migrator.scheduler.requests.requests import Caller

router = APIRouter(prefix="/v1", tags=["native"])
Ident = Annotated[str, Path(pattern=r"^[0-9a-f-]{36}$", description="a UUID")]


@router.get("/kept-disks")
def index(
    services: Service,
    host: Annotated[str | None, Query(max_length=255, pattern=r"^[^\x00]*$")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 1000,
    marker: Annotated[str | None, Query(max_length=5000, pattern=r"^[^\x00]*$")] = None,
) -> dict[str, Any]:
    """``age_s``: how long they have been kept; ``left_s``: until their host deletes them; ``told_s``: how long ago its
    agent said so; ``next``: the marker of what follows, null at the end."""
    with services.db.read() as connection:
        found = kept_disks.listed(connection, host)
    rows = [{"host": f.host, "told_s": f.age_s, **f.disks.model_dump(mode="json")} for f in found]
    shown, after = page(rows, _key, limit, marker)
    return {"kept_disks": shown, "next": after}


def _key(row: Mapping[str, Any]) -> str:
    return "/".join((row["host"], row["instance"], row["operation"], row["pool"]))


@router.post("/kept-disks/{instance}/{operation}/restore", status_code=202)
def restore(instance: Ident, operation: Ident, services: Service, request: Request) -> dict[str, Any]:
    """Put them in the place of the instance's disks, which are kept in their stead. Errors: 404; 409 unless the
    instance is stopped and on the host that keeps them."""
    begun = kept_disks.restore(services.db, _caller(services, request), instance, operation)
    services.reconciler.reconcile(begun)
    return {"operation": {"id": begun}}


@router.delete("/kept-disks/{instance}/{operation}", status_code=202)
def drop(instance: Ident, operation: Ident, services: Service, request: Request) -> dict[str, Any]:
    """Delete them before their time. Errors: 404."""
    begun = kept_disks.drop(services.db, _caller(services, request), instance, operation)
    for one in begun:
        services.reconciler.reconcile(one)
    return {"operations": [{"id": one} for one in begun]}


def _caller(services: Services, request: Request) -> Caller:
    return STRATEGIES[services.settings.auth_strategy]().caller(request.headers, new_request_id())
