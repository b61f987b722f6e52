"""Verbs for volumes: network disks that another system keeps, made known to the server."""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from migrator.cli.client import Client, pick
from migrator.cli.output import Arguments, show_rows
from migrator.cli.tables import Column

_COLUMNS = (
    Column("ID", "id"),
    Column("Name", "name"),
    Column("Source", "source"),
    Column("Size_GiB", "size_gb"),
    Column("Server", "instance"),
    Column("Device", "target"),
)


def _every(client: Client) -> list[dict[str, Any]]:
    return list(client.native("GET", "/volumes")["volumes"])


def volume_id(client: Client, name_or_id: str) -> str:
    """Raises NotFound, and Conflict for a name that several have."""
    return str(pick("volume", name_or_id, _every(client))["id"])


def attached(client: Client, boot: str | None, others: list[str]) -> list[dict[str, Any]]:
    """``block_device_mapping_v2`` for the volume to boot from, if any, and the others, by name or id."""
    wanted = [(boot, 0)] if boot else []
    wanted += [(other, -1) for other in others]
    kind = {"source_type": "volume", "destination_type": "volume"}
    return [{"uuid": volume_id(client, name), "boot_index": index, **kind} for name, index in wanted]


def _create(client: Client, arguments: Arguments) -> None:
    volume = {"name": arguments.name, "source": arguments.source, "size_gb": arguments.size}
    if arguments.image:
        volume["image_id"] = client.image_named(arguments.image)["id"]
    show_rows(arguments, _COLUMNS, [client.native("POST", "/volumes", {"volume": volume})["volume"]])


def _list(client: Client, arguments: Arguments) -> None:
    show_rows(arguments, _COLUMNS, _every(client))


def _delete(client: Client, arguments: Arguments) -> None:
    for name in arguments.volume:
        client.native("DELETE", f"/volumes/{quote(volume_id(client, name), safe='')}")


VERBS: Mapping[str, Callable[[Client, Arguments], int | None]] = {
    "volume-create": _create,
    "volume-list": _list,
    "volume-delete": _delete,
}
