"""Rows of surveys and CPUs that cannot be read: each is one host's trouble, which says so, and no other host's."""

from typing import Any

import pytest
from sqlalchemy import update

from migrator.db.tables import guest_cpus, hosts, surveys
from migrator.protocol import Questions
from tests.api.surveyed_cluster import NAMES, Cluster


@pytest.mark.parametrize(
    "body",
    [{"clock_offset_s": "late"}, {"guests": []}, {"peers": 7}, {"cpu": None}, [], "text"],
    ids=repr,
)
def test_a_survey_that_cannot_be_read_is_one_unusable_host_that_says_so(cluster: Cluster, body: Any) -> None:
    uuid = cluster.boot()
    cluster.survey()
    with cluster.web.db.write() as connection:
        connection.execute(update(surveys).where(surveys.c.host == "compute2").values(body=body))
    found = cluster.of(uuid)["up"]
    assert found["status"] == "failed"
    assert "what its agent found cannot be read" in found["message"]
    assert all(check["status"] == "passed" for check in cluster.of(uuid, "compute3").values())
    told = cluster.web("GET", "/v1/cpus", None).json()["cpus"]
    assert {row["host"]: row["cpu"] is not None for row in told} == {name: name != "compute2" for name in NAMES}
    assert cluster.web("GET", "/v1/kept-disks", None).status_code == 200
    cluster.survey("compute2")
    assert cluster.of(uuid)["up"]["status"] == "passed", "its agent looked again"


@pytest.mark.parametrize("body", [{}, {"xml": 7}, [], "text", {"xml": "x" * 2**18}], ids=lambda body: repr(body)[:20])
def test_a_guests_cpu_that_cannot_be_read_is_asked_of_nobody_and_the_rest_is(cluster: Cluster, body: Any) -> None:
    cluster.boot()
    cluster.survey("compute1")
    with cluster.web.db.write() as connection:
        connection.execute(guest_cpus.insert().values(host="compute3", place=0, key="f" * 16, seen_at=4e9, body=body))
    answer = cluster.agent("GET", "compute2", "/questions")
    assert answer.status_code == 200
    asked = Questions.model_validate(answer.json())
    assert [cpu.xml for cpu in asked.cpus.values()] == ["<cpu><model>Westmere</model></cpu>"]
    assert len(asked.peers) == 2


@pytest.mark.parametrize(
    "uri",
    ["qemu+ext:///system?command=x", "x" * 5000, 7, ["qemu+tcp://a/system"], None, "a\u202e"],
    ids=lambda uri: repr(uri)[:20],
)
def test_a_peer_whose_address_cannot_be_opened_is_left_out(cluster: Cluster, uri: Any) -> None:
    with cluster.web.db.write() as connection:
        connection.execute(update(hosts).where(hosts.c.name == "compute1").values(report={"live_migration_uri": uri}))
    answer = cluster.agent("GET", "compute2", "/questions")
    assert answer.status_code == 200
    assert [peer.name for peer in Questions.model_validate(answer.json()).peers] == ["compute3"]
