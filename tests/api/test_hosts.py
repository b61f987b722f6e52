"""/os-services, /os-hypervisors and availability zones: what operators see and change of the hosts."""

import re
from typing import Any

import pytest
from sqlalchemy import update

from migrator.db import tables
from migrator.protocol import HostReport, Survey, Uptime
from migrator.scheduler.state import surveys
from tests import registering
from tests.api import seed
from tests.api.harness import Web
from tests.bench import databases

SERVICES = "/v2.1/os-services"


def service(web: Web, name: str = "compute1", version: str = "2.53") -> Any:
    (found,) = web("GET", f"{SERVICES}?host={name}", version).json()["services"]
    return found


def test_forced_down_and_uuids_come_with_their_microversions(web: Web) -> None:
    assert isinstance(service(web, version="2.1")["id"], int)
    assert "forced_down" not in service(web, version="2.10")
    assert service(web, version="2.11")["forced_down"] is False
    assert len(service(web)["id"]) == 36


def test_a_silent_host_is_down(web: Web) -> None:
    seed.host(web.db, "compute3", last_seen=seed.BEGAN)
    assert service(web)["state"] == "up"
    assert service(web, "compute3")["state"] == "down"
    assert web("GET", f"{SERVICES}?host=nosuch").json() == {"services": []}


def test_the_old_calls_work_until_2_52(web: Web) -> None:
    body: dict[str, Any] = {"host": "compute1", "binary": "nova-compute"}
    done = web("PUT", f"{SERVICES}/disable-log-reason", "2.1", json=body | {"disabled_reason": "maintenance"})
    assert done.json() == {"service": body | {"status": "disabled", "disabled_reason": "maintenance"}}
    assert service(web)["disabled_reason"] == "maintenance"
    assert web("PUT", f"{SERVICES}/enable", "2.52", json=body).status_code == 200
    assert (service(web)["status"], service(web)["disabled_reason"]) == ("enabled", None)
    assert web("PUT", f"{SERVICES}/force-down", "2.11", json=body | {"forced_down": True}).status_code == 200
    assert service(web)["state"] == "down"
    assert web("PUT", f"{SERVICES}/enable", "2.53", json=body).status_code == 400


def test_a_host_that_does_not_exist_is_named(web: Web) -> None:
    answer = web("PUT", f"{SERVICES}/enable", "2.1", json={"host": "nosuch", "binary": "nova-compute"})
    assert answer.status_code == 404
    assert answer.json() == {"itemNotFound": {"code": 404, "message": "Host 'nosuch' is not mapped to any cell"}}


def test_a_service_is_changed_by_its_uuid(web: Web) -> None:
    path = f"{SERVICES}/{service(web)['id']}"
    changed = web("PUT", path, json={"status": "disabled", "disabled_reason": "x", "forced_down": True}).json()
    assert changed["service"]["disabled_reason"] == "x"
    assert (changed["service"]["forced_down"], changed["service"]["state"]) == (True, "down")
    assert web("PUT", path, json={"forced_down": False}).json()["service"]["status"] == "disabled"


@pytest.mark.parametrize("body", [{}, {"disabled_reason": "x"}, {"status": "enabled", "disabled_reason": "x"}])
def test_a_change_that_says_nothing_or_contradicts_itself_is_refused(web: Web, body: Any) -> None:
    before = service(web)
    assert web("PUT", f"{SERVICES}/{before['id']}", json=body).status_code == 400
    assert service(web) == before


def test_hypervisors_list_what_runs_on_them(web: Web) -> None:
    uuid = seed.instance(web.db, "s1")
    found = web("GET", "/v2.1/os-hypervisors?hypervisor_hostname_pattern=compute1&with_servers=true", "2.53").json()
    (only,) = found["hypervisors"]
    assert [server["uuid"] for server in only["servers"]] == [uuid]
    assert web("GET", "/v2.1/os-hypervisors?hypervisor_hostname_pattern=no", "2.53").status_code == 404


def test_capacity_left_the_hypervisor_with_2_88(web: Web) -> None:
    path = "/v2.1/os-hypervisors/detail"
    assert web("GET", path, "2.87").json()["hypervisors"][0]["memory_mb"] == 16384
    assert isinstance(web("GET", path, "2.27").json()["hypervisors"][0]["cpu_info"], str)
    plain = web("GET", path, "2.88").json()["hypervisors"][0]
    assert {"memory_mb", "cpu_info"}.isdisjoint(plain)
    assert plain["uptime"] is None
    assert web("GET", "/v2.1/os-hypervisors/statistics", "2.87").json()["hypervisor_statistics"]["vcpus"] == 16
    assert web("GET", "/v2.1/os-hypervisors/statistics", "2.88").status_code == 404


