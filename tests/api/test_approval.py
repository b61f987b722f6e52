"""New hosts that an operator has to approve, and what they may give: whatever an agent reports draws nothing more."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from migrator.db import claims, credentials
from migrator.db import hosts as host_rows
from migrator.db.engine import Database
from migrator.db.tables import hosts
from migrator.protocol import HostReport, InstanceSpec
from migrator.scheduler.checks.filters import refusals
from migrator.scheduler.checks.finding import PlacementRequest
from migrator.scheduler.hosts import machines
from migrator.scheduler.state import host_views
from tests.api import seed
from tests.api.harness import Web
from tests.bench import databases

ONE, TWO = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
WANTED = "no operator has approved it yet: `migrator host-approve n1`"


@pytest.fixture
def web(db: Database, tmp_path: Path) -> Iterator[Web]:
    made = Web(db, tmp_path, approve_new_hosts=True)
    yield made
    made.services.db.close()


def register(web: Web, machine: str = ONE, report: HostReport | None = None) -> None:
    headers = {"Authorization": f"Bearer {credentials.issue(web.db, 'n1')}"}
    told = (report or databases.report()).model_dump(mode="json")
    body = {"incarnation": 1, "machine": machine, "report": told}
    assert web("PUT", "/agent/v1/hosts/n1", None, headers=headers, json=body).status_code == 204


def approve(web: Web, **limits: Any) -> Any:
    return web("POST", "/v1/hosts/n1/approve", None, json=limits)


def takes(web: Web, vcpus: int = 1, memory_mb: int = 1, disk_gb: int = 0) -> bool:
    """By the claim, the scheduler's list and its filters, which agree."""
    spec = InstanceSpec(uuid=TWO, name="i", vcpus=vcpus, memory_mb=memory_mb)
    need = PlacementRequest(instance=spec, vcpus=vcpus, memory_mb=memory_mb, disk_gb=disk_gb)
    with web.db.write() as connection:
        (candidate,) = host_views.candidates(host_rows.every(connection), 60)
        listed = bool(host_rows.placeable(connection, vcpus, memory_mb, disk_gb, 60, 10))
        claimed = claims.take(connection, "n1", TWO, None, vcpus, memory_mb, disk_gb)  # type: ignore[arg-type]
        if claimed:
            claims.release(connection, "n1", TWO)
    assert (listed, not refusals(candidate, need)) == (claimed, claimed)
    return claimed


def why_not(web: Web) -> str:
    spec = InstanceSpec(uuid=TWO, name="i", vcpus=1, memory_mb=1)
    with web.db.read() as connection:
        (candidate,) = host_views.candidates(host_rows.every(connection), 60)
    return ", ".join(refusals(candidate, PlacementRequest(instance=spec, vcpus=1, memory_mb=1, disk_gb=0)))


def service(web: Web) -> tuple[str, str | None]:
    (found,) = web("GET", "/v2.1/os-services").json()["services"]
    (same,) = web("GET", "/v2.1/os-hypervisors/detail").json()["hypervisors"]
    assert (same["status"], same["service"]["disabled_reason"]) == (found["status"], found["disabled_reason"])
    return found["status"], found["disabled_reason"]


def test_a_new_host_is_registered_and_takes_no_instances_before_it_is_approved(web: Web) -> None:
    register(web)
    assert not takes(web)
    assert service(web) == ("disabled", WANTED)
    assert why_not(web) == f"enabled: {WANTED}"
    register(web)  # again, by the same agent: that approves nothing
    assert not takes(web)
    answer = approve(web)
    assert answer.json() == {"host": {"name": "n1", "approved": True, "vcpus": 32, "memory_mb": 65536, "disk_gb": 2000}}
    assert service(web) == ("enabled", None)
    assert takes(web, memory_mb=65536 - 512)
    register(web)
    assert takes(web)


@pytest.mark.parametrize(
    ("limits", "most"),
    [
        ({"vcpus": 4}, (4, 65536 - 512, 2000)),
        ({"memory_mb": 1024}, (128, 1024, 2000)),
        ({"disk_gb": 10}, (128, 65536 - 512, 10)),
        ({"vcpus": 999, "memory_mb": 10**6, "disk_gb": 10**6}, (128, 65536 - 512, 2000)),
    ],
)
def test_what_is_counted_is_the_less_of_reported_and_approved(
    web: Web, limits: dict[str, int], most: tuple[int, int, int]
) -> None:
    register(web)
    assert approve(web, **limits).status_code == 200
    assert takes(web, *most)
    for number in range(3):
        more = [amount + (number == place) for place, amount in enumerate(most)]
        assert not takes(web, *more)


def test_neither_a_larger_report_nor_a_larger_ratio_draws_more_than_was_approved(web: Web) -> None:
    register(web)
    shown = approve(web, vcpus=4, memory_mb=1024, disk_gb=10).json()["host"]
    assert (shown["vcpus"], shown["memory_mb"], shown["disk_gb"]) == (4, 1024, 10)
    boast: dict[str, Any] = {"vcpus": 4096, "memory_mb": 10**8, "cpu_allocation_ratio": 1000.0}
    register(web, report=databases.report().model_copy(update=boast | {"ram_allocation_ratio": 1000.0}))
    assert takes(web, 4, 1024, 10)
    assert not takes(web, 5)
    assert not takes(web, 1, 1025)
    (one,) = web("GET", "/v2.1/os-hypervisors/detail", "2.80").json()["hypervisors"]
    assert (one["vcpus"], one["memory_mb"], one["local_gb"]) == (4, 1024, 10)
    assert approve(web).json()["host"]["vcpus"] == 4096  # the limits of before are taken back


def test_an_approval_counts_what_is_claimed_already(web: Web) -> None:
    register(web)
    approve(web)
    with web.db.write() as connection:
        claims.own(connection, "n1", ONE, 3, 1000, 5)
    approve(web, vcpus=4, memory_mb=1024, disk_gb=10)
    assert takes(web, 1, 24, 5)
    assert not takes(web, 1, 25, 5)


def test_another_machine_under_the_name_is_approved_anew(web: Web) -> None:
    register(web)
    approve(web)
    with web.db.write() as connection:
        connection.execute(update(hosts).values(last_seen=1.0))
    machines.admit(web.db, "n1", TWO, 60, approve_new=True)
    register(web, TWO)
    assert not takes(web)
    assert service(web)[1] == WANTED


def test_without_the_setting_a_host_takes_instances_at_once(db: Database, tmp_path: Path) -> None:
    web = Web(db, tmp_path)
    register(web)
    assert takes(web)
    web.services.db.close()


@pytest.mark.parametrize(
    "limits", [{"vcpus": -1}, {"vcpus": 2**31}, {"memory_mb": "1"}, {"disk_gb": 1.5}, {"memory": 1}, {"vcpus": True}]
)
def test_limits_that_are_none_are_refused_and_nothing_is_approved(web: Web, limits: dict[str, Any]) -> None:
    register(web)
    assert approve(web, **limits).status_code == 400
    assert not takes(web)


def test_what_cannot_be_approved(web: Web) -> None:
    assert approve(web).status_code == 404
    seed.host(web.db, "n1", approved=False)
    with web.db.write() as connection:
        report = connection.execute(select(hosts.c.report)).scalar_one()
        connection.execute(update(hosts).values(report=report | {"vcpus": "many"}))
    answer = approve(web)
    assert answer.status_code == 409
    assert "cannot be read" in answer.text
