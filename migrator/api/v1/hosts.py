"""``/v1/hosts``: what an operator says about a host that the Compute API has no word for."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict, Field

from migrator.api.auth import STRATEGIES
from migrator.api.dependencies import Service, Services
from migrator.api.request_ids import new_request_id
from migrator.db import hosts
from migrator.protocol import MachineId
from migrator.scheduler.hosts import approval, machines
from migrator.settings import HostAddress

router = APIRouter(prefix="/v1", tags=["native"])
Name = Annotated[str, Path(min_length=1, max_length=255, pattern=r"^[a-zA-Z0-9-._]*$")]


class Replacement(BaseModel):
    """Which machine takes the place of the silent one."""

    model_config = ConfigDict(extra="forbid", strict=True)

    machine: MachineId = Field("", description="the one that asked last, unless it is named")
    abandon: bool = Field(False, description="what is recorded of the old machine is given up")


class Approval(BaseModel):
    """What instances may be given on a host at most, whatever its agent reports. Without a limit: what it reports."""

    model_config = ConfigDict(extra="forbid", strict=True)

    vcpus: int | None = Field(None, ge=0, le=2**31 - 1)
    memory_mb: int | None = Field(None, ge=0, le=2**31 - 1)
    disk_gb: int | None = Field(None, ge=0, le=2**31 - 1)


class Fence(BaseModel):
    """How the fence command finds a host."""

    model_config = ConfigDict(extra="forbid", strict=True)

    address: HostAddress | None = Field(description="of its power switch or management board; null: none")


@router.post("/hosts/{name}/replace", status_code=202)
def replace(name: Name, wanted: Replacement, services: Service, request: Request) -> dict[str, Any]:
    """Let another machine be the host. It registers by itself within 15 s. Errors: 404; 409 while the old machine is
    heard, where no other one asked, and for what is recorded of the old one without ``abandon``."""
    by = _caller(services, request)
    down_after = services.settings.service_down_time
    found = machines.approve(services.db, name, wanted.machine or None, down_after, abandon=wanted.abandon, by=by)
    return {"host": {"name": found.host, "machine": found.machine}}


@router.post("/hosts/{name}/approve")
def approve(name: Name, wanted: Approval, services: Service, request: Request) -> dict[str, Any]:
    """Let instances be placed on a host, within these limits in place of earlier ones. Errors: 404; 409 for one whose
    description cannot be read."""
    by = _caller(services, request)
    approval.approve(services.db, name, wanted.model_dump(exclude_none=True), by)
    with services.db.read() as connection:
        row = hosts.get(connection, name)
    shown = {key: getattr(row, key) for key in ("name", "approved", "vcpus", "memory_mb", "disk_gb")}
    return {"host": shown}


@router.put("/hosts/{name}/fence")
def fence(name: Name, wanted: Fence, services: Service, request: Request) -> dict[str, Any]:
    """Set what ``{address}`` is in ``fence_command`` for this host. Errors: 404."""
    _caller(services, request)
    with services.db.write() as connection:
        hosts.get(connection, name)
        hosts.change(connection, name, {"fence_address": wanted.address})
    return {"host": {"name": name, "fence_address": wanted.address}}


def _caller(services: Services, request: Request) -> str:
    return STRATEGIES[services.settings.auth_strategy]().caller(request.headers, new_request_id()).user_id
