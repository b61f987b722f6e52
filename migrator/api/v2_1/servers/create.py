"""The body of POST /servers as ``NewInstance``s: looks up what it names and refuses what cannot be honoured.

Owns the rules and the texts; never writes. What Nova would accept and quietly depend on another service for
(security groups) is refused by name, not ignored.
"""

import base64
import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any

from migrator import supported_requests
from migrator.api import flavor_and_image
from migrator.api.v2_1.common import zones
from migrator.api.v2_1.common.schemas import TRUE
from migrator.api.v2_1.servers import hints, nics
from migrator.api.v2_1.servers.block_devices import BlockDevices, block_devices, check_devices
from migrator.api.v2_1.servers.view import Version, hostname
from migrator.db import aggregates, key_pairs, volumes
from migrator.db import instance_list as instance_rows
from migrator.db.engine import Database
from migrator.db.key_pairs import Owner
from migrator.errors import BadRequest, KeyPairNotFound, VolumeNotFound
from migrator.scheduler.fleet.plan import ha_policy
from migrator.scheduler.requests.build import NewInstance, volume_targets

_LONGEST_NAME = 255
_LONGEST_HOSTNAME = 63
MOST_AT_ONCE = 100  # instances one request may ask for
_ADDRESSES = {"accessIPv4": "access_ip_v4", "accessIPv6": "access_ip_v6"}  # field of a server -> column


def rules(server: Mapping[str, Any]) -> Sequence[str]:
    """What the policy has to allow beside the creation of a server."""
    found = []
    if (server.get("availability_zone") or "").rstrip(":").count(":"):
        found.append("os_compute_api:servers:create:forced_host")
    if server.get("host") or server.get("hypervisor_hostname"):
        found.append("compute:servers:create:requested_destination")
    if server.get("networks") not in (None, "none", "auto", []):
        found.append("os_compute_api:servers:create:attach_network")
    if any(device.get("source_type") == "volume" for device in server.get("block_device_mapping_v2") or ()):
        found.append("os_compute_api:servers:create:attach_volume")
    return found


def new_instances(
    db: Database, body: Mapping[str, Any], version: Version, project: str | None, owner: Owner
) -> list[NewInstance]:
    """One for each instance wanted, in order. ``project``: whose flavors, images, groups and instances may be named;
    None: all. ``owner``: whose key pairs. Raises BadRequest."""
    server = body["server"]
    _refuse_unsupported(server)
    count = _count(server)
    disks = _disks(server, count)
    with db.read() as connection:
        flavor = flavor_and_image.flavor(connection, str(server["flavorRef"]), project)
        image, volume_image = _images(connection, disks, project)
        zone, host = _placement(connection, server)
        asked = hints.read(connection, body, project)
        key_name, key_data = _key(connection, server.get("key_name"), owner)
    _check_parts(disks, flavor, image, volume_image)
    return [
        NewInstance(
            name=name,
            flavor=flavor,
            image=image,
            networks=nics.read(server, count, version),
            metadata=server.get("metadata", {}),
            tags=sorted(set(server.get("tags", ()))),
            description=server.get("description", name if version < (2, 19) else None),
            availability_zone=zone,
            requested_host=host,
            key_name=key_name,
            key_data=key_data,
            config_drive=_config_drive(server),
            hostname=_hostname(server, name),
            display_columns=view(server),
            user_data=_user_data(server),
            admin_pass=server.get("adminPass") or None,
            boot_volume=disks.boot_volume,
            volumes=disks.volumes,
            hints=asked,
        )
        for name in _names(server["name"], count)
    ]


def _user_data(server: Mapping[str, Any]) -> str | None:
    """In base64 without blanks. Raises BadRequest."""
    text = "".join((server.get("user_data") or "").split())
    try:
        base64.b64decode(text, validate=True)
    except ValueError as error:
        raise BadRequest("User data needs to be valid base 64.") from error
    return text or None


def _config_drive(server: Mapping[str, Any]) -> bool:
    """Nothing else tells a guest its key, its user data and its password: one with any of them has a config drive."""
    told = server.get("user_data") or server.get("key_name") or server.get("adminPass")
    return bool(told) or server.get("config_drive", False) in TRUE


def _check_parts(
    disks: BlockDevices, flavor: Mapping[str, Any], image: Mapping[str, Any] | None, kernel: Mapping[str, Any] | None
) -> None:
    check_devices(disks, volume_targets(flavor, len(disks.volumes)))
    flavor_and_image.check_supported(flavor, image or kernel)
    if image is not None:
        flavor_and_image.check_fits(flavor, image)


def view(server: Mapping[str, Any]) -> dict[str, Any]:
    """What is recorded of it only to be shown, by column: of an address the one spelling that fits into it."""
    asked = {column: server[name] for name, column in _ADDRESSES.items() if name in server}
    found = {column: str(ipaddress.ip_address(text)) if text else "" for column, text in asked.items()}
    disk_config = server.get("OS-DCF:diskConfig")
    return found if disk_config is None else found | {"disk_config": disk_config}


