"""What a host's assignments entitle its agent to, beside the assignments themselves: images and volumes.

An agent that was broken into learns nothing of instances that its host has no part in. Never decides about operations.
"""

from pydantic import ValidationError

from migrator.db import images, instances, volumes
from migrator.db.engine import Connection
from migrator.db.rows import ImageRow
from migrator.errors import Forbidden
from migrator.protocol import InstanceSpec
from migrator.scheduler.state.host_operations import asked_of


def image(connection: Connection, host: str, image_id: str) -> ImageRow:
    """The image, of which an operation that asks something of the host now has an instance; also one that was deleted.
    Raises Forbidden, whether there is such an image or not, and ImageNotFound."""
    specs = instances.specs_of_operations(connection, asked_of(connection, host))
    if not any(_names(spec, image_id) for spec in specs):
        raise Forbidden(
            f"No operation under way names image {image_id} to {host}",
            advice="an agent fetches the images of its own assignments while they last; ask for the assignments again",
        )
    return images.get(connection, image_id, deleted=True)


def _names(stored: object, image_id: str) -> bool:
    try:
        spec = InstanceSpec.model_validate(stored)
    except ValidationError:
        return False
    named = {ref.id for ref in spec.images} | {disk.image_id for disk in spec.disks}
    return image_id in named | {spec.kernel_id, spec.ramdisk_id}


def volume_sources(connection: Connection, host: str) -> tuple[str, ...]:
    """Sources of the volumes of the instances that are recorded on the host, or that an operation asks it for."""
    return tuple(volumes.of_host(connection, host, asked_of(connection, host)))
