"""What agents tell of real use: sampled by one server into sums of an hour, shown, and forgotten."""

from typing import Any

import pytest
from sqlalchemy import select, update

from migrator.compute.simulated.state import Behaviour
from migrator.db import use_samples as rows
from migrator.db.tables import instances, use_hours, use_sampling
from migrator.protocol import GuestObservation, GuestUse, HostUse, Survey
from migrator.scheduler.fleet import use_samples
from tests.api import seed
from tests.api.surveyed_cluster import Cluster


def sample(cluster: Cluster) -> bool:
    with cluster.web.db.write() as connection:
        connection.execute(update(use_sampling).values(begun_at=0.0))
    return use_samples.sample(cluster.web.db, cluster.web.services.settings)


def usage(cluster: Cluster, query: str) -> Any:
    answer = cluster.web("GET", f"/v1/usage?{query}", None)
    assert answer.status_code == 200, answer.text
    return answer.json()["usage"]


def work(cluster: Cluster, uuid: str, cpus: float) -> None:
    """The guest works, and its host's agent tells what it saw of it in a minute."""
    cluster.simulation.behaviours[uuid] = Behaviour(cpus=cpus)
    for _ in range(2):
        cluster.now += 400  # more than an average goes back
        cluster.survey("compute1")
        cluster.now += 60
        cluster.survey("compute1")


def test_use_is_sampled_into_the_hour_with_its_mean_and_peak(cluster: Cluster) -> None:
    uuid = cluster.boot()
    for cpus in (0.5, 1.5):
        work(cluster, uuid, cpus)
        assert sample(cluster)
    hours = usage(cluster, f"instance={uuid}")["hours"]
    assert sum(hour["samples"] for hour in hours) == 2
    assert sum(hour["samples"] * hour["cpus"]["mean"] for hour in hours) == pytest.approx(2.0, abs=0.01)
    assert max(hour["cpus"]["peak"] for hour in hours) == pytest.approx(1.5, abs=0.01)
    shown = usage(cluster, "host=compute1")
    assert [one["server"] for one in shown["instances"]] == [uuid]
    assert max(hour["cpus"]["peak"] for hour in shown["hours"]) == pytest.approx(1.5, abs=0.01)
    measured = cluster.web("GET", "/v1/hosts/compute1", None).json()["host"]["measured"]
    assert measured["cpus"] == pytest.approx(1.5, abs=0.01)
    assert cluster.web("GET", "/v1/hosts/compute2", None).json()["host"]["measured"] is None


def test_one_server_samples_in_an_interval(cluster: Cluster) -> None:
    assert sample(cluster)
    assert not use_samples.sample(cluster.web.db, cluster.web.services.settings)


def test_an_agent_tells_of_no_instance_that_is_not_recorded_on_its_host(cluster: Cluster) -> None:
    own, other = seed.instance(cluster.web.db, "own"), seed.instance(cluster.web.db, "other")
    with cluster.web.db.write() as connection:
        connection.execute(update(instances).where(instances.c.uuid == other).values(host="compute2"))
    busy = GuestObservation(use=GuestUse(over_s=60, cpus=3, memory_mb=64))
    told = Survey(guests={own: busy, other: busy, "nobody": busy}, use=HostUse(over_s=60, cpus=3, memory_mb=64))
    assert cluster.agent("PUT", "compute1", "/survey", content=told.model_dump_json()).status_code == 204
    assert sample(cluster)
    with cluster.web.db.read() as connection:
        found = connection.execute(select(use_hours.c.instance_uuid)).scalars().all()
    assert sorted(found) == ["", own]


def test_old_hours_are_forgotten(cluster: Cluster) -> None:
    uuid = cluster.boot()
    work(cluster, uuid, 1.0)
    sample(cluster)
    with cluster.web.db.write() as connection:
        connection.execute(update(use_hours).values(hour=use_hours.c.hour - 24 * 8))
    sample(cluster)
    with cluster.web.db.write() as connection:
        assert len(rows.hours(connection, "compute1", "", 1000)) == 1


def test_hours_that_are_to_come_count_for_nothing_and_are_forgotten(cluster: Cluster) -> None:
    """A clock that was ahead wrote them, and was set back."""
    uuid = cluster.boot()
    work(cluster, uuid, 1.0)
    assert sample(cluster)
    with cluster.web.db.write() as connection:
        connection.execute(update(use_hours).values(hour=use_hours.c.hour + 24 * 365))
    assert usage(cluster, f"instance={uuid}")["hours"] == []
    with cluster.web.db.write() as connection:
        assert rows.window(connection, 86400.0) == []
        rows.prune(connection, 86400.0)
        assert connection.execute(select(use_hours.c.hour)).all() == []


@pytest.mark.parametrize(
    ("query", "status"), [("", 400), ("host=a&instance=b", 400), ("host=nowhere", 404), ("instance=nobody", 404)]
)
def test_usage_of_nothing_is_refused(cluster: Cluster, query: str, status: int) -> None:
    assert cluster.web("GET", f"/v1/usage?{query}", None).status_code == status
