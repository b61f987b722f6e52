"""The verb for 3 a.m.: where is it, and is it safe? One screen; alarms first."""

import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from migrator.cli.alarms import server_id
from migrator.cli.client import Client, pick
from migrator.cli.output import Arguments, say, show
from migrator.cli.tables import as_json

_MAC = re.compile(r"[0-9a-fA-F]{2}(?:[:-][0-9a-fA-F]{2}){5}")


def _where(client: Client, arguments: Arguments) -> None:
    ident = _found(client, arguments.server)
    found = client.native("GET", f"/servers/{quote(ident, safe='')}/where")["where"]
    if arguments.json:
        show(as_json(found))
        return
    for alarm in found["alarms"]:
        say(f"ALARM     {alarm['kind']}: {alarm['message']}")
    say(f"Server    {found['name'] or '(no name)'} ({found['server']})")
    say(f"Where     {found['summary']}")
    for sentence in found["elsewhere"]:
        say(f"Copy      {sentence}")
    for operation in found["operations"]:
        waits = f", waits: {operation['waiting']}" if operation["waiting"] else ""
        say(f"Under way {operation['kind']}, phase {operation['phase']}{waits}")
    if found["if_host_is_lost"]:
        say(f"If its host is lost: {found['if_host_is_lost']['summary']}")
    if found.get("ha_policy"):
        say(f"Recovery  {found['ha_policy']['policy']}: {found['ha_policy']['words']}")
    for sentence in found["advice"]:
        say(f"Do        {sentence}")


def _found(client: Client, key: str) -> str:
    """The server that has the id, the name, or one of whose addresses it is."""
    address = _address(key)
    if address is None:
        return server_id(client, key)
    servers = client.every("/servers/detail", "servers", all_tenants=1)
    having = [server for server in servers if address in set(_addresses(server))]
    return str(pick("server", key, [{"id": s["id"], "name": key} for s in having])["id"])


def _address(key: str) -> str | None:
    """An IP or MAC address as the Compute API writes it; None: it is neither."""
    if _MAC.fullmatch(key):
        return key.lower().replace("-", ":")
    try:
        return str(ipaddress.ip_address(key))
    except ValueError:
        return None


def _addresses(server: Mapping[str, Any]) -> list[str]:
    every = [one for found in (server.get("addresses") or {}).values() for one in found]
    return [str(one[key]) for one in every for key in ("addr", "OS-EXT-IPS-MAC:mac_addr") if key in one]


VERBS: Mapping[str, Callable[[Client, Arguments], int | None]] = {"where": _where}
