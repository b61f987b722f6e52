"""Verbs of a host's compute service: enable, disable, force down, delete."""

from collections.abc import Callable, Mapping
from typing import Any

from migrator.cli.client import Client
from migrator.cli.output import Arguments, fail, say, show, show_rows
from migrator.cli.tables import Column, as_json
from migrator.setting_values import is_loopback

_COLUMNS = (Column("ID", "id"), Column("Host", "host"), Column("Binary", "binary"))
_STATUS = (*_COLUMNS, Column("Status", "status"))
_REASON = (*_STATUS, Column("Disabled Reason", "disabled_reason"))
_FORCED = (*_COLUMNS, Column("Forced down", "forced_down"))

_MACHINE = (Column("Host", "name"), Column("Machine", "machine"))
_APPROVED = (
    Column("Host", "name"),
    Column("Approved", "approved"),
    Column("vCPUs", "vcpus"),
    Column("Memory MiB", "memory_mb"),
    Column("Disk GiB", "disk_gb"),
)
_ADDRESS = (Column("Host", "name"), Column("Address", "fence_address"))


def _change(client: Client, arguments: Arguments, body: Mapping[str, Any], columns: tuple[Column, ...]) -> None:
    ident = client.service(arguments.host)["id"]
    show_rows(arguments, columns, [client.compute("PUT", f"/os-services/{ident}", dict(body))["service"]])


def _force_down(client: Client, arguments: Arguments) -> None:
    _change(client, arguments, {"forced_down": not arguments.unset}, _FORCED)


def _disable(client: Client, arguments: Arguments) -> None:
    body = {"status": "disabled"} | ({"disabled_reason": arguments.reason} if arguments.reason else {})
    _change(client, arguments, body, _REASON if arguments.reason else _STATUS)


def _enable(client: Client, arguments: Arguments) -> None:
    _change(client, arguments, {"status": "enabled"}, _STATUS)


def _delete(client: Client, arguments: Arguments) -> None:
    client.compute("DELETE", f"/os-services/{client.service(arguments.host)['id']}")


def _replace(client: Client, arguments: Arguments) -> None:
    body = {"machine": arguments.machine or "", "abandon": arguments.abandon}
    show_rows(arguments, _MACHINE, [client.native("POST", f"/hosts/{arguments.host}/replace", body)["host"]])


def _approve(client: Client, arguments: Arguments) -> None:
    limits = {name: getattr(arguments, name) for name in ("vcpus", "memory_mb", "disk_gb")}
    body = {name: value for name, value in limits.items() if value is not None}
    show_rows(arguments, _APPROVED, [client.native("POST", f"/hosts/{arguments.host}/approve", body)["host"]])


def _fence(client: Client, arguments: Arguments) -> None:
    body = {"address": None if arguments.unset else arguments.address}
    show_rows(arguments, _ADDRESS, [client.native("PUT", f"/hosts/{arguments.host}/fence", body)["host"]])


def _join(client: Client, arguments: Arguments) -> None:
    body = {"valid_s": arguments.valid * 60, "replace": arguments.replace}
    found = client.native("POST", f"/hosts/{arguments.host}/join", body)["host"]
    url = arguments.agent_url or found["agent_url"]
    if arguments.json:
        show(as_json(found | {"agent_url": url}))
        return
    say(f"migrator agent-join {url or 'URL'} {found['token']}")
    notes = [f"run it on {found['name']}, as root, before {found['expires_at']}; it works once"]
    if url is None:
        where = "agent_url is not set, and agent_listen names no single address"
        notes.append(f"URL: http(s)://HOST:PORT of the agents' port; {where}")
    elif is_loopback(url.partition("://")[2]):
        notes.append("only this machine reaches that address: set agent_listen for other hosts")
    for note in notes:
        fail(f"# {note}")


VERBS: Mapping[str, Callable[[Client, Arguments], int | None]] = {
    "service-force-down": _force_down,
    "service-disable": _disable,
    "service-enable": _enable,
    "host-approve": _approve,
    "host-delete": _delete,
    "host-replace": _replace,
    "host-fence": _fence,
    "host-join": _join,
}
