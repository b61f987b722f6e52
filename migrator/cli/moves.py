"""Verbs that move servers, or tell how a move goes."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from migrator.cli import follow
from migrator.cli.alarms import server_id
from migrator.cli.client import Client, is_uuid
from migrator.cli.listings import SERVER_MIGRATION_COLUMNS
from migrator.cli.output import Arguments, show, show_one, show_rows
from migrator.cli.preflight import fate_words
from migrator.cli.tables import Column, as_json, properties, table
from migrator.errors import BadRequest, Conflict, NotFound
from migrator.untrusted import printable

# The last microversion that asks about shared storage, answers the password and leaves the server as it was.
_EVACUATE = "2.13"


def _act(client: Client, server_id: str, body: Mapping[str, Any], version: str = "latest") -> Any:
    return client.compute("POST", f"/servers/{server_id}/action", dict(body), version=version)


def _live(client: Client, arguments: Arguments) -> int:
    server = client.server(arguments.server)
    after = follow.newest(client, server["id"]) if arguments.poll else 0
    wanted = {"host": arguments.host, "block_migration": True if arguments.block_migrate else "auto"}
    _act(client, server["id"], {"os-migrateLive": wanted})
    if not arguments.poll:
        return 0
    return follow.until_over(client, server["id"], "live-migration", after, f"moving {arguments.server}")


def _migrate(client: Client, arguments: Arguments) -> int:
    wanted = {"host": arguments.host} if arguments.host else None
    return _cold(client, arguments, {"migrate": wanted}, "migration", "migrating")


def _resize(client: Client, arguments: Arguments) -> int:
    flavor = client.flavor(arguments.flavor)
    return _cold(client, arguments, {"resize": {"flavorRef": flavor["id"]}}, "resize", "resizing")


def _cold(client: Client, arguments: Arguments, body: Mapping[str, Any], kind: str, doing: str) -> int:
    server = client.server(arguments.server)
    after = follow.newest(client, server["id"]) if arguments.poll else 0
    _act(client, server["id"], body)
    return follow.until_verified(client, server["id"], kind, after, doing) if arguments.poll else 0


def _decide(client: Client, arguments: Arguments, *, action: str) -> None:
    _act(client, client.server(arguments.server)["id"], {action: None})


def _refuse_loss(client: Client, server: Mapping[str, Any]) -> None:
    """Raises Conflict if an evacuation would make disks anew whose data only the failed host has."""
    host = client.compute("GET", f"/servers/{server['id']}")["server"].get("OS-EXT-SRV-ATTR:host")
    found = client.native("GET", "/preflight", evacuate=host)["preflight"] if host else []
    for one in found:
        if one["server"]["id"] == server["id"] and one["loses_data"]:
            lost = "; ".join(f"{fate['target']}: {fate_words(fate)}" for fate in one["disks"] if not fate["kept"])
            raise Conflict(
                f"{server['name']} would not have the data of its local disks any more: {lost}",
                advice=f"bring {host} back, or give --discard-local-disks; if {host} returns later, they are kept "
                "aside: see `migrator kept-disks`",
            )


def _evacuate(client: Client, arguments: Arguments) -> int:
    server = client.server(arguments.server)
    if not arguments.discard_local_disks:
        _refuse_loss(client, server)
    after = follow.newest(client, server["id"]) if arguments.poll else 0
    wanted = {"host": arguments.host, "adminPass": arguments.password}
    wanted = {name: value for name, value in wanted.items() if value is not None}
    body = {"evacuate": wanted | {"onSharedStorage": arguments.on_shared_storage}}
    answer = _act(client, server["id"], body, _EVACUATE)
    show(properties({"adminPass": answer["adminPass"]}))
    if not arguments.poll:
        return 0
    return follow.until_over(client, server["id"], "evacuation", after, f"evacuating {arguments.server}")


def _migration_path(client: Client, arguments: Arguments) -> str:
    if not arguments.migration.isdecimal():
        raise BadRequest(f"{arguments.migration} is not a migration's id", advice="see `migrator migration-list`")
    return f"/servers/{client.server(arguments.server)['id']}/migrations/{arguments.migration}"


def _abort(client: Client, arguments: Arguments) -> None:
    client.compute("DELETE", _migration_path(client, arguments))


def _force_complete(client: Client, arguments: Arguments) -> None:
    client.compute("POST", f"{_migration_path(client, arguments)}/action", {"force_complete": None})


def _steer(client: Client, arguments: Arguments) -> None:
    client.compute("GET", _migration_path(client, arguments))  # it is under way, and this server's
    wanted = {
        "bandwidth_mib_s": arguments.bandwidth,
        "max_downtime_ms": arguments.max_downtime,
        "held": arguments.held,
        "post_copy": arguments.post_copy,
    }
    body = {name: value for name, value in wanted.items() if value is not None}
    client.native("POST", f"/operations/{arguments.migration}/steer", body)


def _migration_show(client: Client, arguments: Arguments) -> None:
    row = client.compute("GET", _migration_path(client, arguments))["migration"]
    show_one(arguments, row, row)


def _migrations_of(client: Client, arguments: Arguments) -> None:
    rows = client.compute("GET", f"/servers/{client.server(arguments.server)['id']}/migrations")["migrations"]
    show_rows(arguments, SERVER_MIGRATION_COLUMNS, rows)


_EVENT_COLUMNS = (
    Column("Offset", lambda row: f"+{row['offset_ms'] / 1000:.3f} s"),
    Column("Event", "name"),
    Column("Phase", "phase"),
    Column("Host", "host"),
    Column("Epoch", "epoch"),
    Column("Message", "message"),
)


def timeline_text(found: Mapping[str, Any]) -> str:
    """An operation and its events, for people; ``found`` is the native API's answer."""
    operation = found["operation"]
    hosts = " to ".join(host for host in (operation["source"], operation["destination"]) if host)
    head = f"{operation['kind']} {operation['id']} of {operation['instance']}: {operation['status']}"
    lines = [head + (f", {hosts}" if hosts else "")]
    lines += [f"waiting: {operation['waiting']}"] if operation["waiting"] else []
    lines += [f"error: {follow.reason(operation)}"] if operation["error"] else []
    lines += [f"evidence: {operation['evidence']}"] if operation.get("evidence") else []
    lines += [f"owed: {o['phase']}" + (f" on {o['host']}" if o["host"] else "") for o in operation.get("owed", ())]
    return "\n".join([*map(printable.escaped, lines), table(_EVENT_COLUMNS, found["events"])])


