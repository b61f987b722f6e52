"""/metrics, as Prometheus' own parser reads it."""

from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import update

from migrator.api import operation_metrics
from migrator.db import metrics
from migrator.db.clock import now
from migrator.db.tables import hosts, operations
from tests.api import seed
from tests.api.harness import Web

MIB = 1024**2
OUTCOME = {
    "elapsed_ms": 4000,
    "downtime_ms": 60,
    "setup_ms": 20,
    "iterations": 3,
    "memory_processed_bytes": 300 * MIB,
    "disk_processed_bytes": 0,
}


def scraped(web: Web) -> dict[tuple[str, ...], float]:
    """(name, label values in their order) -> value"""
    answer = web("GET", "/metrics", None)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    found: dict[tuple[str, ...], float] = {}
    for family in text_string_to_metric_families(answer.text):
        assert family.documentation, family.name
        for sample in family.samples:
            assert sample.name.startswith("migrator_")
            key = (sample.name.removeprefix("migrator_"), *sample.labels.values())
            assert key not in found
            found[key] = sample.value
    return found


def over(web: Web, status: str, ago_s: float = 60.0, **more: Any) -> int:
    key = seed.migration(web.db, seed.instance(web.db, "x"), status, **more)
    with web.db.write() as connection:
        values = {"active": False, "finished_at": now(connection) - ago_s}
        connection.execute(update(operations).where(operations.c.id == key).values(values))
    return key


def test_what_is_over_is_counted_once_by_every_server_alike(web: Web) -> None:
    over(web, "completed", outcome=OUTCOME)
    over(web, "completed", outcome={**OUTCOME, "downtime_ms": None, "elapsed_ms": 90_000})
    over(web, "failed", outcome=OUTCOME)
    over(web, "confirmed", kind="migration", outcome={"out_of_service_ms": 5000})
    for _ in range(2):
        found = scraped(web)
        assert found["operations_ended_total", "live-migration", "completed"] == 2
        assert found["operations_ended_total", "live-migration", "failed"] == 1
        assert found["operations_ended_total", "migration", "confirmed"] == 1
        assert found["live_migration_duration_seconds_count",] == 2
        assert found["live_migration_duration_seconds_sum",] == 94
        assert found["live_migration_duration_seconds_bucket", "2.0"] == 0
        assert found["live_migration_duration_seconds_bucket", "5.0"] == 1
        assert found["live_migration_duration_seconds_bucket", "+Inf"] == 2
        assert found["live_migration_downtime_seconds_count",] == 1
        assert found["live_migration_downtime_seconds_sum",] == pytest.approx(0.06)
        assert found["live_migration_setup_seconds_count",] == 2
        assert found["live_migration_iterations_sum",] == 6
        assert found["live_migration_memory_bytes_sum",] == 600 * MIB
        assert found["live_migration_disk_bytes_bucket", "6.7108864e+07"] == 2
    over(web, "completed", ago_s=30, outcome=OUTCOME)
    again = scraped(web)
    assert again["operations_ended_total", "live-migration", "completed"] == 3
    another = Web(web.db, web.image_dir.parent)
    assert scraped(another) == again
    another.services.db.close()


def test_what_has_just_ended_waits_for_who_ends_at_the_same_moment(web: Web) -> None:
    over(web, "completed", ago_s=0.0)
    assert ("operations_ended_total", "live-migration", "completed") not in scraped(web)
    over(web, "completed", ago_s=metrics.SETTLED_S + 1)
    assert scraped(web)["operations_ended_total", "live-migration", "completed"] == 1


def test_many_are_counted_in_portions_and_a_scrape_reads_no_more_than_one(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "_AT_ONCE", 2)
    for ago_s in (60.0, 50.0, 50.0, 40.0, 40.0):
        over(web, "completed", ago_s=ago_s, outcome=OUTCOME)
    key = ("operations_ended_total", "live-migration", "completed")
    assert scraped(web)[key] == 2
    operation_metrics.store_totals(web.db)
    counted = scraped(web)
    assert counted[key] == counted["live_migration_duration_seconds_bucket", "5.0"] == 5
    assert counted["live_migration_duration_seconds_sum",] == 20
    operation_metrics.store_totals(web.db)
    assert scraped(web) == counted
    over(web, "completed", ago_s=30, outcome=OUTCOME)
    assert scraped(web)[key] == 6


def test_two_servers_that_count_at_the_same_moment_count_once(web: Web) -> None:
    over(web, "completed")
    with web.db.read() as connection:
        seen = metrics.ended_totals(connection)
    operation_metrics.store_totals(web.db)
    counted = scraped(web)
    with web.db.write() as connection:
        metrics.keep_ended_totals(connection, seen, (seen.finished_at, seen.operation_id), {})
    assert scraped(web) == counted


def test_what_is_under_way_and_what_it_waits_for(web: Web) -> None:
    for name, waiting in (
        ("a", None),
        ("b", "queued: position 1 of what leaves compute1"),
        ("c", "SPLIT: the instance runs on both hosts"),
        ("d", "TORN: its post-copy failed"),
    ):
        uuid = seed.instance(web.db, name, task_state="migrating")
        seed.migration(web.db, uuid, "running", wait_reason=waiting)
    found = scraped(web)
    kept = {key[0]: value for key, value in found.items() if key[1:] == ("live-migration", "transfer")}
    assert kept.pop("operations_oldest_phase_seconds") > 0
    names = ("active", "waiting", "queued", "alarmed")
    assert kept == {f"operations_{name}": n for name, n in zip(names, (4, 3, 1, 2), strict=True)}
    assert found["instances", "active"] == 4
    assert found["host_moves_out", "compute1"] == found["host_moves_in", "compute2"] == 4


def test_hosts(web: Web) -> None:
    seed.instance(web.db, "a", host="compute1")
    with web.db.write() as connection:
        silent = update(hosts).where(hosts.c.name == "compute2")
        connection.execute(silent.values(last_seen=now(connection) - 600, forced_down=True, disabled=True))
    found = scraped(web)
    assert (found["host_up", "compute1"], found["host_up", "compute2"]) == (1, 0)
    assert (found["host_enabled", "compute1"], found["host_enabled", "compute2"]) == (1, 0)
    assert (found["host_forced_down", "compute1"], found["host_forced_down", "compute2"]) == (0, 1)
    assert found["host_silent_seconds", "compute1"] == 0
    assert found["host_silent_seconds", "compute2"] == pytest.approx(600, abs=30)
    assert (found["host_instances", "compute1"], found["host_instances", "compute2"]) == (1, 0)
    assert found["host_free_memory_bytes", "compute1"] == 15000 * MIB
    assert found["host_free_disk_bytes", "compute1"] == 100 * 1024 * MIB
    assert found["host_free_vcpus", "compute1"] == 32


def test_nothing_that_has_no_bound_is_a_label(web: Web) -> None:
    uuid = seed.instance(web.db, "a", task_state="migrating")
    seed.migration(web.db, uuid, "running")
    assert uuid not in web("GET", "/metrics", None).text
    labels = {
        label
        for family in text_string_to_metric_families(web("GET", "/metrics", None).text)
        for sample in family.samples
        for label in sample.labels
    }
    assert labels == {"kind", "phase", "host", "state", "vm_state", "le"}
