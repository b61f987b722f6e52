"""What the verbs do: one function a verb, each of them a request or two and a table. 0, or the exit code.

The verbs that move are in ``moves.py``, those of hosts in ``services.py``.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from migrator.cli import (
    alarms,
    capacity,
    drains,
    follow,
    kept_disks,
    leftovers,
    moves,
    preflight,
    rebalances,
    reconcile,
    recoveries,
    services,
    volumes,
    webhooks,
    where,
)
from migrator.cli import networks as network_verbs
from migrator.cli.client import Client
from migrator.cli.listings import FLAVOR_COLUMNS, IMAGE_COLUMNS, LISTINGS, networks
from migrator.cli.output import Arguments, fail_with, say, show, show_one, show_rows
from migrator.cli.tables import as_json
from migrator.errors import BadRequest, MigratorError


def _listing(client: Client, arguments: Arguments) -> None:
    listing = LISTINGS[arguments.command]
    query: dict[str, Any] = dict(listing.always)
    query |= {parameter: getattr(arguments, option.replace("-", "_")) for option, parameter in listing.filters}
    if listing.paged:
        rows = client.every(listing.path, listing.rows, **query)
    else:
        rows = client.compute("GET", listing.path, **query)[listing.rows]
    show_rows(arguments, listing.columns, rows)


# --- servers ----------------------------------------------------------------------------------------------------


def _boot(client: Client, arguments: Arguments) -> int:
    if not arguments.image and not arguments.boot_volume:
        raise BadRequest("name what to boot: --image or --boot-volume")
    server = {
        "name": arguments.name,
        "flavorRef": client.flavor(arguments.flavor)["id"],
        "imageRef": client.image_named(arguments.image)["id"] if arguments.image else "",
        "networks": _nics(arguments.nic),
        "metadata": _pairs(arguments.meta),
    }
    disks = volumes.attached(client, arguments.boot_volume, arguments.volume)
    server |= {"block_device_mapping_v2": disks} if disks else {}
    server |= {"availability_zone": arguments.availability_zone} if arguments.availability_zone else {}
    server |= {"host": arguments.host} if arguments.host else {}
    server |= {"config_drive": True} if arguments.config_drive else {}
    made = client.compute("POST", "/servers", {"server": server})["server"]
    _print_server(client, arguments, made["id"])
    return _wait(client, arguments, made["id"], "build", 0, f"building {arguments.name}")


def _nics(wanted: Sequence[str]) -> Any:
    if not wanted or wanted[0] in ("none", "auto"):
        return wanted[0] if wanted else "none"
    return [_nic(nic) for nic in wanted]


_NIC_FIELDS = {"net-id": "uuid", "fixed-ip": "fixed_ip", "v4-fixed-ip": "fixed_ip", "v6-fixed-ip": "fixed_ip"}


def _nic(text: str) -> dict[str, str]:
    """Raises BadRequest."""
    found = {}
    for part in text.split(","):
        name, _, value = part.partition("=")
        if name not in _NIC_FIELDS or not value:
            advice = "take none, auto or net-id=ID, and with it fixed-ip=IP"
            raise BadRequest(f"--nic {text} is not understood", advice=advice)
        found[_NIC_FIELDS[name]] = value
    return found


def _pairs(items: Sequence[str]) -> dict[str, str]:
    """``KEY=VALUE`` each. Raises BadRequest."""
    for item in items:
        if "=" not in item:
            raise BadRequest(f"{item} is not KEY=VALUE")
    return {key: value for key, _, value in (item.partition("=") for item in items)}


def _show(client: Client, arguments: Arguments) -> None:
    _print_server(client, arguments, client.server(arguments.server)["id"])


def _console_log(client: Client, arguments: Arguments) -> None:
    path = f"/servers/{client.server(arguments.server)['id']}/action"
    found = client.compute("POST", path, {"os-getConsoleOutput": {"length": arguments.length}})
    show(as_json(found) if arguments.json else found["output"].expandtabs())


def _reset_state(client: Client, arguments: Arguments) -> int:
    """As nova's: to "error" unless ``--active`` is given; one that is refused does not keep the others from it."""
    state, code = "active" if arguments.active else "error", 0
    for name in arguments.server:
        try:
            path = f"/servers/{client.server(name)['id']}/action"
            client.compute("POST", path, {"os-resetState": {"state": state}})
            say(f"Reset state for server {name} succeeded; new state is {state}")
        except MigratorError as error:
            fail_with(error)
            code = 1
    return code


