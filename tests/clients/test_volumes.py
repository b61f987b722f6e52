"""python-novaclient and python-openstackclient boot from volumes, and with volumes beside an image's disk."""

from typing import Any

import httpx
import pytest

from tests.clients.conftest import Cloud, Ran
from tests.waiting import PATIENCE

pytestmark = pytest.mark.clients


def ok(ran: Ran) -> str:
    assert ran.code == 0, ran.out + ran.err
    return ran.out


def register(cloud: Cloud, name: str) -> str:
    body = {"name": name, "source": f"nbd://10.0.0.250/{name}", "size_gb": 1}
    made = httpx.post(f"{cloud.root}/v1/volumes", json={"volume": body}, trust_env=False, timeout=PATIENCE * 30)
    assert made.status_code == 201, made.text
    return str(made.json()["volume"]["id"])


def active(cloud: Cloud, name: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        found = cloud.server(name)
        assert found["status"] != "ERROR", found.get("fault")
        return found if found["status"] == "ACTIVE" else None

    found: dict[str, Any] = cloud.until(f"{name} active", look)
    return found


def attached(found: dict[str, Any]) -> list[str]:
    return [volume["id"] for volume in found["os-extended-volumes:volumes_attached"]]


def test_nova_boots_from_a_volume_and_lists_it(cloud: Cloud) -> None:
    root = register(cloud, "nova-root")
    ok(cloud.nova("boot", "--flavor", "m1.nano", "--boot-volume", root, "--nic", "none", "nova-vol"))
    assert attached(active(cloud, "nova-vol")) == [root]
    listed = ok(cloud.nova("volume-attachments", "nova-vol"))
    assert root in listed
    assert "/dev/vda" in listed
    later = cloud.nova("volume-attach", "nova-vol", register(cloud, "nova-later"))
    assert later.code != 0
    assert "block_device_mapping_v2" in later.err
    cloud.delete("nova-vol")


def test_nova_and_openstack_have_volumes_beside_an_images_disk(cloud: Cloud) -> None:
    one, two = register(cloud, "beside-1"), register(cloud, "beside-2")
    flavor_and_image = ("--flavor", "m1.nano", "--image", "tiny", "--nic", "none")
    ok(cloud.nova("boot", *flavor_and_image, "--block-device", f"source=volume,id={one},dest=volume", "nova-mixed"))
    device = f"uuid={two},source_type=volume,destination_type=volume"
    ok(cloud.openstack("server", "create", *flavor_and_image, "--block-device", device, "osc-mixed"))
    assert attached(active(cloud, "nova-mixed")) == [one]
    assert attached(active(cloud, "osc-mixed")) == [two]
    assert two in ok(cloud.openstack("server", "volume", "list", "osc-mixed"))
    cloud.delete("nova-mixed", "osc-mixed")
