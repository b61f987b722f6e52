"""Real guests that write faster than they can be sent: what makes them arrive, and what ends the attempt."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from migrator.lab import LabHost
from migrator.lab.image import KERNEL_ARGS, register_guest
from migrator.lab.ticks import TickFollower
from tests.lab import lives
from tests.lab.cluster import Cluster, process_of
from tests.waiting import PATIENCE, wait_for

pytestmark = pytest.mark.lab

# 16 MiB written over and over at twice the speed at which they are sent: some 2 s are lacking at each switch-over.
BUSY_ARGS = f"{KERNEL_ARGS} ballast=16 dirty=4096"
# What is measured of a small guest is a sample of few pages, and on a busy machine it writes less: so much more than is
# sent that both together leave no doubt.
VERY_BUSY_ARGS = f"{KERNEL_ARGS} ballast=48 dirty=12288"
BANDWIDTH_MIB_S = 8
PAUSE_MS = 700
# No time ends them unless a test asks for it: on a busy machine a guest that is slowed down takes minutes.
LIMITS = {
    "live_migration_bandwidth": BANDWIDTH_MIB_S,
    "live_migration_completion_timeout": 0,
    "live_migration_progress_timeout": 0,
}
Settings = dict[str, int | str]


@dataclass
class Flight:
    """A busy guest whose transfer has begun."""

    cluster: Cluster
    uuid: str
    source: LabHost
    ticks: TickFollower
    began: float
    tell: lives.Tell

    def v1(self, method: str, what: str, **more: Any) -> Any:
        path = f"{self.cluster.url}/v1/operations/{self.cluster.operation(self.uuid)['id']}/{what}"
        answer = httpx.request(method, path, trust_env=False, timeout=PATIENCE * 30, **more)
        assert answer.is_success, answer.text
        return answer.json()

    def steer(self, **wanted: Any) -> None:
        self.v1("POST", "steer", json=wanted)

    def steer_at_once(self, **wanted: Any) -> None:
        """As soon as the transfer's phase has begun: perhaps before libvirt has sent a byte."""
        path = f"{self.cluster.url}/v1/operations/{self.cluster.operation(self.uuid)['id']}/steer"
        wait_for(lambda: httpx.post(path, json=wanted, trust_env=False).is_success, 30, "the transfer's phase")

    def newest_point(self) -> dict[str, Any]:
        """Of its progress, once there is one."""
        points = wait_for(lambda: self.v1("GET", "progress")["progress"], 20, "progress by the second")
        newest: dict[str, Any] = points[-1]
        return newest

    def wait_held(self) -> None:
        """No more than what libvirt cannot be told to withhold is sent, and the end is not near."""
        wait_for(lambda: self.newest_point()["bytes_per_s"] < 2 << 20, 20, "the transfer to be held")
        assert self.newest_point()["memory_remaining_bytes"] > 0

    def rounds(self) -> int:
        """How often libvirt has begun to send what the guest wrote in that time; 0 once there is no transfer."""
        said = self.source.run(["virsh", "domjobinfo", self.uuid], check=False)
        return next((int(line.split()[-1]) for line in said.splitlines() if line.startswith("Iteration:")), 0)

    def max_downtime_ms(self) -> int:
        """What libvirt has been told by now."""
        said = self.source.run(["virsh", "migrate-getmaxdowntime", self.uuid])
        return int(said)

    def assert_ran_once(self, status: str) -> dict[str, Any]:
        """The operation, that ended so; whatever happened, the guest lived one life in one place."""
        operation = self.cluster.wait_operation(self.uuid, 120)
        assert operation["status"] == status, (operation, self.cluster.timeline(self.uuid))
        host = self.cluster.where(self.uuid)
        self.ticks.wait_ticks(15)
        last = self.ticks.last()
        assert last is not None
        assert (last.host, self.cluster.runners(self.uuid)) == (host.name, [host.name])
        assert (host.name == self.source.name) == (status != "completed")
        assert (self.ticks.problems, len(self.ticks.boots)) == ([], 1)
        lives.tell(self.tell, operation, self.ticks, self.began)
        return operation


@pytest.fixture(scope="module")
def busy(cluster: Cluster) -> str:
    return register_guest(cluster.url, kernel_args=BUSY_ARGS)


@pytest.fixture(scope="module")
def very_busy(cluster: Cluster) -> str:
    return register_guest(cluster.url, kernel_args=VERY_BUSY_ARGS)


