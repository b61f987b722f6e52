"""Verbs for networks: named by the operator, each with the addresses that its guests are given."""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from migrator.cli.client import Client, pick
from migrator.cli.output import Arguments, show_rows
from migrator.cli.tables import Column

_COLUMNS = (
    Column("ID", "id"),
    Column("Name", "name"),
    Column("Kind", "kind"),
    Column("Bridge", "bridge"),
    Column("VLAN", "vlan"),
    Column("CIDR", "cidr"),
    Column("Ranges", "ranges"),
    Column("Ports", "ports"),
)


def _every(client: Client) -> list[dict[str, Any]]:
    return list(client.native("GET", "/networks")["networks"])


def _shown(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row | {"ranges": ", ".join(row["ranges"])} for row in rows]


def _create(client: Client, arguments: Arguments) -> None:
    network: dict[str, Any] = {"name": arguments.name, "bridge": arguments.bridge, "kind": _kind(arguments)}
    network |= {name: getattr(arguments, name) for name in ("vlan", "cidr", "gateway") if getattr(arguments, name)}
    network |= {"dns": arguments.dns, "ranges": arguments.range}
    made = client.native("POST", "/networks", {"network": network})["network"]
    show_rows(arguments, _COLUMNS, _shown([made]))


def _kind(arguments: Arguments) -> str:
    return "openvswitch" if arguments.openvswitch else "vlan" if arguments.vlan else "bridge"


def _list(client: Client, arguments: Arguments) -> None:
    show_rows(arguments, _COLUMNS, _shown(_every(client)))


def _delete(client: Client, arguments: Arguments) -> None:
    for name in arguments.network:
        found = pick("network", name, _every(client))
        client.native("DELETE", f"/networks/{quote(found['id'], safe='')}")


VERBS: Mapping[str, Callable[[Client, Arguments], int | None]] = {
    "network-create": _create,
    "network-list": _list,
    "network-delete": _delete,
}
