"""A live migration is refused for the checks that preflight shows, of source and destination, with their codes."""

from typing import Any

import pytest
from sqlalchemy import select

from migrator.compute.simulated.driver import SimulatedHypervisor
from migrator.db.clock import now
from migrator.db.tables import facts, operations
from migrator.protocol import CheckResult, Fact
from tests.api import seed
from tests.api.surveyed_cluster import Cluster


def _claiming(cluster: Cluster, uuid: str, host: str | None) -> Any:
    """A live migration whose source has described the guest, after the scheduler had its turn."""
    guest = SimulatedHypervisor("compute1", cluster.simulation).live_guests()[uuid]
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
    cluster.simulation.hosts["compute2"].cpu_model = "Penryn"
    cluster.simulation.hosts["compute2"].machine_types = ("q35",)
    cluster.simulation.cut("compute1", "compute2")
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
    cluster.simulation.hosts["compute2"].cpu_model = "Penryn"
    cluster.survey()
    assert _claiming(cluster, uuid, None).destination == "compute3"


def test_what_is_unknown_keeps_no_host_away(cluster: Cluster) -> None:
    assert _claiming(cluster, cluster.boot(), "compute2").destination == "compute2"


def _reported(cluster: Cluster, key: int, host: str, phase: str, *checks: CheckResult) -> Any:
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
    cluster.simulation.hosts["compute2"].cpu_model = "Penryn"
    cluster.survey()
    asked = {"phase": "inspect", "destination": None, "requested_host": "compute2"}
    error = _reported(
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
    error = _reported(cluster, key, "compute1", "inspect", DEVICES)
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
    error = _reported(cluster, key, "compute2", "check", FITS, leftover)
    assert error["checks"] == {
        "compute2": [{"code": "leftover", "message": "in the way: /disk", "advice": "remove it"}]
    }
