"""/v1/preflight and /v1/cpus over simulated hosts: their real surveyors look around, over HTTP, into both databases."""

import re
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from migrator.api.faults import native_body
from migrator.compute.agent.survey import Surveyor
from migrator.compute.simulated.cluster import Fabric
from migrator.compute.simulated.driver import SimulatedHypervisor
from migrator.db import credentials
from migrator.db.clock import now
from migrator.db.engine import Database
from migrator.db.tables import events, facts, guest_cpus, hosts, instances, operations, surveys
from migrator.errors import HostNotFound
from migrator.protocol import CheckResult, Fact, GuestCpu, InstanceSpec, Questions, Survey
from migrator.scheduler.checks.filters import CODES
from tests.api import seed
from tests.api.harness import Web

NAMES = ("compute1", "compute2", "compute3")


class Cluster:
    """Three hosts; an instance runs on the first. ``survey`` lets every agent look once."""

    def __init__(self, web: Web) -> None:
        self.web = web
        self.now = 1000.0
        self.fabric = Fabric(lambda: self.now)
        self.tokens: dict[str, str] = {}
        self.surveyors: dict[str, Surveyor] = {}
        for name in NAMES:
            self.fabric.add_host(name)
            self.register(name)
            self.surveyors[name] = Surveyor(SimulatedHypervisor(name, self.fabric), clock=lambda: self.now)

    def register(self, name: str) -> None:
        if name not in self.tokens:
            self.tokens[name] = credentials.issue(self.web.db, name)
        report = SimulatedHypervisor(name, self.fabric).host_report().model_dump(mode="json")
        body = {"incarnation": 1, "report": report}
        assert self.agent("PUT", name, "", json=body).status_code == 204

    def agent(self, method: str, name: str, path: str, **more: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.tokens[name]}", "Content-Type": "application/json"}
        return self.web(method, f"/agent/v1/hosts/{name}{path}", None, headers=headers, **more)

    def boot(self, name: str = "web") -> str:
        uuid = seed.instance(self.web.db, name)
        with self.web.db.read() as connection:
            row = connection.execute(select(instances.c.spec).where(instances.c.uuid == uuid)).scalar_one()
        driver, spec = SimulatedHypervisor("compute1", self.fabric), InstanceSpec.model_validate(row)
        driver.make_disks(spec, {seed.IMAGE: Path("image")})
        driver.define_and_start(spec, "o", 1)
        return uuid

    def survey(self, *names: str, offset_s: float = 0.0) -> None:
        """Twice: what one agent tells is what the next is asked."""
        for name in [*(names or NAMES)] * 2:
            questions = Questions.model_validate(self.agent("GET", name, "/questions").json())
            found = self.surveyors[name].look(questions, offset_s, 0.01)
            answer = self.agent("PUT", name, "/survey", content=found.model_dump_json())
            assert answer.status_code == 204, answer.text

    def preflight(self, **query: Any) -> Any:
        answer = self.web("GET", "/v1/preflight", None, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def of(self, uuid: str, host: str = "compute2") -> dict[str, Any]:
        """Code -> check, of one destination."""
        (found,) = self.preflight(server=uuid)["preflight"]
        (judged,) = [judged for judged in found["hosts"] if judged["host"] == host]
        return {check["code"]: check for check in judged["checks"]}


@pytest.fixture
def cluster(web: Web) -> Cluster:
    return Cluster(web)


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
    other = cluster.fabric.hosts["compute2"]
    other.cpu_model, other.machine_types, other.networks = "Penryn", ("q35",), ()
    other.pools = {"local": other.pools["local"]}
    domain = cluster.fabric.hosts["compute1"].domains[uuid]
    domain.devices, domain.listens = ("hostdev (pci)",), ("10.0.0.1",)
    other.addresses = ("10.0.0.2",)
    cluster.fabric.cut("compute1", "compute2")
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
    ("silent_s", "forced_down", "words"),
    [(90, False, r"its host compute1 is down \(silent for 9\d s\)"), (0, True, "its host compute1 is forced down")],
)
def test_from_a_host_that_does_not_answer_nothing_moves_live_whatever_the_destination(
    cluster: Cluster, silent_s: float, forced_down: bool, words: str
) -> None:
    uuid = cluster.boot()
    cluster.survey()
    with cluster.web.db.write() as connection:
        lost = update(hosts).where(hosts.c.name == "compute1")
        connection.execute(lost.values(last_seen=hosts.c.last_seen - silent_s, forced_down=forced_down))
    for destination in NAMES[1:]:
        check = cluster.of(uuid, destination)["instance"]
        assert (check["status"], bool(re.fullmatch(words, check["message"]))) == ("failed", True), check
        assert "migrator evacuate SERVER" in check["advice"]


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ({}, 400, "Expected one of server=UUID, from=HOST and evacuate=HOST"),
        ({"server": "x", "from": "compute1"}, 400, "Expected one of server=UUID, from=HOST and evacuate=HOST"),
        ({"server": "x"}, 404, "Instance x could not be found"),
        ({"from": "nobody"}, 404, "Host nobody is not registered"),
        ({"from": "compute1", "to": "nobody"}, 404, "Host nobody is not registered"),
        ({"server": ""}, 400, "server"),
    ],
)
def test_a_question_that_makes_no_sense(web: Web, query: dict[str, str], status: int, words: str) -> None:
    seed.instance(web.db, "a")
    answer = web("GET", "/v1/preflight", None, params=query)
    assert answer.status_code == status
    assert words in answer.json()["error"]["message"]


