"""``block_device_mapping_v2`` of POST /servers: which disks a new instance has besides, or instead of, its image's.

Supported are the image's own disk, a volume in its place, and further volumes. Everything else that Nova knows is
refused by name. Pure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from migrator.api.server_schemas import TRUE
from migrator.errors import BadRequest

MOST_VOLUMES = 20
_IMAGE, _VOLUME = ("image", "local"), ("volume", "volume")
# key -> the values that ask for nothing but what is done anyway
_HARMLESS: Mapping[str, tuple[Any, ...]] = {
    "disk_bus": ("virtio",),
    "device_type": ("disk",),
    "guest_format": (),
    "no_device": (False,),
    "tag": (),
    "volume_type": (),
}


@dataclass(frozen=True, slots=True)
class BlockDevices:
    """``boot_volume``: id of the volume that is the root disk; ``volumes``: of the others, in order."""

    image_id: str | None = None
    boot_volume: str | None = None
    volumes: Sequence[str] = field(default=())


def block_devices(server: Mapping[str, Any]) -> BlockDevices:
    """From the body's ``server``. Raises BadRequest."""
    image_id = server.get("imageRef") or None
    boot_volume, volumes = None, []
    images = 0
    for disk in server.get("block_device_mapping_v2", ()):
        kind = (disk.get("source_type"), disk.get("destination_type") or _default(disk))
        boots = str(disk.get("boot_index")) == "0"
        if kind == _IMAGE and boots and not images:
            _check_image(disk, image_id)
            images += 1
        elif kind == _VOLUME:
            ident = _volume(disk)
            if boots and boot_volume is None:
                boot_volume = ident
            elif not boots:
                volumes.append(ident)
            else:
                raise _invalid("only one volume can have boot_index 0")
        else:
            raise _invalid(
                f"a disk of source_type {kind[0]} and destination_type {kind[1]} is not supported here; one made from "
                "the image and local, with boot_index 0, and volumes are"
            )
    if boot_volume is not None and (image_id is not None or images):
        raise _invalid("Boot sequence for the instance and image/block device mapping combination is not valid.")
    return BlockDevices(image_id, boot_volume, _distinct(boot_volume, volumes))


def _default(disk: Mapping[str, Any]) -> str:
    return "volume" if disk.get("source_type") == "volume" else "local"


def _check_image(disk: Mapping[str, Any], image_id: str | None) -> None:
    if image_id is None:
        raise BadRequest("Mapping image to local is not supported without an image reference.")
    if disk.get("uuid") != image_id:
        raise _invalid("it names another image than imageRef")


def _volume(disk: Mapping[str, Any]) -> str:
    if not disk.get("uuid"):
        raise _invalid("a volume is named by its uuid")
    if disk.get("delete_on_termination", False) in TRUE:
        raise _invalid(
            "delete_on_termination is not supported: volumes are kept elsewhere, and never deleted from here"
        )
    if str(disk.get("boot_index")) not in ("None", "0", "-1"):
        raise _invalid("a volume's boot_index is 0, or -1 for one that is not booted from")
    for key, harmless in _HARMLESS.items():
        if disk.get(key) and disk[key] not in harmless:
            raise _invalid(f"{key} {disk[key]!r} is not supported")
    return str(disk["uuid"])


def _distinct(boot: str | None, others: Sequence[str]) -> Sequence[str]:
    every = [*([boot] if boot else []), *others]
    if len(set(every)) < len(every):
        raise _invalid("a volume is named twice")
    if len(every) > MOST_VOLUMES:
        raise _invalid(f"at most {MOST_VOLUMES} volumes can be attached")
    return tuple(others)


def _invalid(words: str) -> BadRequest:
    return BadRequest(f"Block Device Mapping is Invalid: {words}")
