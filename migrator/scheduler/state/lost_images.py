"""Images that the catalogue has no bytes of, although instances were made from them.

Owns which those are, of one instance. Never fetches one: a move's destination gets them from the host that the instance
comes from (``OfferedInputs.images``).
"""

from typing import Any

from migrator.db import images
from migrator.db.engine import Connection
from migrator.protocol import InstanceSpec

LOST = "lost_images"  # in a move's params: ids of the images that its source has to lend


def of(connection: Connection, spec: InstanceSpec) -> tuple[str, ...]:
    """Of the images that its disks are made from, its kernel and its ramdisk."""
    wanted = {image.id for image in spec.images}
    return tuple(sorted(wanted - images.with_data(connection, wanted)))


def to_lend(connection: Connection, stored: Any) -> dict[str, Any]:
    """What a move's params say of them; ``stored``: the instance's spec, as its row has it."""
    lost = of(connection, InstanceSpec.model_validate(stored))
    return {LOST: list(lost)} if lost else {}