# --- what agents are asked --------------------------------------------------------------------------------------


def test_agents_are_asked_for_hosts_that_are_up_and_for_every_guests_cpu(cluster: Cluster) -> None:
    cluster.boot()
    cluster.survey("compute1")
    asked = cluster.agent("GET", "compute2", "/questions").json()
    assert [(peer["name"], peer["uri"]) for peer in asked["peers"]] == [
        ("compute1", "simulated://compute1"),
        ("compute3", "simulated://compute3"),
    ]
    (cpu,) = asked["cpus"].values()
    assert cpu == {"xml": "<cpu><model>Westmere</model></cpu>", "machine": "pc-i440fx-7.2", "arch": "x86_64"}
    assert (asked["again_s"], asked["now"] > 1.7e9) == (5, True)
    with cluster.web.db.write() as connection:
        connection.execute(update(hosts).where(hosts.c.name == "compute3").values(last_seen=1.0))
        connection.execute(update(guest_cpus).values(seen_at=1.0))
    asked = cluster.agent("GET", "compute2", "/questions").json()
    assert ([peer["name"] for peer in asked["peers"]], asked["cpus"]) == (["compute1"], {})


def test_a_cpu_under_anothers_key_is_not_asked_for(cluster: Cluster) -> None:
    lie = Survey(cpus={"0123456789abcdef": GuestCpu(xml="<cpu><model>EPYC</model></cpu>")})
    assert cluster.agent("PUT", "compute1", "/survey", content=lie.model_dump_json()).status_code == 204
    assert cluster.agent("GET", "compute2", "/questions").json()["cpus"] == {}


def test_only_its_own_agent_tells_of_a_host(cluster: Cluster) -> None:
    headers = {"Authorization": f"Bearer {cluster.tokens['compute1']}", "Content-Type": "application/json"}
    answer = cluster.web("PUT", "/agent/v1/hosts/compute2/survey", None, headers=headers, content="{}")
    assert answer.status_code == 403
    assert cluster.web("GET", "/agent/v1/hosts/compute2/questions", None).status_code == 401
    cluster.tokens["nobody"] = credentials.issue(cluster.web.db, "nobody")
    answer = cluster.agent("PUT", "nobody", "/survey", content="{}")
    assert answer.status_code == native_body(HostNotFound(""))[0] == 404


def test_a_survey_of_another_version_counts_for_nothing(cluster: Cluster) -> None:
    uuid = cluster.boot()
    cluster.survey()
    with cluster.web.db.write() as connection:
        connection.execute(update(surveys).where(surveys.c.host == "compute2").values(body={"nonsense": 1}))
    assert cluster.of(uuid)["cpu"]["status"] == "unknown"


def test_the_cpus_of_hosts(cluster: Cluster) -> None:
    cluster.survey("compute2")
    found = cluster.web("GET", "/v1/cpus?host=compute2&host=compute1", None).json()["cpus"]
    assert [row["host"] for row in found] == ["compute2", "compute1"]
    told = {"xml": "<cpu><model>Westmere</model></cpu>", "models": ["Westmere"]}
    assert found[0]["cpu"] == told | {"arch": "x86_64", "virt_type": "simulated"}
    assert 0 <= found[0]["age_s"] < 60
    assert (found[1]["cpu"], found[1]["age_s"]) == (None, None)
    assert [row["host"] for row in cluster.web("GET", "/v1/cpus", None).json()["cpus"]] == list(NAMES)
    assert cluster.web("GET", "/v1/cpus?host=nobody", None).status_code == 404


# --- the migration itself ---------------------------------------------------------------------------------------


