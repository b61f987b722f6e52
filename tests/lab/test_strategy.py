"""A real guest that is measured before it is moved: what was found, what was chosen, and what came of it."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from migrator.lab.image import KERNEL_ARGS, register_guest
from tests.lab import lives
from tests.lab.cluster import Cluster

pytestmark = pytest.mark.lab

# 48 MiB written over and over, six times as fast as they are sent: a busy machine writes less, and the sample is small
BUSY_ARGS = f"{KERNEL_ARGS} ballast=48 dirty=12288"
QUIET_ARGS = f"{KERNEL_ARGS} ballast=8 dirty=0"
BANDWIDTH_MIB_S = 8
PERMITTED = {"live_migration_permit_auto_converge": 1, "live_migration_permit_post_copy": 1}


@pytest.fixture
def choosing(cluster: Cluster) -> Iterator[Cluster]:
    """With a server that measures and chooses."""
    cluster.serve(live_migration_strategy="auto", live_migration_bandwidth=BANDWIDTH_MIB_S, **PERMITTED)
    yield cluster
    cluster.serve()


def move(cluster: Cluster, image: str, record: lives.Tell) -> tuple[dict[str, Any], list[str]]:
    """The operation of a new guest's move, and what its timeline says of the strategy."""
    uuid = cluster.boot("shared", image)
    source = cluster.where(uuid)
    with cluster.follow(uuid) as ticks:
        ticks.wait_ticks(50, timeout=60)
        began = time.monotonic()
        cluster.migrate(uuid)
        operation = cluster.wait_operation(uuid, 120)
        ticks.wait_ticks(15)
        assert (ticks.problems, len(ticks.boots)) == ([], 1)
        lives.tell(record, operation, ticks, began)
    assert operation["status"] == "completed", cluster.timeline(uuid)
    assert cluster.where(uuid).name != source.name
    lines = [event["message"] for event in cluster.timeline(uuid) if event["name"] == "strategy"]
    cluster.delete(uuid)
    return operation, lines


def test_a_busy_guest_is_measured_and_fetched(choosing: Cluster, record_property: lives.Tell) -> None:
    operation, lines = move(choosing, register_guest(choosing.url, kernel_args=BUSY_ARGS), record_property)
    strategy = operation["strategy"]
    assert strategy["measured"]["dirty_mib_s"] > BANDWIDTH_MIB_S
    assert strategy["measured"]["link_mib_s"] > 0
    network = strategy["network_mib_s"]  # what earlier tests' transfers reached, on a busy machine less than the limit
    by = "live_migration_bandwidth" if network >= BANDWIDTH_MIB_S else "earlier transfers"
    assert (strategy["bandwidth_mib_s"], strategy["bandwidth_by"]) == (min(BANDWIDTH_MIB_S, network), by)
    assert strategy["chosen"] == "post-copy", strategy
    assert strategy["predicted_total_ms"] > 0
    assert "pre-copy never ends" in lines[0]
    assert lines[-1].startswith("post-copy took ")
    assert operation["outcome"]["elapsed_ms"] < 2 * strategy["predicted_total_ms"]


def test_a_quiet_guest_just_moves_at_the_first_step(choosing: Cluster, record_property: lives.Tell) -> None:
    """By default the pause grows for the first time after 150 s."""
    operation, lines = move(choosing, register_guest(choosing.url, kernel_args=QUIET_ARGS), record_property)
    assert operation["strategy"]["chosen"] == "pre-copy"
    assert "changed_to" not in operation["strategy"]
    assert lines[-1].startswith("pre-copy took ")
    assert operation["outcome"]["downtime_ms"] is not None
    assert operation["outcome"]["elapsed_ms"] < 150_000
