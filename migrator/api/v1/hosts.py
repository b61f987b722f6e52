"""``/v1/hosts``: what an operator says about a host that the Compute API has no word for."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from migrator.api.routing import Answer, ApiRequest
from migrator.api.timestamps import iso_z
from migrator.db import hosts
from migrator.protocol import MachineId
from migrator.scheduler.hosts import approval, joining, machines
from migrator.setting_values import HostAddress, is_wildcard
from migrator.settings import ServerSettings


class HostPath(BaseModel):
    name: Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[a-zA-Z0-9-._]*$")]


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


class JoinTokenRequest(BaseModel):
    """A new host, whose agent takes the join token for its credential."""

    model_config = ConfigDict(extra="forbid", strict=True)

    valid_s: int = Field(3600, ge=60, le=7 * 24 * 3600, description="seconds until it ends")
    replace: bool = Field(False, description="also a host whose agent has a credential, which then ends")


def join(request: ApiRequest) -> Answer:
    """Invite a host. The answer has the token, this once, and the address of the agents' port where the settings tell
    it. Errors: 400 for what is no host's name; 409 for a host that has a credential, without ``replace``."""
    wanted: JoinTokenRequest = request.body
    services, name = request.services, request.params["name"]
    made = joining.invite(services.db, name, wanted.valid_s, replace=wanted.replace)
    services.credentials.forget()
    told = {"name": name, "token": made.token, "expires_at": iso_z(made.expires_at)}
    return Answer(201, {"host": told | {"agent_url": _agents_url(services.settings)}}, {"Cache-Control": "no-store"})


def _agents_url(settings: ServerSettings) -> str | None:
    """None: of a port at every address the settings do not tell one that hosts reach."""
    if settings.agent_url is not None:
        return settings.agent_url
    endpoint, cert = settings.agent_listen or settings.listen, settings.agent_tls_cert
    if settings.agent_listen is None:
        cert = settings.tls_cert
    return None if is_wildcard(endpoint) else f"{'https' if cert else 'http'}://{endpoint}"


def replace(request: ApiRequest) -> Answer:
    """Let another machine be the host. Its agent registers it within 15 s. Errors: 404; 409 while the old machine is
    heard, where no other one asked, and for what is recorded of the old one without ``abandon``."""
    wanted: Replacement = request.body
    services, by = request.services, request.caller.user_id
    told = (request.params["name"], wanted.machine or None, services.settings.service_down_time)
    found = machines.approve(services.db, *told, abandon=wanted.abandon, by=by)
    return Answer(202, {"host": {"name": found.host, "machine": found.machine}})


def approve(request: ApiRequest) -> Answer:
    """Let instances be placed on a host, within these limits in place of earlier ones. Errors: 404; 409 for one whose
    description cannot be read."""
    wanted: Approval = request.body
    db, name = request.services.db, request.params["name"]
    approval.approve(db, name, wanted.model_dump(exclude_none=True), request.caller.user_id)
    with db.read() as connection:
        row = hosts.get(connection, name)
    shown = {key: getattr(row, key) for key in ("name", "approved", "vcpus", "memory_mb", "disk_gb")}
    return Answer(200, {"host": shown})


def fence(request: ApiRequest) -> Answer:
    """Set what ``{address}`` is in ``fence_command`` for this host. Errors: 404."""
    wanted: Fence = request.body
    name = request.params["name"]
    with request.services.db.write() as connection:
        hosts.get(connection, name)
        hosts.change(connection, name, {"fence_address": wanted.address})
    return Answer(200, {"host": {"name": name, "fence_address": wanted.address}})
