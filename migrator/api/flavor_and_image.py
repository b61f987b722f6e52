"""The flavor and the image that a body names, and whether one is large enough for the other. Reads only."""

from collections.abc import Mapping
from typing import Any

from migrator import supported
from migrator.db import flavors as flavor_rows
from migrator.db import images as image_rows
from migrator.errors import BadRequest, FlavorNotFound, ImageNotFound
from migrator.untrusted.image_inspection import QEMU_FORMATS

SEES_EXTRA_SPECS = "os_compute_api:os-flavor-extra-specs:index"  # the rule of a flavor's extra specs, wherever they are
_GIB = 1024**3


def _plain(row: Any) -> dict[str, Any]:
    """The row as a dict that can be stored as JSON: its column names as plain strings."""
    return {str(name): value for name, value in row._asdict().items()}


def flavor(connection: Any, ref: str, project_id: str | None = None) -> Mapping[str, Any]:
    """By its id, or a URL that ends in it; with ``project_id``, only one that the project may use. Raises
    BadRequest."""
    ident = ref.rsplit("/", 1)[-1]
    try:
        return _plain(flavor_rows.get(connection, ident, project_id))
    except FlavorNotFound as error:
        raise BadRequest(f"Flavor {ident} could not be found.") from error


def image_if_known(connection: Any, image_id: str, project_id: str | None = None) -> Mapping[str, Any] | None:
    try:
        return _plain(image_rows.get(connection, image_id, project_id=project_id))
    except ImageNotFound:
        return None


def bootable(connection: Any, image_id: str | None, project_id: str | None = None) -> Mapping[str, Any]:
    """An image that an instance can be made from, with its kernel and ramdisk; with ``project_id``, only images
    that the project may use. Raises BadRequest."""
    if image_id is None:
        raise BadRequest("Invalid imageRef provided.")
    image = image_if_known(connection, image_id, project_id)
    if image is None:
        raise BadRequest("Can not find requested image")
    if image["status"] != "active":
        raise BadRequest(f"Image {image_id} is not active.")
    if (disk_format := image["disk_format"] or "raw") not in QEMU_FORMATS:
        raise BadRequest(
            f"Image {image_id} is no disk to boot from: its disk_format is {disk_format}, and not one of "
            f"{', '.join(QEMU_FORMATS)}."
        )
    for name in ("kernel_id", "ramdisk_id"):
        part = (image["properties"] or {}).get(name)
        if project_id is not None and part and image_if_known(connection, part, project_id) is None:
            raise BadRequest(f"Can not find requested image: {part}, the {name} of image {image_id}")
    return image


def check_supported(flavor: Mapping[str, Any], image: Mapping[str, Any] | None = None) -> None:
    """Raises BadRequest that names what of a flavor, and of an image to boot, is not honoured."""
    said = [
        *supported.refused_swap(flavor["swap_mb"] or 0),
        *supported.refused_extra_specs(flavor["extra_specs"] or {}),
    ]
    if said:
        raise BadRequest(f"Flavor {flavor['flavorid']}: {'; '.join(said)}.")
    if image is not None and (said := supported.refused_properties(image["properties"] or {})):
        raise BadRequest(f"Image {image['id']}: {'; '.join(said)}.")


def check_fits(flavor: Mapping[str, Any], image: Mapping[str, Any]) -> None:
    """Raises BadRequest when the flavor is too small for the image."""
    if image["min_ram"] > flavor["memory_mb"]:
        raise BadRequest("Flavor's memory is too small for requested image.")
    if flavor["disk_gb"] == 0:
        return
    size = flavor["disk_gb"] * _GIB
    if image["min_disk"] > flavor["disk_gb"]:
        raise BadRequest(
            "Flavor's disk is smaller than the minimum size specified in image metadata. "
            f"Flavor disk is {size} bytes, minimum size is {image['min_disk'] * _GIB} bytes."
        )
    needed = max(image["size"] or 0, image["virtual_size"] or 0)
    if needed > size:
        raise BadRequest(
            f"Flavor's disk is too small for requested image. Flavor disk is {size} bytes, image is {needed} bytes."
        )
