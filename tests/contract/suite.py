"""What every driver promises, as tests: one class, run against the simulated hypervisor and against real libvirt.

A driver's own test module subclasses ``DriverContract`` and gives the fixture ``pair``. The suite knows nothing of
time: it waits through ``pair.settle``. It uses no method that is not in ``compute/driver.py``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from migrator.compute.driver import Driver
from migrator.errors import DomainNotFound, DriverError, StorageError
from migrator.protocol import (
    MEMORY,
    CheckResult,
    CopiedInputs,
    DomainState,
    GuestDescription,
    InstanceSpec,
    MigratingInputs,
)

OPERATION = "0b6d5a4e-8f4b-4d0c-9a57-6f5f5c1f0001"
MOVE = "0b6d5a4e-8f4b-4d0c-9a57-6f5f5c1f0002"
POOLS = ("local", "shared")
GIB = 1024**3


@dataclass
class Pair:
    """Two hosts that reach each other, with a pool "local" each and one pool "shared".

    ``spec(pool)`` makes a new instance with one disk "vda" in that pool, from the image in ``images`` where it names
    one, that boots within a moment and stops when it is asked. ``settle`` waits until a predicate holds, or fails the
    test. ``slow_mib_s`` is a bandwidth at which that guest's transfer lasts for seconds.
    """

    source: Driver
    destination: Driver
    destination_name: str
    spec: Callable[[str], InstanceSpec]
    settle: Callable[[Callable[[], bool]], None]
    images: dict[str, Path] = field(default_factory=dict)
    slow_mib_s: int = 10

    def boot(self, pool: str) -> InstanceSpec:
        spec = self.spec(pool)
        self.source.make_disks(spec, self.images)
        self.source.define_and_start(spec, OPERATION, 1)
        self.settle(lambda: self.source.domain(spec.uuid).state is DomainState.RUNNING)
        return spec

    def prepare(self, spec: InstanceSpec) -> GuestDescription:
        guest = self.source.describe_guest(spec)
        self.destination.make_target_disks(spec, guest, self.images)
        return guest

    def begin(self, spec: InstanceSpec, pool: str, bandwidth_mib_s: int = 0) -> None:
        report = self.destination.host_report()
        inputs = MigratingInputs(
            destination_host=self.destination_name,
            destination_address=report.address,
            uri=report.live_migration_uri,
            copy_disks=("vda",) if pool == "local" else (),
            destination_disks=tuple(self.destination.disks(spec)),
            bandwidth_mib_s=bandwidth_mib_s,
        )
        self.source.stamp(spec.uuid, MOVE, 2)
        self.source.start_migration(spec, MOVE, 2, inputs)

    def fetch(self, spec: InstanceSpec, *targets: str) -> None:
        """Offer these files of a guest that does not run, and begin to copy them."""
        guest = self.source.describe_guest(spec)
        self.source.offer(spec, targets)
        uri = self.source.host_report().live_migration_uri
        inputs = CopiedInputs(guest=guest, source_uri=uri, copy_disks=targets)
        self.destination.start_copy(spec, inputs, self.images)
        self.destination.start_copy(spec, inputs, self.images)

    def copying(self, spec: InstanceSpec) -> bool:
        job = self.destination.copy_job(spec.uuid)
        return job is not None and job.active

    def sums(self, driver: Driver, spec: InstanceSpec, *targets: str) -> Mapping[str, str]:
        known: list[Mapping[str, str]] = []

        def done() -> bool:
            found = driver.checksums(spec, targets)
            known.extend([found] if found is not None else [])
            return bool(known)

        self.settle(done)
        return known[0]

    def active(self, spec: InstanceSpec) -> bool:
        job = self.source.job(spec.uuid)
        return job is not None and job.active

    def over(self, spec: InstanceSpec) -> bool:
        return not self.source.migration_running(spec.uuid) and not self.active(spec)


def failed(checks: Sequence[CheckResult]) -> dict[str, str]:
    return {check.name: check.found for check in checks if not check.ok}


class DriverContract:
    @pytest.fixture
    def pair(self) -> Pair:
        raise NotImplementedError("each driver's module gives its own pair of hosts")

    # --- the host ---

    def test_the_report_tells_shared_storage_from_local(self, pair: Pair) -> None:
        one, other = pair.source.host_report(), pair.destination.host_report()
        assert one.storage["shared"].identity == other.storage["shared"].identity
        assert one.storage["local"].identity != other.storage["local"].identity
        assert one.vcpus > 0
        assert one.memory_mb > 0
        assert one.machine_types
        assert one.live_migration_uri != other.live_migration_uri

    # --- absence ---

    def test_nothing_is_there_and_nothing_is_harmed(self, pair: Pair) -> None:
        spec = pair.spec("local")
        assert pair.source.domain(spec.uuid).state is DomainState.ABSENT
        assert pair.source.job(spec.uuid) is None
        assert pair.source.migration_error(spec.uuid) is None
        assert not pair.source.migration_running(spec.uuid)
        assert pair.source.copy_job(spec.uuid) is None
        assert pair.source.copy_error(spec.uuid) is None
        assert pair.source.stop_copy(spec.uuid)
        pair.source.withdraw(spec.uuid)
        pair.source.drop_memory(spec.uuid)
        pair.source.shut_down(spec.uuid)
        pair.source.destroy(spec.uuid)
        pair.source.undefine(spec.uuid)
        pair.source.abort_job(spec.uuid)
        pair.source.remove_files(spec, POOLS)
        assert [disk.exists for disk in pair.source.disks(spec)] == [False]

    def test_what_needs_a_domain_says_so(self, pair: Pair) -> None:
        spec = pair.spec("local")
        with pytest.raises(DomainNotFound):
            pair.source.stamp(spec.uuid, OPERATION, 1)
        with pytest.raises(DomainNotFound):
            pair.source.describe_guest(spec)
        assert "domain" in failed(pair.source.check_source(spec))

    # --- disks ---

    @pytest.mark.parametrize("pool", POOLS)
    def test_disks_are_made_once_and_removed_where_named(self, pair: Pair, pool: str) -> None:
        spec = pair.spec(pool)
        pair.source.make_disks(spec, pair.images)
        (first,) = pair.source.disks(spec)
        assert first.exists
        assert first.pool == pool
        assert first.virtual_bytes > 0
        pair.source.make_disks(spec, pair.images)
        assert [d.virtual_bytes for d in pair.source.disks(spec)] == [first.virtual_bytes]
        pair.source.remove_files(spec, [name for name in POOLS if name != pool])
        assert [d.exists for d in pair.source.disks(spec)] == [True]
        pair.source.remove_files(spec, [pool])
        assert [d.exists for d in pair.source.disks(spec)] == [False]

    @pytest.mark.parametrize("pool", POOLS)
    def test_a_disk_is_seen_from_the_other_host_only_on_shared_storage(self, pair: Pair, pool: str) -> None:
        spec = pair.spec(pool)
        pair.source.make_disks(spec, pair.images)
        assert [d.exists for d in pair.destination.disks(spec)] == [pool == "shared"]

    def test_a_pool_whose_storage_is_to_be_kept_is_kept(self, pair: Pair) -> None:
        spec = pair.spec("local")
        pair.source.make_disks(spec, pair.images)
        identities = {name: pool.identity for name, pool in pair.source.host_report().storage.items()}
        pair.source.remove_files(spec, POOLS, [identities["local"]])
        assert [d.exists for d in pair.source.disks(spec)] == [True]
        pair.source.remove_files(spec, POOLS, [identities["shared"]])
        assert [d.exists for d in pair.source.disks(spec)] == [False]

    def test_disks_grow_and_never_shrink(self, pair: Pair) -> None:
        spec = pair.spec("local")
        pair.source.make_disks(spec, pair.images)
        (before,) = pair.source.disks(spec)
        disk = spec.disks[0].model_copy(update={"size_gb": before.virtual_bytes // GIB + 1})
        for wanted in (spec.model_copy(update={"disks": (disk,)}), spec):
            pair.source.grow_disks(wanted)
            assert [d.virtual_bytes for d in pair.source.disks(spec)] == [disk.size_gb * GIB]

    # --- to another host, without running ---

    def test_disks_and_memory_travel_and_are_what_they_were(self, pair: Pair) -> None:
        spec = pair.boot("local")
        pair.source.save_memory(spec)
        targets = ("vda", MEMORY)
        assert [d.target for d in pair.source.describe_guest(spec).disks] == list(targets)
        pair.fetch(spec, *targets)
        pair.settle(lambda: not pair.copying(spec))
        assert pair.destination.copy_error(spec.uuid) is None
        job = pair.destination.copy_job(spec.uuid)
        assert job is not None
        assert job.disk_remaining_bytes == 0
        assert job.disk_processed_bytes == job.disk_total_bytes > 0
        there = pair.sums(pair.source, spec, *targets)
        assert set(there) == set(targets)
        assert pair.sums(pair.destination, spec, *targets) == there
        pair.source.withdraw(spec.uuid)
        pair.source.withdraw(spec.uuid)
        pair.source.drop_memory(spec.uuid)
        pair.source.drop_memory(spec.uuid)
        assert pair.source.domain(spec.uuid).state is DomainState.SHUT_OFF
        pair.destination.define(spec, MOVE, 2)
        assert pair.destination.domain(spec.uuid).state is DomainState.SAVED
        pair.destination.restore_memory(spec, MOVE, 2)
        assert pair.destination.domain(spec.uuid).state is DomainState.RUNNING

    def test_a_copy_that_is_stopped_leaves_nothing(self, pair: Pair) -> None:
        spec = pair.boot("local")
        pair.source.destroy(spec.uuid)
        pair.fetch(spec, "vda")
        pair.settle(lambda: pair.destination.stop_copy(spec.uuid))
        assert not pair.copying(spec)
        pair.destination.remove_files(spec, ["local"])
        assert [d.exists for d in pair.destination.disks(spec)] == [False]
        pair.fetch(spec, "vda")
        pair.settle(lambda: not pair.copying(spec))
        assert pair.destination.copy_error(spec.uuid) is None
        assert [d.exists for d in pair.destination.disks(spec)] == [True]

    def test_a_file_that_is_missing_has_no_checksum(self, pair: Pair) -> None:
        spec = pair.spec("local")
        with pytest.raises(StorageError):
            pair.source.checksums(spec, ["vda"])

    def test_what_may_leave_its_host_without_running(self, pair: Pair) -> None:
        spec = pair.boot("local")
        assert failed(pair.source.check_source(spec, live=False)) == {}
        pair.source.destroy(spec.uuid)
        assert failed(pair.source.check_source(spec, live=False)) == {}
        assert "domain" in failed(pair.source.check_source(spec))
        assert "domain" in failed(pair.destination.check_source(spec, live=False))

    def test_a_pool_that_the_host_lacks_is_an_error(self, pair: Pair) -> None:
        spec = pair.spec("local")
        elsewhere = spec.disks[0].model_copy(update={"pool": "no-such-pool"})
        with pytest.raises(StorageError):
            pair.source.make_disks(spec.model_copy(update={"disks": (elsewhere,)}), pair.images)

    # --- life ---

    def test_a_domain_runs_with_its_stamp_and_starting_it_again_changes_nothing(self, pair: Pair) -> None:
        spec = pair.boot("local")
        pair.source.define_and_start(spec, OPERATION, 1)
        found = pair.source.domain(spec.uuid)
        assert (found.state, found.stamp_operation, found.stamp_epoch) == (DomainState.RUNNING, OPERATION, 1)
        pair.source.stamp(spec.uuid, MOVE, 7)
        found = pair.source.domain(spec.uuid)
        assert (found.stamp_operation, found.stamp_epoch) == (MOVE, 7)
        assert (spec.uuid, DomainState.RUNNING) in [(c.uuid, c.state) for c in pair.source.list_copies()]
        assert spec.uuid not in [c.uuid for c in pair.destination.list_copies()]

    def test_a_domain_without_its_disk_does_not_start(self, pair: Pair) -> None:
        spec = pair.spec("local")
        with pytest.raises(DriverError):
            pair.source.define_and_start(spec, OPERATION, 1)
        assert pair.source.domain(spec.uuid).state is not DomainState.RUNNING

    def test_a_guest_that_is_asked_stops_and_starts_again(self, pair: Pair) -> None:
        spec = pair.boot("local")

        def stopped() -> bool:
            pair.source.shut_down(spec.uuid)  # one that is still booting does not hear
            return pair.source.domain(spec.uuid).state is DomainState.SHUT_OFF

        pair.settle(stopped)
        pair.source.define_and_start(spec, OPERATION, 2)
        pair.settle(lambda: pair.source.domain(spec.uuid).state is DomainState.RUNNING)
        assert pair.source.domain(spec.uuid).stamp_epoch == 2

    def test_power_is_cut_and_the_domain_forgotten(self, pair: Pair) -> None:
        spec = pair.boot("local")
        with pytest.raises(DriverError):
            pair.source.undefine(spec.uuid)
        pair.source.destroy(spec.uuid)
        pair.source.destroy(spec.uuid)
        found = pair.source.domain(spec.uuid)
        assert (found.state, found.reason) == (DomainState.SHUT_OFF, "destroyed")
        pair.source.undefine(spec.uuid)
        pair.source.undefine(spec.uuid)
        assert pair.source.domain(spec.uuid).state is DomainState.ABSENT
        assert [disk.exists for disk in pair.source.disks(spec)] == [True]

    def test_a_domain_is_defined_without_being_started(self, pair: Pair) -> None:
        spec = pair.spec("local")
        pair.source.make_disks(spec, pair.images)
        pair.source.define(spec, OPERATION, 1)
        found = pair.source.domain(spec.uuid)
        assert (found.state, found.stamp_operation, found.stamp_epoch) == (DomainState.SHUT_OFF, OPERATION, 1)
        pair.source.define(spec, MOVE, 2)
        found = pair.source.domain(spec.uuid)
        assert (found.state, found.stamp_operation, found.stamp_epoch) == (DomainState.SHUT_OFF, MOVE, 2)

    def test_a_suspended_guest_goes_on_from_its_memory(self, pair: Pair) -> None:
        spec = pair.boot("local")
        pair.source.save_memory(spec)
        assert pair.source.domain(spec.uuid).state is DomainState.SAVED
        assert (spec.uuid, DomainState.SAVED) in [(c.uuid, c.state) for c in pair.source.list_copies()]
        pair.source.define(spec, MOVE, 2)
        pair.source.restore_memory(spec, MOVE, 2)
        found = pair.source.domain(spec.uuid)
        assert (found.state, found.stamp_operation, found.stamp_epoch) == (DomainState.RUNNING, MOVE, 2)
        pair.source.destroy(spec.uuid)
        assert pair.source.domain(spec.uuid).state is DomainState.SHUT_OFF  # it was used up
        with pytest.raises(DriverError):
            pair.source.restore_memory(spec, MOVE, 2)

    # --- checks ---

    @pytest.mark.parametrize("pool", POOLS)
    def test_a_fit_pair_passes_every_check(self, pair: Pair, pool: str) -> None:
        spec = pair.boot(pool)
        guest = pair.source.describe_guest(spec)
        assert guest.memory_mb == spec.memory_mb
        assert [disk.target for disk in guest.disks] == ["vda"]
        assert failed(pair.source.check_source(spec)) == {}
        checks = pair.destination.check_destination(spec, guest, None)
        assert failed(checks) == {}
        assert {c.name for c in checks} >= {"cpu", "memory", "disk", "machine_type", "storage", "domain"}

    @pytest.mark.parametrize(("pool", "block"), [("local", False), ("shared", True)])
    def test_a_request_that_contradicts_the_storage_is_refused(self, pair: Pair, pool: str, block: bool) -> None:
        spec = pair.boot(pool)
        guest = pair.source.describe_guest(spec)
        assert "storage" in failed(pair.destination.check_destination(spec, guest, block))
        assert failed(pair.destination.check_destination(spec, guest, not block)) == {}

    def test_every_reason_is_named_at_once(self, pair: Pair) -> None:
        spec = pair.boot("local")
        guest = pair.source.describe_guest(spec).model_copy(update={"machine": "pc-i440fx-99.9"})
        huge = spec.model_copy(update={"memory_mb": 512 * 1024 * 1024})
        assert set(failed(pair.destination.check_destination(huge, guest, None))) >= {"memory", "machine_type"}

    def test_the_host_where_it_runs_is_no_destination(self, pair: Pair) -> None:
        spec = pair.boot("shared")
        guest = pair.source.describe_guest(spec)
        assert "domain" in failed(pair.source.check_destination(spec, guest, None))

    # --- moving ---

    @pytest.mark.parametrize("pool", POOLS)
    def test_target_disks_are_as_large_as_the_sources(self, pair: Pair, pool: str) -> None:
        spec = pair.boot(pool)
        guest = pair.prepare(spec)
        (made,) = pair.destination.disks(spec)
        assert made.exists
        assert made.virtual_bytes == guest.disks[0].virtual_bytes
        pair.prepare(spec)
        assert list(pair.destination.disks(spec)) == [made] or pool == "shared"

    @pytest.mark.parametrize("pool", POOLS)
    def test_a_guest_moves_and_its_downtime_is_measured(self, pair: Pair, pool: str) -> None:
        spec = pair.boot(pool)
        pair.prepare(spec)
        pair.begin(spec, pool)
        pair.settle(lambda: pair.over(spec))
        assert pair.source.migration_error(spec.uuid) is None
        found = pair.source.domain(spec.uuid)
        assert found.state is DomainState.ABSENT or (found.state, found.reason) == (DomainState.SHUT_OFF, "migrated")
        arrived = pair.destination.domain(spec.uuid)
        assert (arrived.state, arrived.stamp_operation, arrived.stamp_epoch) == (DomainState.RUNNING, MOVE, 2)
        job = pair.destination.job(spec.uuid)
        assert job is not None
        assert not job.active
        assert job.downtime_ms is not None
        assert job.downtime_ms > 0
        assert [disk.exists for disk in pair.destination.disks(spec)] == [True]

    def test_a_moved_guest_can_be_stopped_started_and_moved_no_more_than_once(self, pair: Pair) -> None:
        spec = pair.boot("shared")
        pair.prepare(spec)
        pair.begin(spec, "shared")
        pair.settle(lambda: pair.over(spec))
        pair.destination.destroy(spec.uuid)
        assert pair.destination.domain(spec.uuid).state is DomainState.SHUT_OFF  # it is kept there
        pair.destination.define_and_start(spec, OPERATION, 3)
        pair.settle(lambda: pair.destination.domain(spec.uuid).state is DomainState.RUNNING)
        assert "domain" in failed(pair.source.check_source(spec))

    def test_a_transfer_is_watched_and_aborted(self, pair: Pair) -> None:
        spec = pair.boot("shared")
        pair.prepare(spec)
        pair.begin(spec, "shared", pair.slow_mib_s)
        pair.settle(lambda: pair.active(spec))
        assert pair.source.migration_running(spec.uuid)
        assert "job" in failed(pair.source.check_source(spec))
        pair.settle(lambda: pair.destination.domain(spec.uuid).state is DomainState.INCOMING)

        def counted() -> bool:
            job = pair.source.job(spec.uuid)  # a job is active before its memory has been counted
            return job is not None and job.memory_total_bytes > 0

        pair.settle(counted)
        pair.source.abort_job(spec.uuid)
        pair.settle(lambda: pair.over(spec))
        pair.source.abort_job(spec.uuid)
        assert pair.source.migration_error(spec.uuid) is not None
        assert pair.source.domain(spec.uuid).state is DomainState.RUNNING
        pair.settle(lambda: pair.destination.domain(spec.uuid).state is DomainState.ABSENT)

    def test_a_second_transfer_beside_the_first_is_refused(self, pair: Pair) -> None:
        spec = pair.boot("shared")
        pair.prepare(spec)
        pair.begin(spec, "shared", pair.slow_mib_s)
        pair.settle(lambda: pair.active(spec))
        with pytest.raises(DriverError):
            pair.begin(spec, "shared", pair.slow_mib_s)
        pair.source.abort_job(spec.uuid)
        pair.settle(lambda: pair.over(spec))

    def test_a_disk_in_use_elsewhere_stops_a_second_copy(self, pair: Pair) -> None:
        """The image's lock: the last guard against running twice."""
        spec = pair.boot("shared")
        with pytest.raises(DriverError):
            pair.destination.define_and_start(spec, OPERATION, 1)
        assert pair.destination.domain(spec.uuid).state is not DomainState.RUNNING
        assert pair.source.domain(spec.uuid).state is DomainState.RUNNING
