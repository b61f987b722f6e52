"""/v1/preflight and /v1/cpus over simulated hosts: their real surveyors look around, over HTTP, into both databases."""

import re
from typing import Any

import pytest
from sqlalchemy import select, update

from migrator.db.engine import Database
from migrator.db.tables import events, guest_cpus, hosts, instances, operations, surveys
from migrator.scheduler.checks.filters import CODES
from tests.api import seed
from tests.api.harness import Web
from tests.api.surveyed_cluster import NAMES, Cluster


def dump(db: Database) -> list[Any]:
    """Every row that a preflight could have written."""
    tables = (operations, events, instances, hosts, surveys, guest_cpus)
    with db.read() as connection:
        return [connection.execute(select(table).order_by(*table.primary_key)).all() for table in tables]


def test_every_host_with_every_check_and_nothing_is_written(cluster: Cluster) -> None:
    uuid = cluster.boot()
    cluster.survey()
    before = dump(cluster.web.db)
    found = cluster.preflight(server=uuid)
    assert dump(cluster.web.db) == before
    assert [check["code"] for check in found["checks"]] == list(CODES)
    assert found["known_s"] == 600
    (one,) = found["preflight"]
    assert one["server"] == {"id": uuid, "name": "web", "host": "compute1", "vm_state": "active"}
    assert {host["host"]: host["status"] for host in one["hosts"]} == {
        "compute1": "failed",
        "compute2": "passed",
        "compute3": "passed",
    }
    assert all([check["code"] for check in host["checks"]] == list(CODES) for host in one["hosts"])
    failed = [check["code"] for check in one["hosts"][0]["checks"] if check["status"] == "failed"]
    assert failed == ["source"]
    assert all(set(check["found"]) == {"source", "destination"} for host in one["hosts"] for check in host["checks"])


def test_what_no_agent_has_told_is_unknown(cluster: Cluster) -> None:
    uuid = cluster.boot()
    unknown = {code for code, check in cluster.of(uuid).items() if check["status"] == "unknown"}
    assert unknown == {
        "devices",
        "arch",
        "machine_type",
        "hypervisor_version",
        "cpu",
        "uri",
        "uri_back",
        "clock",
        "console",
    }
    (one,) = cluster.preflight(server=uuid, to="compute2")["preflight"]
    assert [(host["host"], host["status"]) for host in one["hosts"]] == [("compute2", "unknown")]


def test_all_failures_at_once_with_what_was_found_and_what_to_do(cluster: Cluster) -> None:
    uuid = cluster.boot()
    other = cluster.simulation.hosts["compute2"]
    other.cpu_model, other.machine_types, other.networks = "Penryn", ("q35",), ()
    other.pools = {"local": other.pools["local"]}
    domain = cluster.simulation.hosts["compute1"].domains[uuid]
    domain.devices, domain.listens = ("hostdev (pci)",), ("10.0.0.1",)
    other.addresses = ("10.0.0.2",)
    cluster.simulation.cut("compute1", "compute2")
    cluster.register("compute2")
    cluster.survey()
    cluster.survey("compute2", offset_s=7.5)
    cluster.web("PUT", f"/v2.1/os-services/{_service(cluster.web, 'compute2')}", json={"status": "disabled"})
    found = {code: check for code, check in cluster.of(uuid).items() if check["status"] != "passed"}
    assert {check["status"] for check in found.values()} == {"failed"}
    assert list(found) == ["devices", "enabled", "machine_type", "cpu", "uri", "uri_back", "clock", "console"]
    assert found["devices"]["message"] == "the guest holds devices of compute1: hostdev (pci)"
    assert "migrator migrate SERVER" in found["devices"]["advice"]
    assert found["cpu"]["message"] == "this host's CPU is Penryn"
    assert found["uri"]["message"] == "compute1 cannot reach simulated://compute2: No route to host"
    assert found["uri_back"]["found"] == {"source": "simulated://compute1", "destination": "No route to host"}
    assert found["clock"]["message"] == "they differ by 7.5 s; 2 s are allowed"
    assert found["console"]["found"] == {"source": "10.0.0.1", "destination": "has 10.0.0.2"}
    assert all(check["advice"] and check["message"] for check in found.values())
    devices = cluster.of(uuid, "compute3")["devices"]
    assert devices["status"] == "failed", "wherever it goes"


