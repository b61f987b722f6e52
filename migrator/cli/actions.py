"""What the verbs do: one function a verb, each of them a request or two and a table. 0, or the exit code."""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from migrator.cli import follow
from migrator.cli.client import Client
from migrator.cli.listings import FLAVOR_COLUMNS, IMAGE_COLUMNS, LISTINGS, SERVER_MIGRATION_COLUMNS, networks
from migrator.cli.tables import Column, as_json, properties, table
from migrator.errors import BadRequest, MigratorError

Arguments = argparse.Namespace


def _show_rows(arguments: Arguments, columns: Sequence[Column], rows: Sequence[Mapping[str, Any]]) -> None:
    print(as_json(rows) if arguments.json else table(columns, rows))


def _show_one(arguments: Arguments, shown: Mapping[str, Any], row: Mapping[str, Any]) -> None:
    print(as_json(row) if arguments.json else properties(shown))


def _listing(client: Client, arguments: Arguments) -> None:
    listing = LISTINGS[arguments.command]
    query: dict[str, Any] = dict(listing.always)
    query |= {parameter: getattr(arguments, option.replace("-", "_")) for option, parameter in listing.filters}
    if listing.paged:
        rows = client.every(listing.path, listing.rows, **query)
    else:
        rows = client.compute("GET", listing.path, **query)[listing.rows]
    _show_rows(arguments, listing.columns, rows)


# --- servers ----------------------------------------------------------------------------------------------------


def _boot(client: Client, arguments: Arguments) -> int:
    server = {
        "name": arguments.name,
        "flavorRef": client.flavor(arguments.flavor)["id"],
        "imageRef": client.image_named(arguments.image)["id"],
        "networks": _nics(arguments.nic),
        "metadata": _pairs(arguments.meta),
    }
    server |= {"availability_zone": arguments.availability_zone} if arguments.availability_zone else {}
    server |= {"host": arguments.host} if arguments.host else {}
    made = client.compute("POST", "/servers", {"server": server})["server"]
    _print_server(client, arguments, made["id"])
    return _wait(client, arguments, made["id"], "build", 0, f"building {arguments.name}")


def _nics(wanted: Sequence[str]) -> Any:
    if not wanted or wanted[0] in ("none", "auto"):
        return wanted[0] if wanted else "none"
    found = []
    for nic in wanted:
        name, _, value = nic.partition("=")
        if name != "net-id" or not value:
            raise BadRequest(f"--nic {nic} is not understood", advice="take none, auto or net-id=ID")
        found.append({"uuid": value})
    return found


def _pairs(items: Sequence[str]) -> dict[str, str]:
    """``KEY=VALUE`` each. Raises BadRequest."""
    for item in items:
        if "=" not in item:
            raise BadRequest(f"{item} is not KEY=VALUE")
    return {key: value for key, _, value in (item.partition("=") for item in items)}


def _show(client: Client, arguments: Arguments) -> None:
    _print_server(client, arguments, client.server(arguments.server)["id"])


def _print_server(client: Client, arguments: Arguments, server_id: str) -> None:
    server = client.compute("GET", f"/servers/{server_id}")["server"]
    shown = {key: value for key, value in server.items() if key not in ("links", "addresses", "flavor")}
    shown |= {f"flavor:{key}": value for key, value in server["flavor"].items()}
    shown |= {"image": server["image"]["id"] if server.get("image") else None}
    if server.get("addresses"):
        shown["networks"] = networks(server)
    _show_one(arguments, shown, server)


def _wait(client: Client, arguments: Arguments, server_id: str, kind: str, after: int, what: str) -> int:
    return follow.until_over(client, server_id, kind, after, what) if arguments.poll else 0


def _each(client: Client, arguments: Arguments, kind: str, verb: str) -> int:
    """The same for every server named; one that fails does not keep the others from it."""
    code = 0
    for name in arguments.server:
        try:
            server = client.server(name)
            after = follow.newest(client, server["id"]) if arguments.poll else 0
            _request(client, arguments, kind, server["id"])
            print(f"Request to {verb} server {name} has been accepted.")
            code |= _wait(client, arguments, server["id"], kind, after, f"{verb} {name}")
        except MigratorError as error:
            print(f"migrator: {error.message}" + (f" ({error.advice})" if error.advice else ""), file=sys.stderr)
            code = 1
    return code


