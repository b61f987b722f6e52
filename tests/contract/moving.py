"""What every driver promises of live migrations: prepared, moved, watched, aborted, and no two of one guest at once."""

import pytest

from migrator.errors import DriverError
from migrator.protocol import DomainState
from tests.contract.pair import MOVE, OPERATION, POOLS, Pair, failed


class MovingContract:
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

    @pytest.mark.parametrize("pool", POOLS)
    def test_a_guest_that_arrived_is_kept_with_its_stamp_and_one_on_its_way_is_not(self, pair: Pair, pool: str) -> None:
        """It says where the guest lives when it stops before an agent has seen it run."""
        spec = pair.boot(pool)
        pair.prepare(spec)
        pair.begin(spec, pool, bandwidth_mib_s=pair.slow_mib_s)
        pair.settle(lambda: pair.destination.domain(spec.uuid).state is not DomainState.ABSENT)
        on_its_way = pair.destination.domain(spec.uuid)
        assert (on_its_way.state, on_its_way.arrived(MOVE)) == (DomainState.INCOMING, False)
        assert pair.source.domain(spec.uuid).persistent
        pair.settle(lambda: pair.counted(spec))  # a limit that is lifted before libvirt sets it is none that is lifted
        pair.source.steer(spec.uuid, None, 0)
        pair.settle(lambda: not pair.source.migration_running(spec.uuid))
        pair.destination.destroy(spec.uuid)
        there = pair.destination.domain(spec.uuid)
        assert (there.state, there.persistent) == (DomainState.SHUT_OFF, True)
        assert (there.stamp_operation, there.stamp_epoch) == (MOVE, 2)
        assert there.arrived(MOVE)
        assert not there.arrived(OPERATION)

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
