"""Images in Glance v2's wire format: what is uploaded is what is served, once, and at all three places."""

import hashlib
import uuid
from typing import Any

import pytest

from migrator.api.image_v2 import images
from migrator.api.urls import IMAGE_PREFIXES
from migrator.db import credentials, instances
from migrator.scheduler.requests.requests import Caller
from tests.api import seed
from tests.api.harness import Web

BYTES = bytes(range(256)) * 1000
OCTETS = {"Content-Type": "application/octet-stream"}


def made(web: Web, **more: Any) -> str:
    body = {"name": "tiny", "disk_format": "raw", "container_format": "bare", **more}
    answer = web("POST", "/image/v2/images", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def upload(web: Web, ident: str) -> Any:
    return web("PUT", f"/image/v2/images/{ident}/file", content=BYTES, headers=OCTETS)


def test_uploaded_bytes_come_back_with_their_hashes(web: Web) -> None:
    ident = made(web, kernel_id="k")
    assert web("GET", f"/image/v2/images/{ident}").json()["status"] == "queued"
    assert upload(web, ident).status_code == 204
    shown = web("GET", f"/image/v2/images/{ident}").json()
    assert (shown["status"], shown["size"], shown["kernel_id"]) == ("active", len(BYTES), "k")
    assert shown["checksum"] == hashlib.md5(BYTES).hexdigest()
    assert shown["os_hash_value"] == hashlib.sha256(BYTES).hexdigest()
    assert web("GET", f"/image/v2/images/{ident}/file").content == BYTES
    assert [path.name for path in web.image_dir.iterdir()] == [ident]


def test_an_image_is_uploaded_once(web: Web) -> None:
    ident = made(web)
    upload(web, ident)
    assert upload(web, ident).status_code == 409
    wrong = web("PUT", f"/image/v2/images/{made(web)}/file", content=BYTES, headers={"Content-Type": "text/plain"})
    assert wrong.status_code == 415


@pytest.mark.parametrize("prefix", IMAGE_PREFIXES)
def test_names_resolve_wherever_a_client_looks(web: Web, prefix: str) -> None:
    ident = made(web)
    made(web, name="other")
    assert [image["id"] for image in web("GET", f"{prefix}/images?name=tiny").json()["images"]] == [ident]
    assert web("GET", f"{prefix}/images/{ident}").json()["name"] == "tiny"


@pytest.mark.parametrize(
    "body", [[], {"disk_format": "floppy"}, {"id": "x"}, {"size": 1}, {"min_ram": -1}, {"min_disk": True}, {"p": 1}]
)
def test_a_wrong_attribute_is_refused(web: Web, body: Any) -> None:
    assert web("POST", "/image/v2/images", json=body).status_code == 400
    assert web("GET", "/image/v2/images").json()["images"] == []


def test_a_deleted_image_leaves_nothing(web: Web) -> None:
    ident = made(web)
    upload(web, ident)
    assert web("DELETE", f"/image/v2/images/{ident}").status_code == 204
    assert web("GET", f"/image/v2/images/{ident}").status_code == 404
    assert list(web.image_dir.iterdir()) == []


def test_a_protected_image_stays(web: Web) -> None:
    ident = made(web, protected=True, id=str(uuid.uuid4()))
    assert web("DELETE", f"/image/v2/images/{ident}").status_code == 409
    assert web("GET", f"/image/v2/images/{ident}").status_code == 200


def test_a_deleted_image_that_instances_need_is_gone_for_clients_and_there_for_hosts(web: Web) -> None:
    kernel, root = made(web, id=str(uuid.uuid4())), made(web, id=str(uuid.uuid4()))
    spec = {"uuid": kernel, "name": "a", "vcpus": 1, "memory_mb": 64, "kernel_id": kernel}
    spec |= {"disks": [{"target": "vda", "pool": "local", "size_gb": 1, "image_id": root}]}
    instance = seed.instance(web.db, "a", uuid=str(uuid.uuid4()), spec=spec)
    seed.migration(web.db, instance, "running")
    agent = {"Authorization": f"Bearer {credentials.issue(web.db, 'compute1')}"}
    for ident in (kernel, root):
        upload(web, ident)
        answer = web("DELETE", f"/image/v2/images/{ident}")
        assert (answer.status_code, answer.headers["X-Migrator-In-Use"]) == (204, "1 instances")
        assert web("GET", f"/image/v2/images/{ident}").status_code == 404
        assert web("DELETE", f"/image/v2/images/{ident}").status_code == 404
        assert web("POST", "/image/v2/images", json={"id": ident}).status_code == 409
        assert web("GET", f"/agent/v1/images/{ident}/file", headers=agent).status_code == 200
    assert web("GET", "/image/v2/images").json()["images"] == []

    images.remove_abandoned(web.services)
    assert len(list(web.image_dir.iterdir())) == 2
    with web.db.write() as connection:
        instances.terminated(connection, instance)
    images.remove_abandoned(web.services)
    assert list(web.image_dir.iterdir()) == []
    assert web("GET", f"/agent/v1/images/{root}/file", headers=agent).status_code == 404


def test_the_owner_of_a_deleted_image_learns_of_its_own_projects_instances_alone(web: Web) -> None:
    ident = made(web, id=str(uuid.uuid4()), visibility="public", owner="demo")
    upload(web, ident)
    spec = {"uuid": seed.NOBODY, "name": "a", "vcpus": 1, "memory_mb": 64}
    spec |= {"disks": [{"target": "vda", "pool": "local", "size_gb": 1, "image_id": ident}]}
    for project in ("other", "other", "demo"):
        seed.instance(web.db, "a", spec=spec, project_id=project)
    web.caller = Caller("u", "demo", "", is_admin=False)
    assert web("DELETE", f"/image/v2/images/{ident}").headers["X-Migrator-In-Use"] == "1 instances"


def test_an_image_that_only_other_projects_need_is_kept_and_nothing_told(web: Web) -> None:
    ident = made(web, id=str(uuid.uuid4()), visibility="public", owner="demo")
    upload(web, ident)
    seed.instance(web.db, "a", image_id=ident, spec={"disks": [{"image_id": ident}]}, project_id="other")
    web.caller = Caller("u", "demo", "", is_admin=False)
    answer = web("DELETE", f"/image/v2/images/{ident}")
    assert (answer.status_code, answer.headers.get("X-Migrator-In-Use")) == (204, None)
    assert (web.image_dir / ident).is_file()
