"""What every driver promises, as tests: one class, run against the simulated hypervisor and against real libvirt.

A driver's own test module subclasses ``DriverContract`` and gives the fixture ``pair``. The suite knows nothing of
time: it waits through ``pair.settle``. It uses no method that is not in ``compute/driver.py``.
"""

import pytest

from migrator.errors import DomainNotFound, DriverError, StorageError
from migrator.protocol import DomainState
from tests.contract.cold import ColdContract
from tests.contract.kept import KeptContract
from tests.contract.leftovers import LeftoversContract
from tests.contract.lending import LendingContract
from tests.contract.measuring import MeasuringContract
from tests.contract.moving import MovingContract
from tests.contract.pair import MOVE, OPERATION, POOLS, Pair, failed
from tests.contract.pausing import PausingContract
from tests.contract.proving import ProvingContract
from tests.contract.steering import SteeringContract
from tests.contract.surveying import SurveyingContract
from tests.contract.volumes import VolumesContract


class DriverContract(
    SteeringContract,
    PausingContract,
    MeasuringContract,
    MovingContract,
    ColdContract,
    KeptContract,
    LeftoversContract,
    LendingContract,
    SurveyingContract,
    ProvingContract,
    VolumesContract,
):
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
        pair.source.delete_saved_memory(spec.uuid)
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
        for live in (True, False):
            assert (spec.uuid, DomainState.RUNNING) in [(c.uuid, c.state) for c in pair.source.list_copies(live=live)]
        assert spec.uuid not in [c.uuid for c in pair.destination.list_copies()]

    def test_a_copy_is_listed_with_its_stamp_and_its_seal(self, pair: Pair) -> None:
        spec = pair.spec("local")
        pair.source.make_disks(spec, pair.images)
        pair.source.define(spec, OPERATION, 1, seal="sealed <&>")
        (copy,) = [copy for copy in pair.source.list_copies() if copy.uuid == spec.uuid]
        assert (copy.stamp_operation, copy.stamp_epoch, copy.seal) == (OPERATION, 1, "sealed <&>")
        pair.source.stamp(spec.uuid, MOVE, 7, "another")
        (copy,) = [copy for copy in pair.source.list_copies() if copy.uuid == spec.uuid]
        assert (copy.stamp_operation, copy.stamp_epoch, copy.seal) == (MOVE, 7, "another")

    def test_a_moved_guest_carries_the_seal_of_the_host_that_it_moved_to(self, pair: Pair) -> None:
        spec = pair.boot("shared")
        pair.prepare(spec)
        pair.begin(spec, "shared")
        pair.settle(lambda: pair.over(spec))
        (copy,) = [copy for copy in pair.destination.list_copies() if copy.uuid == spec.uuid]
        assert (copy.stamp_operation, copy.stamp_epoch, copy.seal) == (MOVE, 2, "seal-there")
        pair.destination.destroy(spec.uuid)  # it is in what is kept of it, too
        (copy,) = [copy for copy in pair.destination.list_copies() if copy.uuid == spec.uuid]
        assert copy.seal == "seal-there"

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
