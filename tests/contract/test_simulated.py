"""The contract, kept by the simulated hypervisor; and what only a simulated world can show."""

import contextlib
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from migrator.compute.simulated.cluster import SimulatedCluster
from migrator.compute.simulated.driver import SimulatedHypervisor
from migrator.compute.simulated.state import MIB, Behaviour
from migrator.errors import DriverError, HypervisorUnavailable, StorageError
from migrator.protocol import DiskSpec, DomainState, ImageRef, InstanceSpec
from tests.contract.pair import Pair
from tests.contract.suite import DriverContract

IMAGE = "3f0c7f5e-0000-4000-8000-000000000001"


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def make_spec(pool: str) -> InstanceSpec:
    return InstanceSpec(
        uuid=str(uuid.uuid4()),
        name="one",
        vcpus=1,
        memory_mb=256,
        disks=(DiskSpec(target="vda", pool=pool, size_gb=1, image_id=IMAGE),),
        images=(ImageRef(id=IMAGE, size_bytes=1, checksum_sha256="0" * 64, disk_format="qcow2"),),
    )


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def simulation(clock: Clock) -> SimulatedCluster:
    simulation = SimulatedCluster(clock)
    for name in ("a", "b"):
        simulation.add_host(name)
    return simulation


@pytest.fixture
def simulated_pair(simulation: SimulatedCluster, clock: Clock) -> Pair:
    def settle(locks_instance: Callable[[], bool]) -> None:
        for _ in range(1000):
            if locks_instance():
                return
            clock.now += 0.05
        pytest.fail("it did not settle within 50 simulated seconds")

    return Pair(
        source=SimulatedHypervisor("a", simulation),
        destination=SimulatedHypervisor("b", simulation),
        destination_name="b",
        spec=make_spec,
        settle=settle,
        volume=lambda: f"nbd://10.0.0.250:10809/{uuid.uuid4()}",
        hide=lambda source: simulation.unreachable.update({("a", source), ("b", source)}),
        images={IMAGE: Path("/nowhere")},
    )


class TestSimulated(DriverContract):
    @pytest.fixture
    def pair(self, simulated_pair: Pair) -> Pair:
        return simulated_pair


@contextlib.contextmanager
def cut_for_long(simulation: SimulatedCluster, clock: Clock) -> Iterator[None]:
    """The block sees what is under way after five minutes without the link between the two."""
    simulation.cut("a", "b")
    clock.now += 300
    yield
    simulation.heal("a", "b")


def begin_slowly(pair: Pair, pool: str = "shared") -> InstanceSpec:
    spec = pair.boot(pool)
    pair.prepare(spec)
    pair.begin(spec, pool, pair.slow_mib_s)
    pair.settle(lambda: pair.destination.domain(spec.uuid).state is DomainState.INCOMING)
    return spec


def test_the_truth_of_a_move(simulated_pair: Pair, simulation: SimulatedCluster) -> None:
    spec = begin_slowly(simulated_pair, "local")
    assert simulation.running_on(spec.uuid) == ["a"]
    simulated_pair.settle(lambda: simulated_pair.over(spec))
    assert simulation.running_on(spec.uuid) == ["b"]
    first, second = simulation.executions
    assert first.until is not None
    job = simulated_pair.destination.job(spec.uuid)
    assert job is not None
    assert round((second.since - first.until) * 1000) == job.downtime_ms
    assert simulation.overlaps() == []
    assert simulation.losses == []
    assert simulation.holders_of_newest(spec.uuid, "vda") == ["local-b"]


def test_a_post_copy_cannot_be_aborted(simulated_pair: Pair, simulation: SimulatedCluster) -> None:
    pair = simulated_pair
    spec = pair.boot("shared")
    pair.prepare(spec)
    pair.begin(spec, "shared", pair.slow_mib_s, post_copy=True)
    pair.settle(lambda: pair.destination.domain(spec.uuid).state is DomainState.INCOMING)
    pair.source.force_completion(spec.uuid, post_copy=True)
    assert pair.source.domain(spec.uuid).reason == "postcopy"
    with pytest.raises(DriverError, match="post-copy"):
        pair.source.abort_job(spec.uuid)
    assert simulation.running_on(spec.uuid) == ["b"]


