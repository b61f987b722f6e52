"""What every driver promises of measuring a guest before it is moved."""

import pytest

from migrator.errors import DomainNotFound, DriverError
from migrator.protocol import InstanceSpec, Measurement
from tests.contract.pair import Pair


class MeasuringContract:
    @staticmethod
    def counted(pair: Pair, spec: InstanceSpec) -> Measurement:
        found: list[Measurement] = []
        address = pair.destination.host_report().address

        def known() -> bool:
            answer = pair.source.measurement(spec.uuid, address)
            found.extend([answer] if answer is not None else [])
            return answer is not None

        pair.source.start_measuring(spec.uuid)
        pair.source.start_measuring(spec.uuid)  # while it goes on: no harm
        assert pair.source.measurement(spec.uuid, address) is None
        pair.settle(known)
        return found[0]

    def test_what_a_guest_writes_is_counted_each_time(self, pair: Pair) -> None:
        spec = pair.boot("shared")
        for _ in range(2):
            found = self.counted(pair, spec)
            assert found.message == ""
            assert found.dirty_mib_s is not None
            assert 0 <= found.dirty_mib_s <= spec.memory_mb
            assert 0 <= found.sample_resolution_mib_s <= 2
            assert found.memory_mib is not None
            assert 0 < found.memory_mib <= spec.memory_mb
            assert found.link_mib_s is None or found.link_mib_s > 0

    def test_what_does_not_run_is_not_measured(self, pair: Pair) -> None:
        spec = pair.spec("shared")
        with pytest.raises(DomainNotFound):
            pair.source.start_measuring(spec.uuid)
        spec = pair.boot("shared")
        pair.source.destroy(spec.uuid)
        with pytest.raises(DriverError):
            pair.source.start_measuring(spec.uuid)
