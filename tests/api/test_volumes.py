"""``/v1/volumes``, and instances made with volumes: whose they are, what is refused, how Nova's API shows them."""

from typing import Any
from unittest import mock

import pytest
from sqlalchemy import select, update
from starlette.testclient import TestClient

from migrator.db import hosts, instances
from migrator.db import operations as operation_rows
from migrator.db.engine import Database
from migrator.db.tables import claims, operations
from migrator.operations import Effect
from migrator.scheduler.decision.snapshot import NOTHING
from migrator.scheduler.state import loader
from migrator.scheduler.state.effects import EFFECTS
from tests.api import seed
from tests.api.harness import Web

KERNEL, OTHER_KERNEL = (f"00000000-0000-4000-8000-00000000000{number}" for number in (1, 2))
SOURCE = "nbd://10.0.0.250:10809/data"


@pytest.fixture
def client(web: Web, db: Database) -> TestClient:
    seed.flavor(db)
    seed.flavor(db, name="m1.ephemeral", flavorid="2", ephemeral_gb=1)
    seed.image(db, seed.IMAGE)
    return web.client


def volume(client: TestClient, export: str = "data", **more: Any) -> str:
    body = {"name": export, "source": f"nbd://10.0.0.250/{export}", "size_gb": 1, **more}
    made = client.post("/v1/volumes", json={"volume": body})
    assert made.status_code == 201, made.text
    return str(made.json()["volume"]["id"])


def attached(ident: str, **more: Any) -> dict[str, Any]:
    return {"uuid": ident, "source_type": "volume", "destination_type": "volume", **more}


def create(client: TestClient, *disks: dict[str, Any], image: str = "", **more: Any) -> Any:
    server = {"name": "one", "flavorRef": "1", "imageRef": image, "networks": "none", "block_device_mapping_v2": disks}
    headers = {"OpenStack-API-Version": "compute 2.79"}
    return client.post("/v2.1/servers", json={"server": server | more}, headers=headers)


def spec(db: Database, uuid: str) -> dict[str, Any]:
    with db.read() as connection:
        return dict(instances.get(connection, uuid).spec)


def test_what_the_image_of_a_root_volume_wants_is_honoured_or_refused_by_name(client: TestClient, db: Database) -> None:
    wanting = {ident: {"hw_disk_bus": bus} for ident, bus in ((KERNEL, "virtio"), (OTHER_KERNEL, "scsi"))}
    for number, (ident, properties) in enumerate(wanting.items()):
        seed.image(db, ident, properties=properties)
        made = create(client, attached(volume(client, f"root{number}", image_id=ident), boot_index=0))
        if properties["hw_disk_bus"] == "virtio":
            assert made.status_code == 202, made.text
        else:
            assert made.status_code == 400, made.text
            assert "image property 'hw_disk_bus'" in made.json()["badRequest"]["message"]


def test_a_volume_is_registered_listed_shown_and_forgotten(client: TestClient) -> None:
    ident = volume(client)
    shown = client.get(f"/v1/volumes/{ident}").json()["volume"]
    assert (shown["source"], shown["size_gb"], shown["instance"]) == (SOURCE, 1, None)
    assert client.get("/v1/volumes").json()["volumes"] == [shown]
    again = client.post("/v1/volumes", json={"volume": {"name": "x", "source": SOURCE, "size_gb": 1}})
    assert (again.status_code, again.json()["error"]["code"]) == (409, "already_exists")
    assert client.delete(f"/v1/volumes/{ident}").status_code == 204
    assert client.get(f"/v1/volumes/{ident}").status_code == 404
    assert client.delete(f"/v1/volumes/{ident}").status_code == 404


@pytest.mark.parametrize("source", ["/dev/sdb", "nbd://127.0.0.1/data", "nbd://h/"])
def test_a_source_that_cannot_be_meant(client: TestClient, source: str) -> None:
    answer = client.post("/v1/volumes", json={"volume": {"name": "x", "source": source, "size_gb": 1}})
    assert answer.status_code == 400
    assert answer.json()["error"]["advice"]


