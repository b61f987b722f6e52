"""GET /v1/servers/{id}/where: where an instance is, and whether its data is safe."""

from typing import Any

import pytest

from migrator.alarms import AlarmKind
from migrator.db import alarms, host_domains, instances
from migrator.db.host_domains import HeldCopy
from migrator.operations import Kind
from migrator.scheduler.requests import requests
from tests.api import seed
from tests.api.harness import Web

CALLER = requests.Caller("admin", "admin", "req-test")


def running(web: Web, **more: Any) -> str:
    uuid = seed.instance(web.db, "web-1", host="compute1", vm_state="active", power_state=1, **more)
    with web.db.write() as connection:
        host_domains.replace(connection, "compute1", [HeldCopy(uuid, "running", stamp_host="compute1")])
    return uuid


def where(web: Web, uuid: str) -> Any:
    answer = web("GET", f"/v1/servers/{uuid}/where", None)
    assert answer.status_code == 200, answer.text
    return answer.json()["where"]


def test_an_instance_at_rest_is_told_with_the_age_of_its_hosts_word(web: Web) -> None:
    found = where(web, uuid := running(web))
    assert (found["server"], found["name"], found["host"]) == (uuid, "web-1", "compute1")
    assert found["standing"] == "certain"
    assert found["summary"].startswith("It runs on compute1, which said so ")
    assert (found["elsewhere"], found["alarms"], found["operations"], found["advice"]) == ([], [], [], ["Nothing."])


@pytest.mark.parametrize(
    ("shared", "keeps", "message"),
    [(False, False, "would be made anew"), (True, True, "on storage that other hosts have too")],
)
def test_it_says_what_becomes_of_the_data_if_the_host_is_lost(
    web: Web, shared: bool, keeps: bool, message: str
) -> None:
    uuid = running(web)
    for host in ("compute1", "compute2"):
        seed.pools(web.db, host, local="id-shared" if shared else f"id-{host}")
    found = where(web, uuid)["if_host_is_lost"]
    assert (found["keeps_its_data"], message in found["summary"]) == (keeps, True), found


def test_what_is_under_way_and_what_is_alarming_come_with_what_to_do(web: Web) -> None:
    uuid = running(web)
    with web.db.write() as connection:
        requests.begin(connection, CALLER, Kind.STOP, uuid, "compute1")
        host_domains.replace(connection, "compute2", [HeldCopy(uuid, "running", "8e9b", 3, "compute2")])
        alarms.raise_alarm(connection, AlarmKind.COPY_ELSEWHERE, "two", host="compute2", instance_uuid=uuid)
    found = where(web, uuid)
    assert found["standing"] == "attention"
    assert [alarm["kind"] for alarm in found["alarms"]] == ["copy-elsewhere"]
    assert [operation["kind"] for operation in found["operations"]] == ["stop"]
    assert found["elsewhere"][0].startswith(
        "compute2's last list of its guests, perhaps from before the record changed "
    )
    assert f"migrator reconcile {uuid}" in found["advice"][0]


def test_a_deleted_or_never_recorded_instance_is_told_while_a_host_has_it(web: Web) -> None:
    uuid = seed.new_uuid()
    with web.db.write() as connection:
        host_domains.replace(connection, "compute2", [HeldCopy(uuid, "running")])
    found = where(web, uuid)
    assert (found["host"], found["if_host_is_lost"]) == (None, None)
    assert found["summary"] == "No record has it, but there is still a copy of it on compute2."


def test_of_a_record_that_cannot_be_read_all_else_is_told(web: Web) -> None:
    uuid = running(web)
    with web.db.write() as connection:
        instances.change(connection, uuid, {"spec": {"disks": "none that this release knows"}})
    found = where(web, uuid)
    assert (found["host"], found["if_host_is_lost"]) == ("compute1", None)
    assert "this server cannot read the instance's record" in found["summary"]


def test_on_no_host_and_on_a_host_that_is_gone(web: Web) -> None:
    assert where(web, seed.instance(web.db, "a", host=None))["summary"] == "It is on no host yet."
    assert "not known any more" in where(web, seed.instance(web.db, "b", host="gone"))["summary"]


@pytest.mark.parametrize("ident", [seed.NOBODY, "nosuch", "%00"])
def test_what_nobody_knows_is_not_found(web: Web, ident: str) -> None:
    assert web("GET", f"/v1/servers/{ident}/where", None).status_code in (400, 404)
