"""python-novaclient and python-openstackclient boot, look at and live-migrate instances on simulated hosts."""

import http.client
import time
from functools import partial
from typing import Any

import httpx
import pytest

from tests.clients.conftest import HOSTS, Cloud
from tests.waiting import PATIENCE

pytestmark = pytest.mark.clients


def server(cloud: Cloud, name: str) -> dict[str, Any]:
    (found,) = cloud.get(f"/servers/detail?name=^{name}$")["servers"]
    assert isinstance(found, dict)
    return found


def _has_status(cloud: Cloud, name: str, status: str) -> bool:
    return bool(server(cloud, name)["status"] == status)


def active(cloud: Cloud, name: str) -> dict[str, Any] | None:
    found = server(cloud, name)
    assert found["status"] != "ERROR", found.get("fault")
    return found if found["status"] == "ACTIVE" else None


def migrations(cloud: Cloud, uuid: str) -> list[dict[str, Any]]:
    found = cloud.get(f"/os-migrations?instance_uuid={uuid}")["migrations"]
    assert isinstance(found, list)
    return found


def test_nova(cloud: Cloud) -> None:
    booted = cloud.nova("boot", "--flavor", "m1.nano", "--image", "tiny", "--nic", "none", "--poll", "vm-nova")
    assert booted.code == 0, booted.err
    before = cloud.until("vm-nova active", lambda: active(cloud, "vm-nova"))
    source = before["OS-EXT-SRV-ATTR:host"]
    assert "vm-nova" in cloud.nova("list", "--all-tenants").out
    assert before["id"] in cloud.nova("show", "vm-nova").out
    moved = cloud.nova("live-migration", "vm-nova")
    assert moved.code == 0, moved.err
    cloud.until("completed", lambda: migrations(cloud, before["id"])[0]["status"] == "completed")
    after = cloud.until("vm-nova active", lambda: active(cloud, "vm-nova"))
    assert after["OS-EXT-SRV-ATTR:host"] != source
    listed = cloud.nova("migration-list")
    assert listed.code == 0, listed.err
    assert "completed" in listed.out
    assert "live-migration" in listed.out
    actions = cloud.nova("instance-action-list", "vm-nova").out
    assert "create" in actions
    assert "live-migration" in actions
    for verb, status in (("stop", "SHUTOFF"), ("start", "ACTIVE")):
        assert cloud.nova(verb, "vm-nova").code == 0
        cloud.until(status, partial(_has_status, cloud, "vm-nova", status))
    assert cloud.nova("delete", "vm-nova").code == 0
    cloud.until("gone", lambda: cloud.get("/servers?name=^vm-nova$")["servers"] == [])


def test_nova_aborts(cloud: Cloud) -> None:
    booted = cloud.nova("boot", "--flavor", "m1.huge", "--image", "tiny", "--nic", "none", "vm-abort")
    assert booted.code == 0, booted.err
    before = cloud.until("vm-abort active", lambda: active(cloud, "vm-abort"))
    at = f"/servers/{before['id']}/migrations"
    body = {"os-migrateLive": {"host": None, "block_migration": "auto"}}
    assert cloud.post(f"/servers/{before['id']}/action", body).status_code == 202
    (running,) = cloud.until("running", lambda: [m for m in cloud.get(at)["migrations"] if m["status"] == "running"])
    key = str(running["id"])
    assert key in cloud.nova("server-migration-list", "vm-abort").out
    shown = cloud.nova("server-migration-show", "vm-abort", key)
    assert "memory_total_bytes" in shown.out, shown.err
    aborted = cloud.nova("live-migration-abort", "vm-abort", key)
    assert aborted.code == 0, aborted.err
    cloud.until("cancelled", lambda: migrations(cloud, before["id"])[0]["status"] == "cancelled")
    after = cloud.until("vm-abort active", lambda: active(cloud, "vm-abort"))
    assert after["OS-EXT-SRV-ATTR:host"] == before["OS-EXT-SRV-ATTR:host"]
    cloud.delete("vm-abort")


def test_openstack(cloud: Cloud) -> None:
    created = cloud.openstack(
        *("server", "create", "--flavor", "m1.nano", "--image", "tiny", "--no-network"),
        *("--os-compute-api-version", "2.37", "--wait", "-f", "json", "vm-osc"),
    )
    assert created.json["name"] == "vm-osc"
    before = cloud.until("vm-osc active", lambda: active(cloud, "vm-osc"))
    names = [line["Name"] for line in cloud.openstack("server", "list", "-f", "json").json]
    assert "vm-osc" in names
    assert cloud.openstack("server", "show", "vm-osc", "-f", "json").json["id"] == before["id"]
    target = next(host for host in ("n1", "n2", "n3") if host != before["OS-EXT-SRV-ATTR:host"])
    moved = cloud.openstack(
        *(
            "--os-compute-api-version",
            "2.96",
            "server",
            "migrate",
            "--live-migration",
            "--host",
            target,
            "vm-osc",
        )
    )
    assert moved.code == 0, moved.err
    cloud.until("completed", lambda: migrations(cloud, before["id"])[0]["status"] == "completed")
    assert server(cloud, "vm-osc")["OS-EXT-SRV-ATTR:host"] == target
    lines = cloud.openstack("server", "migration", "list", "-f", "json").json
    assert "completed" in {line["Status"] for line in lines}
    assert cloud.openstack("server", "event", "list", "vm-osc", "-f", "json").json
    refused = cloud.openstack("server", "migrate", "--live-migration", "--host", "nosuch", "vm-osc")
    assert refused.code != 0
    assert "Compute host nosuch could not be found." in refused.err
    assert cloud.openstack("server", "delete", "--wait", "vm-osc").code == 0


def test_below_2_34_the_answer_names_every_refusal(cloud: Cloud) -> None:
    booted = cloud.nova("boot", "--flavor", "1", "--image", "tiny", "--nic", "none", "--poll", "vm-stuck")
    assert booted.code == 0, booted.err
    before = cloud.until("vm-stuck active", lambda: active(cloud, "vm-stuck"))
    others = [host for host in HOSTS if host != before["OS-EXT-SRV-ATTR:host"]]
    with cloud.disabled(*others):
        old = {"os-migrateLive": {"host": None, "block_migration": False, "disk_over_commit": False}}
        refused = cloud.post(f"/servers/{before['id']}/action", old, "2.1")
        assert refused.status_code == 400
        assert all(host in refused.json()["badRequest"]["message"] for host in others)
        new = {"os-migrateLive": {"host": None, "block_migration": "auto"}}
        assert cloud.post(f"/servers/{before['id']}/action", new, "2.34").status_code == 202
        cloud.until("error", lambda: migrations(cloud, before["id"])[0]["status"] == "error")
    after = server(cloud, "vm-stuck")
    assert after == before | {"updated": after["updated"]}, "nothing half done"


def test_a_connection_outlives_the_pause_between_two_looks(cloud: Cloud) -> None:
    """nova --poll asks every 5 s: a server that hangs up then loses the request that is just on its way."""
    address = httpx.URL(cloud.root)
    connection = http.client.HTTPConnection(address.host, address.port, timeout=PATIENCE * 30)
    connection.request("GET", "/v2.1/servers")
    connection.getresponse().read()
    kept = connection.sock
    time.sleep(7)
    connection.request("GET", "/v2.1/servers")
    assert connection.getresponse().status == 200
    assert connection.sock is kept
    connection.close()