def _timeline(client: Client, arguments: Arguments) -> None:
    found = client.native("GET", f"/operations/{_operation(client, arguments.id)}/timeline")
    show(as_json(found) if arguments.json else timeline_text(found))


def _operation(client: Client, key: str) -> str:
    """An operation's id or UUID is itself; a server's name or UUID stands for the newest operation on it."""
    if key.isascii() and key.isdecimal():
        return key
    if is_uuid(key):
        try:
            return str(client.native("GET", f"/operations/{key}")["operation"]["id"])
        except NotFound:
            pass  # a server's, then
    newest = client.native("GET", "/operations", instance=server_id(client, key), limit=1)["operations"]
    if not newest:
        raise NotFound(f"nothing was done to a server {key} yet, and no operation has that id")
    return str(newest[0]["id"])


VERBS: Mapping[str, Callable[[Client, Arguments], int | None]] = {
    "live-migration": _live,
    "live-migration-abort": _abort,
    "live-migration-force-complete": _force_complete,
    "live-migration-steer": _steer,
    "migrate": _migrate,
    "resize": _resize,
    "resize-confirm": partial(_decide, action="confirmResize"),
    "resize-revert": partial(_decide, action="revertResize"),
    "evacuate": _evacuate,
    "server-migration-list": _migrations_of,
    "server-migration-show": _migration_show,
    "timeline": _timeline,
}