def _request(client: Client, arguments: Arguments, kind: str, server_id: str) -> None:
    if kind == "delete":
        client.compute("DELETE", f"/servers/{server_id}")
        return
    if kind == "reboot":
        body: dict[str, Any] = {"reboot": {"type": "HARD" if arguments.hard else "SOFT"}}
    else:
        body = {f"os-{kind}": None}
    client.compute("POST", f"/servers/{server_id}/action", body)


# --- moves ------------------------------------------------------------------------------------------------------


def _live(client: Client, arguments: Arguments) -> int:
    server = client.server(arguments.server)
    after = follow.newest(client, server["id"]) if arguments.poll else 0
    wanted = {"host": arguments.host, "block_migration": True if arguments.block_migrate else "auto"}
    client.compute("POST", f"/servers/{server['id']}/action", {"os-migrateLive": wanted})
    return _wait(client, arguments, server["id"], "live-migration", after, f"moving {arguments.server}")


def _migration_path(client: Client, arguments: Arguments) -> str:
    if not arguments.migration.isdecimal():
        raise BadRequest(f"{arguments.migration} is not a migration's id", advice="see `migrator migration-list`")
    return f"/servers/{client.server(arguments.server)['id']}/migrations/{arguments.migration}"


def _abort(client: Client, arguments: Arguments) -> None:
    client.compute("DELETE", _migration_path(client, arguments))


def _migration_show(client: Client, arguments: Arguments) -> None:
    row = client.compute("GET", _migration_path(client, arguments))["migration"]
    _show_one(arguments, row, row)


def _migrations_of(client: Client, arguments: Arguments) -> None:
    rows = client.compute("GET", f"/servers/{client.server(arguments.server)['id']}/migrations")["migrations"]
    _show_rows(arguments, SERVER_MIGRATION_COLUMNS, rows)


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
    lines += [f"error: {operation['error']}"] if operation["error"] else []
    return "\n".join([*lines, table(_EVENT_COLUMNS, found["events"])])


def _timeline(client: Client, arguments: Arguments) -> None:
    if not arguments.id.replace("-", "").isalnum():
        raise BadRequest(f"{arguments.id} is not an operation's id", advice="see `migrator migration-list`")
    found = client.native("GET", f"/operations/{arguments.id}/timeline")
    print(as_json(found) if arguments.json else timeline_text(found))


# --- flavors and images -----------------------------------------------------------------------------------------


def _flavor_create(client: Client, arguments: Arguments) -> None:
    flavor: dict[str, Any] = {name: getattr(arguments, name) for name in ("name", "ram", "disk", "vcpus")}
    flavor["id"] = None if arguments.id == "auto" else arguments.id
    flavor |= {"description": arguments.description} if arguments.description else {}
    _show_rows(arguments, FLAVOR_COLUMNS, [client.compute("POST", "/flavors", {"flavor": flavor})["flavor"]])


def _flavor_key(client: Client, arguments: Arguments) -> None:
    path = f"/flavors/{client.flavor(arguments.flavor)['id']}/os-extra_specs"
    if arguments.action == "set":
        client.compute("POST", path, {"extra_specs": _pairs(arguments.specs)})
        return
    for name in arguments.specs:
        client.compute("DELETE", f"{path}/{name}")


def _image_list(client: Client, arguments: Arguments) -> None:
    _show_rows(arguments, IMAGE_COLUMNS, client.every_image())


def _image_create(client: Client, arguments: Arguments) -> None:
    body = {"name": arguments.name, "disk_format": arguments.disk_format}
    body |= {"container_format": arguments.container_format, **_pairs(arguments.property)}
    try:
        with open(arguments.file, "rb") as content:
            image = client.image("POST", "/images", body)
            client.upload(image["id"], content)
    except OSError as error:
        raise BadRequest(f"cannot read {arguments.file}: {error.strerror}") from error
    row = client.image("GET", f"/images/{image['id']}")
    _show_one(arguments, row, row)


VERBS: Mapping[str, Callable[[Client, Arguments], int | None]] = {
    **dict.fromkeys(LISTINGS, _listing),
    "boot": _boot,
    "show": _show,
    **{verb: partial(_each, kind=verb, verb=verb) for verb in ("delete", "start", "stop", "reboot")},
    "live-migration": _live,
    "live-migration-abort": _abort,
    "server-migration-list": _migrations_of,
    "server-migration-show": _migration_show,
    "timeline": _timeline,
    "flavor-create": _flavor_create,
    "flavor-key": _flavor_key,
    "image-list": _image_list,
    "image-create": _image_create,
}