@pytest.fixture
def fly(cluster: Cluster, busy: str, record_property: lives.Tell) -> Iterator[Callable[..., Any]]:
    """``with fly(setting=value) as flight``: a server with these settings, and a busy guest on its way. ``image``: of
    another guest; ``at_once``: how it is steered from the beginning."""

    @contextmanager
    def flying(image: str = busy, at_once: Settings | None = None, **settings: Any) -> Iterator[Flight]:
        cluster.serve(**LIMITS | settings)
        uuid = cluster.boot("shared", image)
        source = cluster.where(uuid)
        with cluster.follow(uuid) as ticks:
            ticks.wait_ticks(10, timeout=60)
            began = time.monotonic()
            cluster.migrate(uuid)
            flight = Flight(cluster, uuid, source, ticks, began, record_property)
            if at_once:
                flight.steer_at_once(**at_once)
            cluster.wait_transfer(uuid, source)
            yield flight
        cluster.delete(uuid)

    yield flying
    cluster.serve()


def test_it_is_held_and_let_go_and_its_end_is_forced(fly: Callable[..., Any], very_busy: str) -> None:
    with fly(very_busy, live_migration_downtime=100) as flight:
        flight.steer(held=True)
        flight.wait_held()
        flight.steer(held=False)
        wait_for(lambda: flight.rounds() >= 3, 40, "the rounds that never end")
        assert flight.cluster.operation(flight.uuid)["status"] == "running"
        path = f"/servers/{flight.uuid}/migrations/{flight.cluster.operation(flight.uuid)['id']}/action"
        assert flight.cluster.http.post(path, json={"force_complete": None}).status_code == 202
        assert flight.assert_ran_once("completed")["outcome"]["downtime_ms"] > 100


def test_one_that_is_held_at_once_is_held(fly: Callable[..., Any]) -> None:
    """libvirt sets a transfer's initial parameters after it has accepted a change of them, and says nothing."""
    with fly(at_once={"held": True}, live_migration_downtime=1000) as flight:
        wait_for(lambda: len(flight.v1("GET", "progress")["progress"]) >= 6, 20, "progress by the second")
        flight.wait_held()
        flight.steer(held=False, bandwidth_mib_s=0)
        flight.assert_ran_once("completed")


