"""No field and no query name is accepted and ignored: the table has a row for each, and a row is what happens."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import select

from migrator import supported_requests
from migrator.api.routing import Schema
from migrator.api.urls import COMPUTE
from migrator.api.v2_1.actions.dispatch import ACTIONS
from migrator.db import instances, tables, volumes
from migrator.db.tables import operations
from migrator.supported import Honoured, Refused
from tests.api import seed
from tests.api.harness import Api
from tests.api.seed import IMAGE
from tests.api.test_supported import begun, refused

DISK = {"uuid": IMAGE, "source_type": "image", "destination_type": "local", "boot_index": 0}
ASKED = {"no_device": True, "volume_size": 7, "delete_on_termination": False}  # what else cannot be a text


def names(schema: Schema, at: str = "") -> Iterator[str]:
    """Where a value may stand that is no object of named fields."""
    items, properties = schema.get("items"), schema.get("properties")
    for way in schema.get("oneOf", ()):
        yield from names(way, at)
    if properties:
        for name, inner in properties.items():
            yield from names(inner, f"{at}.{name}" if at else name)
    elif isinstance(items, dict) and items.get("properties"):
        yield from names(items, f"{at}[]")
    elif "oneOf" not in schema:
        yield at


def test_every_field_of_every_body_has_its_row() -> None:
    of_schemas = {
        f"{route.method} {route.path}": sorted({name for _, schema in route.body for name in names(schema)})
        for route in COMPUTE
        if isinstance(route.body, tuple)
    }
    assert of_schemas == {key: sorted(row.name for row in rows) for key, rows in supported_requests.BODIES.items()}


def test_every_field_of_every_action_has_its_row() -> None:
    of_schemas = {
        action: sorted({name or action for _, schema in rule.body for name in names(schema)})
        for action, rule in ACTIONS.items()
    }
    assert of_schemas == {key: sorted(row.name for row in rows) for key, rows in supported_requests.ACTIONS.items()}


def boot(api: Api, **more: Any) -> Any:
    server = {"name": "cap", "flavorRef": "1", "imageRef": IMAGE, "networks": "none"} | more
    return api("POST", "/servers", body={"server": server})


@pytest.mark.parametrize("row", supported_requests.DISK, ids=lambda row: row.name)
def test_what_a_disk_is_not_given_is_refused_by_name(api: Api, row: Honoured | Refused) -> None:
    asked = ASKED.get(row.name, "1" if row.name == "boot_index" else "other")
    answer = boot(api, block_device_mapping_v2=[DISK | {row.name: asked}])
    named = row.name if row.name not in ("uuid", "boot_index") else "another image" if row.name == "uuid" else "boot_"
    assert refused(answer, named), answer.json
    assert begun(api) == 0


@pytest.mark.parametrize(
    "harmless",
    [
        {"disk_bus": "virtio", "device_type": "disk", "delete_on_termination": True, "no_device": False},
        {"device_name": "/dev/vda", "guest_format": "", "volume_type": None, "volume_size": 0},
        {"device_name": "vda"},
        {"device_name": None},
    ],
)
def test_what_a_disk_is_given_anyway_may_be_asked_for(api: Api, harmless: dict[str, Any]) -> None:
    assert boot(api, block_device_mapping_v2=[DISK | harmless]).status == 202


def test_a_volumes_device_can_only_be_the_one_that_it_gets(api: Api) -> None:
    seed.flavor(api.db, flavorid="2", name="m1.scratch", disk_gb=2, ephemeral_gb=1)
    with api.db.write() as connection:
        ids = [volumes.create(connection, name, f"nbd://h/{name}", 1, None) for name in ("a", "b")]

    def ask(flavor: str, *devices: str) -> Any:
        disk = {"source_type": "volume", "destination_type": "volume"}
        asked = [disk | {"uuid": ident, "device_name": device} for ident, device in zip(ids, devices, strict=False)]
        return boot(api, flavorRef=flavor, block_device_mapping_v2=asked)

    assert refused(ask("1", "/dev/vdc"), "device_name '/dev/vdc'", "supported: /dev/vdb")
    assert refused(ask("2", "vdb"), "device_name 'vdb'", "supported: /dev/vdc")
    assert begun(api) == 0
    assert ask("1", "/dev/vdb", "vdc").status == 202


def test_a_port_that_was_made_before_is_refused_by_name(api: Api) -> None:
    assert refused(boot(api, networks=[{"uuid": "lan", "port": IMAGE}]), "port is not supported")
    assert begun(api) == 0


@pytest.mark.parametrize("row", supported_requests.REFUSED_FIELDS, ids=lambda row: row.name)
def test_what_a_server_is_not_given_is_refused_by_name_and_not_repeated(api: Api, row: Refused) -> None:
    asked: Any = ["s3cret"] if row.name in ("block_device_mapping", "trusted_image_certificates") else "s3cret"
    version, asked = ("2.1", [{"path": "s3cret"}]) if row.name == "personality" else ("2.96", asked)
    server = {"name": "cap", "flavorRef": "1", "imageRef": IMAGE, "networks": [], row.name: asked}
    answer = api("POST", "/servers", version, body={"server": server})
    assert refused(answer, row.name), answer.json
    assert "s3cret" not in answer.message
    assert begun(api) == 0


def test_a_password_is_for_the_config_drive_alone(api: Api) -> None:
    assert "adminPass" not in boot(api, config_drive=True).json["server"], "none is made up"
    answer = boot(api, adminPass="s3cret", config_drive=False)
    assert "s3cret" not in str(answer.json)
    with api.db.read() as connection:
        spec = instances.get(connection, answer.json["server"]["id"]).spec
        rows = [*connection.execute(select(operations)), *connection.execute(select(tables.instances))]
    assert [disk["config_drive"] for disk in spec["disks"]] == [False, True]
    assert "s3cret" not in str(rows)


@pytest.mark.parametrize(
    ("zone", "message"),
    [
        ("nova:compute1:compute2", "Compute host compute1 has no node compute2"),
        ("nova:compute1:compute1:x", "Unable to parse availability_zone"),
        ("nova:compute1:", None),
        ("nova:compute1:compute1", None),
        ("nova::compute1", None),
    ],
)
def test_a_hosts_only_node_has_its_name(api: Api, zone: str, message: str | None) -> None:
    answer = boot(api, availability_zone=zone)
    if message is not None:
        assert refused(answer, message), answer.json
        assert begun(api) == 0
    else:
        assert answer.status == 202
        with api.db.read() as connection:
            assert connection.execute(select(operations.c.requested_host)).scalars().all() == ["compute1"]


def test_a_security_group_has_nothing_but_a_name(api: Api) -> None:
    assert boot(api, security_groups=[{"nope": 1}]).status == 400
    assert boot(api, security_groups=[{"name": "default"}]).status == 202


def test_every_name_of_every_query_has_its_row() -> None:
    of_schemas = {
        f"{route.method} {route.path}": sorted(
            {name for _, schema in route.query for name in schema.get("properties", ())}
        )
        for route in COMPUTE
        if isinstance(route.query, tuple)
    }
    assert of_schemas == {key: sorted(row.name for row in rows) for key, rows in supported_requests.QUERIES.items()}


def test_below_2_56_a_host_in_a_migrate_chooses_nothing(api: Api) -> None:
    uuid = seed.instance(api.db, "cap")
    assert api("POST", f"/servers/{uuid}/action", "2.55", body={"migrate": {"host": "nosuch"}}).status == 202
    with api.db.read() as connection:
        assert connection.execute(select(operations.c.requested_host)).scalars().all() == [None]