def _print_server(client: Client, arguments: Arguments, server_id: str) -> None:
    server = client.compute("GET", f"/servers/{server_id}")["server"]
    shown = {key: value for key, value in server.items() if key not in ("links", "addresses", "flavor")}
    shown |= {f"flavor:{key}": value for key, value in server["flavor"].items()}
    shown |= {"image": server["image"]["id"] if server.get("image") else None}
    if server.get("addresses"):
        shown["networks"] = networks(server)
    show_one(arguments, shown, server)


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
            say(f"Request to {verb} server {name} has been accepted.")
            code |= _wait(client, arguments, server["id"], kind, after, f"{verb} {name}")
        except MigratorError as error:
            fail_with(error)
            code = 1
    return code


def _request(client: Client, arguments: Arguments, kind: str, server_id: str) -> None:
    if kind == "delete":
        client.compute("DELETE", f"/servers/{server_id}")
        return
    if kind == "reboot":
        body: dict[str, Any] = {"reboot": {"type": "HARD" if arguments.hard else "SOFT"}}
    else:
        body = {kind if kind in ("suspend", "resume", "pause", "unpause") else f"os-{kind}": None}
    client.compute("POST", f"/servers/{server_id}/action", body)


# --- flavors and images -----------------------------------------------------------------------------------------


def _flavor_create(client: Client, arguments: Arguments) -> None:
    flavor: dict[str, Any] = {name: getattr(arguments, name) for name in ("name", "ram", "disk", "vcpus")}
    flavor["id"] = None if arguments.id == "auto" else arguments.id
    flavor["OS-FLV-EXT-DATA:ephemeral"] = arguments.ephemeral
    flavor |= {"description": arguments.description} if arguments.description else {}
    show_rows(arguments, FLAVOR_COLUMNS, [client.compute("POST", "/flavors", {"flavor": flavor})["flavor"]])


def _flavor_key(client: Client, arguments: Arguments) -> None:
    path = f"/flavors/{client.flavor(arguments.flavor)['id']}/os-extra_specs"
    if arguments.action == "set":
        client.compute("POST", path, {"extra_specs": _pairs(arguments.specs)})
        return
    for name in arguments.specs:
        client.compute("DELETE", f"{path}/{name}")


def _image_list(client: Client, arguments: Arguments) -> None:
    show_rows(arguments, IMAGE_COLUMNS, client.every_image())


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
    show_one(arguments, row, row)


_EACH = ("delete", "start", "stop", "reboot", "suspend", "resume", "pause", "unpause")
VERBS: Mapping[str, Callable[[Client, Arguments], int | None]] = {
    **dict.fromkeys(LISTINGS, _listing),
    "boot": _boot,
    "show": _show,
    "console-log": _console_log,
    "reset-state": _reset_state,
    **{verb: partial(_each, kind=verb, verb=verb) for verb in _EACH},
    **moves.VERBS,
    **services.VERBS,
    **preflight.VERBS,
    **volumes.VERBS,
    **webhooks.VERBS,
    **network_verbs.VERBS,
    **alarms.VERBS,
    **drains.VERBS,
    **recoveries.VERBS,
    **capacity.VERBS,
    **rebalances.VERBS,
    **reconcile.VERBS,
    **where.VERBS,
    **kept_disks.VERBS,
    **leftovers.VERBS,
    "flavor-create": _flavor_create,
    "flavor-key": _flavor_key,
    "image-list": _image_list,
    "image-create": _image_create,
}
