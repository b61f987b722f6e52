"""What agents are asked of guests and peers, what they tell, and /v1/cpus, which is made of it."""

from sqlalchemy import update

from migrator.api.faults import native_body
from migrator.db import credentials
from migrator.db.tables import guest_cpus, hosts, surveys
from migrator.errors import HostNotFound
from migrator.protocol import GuestCpu, Survey
from tests.api.surveyed_cluster import NAMES, Cluster


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