def test_the_next_agent_goes_on_with_the_step_that_is_due_and_that_one_is_enough(fly: Callable[..., Any]) -> None:
    """9 s in 3 steps of 20 s: 3, 5, 7, 9 s, at half the bandwidth, with which 4 s are lacking. libvirt's downtime is
    shorter, for no limit holds while the guest is paused."""
    steps: Settings = {"live_migration_downtime_steps": 3, "live_migration_downtime_delay": 10}
    steps |= {"live_migration_downtime_curve": "linear", "live_migration_bandwidth": BANDWIDTH_MIB_S // 2}
    with fly(live_migration_downtime=9000, **steps) as flight:
        assert flight.max_downtime_ms() == 3000
        flight.source.kill_agent()
        flight.cluster.start_agent(flight.source)
        outcome = flight.assert_ran_once("completed")["outcome"]
        assert 20_000 < outcome["elapsed_ms"] < 40_000, "it did not need the second step, or that was not enough"


def test_auto_converge_slows_it_until_it_arrives(fly: Callable[..., Any], very_busy: str) -> None:
    """Under the same limit as below, where pre-copy alone is ended by its timeout. It is slowed down at once by what
    was measured; a ninth of the memory that it writes fits into the pause."""
    means: Settings = {"live_migration_strategy": "auto", "live_migration_permit_auto_converge": 1}
    with fly(very_busy, live_migration_downtime=PAUSE_MS, live_migration_downtime_delay=10, **means) as flight:
        operation = flight.assert_ran_once("completed")
        assert operation["strategy"]["chosen"] == "auto-converge", operation["strategy"]
        assert max(point.get("throttle_percent") or 0 for point in flight.v1("GET", "progress")["progress"]) > 0


@pytest.mark.parametrize("action", ["abort", "force_complete"])
def test_it_does_not_last_for_ever(fly: Callable[..., Any], action: str) -> None:
    """Pre-copy alone; and one that auto-converge does not end in time either."""
    means = {"live_migration_permit_auto_converge": 1} if action == "force_complete" else {}
    with fly(
        live_migration_downtime=PAUSE_MS,
        live_migration_completion_timeout=7,
        live_migration_timeout_action=action,
        **means,
    ) as flight:
        operation = flight.assert_ran_once("cancelled" if action == "abort" else "completed")
        said = [event["message"] for event in flight.cluster.timeline(flight.uuid)]
        assert any("not completed after 14 s (live_migration_completion_timeout)" in message for message in said), said
        assert operation["error"] is None or operation["error"]["code"] == "completion_timeout"


def test_post_copy_ends_it_at_once(fly: Callable[..., Any]) -> None:
    with fly(live_migration_downtime=100, live_migration_permit_post_copy=1) as flight:
        flight.steer(post_copy=True)
        flight.assert_ran_once("completed")
        # libvirt keeps no statistics of a post-copy: the guest's own ticks tell
        assert flight.ticks.max_gap_ms() < 5000, "the guest did not wait for its memory"


def test_a_post_copy_whose_destination_dies_is_an_alarm_and_stays_as_it_is(fly: Callable[..., Any]) -> None:
    """Neither half can go on: one is stale, one is dead. What the guest wrote last is on its disk, from which it boots
    anew once an operator has done away with the stale one."""
    with fly(live_migration_downtime=100, live_migration_permit_post_copy=1) as flight:
        cluster, uuid, source = flight.cluster, flight.uuid, flight.source
        destination = cluster.host(cluster.operation(uuid)["destination"])
        source.run(["virsh", "migrate-setspeed", uuid, "1", "--postcopy"])  # or it would have no middle
        flight.steer(post_copy=True)
        wait_for(lambda: domain_state(destination, uuid) == "running (post-copy)", 20, "the guest at its destination")
        time.sleep(1)
        process_of(destination, uuid).send(signal.SIGKILL)
        wait_for(lambda: (cluster.operation(uuid)["waiting"] or "").startswith("TORN: "), 40, "the alarm")
        assert [e["name"] for e in cluster.timeline(uuid)][-1] == "alarm"
        assert domain_state(source, uuid) == "paused (post-copy failed)"
        assert (cluster.runners(uuid), cluster.show(uuid)["status"]) == ([], "MIGRATING")
        source.run(["virsh", "destroy", uuid])
        assert cluster.wait_operation(uuid, 30)["status"] == "completed"
        wait_for(lambda: cluster.show(uuid)["status"] == "SHUTOFF", 40, "it to be seen that it is off")
        assert cluster.where(uuid).name == destination.name
        assert cluster.http.post(f"/servers/{uuid}/action", json={"os-start": None}).status_code == 202
        flight.ticks.wait_boots(2)
        flight.ticks.wait_ticks(10)
        assert cluster.runners(uuid) == [destination.name]
        assert flight.ticks.problems == []


def domain_state(host: LabHost, uuid: str) -> str:
    return host.run(["virsh", "domstate", "--reason", uuid], check=False).strip()


def test_a_cable_pulled_for_longer_than_the_progress_timeout_ends_it(fly: Callable[..., Any]) -> None:
    with fly(live_migration_progress_timeout=8, live_migration_completion_timeout=0) as flight:
        destination = flight.cluster.host(flight.cluster.operation(flight.uuid)["destination"])
        destination.cut_link()
        try:
            time.sleep(20)
            flight.ticks.wait_ticks(5)
            assert flight.cluster.runners(flight.uuid) == [flight.source.name]
        finally:
            destination.restore_link()
        operation = flight.cluster.wait_operation(flight.uuid, 120)
        flight.assert_ran_once(operation["status"])
        assert operation["status"] != "completed"
        assert operation["error"], operation


def test_it_is_aborted_while_it_runs_and_while_it_waits(fly: Callable[..., Any]) -> None:
    with fly(live_migration_downtime=100) as flight:
        cluster = flight.cluster
        before = cluster.used_memory()
        waiting = cluster.boot("shared")
        while cluster.where(waiting).name != flight.source.name:  # the scheduler prefers an emptier host
            cluster.migrate(waiting, flight.source.name)
            cluster.wait_operation(waiting)
        cluster.migrate(waiting)
        shown = wait_for(lambda: cluster.operation(waiting)["status"] == "queued", 20, "the second one to wait")
        assert shown
        assert abort(cluster, waiting) == 202
        assert cluster.wait_operation(waiting)["status"] == "cancelled"
        cluster.delete(waiting)
        assert cluster.used_memory() == before
        flight.steer(max_downtime_ms=150)
        wait_for(lambda: flight.max_downtime_ms() == 150, 10, "the pause that was asked for")
        assert abort(cluster, flight.uuid) == 202
        flight.assert_ran_once("cancelled")


def abort(cluster: Cluster, uuid: str) -> int:
    """The answer's status."""
    path = f"/servers/{uuid}/migrations/{cluster.operation(uuid)['id']}"
    return cluster.http.delete(path).status_code