def _service(web: Web, host: str) -> str:
    (found,) = web("GET", f"/v2.1/os-services?host={host}").json()["services"]
    return str(found["id"])


def test_what_was_told_too_long_ago_is_unknown_with_its_age(cluster: Cluster) -> None:
    uuid = cluster.boot()
    cluster.survey()
    with cluster.web.db.write() as connection:
        old = update(surveys).where(surveys.c.host == "compute2")
        connection.execute(old.values(received_at=surveys.c.received_at - 700))
    found = cluster.of(uuid)
    assert {code for code, check in found.items() if check["status"] == "unknown"} == {"cpu", "uri_back", "clock"}
    assert 700 <= found["cpu"]["age_s"] < 720
    assert found["cpu"]["message"].startswith("passed, as known 70")
    assert found["uri"]["status"] == "passed", "the source told that"


def test_all_instances_of_a_host(cluster: Cluster) -> None:
    first, second = cluster.boot("a"), cluster.boot("b")
    seed.instance(cluster.web.db, "elsewhere", host="compute2")
    stopped = seed.instance(cluster.web.db, "off", vm_state="stopped", power_state=4)
    cluster.survey()
    found = cluster.preflight(**{"from": "compute1"})["preflight"]
    assert [one["server"]["id"] for one in found] == [first, second, stopped]
    status = {one["server"]["name"]: one["hosts"][1]["status"] for one in found}
    assert status == {"a": "passed", "b": "passed", "off": "failed"}
    (why,) = [check for check in found[2]["hosts"][1]["checks"] if check["status"] == "failed"]
    assert (why["code"], why["message"]) == ("instance", "it is stopped")
    assert "migrator migrate SERVER" in why["advice"]
    assert cluster.preflight(**{"from": "compute3"})["preflight"] == []


def test_a_busy_instance_says_so(cluster: Cluster) -> None:
    uuid = seed.instance(cluster.web.db, "busy", task_state="migrating")
    assert cluster.of(uuid)["instance"]["message"] == "it is busy (migrating)"
    building = seed.instance(cluster.web.db, "new", host=None, vm_state="building", task_state="scheduling")
    assert cluster.of(building)["instance"]["message"] == "it is building, it is busy (scheduling), it has no host"


@pytest.mark.parametrize(
    ("silent_s", "forced_down", "message"),
    [(90, False, r"its host compute1 is down \(silent for 9\d s\)"), (0, True, "its host compute1 is forced down")],
)
def test_from_a_host_that_does_not_answer_nothing_moves_live_whatever_the_destination(
    cluster: Cluster, silent_s: float, forced_down: bool, message: str
) -> None:
    uuid = cluster.boot()
    cluster.survey()
    with cluster.web.db.write() as connection:
        lost = update(hosts).where(hosts.c.name == "compute1")
        connection.execute(lost.values(last_seen=hosts.c.last_seen - silent_s, forced_down=forced_down))
    for destination in NAMES[1:]:
        check = cluster.of(uuid, destination)["instance"]
        assert (check["status"], bool(re.fullmatch(message, check["message"]))) == ("failed", True), check
        assert "migrator evacuate SERVER" in check["advice"]


@pytest.mark.parametrize(
    ("query", "status", "message"),
    [
        ({}, 400, "Expected one of server=UUID, from=HOST and evacuate=HOST"),
        ({"server": "x", "from": "compute1"}, 400, "Expected one of server=UUID, from=HOST and evacuate=HOST"),
        ({"server": "x"}, 404, "Instance x could not be found"),
        ({"from": "nobody"}, 404, "Host nobody is not registered"),
        ({"from": "compute1", "to": "nobody"}, 404, "Host nobody is not registered"),
        ({"server": ""}, 400, "server"),
    ],
)
def test_a_question_that_makes_no_sense(web: Web, query: dict[str, str], status: int, message: str) -> None:
    seed.instance(web.db, "a")
    answer = web("GET", "/v1/preflight", None, params=query)
    assert answer.status_code == status
    assert message in answer.json()["error"]["message"]