def test_a_source_whose_daemon_dies_keeps_the_guest(simulated_pair: Pair, simulation: SimulatedCluster) -> None:
    spec = begin_slowly(simulated_pair)
    simulation.kill_daemon("a")
    with pytest.raises(HypervisorUnavailable):
        simulated_pair.source.domain(spec.uuid)
    assert simulated_pair.destination.domain(spec.uuid).state is DomainState.ABSENT
    simulation.start_daemon("a")
    assert simulated_pair.source.domain(spec.uuid).state is DomainState.RUNNING
    assert simulation.running_on(spec.uuid) == ["a"]


def test_a_destination_whose_daemon_dies_fails_the_transfer(simulated_pair: Pair, simulation: SimulatedCluster) -> None:
    spec = begin_slowly(simulated_pair)
    simulation.kill_daemon("b")
    assert "client socket is closed" in (simulated_pair.source.migration_error(spec.uuid) or "")
    assert simulated_pair.source.domain(spec.uuid).state is DomainState.RUNNING
    simulation.start_daemon("b")
    assert simulated_pair.destination.domain(spec.uuid).state is DomainState.ABSENT


@pytest.mark.parametrize("side", ["a", "b"])
def test_a_daemon_that_dies_at_the_switch_over(
    simulated_pair: Pair, simulation: SimulatedCluster, clock: Clock, side: str
) -> None:
    spec = begin_slowly(simulated_pair)
    while simulated_pair.source.domain(spec.uuid).state is DomainState.RUNNING:
        clock.now += 0.002
    assert simulated_pair.source.domain(spec.uuid).state is DomainState.PAUSED
    assert simulation.running_on(spec.uuid) == []
    simulation.kill_daemon(side)
    simulation.start_daemon(side)
    assert simulation.running_on(spec.uuid) == ["a"]
    assert simulation.overlaps() == []


def test_a_cut_link_only_delays(simulated_pair: Pair, simulation: SimulatedCluster, clock: Clock) -> None:
    spec = begin_slowly(simulated_pair)
    with cut_for_long(simulation, clock):
        assert simulated_pair.active(spec)
    simulated_pair.settle(lambda: simulated_pair.over(spec))
    assert simulation.running_on(spec.uuid) == ["b"]


def test_a_transfer_outlives_the_agent_that_began_it(simulated_pair: Pair, simulation: SimulatedCluster) -> None:
    spec = begin_slowly(simulated_pair)
    again = SimulatedHypervisor("a", simulation)
    assert not again.migration_running(spec.uuid)
    job = again.job(spec.uuid)
    assert job is not None
    assert job.active
    simulated_pair.settle(lambda: simulated_pair.over(spec))
    assert simulation.running_on(spec.uuid) == ["b"]


def test_a_guest_that_dirties_faster_than_the_link_never_converges(
    simulated_pair: Pair, simulation: SimulatedCluster, clock: Clock
) -> None:
    simulation.default_behaviour = Behaviour(dirty_bytes_per_s=100 * MIB)
    spec = begin_slowly(simulated_pair)
    clock.now += 3600
    job = simulated_pair.source.job(spec.uuid)
    assert job is not None
    assert job.active
    assert (job.iterations or 0) > 100


def test_a_loss_of_data_is_seen(simulated_pair: Pair, simulation: SimulatedCluster) -> None:
    spec = simulated_pair.boot("local")
    simulated_pair.source.destroy(spec.uuid)
    simulated_pair.source.remove_files(spec, ["local"])
    assert simulation.holders_of_newest(spec.uuid, "vda") == []
    simulated_pair.source.make_disks(spec, simulated_pair.images)
    simulated_pair.source.define_and_start(spec, "op", 2)
    assert len(simulation.losses) == 1


# --- copies and memory, under faults --------------------------------------------------------------------------------


def begin_copy(pair: Pair) -> InstanceSpec:
    spec = pair.boot("local")
    pair.source.destroy(spec.uuid)
    pair.fetch(spec, "vda")
    assert pair.copying(spec)
    return spec


