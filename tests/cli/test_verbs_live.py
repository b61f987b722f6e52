"""The verbs of live migrations as processes, against a running server with simulated hosts."""

import pytest

from migrator.scheduler.checks.filters import CODES
from tests.cli.verbs import cells, ok
from tests.clients.conftest import HOSTS, Cloud

pytestmark = pytest.mark.clients


def test_what_is_told_beforehand(cloud: Cloud, vm: str) -> None:
    """All three hosts are alike: the others pass every check as soon as the agents have looked around."""
    home = cloud.state(vm)[1]

    def others() -> dict[str, str]:
        (found,) = cloud.migrator("preflight", vm, "--json").json["preflight"]
        return {judged["host"]: judged["status"] for judged in found["hosts"] if judged["host"] != home}

    cloud.until("every check passes", lambda: set(others().values()) == {"passed"})
    away = next(iter(others()))
    text = ok(cloud.migrator("preflight", vm, "--to", away))
    assert all(cells(text, row)[away] == "ok" for row in range(len(CODES)))
    assert [cells(text, row)["Check"] for row in range(len(CODES))] == list(CODES)
    assert vm in ok(cloud.migrator("preflight", "--from", home))
    alone = cloud.migrator("preflight", vm, "--to", home)
    assert (alone.code, "source: the instance is there already (choose another host)" in alone.out) == (1, True)
    none = cloud.migrator("cpu-baseline", "nosuch")
    assert (none.code, "Host nosuch is not registered" in none.err) == (1, True)


def test_live_migration(cloud: Cloud, vm: str) -> None:
    _, source = cloud.state(vm)
    destination = next(host for host in HOSTS if host != source)
    assert ok(cloud.migrator("live-migration", vm, destination, "--poll")).endswith("Finished\n")
    assert cloud.state(vm) == ("ACTIVE", destination)
    move = cells(ok(cloud.migrator("migration-list", "--instance-uuid", cloud.server(vm)["id"])))
    assert (move["Status"], move["Type"], move["Dest Compute"]) == ("completed", "live-migration", destination)
    timeline = ok(cloud.migrator("timeline", move["Id"]))
    assert f"{source} to {destination}" in timeline
    assert "transfer" in timeline
    for key in (move["UUID"], vm, cloud.server(vm)["id"]):
        assert cloud.migrator("timeline", key, "--json").json["operation"]["kind"] == "live-migration"
    assert "no server has the name or id nosuch" in cloud.migrator("timeline", "nosuch").err


@pytest.mark.parametrize("vm", ["4"], indirect=True)
def test_a_live_migration_is_looked_at_and_aborted(cloud: Cloud, vm: str) -> None:
    before = cloud.state(vm)
    ok(cloud.migrator("live-migration", vm))
    (moving,) = cloud.until("listed", lambda: cloud.migrator("server-migration-list", vm, "--json").json)
    key = str(moving["id"])
    cloud.until(
        "running", lambda: cloud.migrator("server-migration-show", vm, key, "--json").json["status"] == "running"
    )
    ok(cloud.migrator("live-migration-abort", vm, key))
    cloud.until("cancelled", lambda: cloud.migrator("migration-list", "--json").json[0]["status"] == "cancelled")
    assert cloud.state(vm) == before


@pytest.mark.parametrize("vm", ["2"], indirect=True)
def test_a_live_migration_is_steered_and_forced_to_its_end(cloud: Cloud, vm: str) -> None:
    _, source = cloud.state(vm)
    ok(cloud.migrator("live-migration", vm))
    (moving,) = cloud.until("running", lambda: transfers(cloud, vm))
    key = str(moving["id"])
    ok(cloud.migrator("live-migration-steer", vm, key, "--bandwidth", "5", "--max-downtime", "900"))
    ok(cloud.migrator("live-migration-steer", vm, key, "--hold"))
    nothing = cloud.migrator("live-migration-steer", vm, key)
    assert (nothing.code, "expected one or more of" in nothing.err) == (1, True)
    refused = cloud.migrator("live-migration-steer", vm, key, "--post-copy")
    assert (refused.code, "live_migration_permit_post_copy" in refused.err) == (1, True)
    ok(cloud.migrator("live-migration-force-complete", vm, key))  # while it is held: else it may be over by then
    ok(cloud.migrator("live-migration-steer", vm, key, "--resume", "--bandwidth", "0"))
    cloud.until("completed", lambda: cloud.migrator("migration-list", "--json").json[0]["status"] == "completed")
    status, host = cloud.state(vm)
    assert (status, host != source) == ("ACTIVE", True)
    said = ok(cloud.migrator("timeline", key))
    for message in ("maximum downtime 900 ms", "held: True", "held: False", "completion forced: True"):
        assert message in said


def transfers(cloud: Cloud, vm: str) -> list[dict[str, object]]:
    listed = cloud.migrator("server-migration-list", vm, "--json").json
    return [row for row in listed if row["status"] == "running"]
