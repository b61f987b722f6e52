"""What every driver promises of a transfer that is steered while it lasts."""

from contextlib import suppress

import pytest

from migrator.errors import DriverError
from migrator.protocol import DomainState, InstanceSpec
from tests.contract.pair import POOLS, Pair


class SteeringContract:
    @staticmethod
    def crawling(pair: Pair, pool: str, *, post_copy: bool = False) -> InstanceSpec:
        """A guest on its way, at a bandwidth at which it does not arrive soon."""
        spec = pair.boot(pool)
        pair.prepare(spec)
        pair.begin(spec, pool, pair.slow_mib_s, post_copy=post_copy)
        pair.settle(lambda: pair.counted(spec))
        return spec

    @pytest.mark.parametrize("pool", POOLS)
    def test_a_limit_is_lifted_on_the_way(self, pair: Pair, pool: str) -> None:
        spec = self.crawling(pair, pool)
        pair.source.steer(spec.uuid, 1000, 0)
        pair.settle(lambda: pair.over(spec))
        assert pair.source.migration_error(spec.uuid) is None
        assert pair.destination.domain(spec.uuid).state is DomainState.RUNNING

    def test_what_is_not_on_its_way_is_not_steered(self, pair: Pair) -> None:
        spec = pair.boot("shared")
        with pytest.raises(DriverError):
            pair.source.force_completion(spec.uuid, post_copy=True)
        assert pair.source.domain(spec.uuid).state is DomainState.RUNNING

    def test_a_paused_guest_arrives_running(self, pair: Pair) -> None:
        spec = self.crawling(pair, "shared")
        pair.source.force_completion(spec.uuid, post_copy=False)
        pair.source.force_completion(spec.uuid, post_copy=False)
        assert pair.source.domain(spec.uuid).state is DomainState.PAUSED
        assert pair.destination.domain(spec.uuid).state is DomainState.INCOMING
        pair.source.steer(spec.uuid, None, 0)
        pair.settle(lambda: pair.over(spec))
        assert pair.destination.domain(spec.uuid).state is DomainState.RUNNING

    def test_a_paused_guest_that_is_not_moved_after_all_runs_on(self, pair: Pair) -> None:
        spec = self.crawling(pair, "shared")
        pair.source.force_completion(spec.uuid, post_copy=False)
        pair.source.abort_job(spec.uuid)
        pair.settle(lambda: pair.over(spec))
        pair.settle(lambda: pair.source.domain(spec.uuid).state is DomainState.RUNNING)
        pair.settle(lambda: pair.destination.domain(spec.uuid).state is DomainState.ABSENT)

    def test_after_post_copy_it_runs_there_and_there_is_no_way_back(self, pair: Pair) -> None:
        spec = self.crawling(pair, "shared", post_copy=True)
        pair.source.force_completion(spec.uuid, post_copy=True)
        pair.settle(lambda: pair.destination.domain(spec.uuid).state is DomainState.RUNNING)
        source = pair.source.domain(spec.uuid)
        # No limit slows a post-copy down: it may be over, and the source be gone, before an agent looks.
        assert (source.state, source.reason) in ((DomainState.PAUSED, "postcopy"), (DomainState.ABSENT, None))
        with suppress(DriverError):
            pair.source.abort_job(spec.uuid)
        assert pair.destination.domain(spec.uuid).state is DomainState.RUNNING
        pair.source.steer(spec.uuid, None, 0)
        pair.settle(lambda: pair.over(spec))
        assert pair.source.migration_error(spec.uuid) is None
        assert pair.destination.domain(spec.uuid).state is DomainState.RUNNING