def test_a_copy_whose_source_dies_fails_and_is_begun_again(simulated_pair: Pair, simulation: SimulatedCluster) -> None:
    spec = begin_copy(simulated_pair)
    simulation.kill_daemon("a")
    assert isinstance(simulated_pair.destination.copy_error(spec.uuid), HypervisorUnavailable)
    assert [d.exists for d in simulated_pair.destination.disks(spec)] == [False]
    simulation.start_daemon("a")
    simulated_pair.fetch(spec, "vda")
    simulated_pair.settle(lambda: not simulated_pair.copying(spec))
    assert simulated_pair.destination.copy_error(spec.uuid) is None


def test_a_copy_over_a_cut_link_only_waits(simulated_pair: Pair, simulation: SimulatedCluster, clock: Clock) -> None:
    spec = begin_copy(simulated_pair)
    with cut_for_long(simulation, clock):
        assert simulated_pair.copying(spec)
    simulated_pair.settle(lambda: not simulated_pair.copying(spec))
    assert simulated_pair.destination.copy_error(spec.uuid) is None


def test_a_copy_ends_with_the_agent_that_made_it(simulated_pair: Pair, simulation: SimulatedCluster) -> None:
    spec = begin_copy(simulated_pair)
    again = SimulatedHypervisor("b", simulation)
    assert again.copy_job(spec.uuid) is None
    assert simulation.copies == {}


def test_a_full_disk_ends_a_copy(simulated_pair: Pair, simulation: SimulatedCluster) -> None:
    spec = begin_copy(simulated_pair)
    pool = simulation.hosts["b"].pools["local"]
    pool.taken_bytes = pool.free_bytes
    simulated_pair.settle(lambda: not simulated_pair.copying(spec))
    assert isinstance(simulated_pair.destination.copy_error(spec.uuid), StorageError)
    assert [d.exists for d in simulated_pair.destination.disks(spec)] == [False]


def test_a_damaged_copy_has_another_checksum_and_running_on_it_is_a_loss(
    simulated_pair: Pair, simulation: SimulatedCluster
) -> None:
    spec = begin_copy(simulated_pair)
    simulated_pair.settle(lambda: not simulated_pair.copying(spec))
    simulation.storages["local-b"].disks[spec.uuid, "vda"].damage = "-flipped"
    source, destination = simulated_pair.source, simulated_pair.destination
    assert simulated_pair.sums(source, spec, "vda") != simulated_pair.sums(destination, spec, "vda")
    destination.define_and_start(spec, "op", 2)
    assert len(simulation.losses) == 1


def test_a_memory_that_is_used_twice_or_forgotten_is_seen(simulated_pair: Pair, simulation: SimulatedCluster) -> None:
    spec = simulated_pair.boot("local")
    simulated_pair.source.save_memory(spec)
    simulated_pair.source.delete_saved_memory(spec.uuid)
    simulated_pair.source.define_and_start(spec, "op", 2)
    assert ["without the memory" in loss for loss in simulation.losses] == [True]
    simulated_pair.source.save_memory(spec)
    simulated_pair.fetch(spec, "vda", "memory")
    simulated_pair.settle(lambda: not simulated_pair.copying(spec))
    simulated_pair.destination.define(spec, "op", 3)
    simulated_pair.destination.restore_memory(spec, "op", 3)
    assert len(simulation.losses) == 1
    simulated_pair.destination.destroy(spec.uuid)
    simulated_pair.source.restore_memory(spec, "op", 4)
    assert len(simulation.losses) > 1


def test_what_somebody_gave_up_is_no_loss(simulated_pair: Pair, simulation: SimulatedCluster) -> None:
    spec = begin_copy(simulated_pair)
    simulated_pair.settle(lambda: not simulated_pair.copying(spec))
    simulated_pair.destination.define_and_start(spec, "op", 2)
    assert simulation.holders_of_newest(spec.uuid, "vda") == ["local-b"]
    simulated_pair.destination.destroy(spec.uuid)
    simulation.settle_for(spec.uuid, "a")
    simulated_pair.source.define_and_start(spec, "op", 3)
    assert simulation.losses == []
