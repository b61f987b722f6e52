"""``/v1/volumes``: network disks that another system keeps, made known here so that instances can have them.

What a volume holds is never touched: deleting one forgets where it is.
"""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from migrator.api import flavor_and_image
from migrator.api.routing import Answer, ApiRequest
from migrator.api.timestamps import iso_us
from migrator.db import volumes
from migrator.errors import BadRequest
from migrator.protocol import volume_source

Text = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\ufffe\uffff]+$")]


class NewVolume(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    name: Text
    source: Text = Field(description="nbd://HOST:PORT/EXPORT, as every host reaches it; raw")
    size_gb: int = Field(ge=1, le=2**21, description="GiB that it has at least")
    image_id: Text | None = Field(
        None, description="image whose kernel, ramdisk and command line boot it; else its own"
    )


class NewVolumeRequest(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    volume: NewVolume


def create(request: ApiRequest) -> Answer:
    """Errors: 400 for a source that is none, or one that is another machine for each host; 409 for a known one."""
    body: NewVolumeRequest = request.body
    wanted = body.volume
    source = str(volume_source.parse(wanted.source))
    with request.services.db.write() as connection:
        if wanted.image_id is not None and flavor_and_image.image_if_known(connection, wanted.image_id) is None:
            raise BadRequest(f"Image {wanted.image_id} could not be found.")
        ident = volumes.create(connection, wanted.name, source, wanted.size_gb, wanted.image_id)
        return Answer(201, {"volume": _view(volumes.get(connection, ident))})


def index(request: ApiRequest) -> Answer:
    """By name."""
    with request.services.db.read() as connection:
        return Answer(200, {"volumes": [_view(row) for row in volumes.every(connection)]})


def show(request: ApiRequest) -> Answer:
    with request.services.db.read() as connection:
        return Answer(200, {"volume": _view(volumes.get(connection, request.params["ident"]))})


def forget(request: ApiRequest) -> Answer:
    """What it holds stays. Errors: 404; 409 while an instance has it."""
    with request.services.db.write() as connection:
        volumes.remove(connection, request.params["ident"])
    return Answer(204)


def _view(row: Any) -> dict[str, Any]:
    """``instance`` and ``target``: whose it is, and on which device; null while it is free."""
    shown = {name: getattr(row, name) for name in ("id", "name", "source", "size_gb", "image_id", "target")}
    return shown | {
        "instance": row.instance_uuid,
        "created_at": iso_us(row.created_at),
        "attached_at": iso_us(row.attached_at),
    }