def _claiming(cluster: Cluster, uuid: str, host: str | None) -> Any:
    """A live migration whose source has described the guest, after the scheduler had its turn."""
    guest = SimulatedHypervisor("compute1", cluster.fabric).live_guests()[uuid]
    guest = guest.model_copy(update={"storage": {"local": "local-compute1"}})
    key = seed.migration(
        cluster.web.db,
        uuid,
        "queued",
        phase="claim",
        destination=None,
        requested_host=host,
        context={"guest": guest.model_dump(mode="json")},
    )
    cluster.web.services.reconciler.reconcile(key)
    with cluster.web.db.read() as connection:
        return connection.execute(select(operations).where(operations.c.id == key)).one()


def test_a_live_migration_is_refused_for_the_same_checks_all_at_once(cluster: Cluster) -> None:
    uuid = cluster.boot()
    cluster.fabric.hosts["compute2"].cpu_model = "Penryn"
    cluster.fabric.hosts["compute2"].machine_types = ("q35",)
    cluster.fabric.cut("compute1", "compute2")
    cluster.register("compute2")
    cluster.survey()
    row = _claiming(cluster, uuid, "compute2")
    codes = ["machine_type", "cpu", "uri", "uri_back"]
    assert [check["code"] for check in row.error["checks"]["compute2"]] == codes
    assert all(check["advice"] and check["found"] for check in row.error["checks"]["compute2"])
    assert row.error["code"] == "no_valid_host"
    assert all(f"{code}: " in row.error["message"] for code in codes)
    failed = [code for code, check in cluster.of(uuid).items() if check["status"] == "failed"]
    assert failed == codes


def test_a_live_migration_goes_where_every_check_passes(cluster: Cluster) -> None:
    uuid = cluster.boot()
    cluster.fabric.hosts["compute2"].cpu_model = "Penryn"
    cluster.survey()
    assert _claiming(cluster, uuid, None).destination == "compute3"


def test_what_is_unknown_keeps_no_host_away(cluster: Cluster) -> None:
    assert _claiming(cluster, cluster.boot(), "compute2").destination == "compute2"


def _told(cluster: Cluster, key: int, host: str, phase: str, *checks: CheckResult) -> Any:
    """The operation's error, after that host's agent told of these checks."""
    fact = Fact(operation_id="o", epoch=1, phase=phase, incarnation=1, sequence=1, checks=checks)
    with cluster.web.db.write() as connection:
        body = fact.model_dump(mode="json")
        row = {"operation_id": key, "host": host, "epoch": 1, "phase": phase, "incarnation": 1, "sequence": 1}
        connection.execute(facts.insert().values(row | {"received_at": now(connection), "body": body}))
    cluster.web.services.reconciler.reconcile(key)
    with cluster.web.db.read() as connection:
        return connection.execute(select(operations.c.error).where(operations.c.id == key)).scalar_one()


DEVICES = CheckResult(name="devices", ok=False, found="the guest holds devices", advice="detach them")
FITS = CheckResult(name="domain", ok=True, found="runs")


def test_what_the_source_refuses_is_told_beside_what_the_destination_would_have_refused(cluster: Cluster) -> None:
    uuid = cluster.boot()
    cluster.fabric.hosts["compute2"].cpu_model = "Penryn"
    cluster.survey()
    asked = {"phase": "inspect", "destination": None, "requested_host": "compute2"}
    error = _told(
        cluster, seed.migration(cluster.web.db, uuid, "accepted", **asked), "compute1", "inspect", FITS, DEVICES
    )
    assert {host: [check["code"] for check in checks] for host, checks in error["checks"].items()} == {
        "compute1": ["devices"],
        "compute2": ["cpu"],
    }
    assert "devices: the guest holds devices (detach them)" in error["message"]
    assert error["message"].endswith("; compute2: cpu: this host's CPU is Penryn")


@pytest.mark.parametrize("requested", [None, "nobody"])
def test_what_the_source_refuses_is_told_alone_where_no_host_was_asked_for(
    cluster: Cluster, requested: str | None
) -> None:
    asked = {"phase": "inspect", "destination": None, "requested_host": requested}
    key = seed.migration(cluster.web.db, cluster.boot(), "accepted", **asked)
    error = _told(cluster, key, "compute1", "inspect", DEVICES)
    assert list(error["checks"]) == ["compute1"]
    assert error["checks"]["compute1"] == [
        {"code": "devices", "message": "the guest holds devices", "advice": "detach them"}
    ]
    assert error["message"].endswith("(detach them)")


def test_what_the_destination_itself_refuses_has_its_codes(cluster: Cluster) -> None:
    key = seed.migration(
        cluster.web.db, cluster.boot(), "preparing", phase="check", requested_host="compute2", context={"guest": {}}
    )
    leftover = CheckResult(name="leftover", ok=False, found="in the way: /disk", advice="remove it")
    error = _told(cluster, key, "compute2", "check", FITS, leftover)
    assert error["checks"] == {
        "compute2": [{"code": "leftover", "message": "in the way: /disk", "advice": "remove it"}]
    }