def test_booted_from_a_volume_with_another_beside_it(client: TestClient, db: Database) -> None:
    root, data = volume(client, "root"), volume(client, "data")
    made = create(client, attached(root, boot_index=0), attached(data, boot_index=-1), flavorRef="2")
    assert made.status_code == 202, made.text
    uuid = made.json()["server"]["id"]
    kept = spec(db, uuid)
    assert [(d["target"], d["image_id"]) for d in kept["disks"]] == [("vdb", None)]
    assert [(v["id"], v["target"]) for v in kept["volumes"]] == [(root, "vda"), (data, "vdc")]
    assert kept["home"] == "local"
    assert client.get(f"/v1/volumes/{root}").json()["volume"]["instance"] == uuid
    refused = client.delete(f"/v1/volumes/{data}")
    assert refused.status_code == 409
    assert uuid in refused.json()["error"]["message"]


def test_the_compute_api_shows_what_is_attached(client: TestClient) -> None:
    data = volume(client)
    uuid = create(client, attached(data), image=seed.IMAGE).json()["server"]["id"]
    shown = client.get(f"/v2.1/servers/{uuid}").json()["server"]
    assert shown["os-extended-volumes:volumes_attached"] == [{"id": data}]
    headers = {"OpenStack-API-Version": "compute 2.89"}
    shown = client.get(f"/v2.1/servers/{uuid}", headers=headers).json()["server"]
    assert shown["os-extended-volumes:volumes_attached"] == [{"id": data, "delete_on_termination": False}]
    path = f"/v2.1/servers/{uuid}/os-volume_attachments"
    expected = {"id": data, "device": "/dev/vdb", "serverId": uuid, "volumeId": data}
    assert client.get(path).json() == {"volumeAttachments": [expected]}
    assert client.get(f"{path}/{data}").json() == {"volumeAttachment": expected}
    assert "attachment_id" in client.get(f"{path}/{data}", headers=headers).json()["volumeAttachment"]
    assert client.get(f"{path}/{uuid}").status_code == 404


def test_attaching_later_is_not_offered_and_says_so(client: TestClient) -> None:
    uuid = create(client, attached(volume(client)), image=seed.IMAGE).json()["server"]["id"]
    answer = client.post(f"/v2.1/servers/{uuid}/os-volume_attachments", json={"volumeAttachment": {"volumeId": "v"}})
    assert answer.status_code == 400
    assert "block_device_mapping_v2" in answer.text