@pytest.mark.parametrize(("address", "shown"), [("10.0.0.9", "10.0.0.9"), ("node1.example", None)])
def test_a_hypervisors_host_ip_is_an_address_or_nothing(web: Web, address: str, shown: str | None) -> None:
    report = HostReport(vcpus=8, memory_mb=64, address=address, live_migration_uri="qemu+tcp://n1/system")
    seed.host(web.db, "named", report=report.model_dump(mode="json"))
    found = web("GET", "/v2.1/os-hypervisors/detail").json()["hypervisors"]
    assert {one["hypervisor_hostname"]: one["host_ip"] for one in found}["named"] == shown


def test_for_how_long_a_host_runs_is_what_its_agent_told(web: Web) -> None:
    path, told = (
        "/v2.1/os-hypervisors",
        Survey(uptime=Uptime(seconds=93 * 86400 + 18 * 3600 + 25 * 60, load=(0.2, 1, 9))),
    )
    refused = web("GET", f"{path}/1/uptime", "2.52")
    assert (refused.status_code, "not supported" in refused.text) == (501, True)
    surveys.accept(web.db, "compute1", told)
    shown = web("GET", f"{path}/1/uptime", "2.52").json()["hypervisor"]
    assert re.fullmatch(
        r" \d\d:\d\d:\d\d up 93 days, 18:25,  0 users,  load average: 0\.20, 1\.00, 9\.00", shown["uptime"]
    )
    assert {"id": 1, "hypervisor_hostname": "compute1", "state": "up"}.items() <= shown.items()
    one, other = web("GET", f"{path}/detail", "2.88").json()["hypervisors"]
    assert (one["uptime"][9:], other["uptime"]) == (shown["uptime"][9:], None)
    assert web("GET", f"{path}/{one['id']}", "2.88").json()["hypervisor"]["uptime"][9:] == shown["uptime"][9:]
    assert "uptime" not in web("GET", f"{path}/{one['id']}", "2.87").json()["hypervisor"]
    assert web("GET", f"{path}/{one['id']}/uptime", "2.88").status_code == 404
    with web.db.write() as connection:
        connection.execute(update(tables.hosts).values(last_seen=seed.BEGAN))
    down = web("GET", f"{path}/1/uptime", "2.52")
    assert (down.status_code, "Compute service of compute1 is unavailable at this time." in down.text) == (400, True)
    assert web("GET", f"{path}/{one['id']}", "2.88").json()["hypervisor"]["uptime"] is None


def test_a_hypervisor_is_an_integer_until_2_52_and_a_uuid_then(web: Web) -> None:
    path = "/v2.1/os-hypervisors"
    assert web("GET", f"{path}/1", "2.52").json()["hypervisor"]["hypervisor_hostname"] == "compute1"
    assert web("GET", f"{path}/1", "2.53").status_code == 400
    ident = web("GET", path, "2.53").json()["hypervisors"][1]["id"]
    assert web("GET", f"{path}/{ident}", "2.53").json()["hypervisor"]["hypervisor_hostname"] == "compute2"
    page = web("GET", f"{path}?limit=1", "2.53").json()
    assert page["hypervisors_links"][0]["href"].startswith("http://testserver/v2.1/os-hypervisors?")


def test_a_disabled_host_is_not_available_in_the_zone(web: Web) -> None:
    web("PUT", f"{SERVICES}/{service(web)['id']}", json={"status": "disabled"})
    (zone,) = web("GET", "/v2.1/os-availability-zone/detail").json()["availabilityZoneInfo"]
    assert zone["zoneName"] == "nova"
    available = {name: entry["nova-compute"]["available"] for name, entry in zone["hosts"].items()}
    assert available == {"compute1": False, "compute2": True}


def test_what_other_domains_and_kept_disks_have_is_shown_as_used(web: Web) -> None:
    report = databases.report().model_copy(update={"foreign_memory_mb": 3000, "kept_disks_gb": 7})
    registering.register(web.db, "compute1", 1, report)
    shown = web("GET", "/v2.1/os-hypervisors/detail", "2.80").json()["hypervisors"]
    one = next(found for found in shown if found["hypervisor_hostname"] == "compute1")
    assert (one["memory_mb_used"], one["free_ram_mb"]) == (3512, 65536 - 3512)
    assert (one["local_gb_used"], one["free_disk_gb"]) == (7, 1993)
