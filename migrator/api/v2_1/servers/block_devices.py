"""``block_device_mapping_v2`` of POST /servers: which disks a new instance has besides, or instead of, its image's.

Supported are the image's own disk, a volume in its place, and further volumes. Everything else that Nova knows is
refused by name (``supported_requests.DISK``). Pure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from migrator import supported_requests
from migrator.api.json_schema import shortened
from migrator.api.v2_1.common.schemas import TRUE
from migrator.errors import BadRequest

MOST_VOLUMES = 20
_IMAGE, _VOLUME = ("image", "local"), ("volume", "volume")


@dataclass(frozen=True, slots=True)
class BlockDevices:
    """``boot_volume``: id of the volume that is the root disk; ``volumes``: of the others, in order. ``named``: the
    devices that were asked for, the root's as None and each other volume's as its place in ``volumes``."""

    image_id: str | None = None
    boot_volume: str | None = None
    volumes: Sequence[str] = field(default=())
    named: Mapping[int | None, str] = field(default_factory=dict)


def block_devices(server: Mapping[str, Any]) -> BlockDevices:
    """From the body's ``server``. Raises BadRequest."""
    image_id = server.get("imageRef") or None
    boot_volume: str | None = None
    volumes: list[str] = []
    images = 0
    named: dict[int | None, str] = {}
    for disk in server.get("block_device_mapping_v2", ()):
        kind = (disk.get("source_type"), disk.get("destination_type") or _default(disk))
        boots = str(disk.get("boot_index")) == "0"
        if disk.get("device_name"):
            named[None if boots else len(volumes)] = disk["device_name"]
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
    return BlockDevices(image_id, boot_volume, _distinct(boot_volume, volumes), named)


def check_devices(disks: BlockDevices, targets: Sequence[str]) -> None:
    """``targets``: the devices that the further volumes get. Raises BadRequest for one that was to be another."""
    for place, asked in disks.named.items():
        given = "vda" if place is None else targets[place]
        if asked.removeprefix("/dev/") != given:
            raise _invalid(f"device_name {shortened(asked)!r} is not supported; supported: /dev/{given}, which it gets")


def _default(disk: Mapping[str, Any]) -> str:
    return "volume" if disk.get("source_type") == "volume" else "local"


def _check_image(disk: Mapping[str, Any], image_id: str | None) -> None:
    if image_id is None:
        raise BadRequest("Mapping image to local is not supported without an image reference.")
    if disk.get("uuid") != image_id:
        raise _invalid("it names another image than imageRef")
    if disk.get("delete_on_termination", True) not in TRUE:
        raise _invalid("delete_on_termination false is not supported: a local disk is deleted with its server")
    _check_values(disk)


def _volume(disk: Mapping[str, Any]) -> str:
    if not disk.get("uuid"):
        raise _invalid("a volume is named by its uuid")
    if disk.get("delete_on_termination", False) in TRUE:
        raise _invalid(
            "delete_on_termination is not supported: volumes are kept elsewhere, and never deleted from here"
        )
    if str(disk.get("boot_index")) not in ("None", "0", "-1"):
        raise _invalid("a volume's boot_index is 0, or -1 for one that is not booted from")
    _check_values(disk)
    return str(disk["uuid"])


def _check_values(disk: Mapping[str, Any]) -> None:
    if said := supported_requests.refused_values(disk, supported_requests.DISK):
        raise _invalid("; ".join(said))


def _distinct(boot: str | None, others: Sequence[str]) -> Sequence[str]:
    every = [*([boot] if boot else []), *others]
    if len(set(every)) < len(every):
        raise _invalid("a volume is named twice")
    if len(every) > MOST_VOLUMES:
        raise _invalid(f"at most {MOST_VOLUMES} volumes can be attached")
    return tuple(others)


def _invalid(message: str) -> BadRequest:
    return BadRequest(f"Block Device Mapping is Invalid: {message}")
