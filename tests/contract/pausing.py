"""What every driver promises of a guest whose CPUs are stopped, and of its move. See ``suite.py``."""

import pytest

from migrator.errors import DomainNotFound, DriverError
from migrator.protocol import PAUSE_REASON_USER, DomainFact, DomainState
from tests.contract.pair import MOVE, Pair, failed


def paused(fact: DomainFact) -> bool:
    return (fact.state, fact.reason) == (DomainState.PAUSED, PAUSE_REASON_USER)


class PausingContract:
    def test_a_guest_is_paused_and_goes_on(self, pair: Pair) -> None:
        spec = pair.boot("local")
        for _ in range(2):
            pair.source.pause(spec.uuid)
            assert paused(pair.source.domain(spec.uuid))
        for _ in range(2):
            pair.source.unpause(spec.uuid)
            assert pair.source.domain(spec.uuid).state is DomainState.RUNNING
        pair.source.destroy(spec.uuid)
        with pytest.raises(DriverError):
            pair.source.pause(spec.uuid)
        with pytest.raises(DriverError):
            pair.source.unpause(spec.uuid)
        assert pair.source.domain(spec.uuid).state is DomainState.SHUT_OFF
        with pytest.raises(DomainNotFound):
            pair.destination.pause(spec.uuid)
        with pytest.raises(DomainNotFound):
            pair.destination.unpause(spec.uuid)

    @pytest.mark.parametrize("pool", ["shared", "local"])
    def test_a_paused_guest_moves_and_stays_paused(self, pair: Pair, pool: str) -> None:
        spec = pair.boot(pool)
        pair.source.pause(spec.uuid)
        assert failed(pair.source.check_source(spec)) == {}
        pair.prepare(spec)
        pair.begin(spec, pool)
        seen = []

        def over() -> bool:
            seen.append((pair.source.domain(spec.uuid), pair.destination.domain(spec.uuid)))
            return pair.over(spec)

        pair.settle(over)
        assert pair.source.migration_error(spec.uuid) is None
        assert pair.source.domain(spec.uuid).state in (DomainState.ABSENT, DomainState.SHUT_OFF)
        arrived = pair.destination.domain(spec.uuid)
        assert paused(arrived)
        assert (arrived.stamp_operation, arrived.stamp_epoch) == (MOVE, 2)
        assert not any(DomainState.RUNNING in (here.state, there.state) for here, there in seen)
        # Only a whole copy ever says at the destination that a user paused it.
        assert not any(paused(there) and here.state is DomainState.PAUSED and not paused(here) for here, there in seen)
        pair.destination.unpause(spec.uuid)
        assert pair.destination.domain(spec.uuid).state is DomainState.RUNNING

    def test_a_paused_guest_whose_transfer_is_aborted_stays_where_it_is_and_paused(self, pair: Pair) -> None:
        spec = pair.boot("shared")
        pair.source.pause(spec.uuid)
        pair.prepare(spec)
        pair.begin(spec, "shared", pair.slow_mib_s)
        pair.settle(lambda: pair.active(spec) and pair.destination.domain(spec.uuid).state is DomainState.INCOMING)
        assert paused(pair.source.domain(spec.uuid))
        with pytest.raises(DriverError):
            pair.destination.unpause(spec.uuid)
        pair.source.abort_job(spec.uuid)
        pair.settle(lambda: pair.over(spec))
        pair.settle(lambda: pair.destination.domain(spec.uuid).state is DomainState.ABSENT)
        assert paused(pair.source.domain(spec.uuid))
        pair.source.unpause(spec.uuid)
        assert pair.source.domain(spec.uuid).state is DomainState.RUNNING

    def test_a_guest_on_the_move_is_not_paused(self, pair: Pair) -> None:
        """A guest that is paused during its move would run on where it arrives."""
        spec = pair.boot("shared")
        pair.prepare(spec)
        pair.begin(spec, "shared", pair.slow_mib_s)
        pair.settle(lambda: pair.active(spec))
        with pytest.raises(DriverError):
            pair.source.pause(spec.uuid)
        pair.source.abort_job(spec.uuid)
        pair.settle(lambda: pair.over(spec))
