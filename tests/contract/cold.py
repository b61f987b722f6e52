"""What every driver promises about instances that do not run: their disks and memory, at rest and on their way."""

import pytest

from migrator.errors import DriverError, StorageError
from migrator.protocol import MEMORY, DomainState
from tests.contract.pair import GIB, MOVE, OPERATION, POOLS, Pair, failed


class ColdContract:
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
        pair.source.delete_saved_memory(spec.uuid)
        pair.source.delete_saved_memory(spec.uuid)
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
        assert spec.uuid not in [c.uuid for c in pair.source.list_copies(live=True)]
        pair.source.define(spec, MOVE, 2)
        pair.source.restore_memory(spec, MOVE, 2)
        found = pair.source.domain(spec.uuid)
        assert (found.state, found.stamp_operation, found.stamp_epoch) == (DomainState.RUNNING, MOVE, 2)
        pair.source.destroy(spec.uuid)
        assert pair.source.domain(spec.uuid).state is DomainState.SHUT_OFF  # it was used up
        with pytest.raises(DriverError):
            pair.source.restore_memory(spec, MOVE, 2)