def _hostname(server: Mapping[str, Any], name: str) -> str:
    """The one that is asked for, or one made from the server's name; of several servers each has its number."""
    number = name.removeprefix(server["name"])
    return server.get("hostname") or hostname(server["name"])[: _LONGEST_HOSTNAME - len(number)] + number


def _disks(server: Mapping[str, Any], count: int) -> BlockDevices:
    disks = block_devices(server)
    if count > 1 and (disks.boot_volume or disks.volumes):
        raise BadRequest("Cannot attach one or more volumes to multiple instances")
    return disks


def _names(name: str, count: int) -> list[str]:
    if count == 1:
        return [name]
    if len(f"{name}-{count}") > _LONGEST_NAME:
        raise BadRequest(
            f"Invalid input for field/attribute name. Value: {name}. Each of {count} servers gets the name with its "
            f"number after it, and '{name}-{count}' is too long: at most {_LONGEST_NAME} characters"
        )
    return [f"{name}-{number + 1}" for number in range(count)]


def _refuse_unsupported(server: Mapping[str, Any]) -> None:
    ha_policy.check(server.get("metadata", {}))
    if said := supported_requests.refused_values(server, supported_requests.REFUSED_FIELDS):
        raise BadRequest("; ".join(said))
    for group in server.get("security_groups", ()):
        if group.get("name") not in (None, "default"):
            raise BadRequest(f"Security group {group['name']} not found.")


def _count(server: Mapping[str, Any]) -> int:
    """The most that are wanted: as many are made as the quotas have room for, see ``build.create_instances``."""
    least = int(server.get("min_count", 1))
    most = int(server.get("max_count", least))
    if least < 1 or most < 1:
        raise BadRequest("min_count and max_count must be at least 1")
    if least > most:
        raise BadRequest("min_count must be <= max_count")
    if most > 1 and server.get("hostname"):
        raise BadRequest("Unable to allocate a single hostname to multiple instances")
    if most > MOST_AT_ONCE:
        raise BadRequest(f"max_count must be at most {MOST_AT_ONCE}")
    return most


def _images(
    connection: Any, disks: BlockDevices, project_id: str | None
) -> tuple[Mapping[str, Any] | None, Mapping[str, Any] | None]:
    """(the image that the root disk is made from, or the one whose kernel boots the root volume). Raises BadRequest,
    for volumes that cannot be attached too."""
    free = {ident: _free(connection, ident) for ident in filter(None, (disks.boot_volume, *disks.volumes))}
    if disks.boot_volume is None:
        return flavor_and_image.bootable(connection, disks.image_id, project_id), None
    kernel = free[disks.boot_volume].image_id
    return None, flavor_and_image.image_if_known(connection, kernel) if kernel else None


def _free(connection: Any, volume_id: str) -> Any:
    """The volume's row. Raises BadRequest for one that is unknown or in use."""
    try:
        row = volumes.get(connection, volume_id)
    except VolumeNotFound as error:
        raise BadRequest(f"Block Device Mapping is Invalid: failed to get volume {volume_id}.") from error
    if row.instance_uuid is not None:
        raise BadRequest(f"Invalid volume: volume {volume_id} is attached to instance {row.instance_uuid}")
    return row


def _placement(connection: Any, server: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """(zone, host): from ``host``/``hypervisor_hostname``, or from a zone in the form "zone:host:node"."""
    zone, *forced = (server.get("availability_zone") or "").split(":")
    if zone not in ("", aggregates.DEFAULT_ZONE) and zone not in zones.available(connection):
        raise BadRequest("The requested availability zone is not available")
    if len(forced) > 2:
        raise BadRequest("Unable to parse availability_zone: expected zone, zone:host or zone:host:node")
    forced = list(dict.fromkeys(filter(None, forced)))
    if len(forced) > 1:
        raise BadRequest(f"Compute host {forced[0]} has no node {forced[1]}: a host's only node has its name")
    host = forced[0] if forced else None
    named = {server[key] for key in ("host", "hypervisor_hostname") if server.get(key)}
    if named and host:
        raise BadRequest("Unable to set both a host and an availability zone in the form zone:host")
    for name in sorted(named):
        if not instance_rows.host_states(connection, [name], 0):
            raise BadRequest(f"Compute host {name} could not be found.")
    if len(named) > 1:
        raise BadRequest("host and hypervisor_hostname name different hosts")
    return zone or None, host or next(iter(named), None)


def _key(connection: Any, name: str | None, owner: Owner) -> tuple[str | None, str | None]:
    """(name, public key). Raises BadRequest."""
    if name is None:
        return None, None
    try:
        return name, key_pairs.get(connection, owner, name).public_key
    except KeyPairNotFound as error:
        raise BadRequest("Invalid key_name provided.") from error