def test_a_volume_is_one_instances(client: TestClient) -> None:
    data = volume(client)
    first = create(client, attached(data), image=seed.IMAGE).json()["server"]["id"]
    answer = create(client, attached(data), image=seed.IMAGE)
    assert answer.status_code == 400
    assert first in answer.text
    assert len(client.get("/v2.1/servers").json()["servers"]) == 1


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"delete_on_termination": True}, "delete_on_termination is not supported"),
        ({"boot_index": 1}, "boot_index is 0, or -1"),
        ({"disk_bus": "scsi"}, "disk_bus 'scsi' is not supported"),
        ({"device_type": "cdrom"}, "device_type 'cdrom' is not supported"),
        ({"guest_format": "swap"}, "guest_format is not supported"),
        ({"uuid": "686a7f00-1f05-4966-968d-a684866b5da8"}, "failed to get volume"),
        ({"uuid": None}, "named by its uuid"),
        ({"source_type": "blank"}, "source_type blank and destination_type volume is not supported"),
        ({"source_type": "image", "boot_index": 0}, "source_type image and destination_type volume is not supported"),
        ({"boot_index": 0}, "Boot sequence for the instance"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(client: TestClient, more: dict[str, Any], message: str) -> None:
    disk = {key: value for key, value in (attached(volume(client)) | more).items() if value is not None}
    answer = create(client, disk, image=seed.IMAGE)
    assert answer.status_code == 400
    assert message in answer.text


def test_volumes_are_not_for_several_instances_at_once(client: TestClient) -> None:
    answer = create(client, attached(volume(client)), image=seed.IMAGE, max_count=2)
    assert answer.status_code == 400
    assert "multiple instances" in answer.text


def test_a_volume_twice_is_refused(client: TestClient) -> None:
    data = volume(client)
    assert "named twice" in create(client, attached(data), attached(data), image=seed.IMAGE).text


def test_kernel_and_command_line_come_from_the_image_that_the_volume_was_made_from(
    client: TestClient, db: Database
) -> None:
    kernel = "686a7f00-1f05-4966-968d-a684866b5db0"
    seed.image(db, kernel, disk_format="aki")
    image = "686a7f00-1f05-4966-968d-a684866b5db1"
    seed.image(db, image, properties={"kernel_id": kernel, "os_command_line": "quiet"})
    root = volume(client, "root", image_id=image)
    uuid = create(client, attached(root, boot_index="0")).json()["server"]["id"]
    kept = spec(db, uuid)
    assert (kept["kernel_id"], kept["kernel_args"]) == (kernel, "quiet")
    assert [ref["id"] for ref in kept["images"]] == [kernel]
    assert client.get(f"/v2.1/servers/{uuid}").json()["server"]["image"] == ""


def at_rest(db: Database, uuid: str, **more: Any) -> None:
    """As if it had been built, on compute1."""
    values = {"vm_state": "active", "task_state": None, "power_state": 1, "host": "compute1", **more}
    with db.write() as connection:
        connection.execute(update(operations).values(active=False))
        instances.change(connection, uuid, values)


def test_a_volume_is_not_resized_and_no_disk_is_claimed_for_it(client: TestClient, db: Database) -> None:
    seed.flavor(db, name="m1.diskless", flavorid="3", disk_gb=0)
    seed.pools(db, "compute1", local="A")
    uuid = create(client, attached(volume(client, "root"), boot_index=0)).json()["server"]["id"]
    with db.read() as connection:
        assert connection.execute(select(claims.c.disk_gb)).scalars().all() == [0]
    at_rest(db, uuid)
    answer = client.post(f"/v2.1/servers/{uuid}/action", json={"resize": {"flavorRef": "3"}})
    assert answer.status_code == 202, answer.text


def test_a_server_on_a_volume_counts_as_one_on_shared_storage_when_it_is_evacuated(
    client: TestClient, db: Database
) -> None:
    uuid = create(client, attached(volume(client, "root"), boot_index=0)).json()["server"]["id"]
    at_rest(db, uuid)
    with db.write() as connection:
        hosts.force_down(connection, "compute1", True, "admin")
    headers = {"OpenStack-API-Version": "compute 2.79"}
    path = f"/v2.1/servers/{uuid}/action"
    refused = client.post(path, json={"evacuate": {"adminPass": "secret"}}, headers=headers)
    assert refused.status_code == 400
    assert "nbd://10.0.0.250:10809/root" in refused.text
    answer = client.post(path, json={"evacuate": {}}, headers=headers)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(("wanted", "params"), [(True, {"block": True, "over_commit": True}), (False, {"block": True})])
def test_disk_over_commit_is_heard_where_there_is_such_a_word(
    client: TestClient, db: Database, wanted: bool, params: dict[str, Any]
) -> None:
    uuid = seed.instance(db, "a")
    body = {"host": "compute2", "block_migration": True, "disk_over_commit": wanted}
    headers = {"OpenStack-API-Version": "compute 2.24"}
    with mock.patch("migrator.api.v2_1.actions.live._WAIT_S", 0.0):
        client.post(f"/v2.1/servers/{uuid}/action", json={"os-migrateLive": body}, headers=headers)
    with db.read() as connection:
        assert connection.execute(select(operations.c.params)).scalars().all() == [params]


def test_a_volume_is_free_again_when_its_instance_is_no_more(client: TestClient, db: Database) -> None:
    mine, others = volume(client, "mine"), volume(client, "others")
    uuid = create(client, attached(mine), image=seed.IMAGE).json()["server"]["id"]
    other = create(client, attached(others), image=seed.IMAGE).json()["server"]["id"]
    with db.write() as connection:
        key = connection.execute(select(operations.c.id).where(operations.c.instance_uuid == uuid)).scalar_one()
        view = loader.operation_view(operation_rows.get(connection, key), 0.0)
        EFFECTS[Effect.RECORD_DELETED](connection, view, NOTHING)
    shown = {v["id"]: (v["instance"], v["target"]) for v in client.get("/v1/volumes").json()["volumes"]}
    assert shown == {mine: (None, None), others: (other, "vdb")}
