"""The driver's contract, the part that only looks around: what is told before anything is moved."""

from migrator.compute.use_counters import HostCounters
from migrator.protocol import GuestCpu
from tests.contract.pair import Pair


class SurveyingContract:
    def test_a_live_guest_is_described_as_for_its_move(self, pair: Pair) -> None:
        spec = pair.boot("local")
        seen = pair.source.live_guests()[spec.uuid]
        told = pair.source.describe_guest(spec)
        about_disks: dict[str, object] = {"disks": (), "storage": {}}
        assert seen == told.model_copy(update=about_disks)
        assert seen.machine
        assert spec.uuid not in pair.destination.live_guests()
        assert pair.source.memory_allocated_mb() >= spec.memory_mb
        foreign = pair.source.host_report().foreign_memory_mb  # the guest itself is ours
        assert foreign <= pair.source.memory_allocated_mb() - spec.memory_mb
        pair.source.destroy(spec.uuid)
        assert spec.uuid not in pair.source.live_guests()

    def test_the_guests_cpu_runs_on_its_own_host_and_one_from_nowhere_on_none(self, pair: Pair) -> None:
        spec = pair.boot("local")
        seen = pair.source.live_guests()[spec.uuid]
        assert seen.cpu_xml is not None
        cpu = GuestCpu(xml=seen.cpu_xml, machine=seen.machine, arch=seen.arch)
        for driver in (pair.source, pair.destination):
            assert driver.check_cpu(cpu).ok
            other = driver.check_cpu(cpu.model_copy(update={"xml": "<cpu><model>Skylake-Server</model></cpu>"}))
            assert (other.name, other.ok) == ("cpu", False)
            assert other.found
            assert other.advice

    def test_a_host_tells_which_cpus_it_can_give(self, pair: Pair) -> None:
        found = pair.source.host_cpu()
        assert found.models
        assert found.xml.startswith("<cpu>")
        assert found == pair.destination.host_cpu(), "both are this machine"

    def test_what_a_host_and_its_guests_use_is_counted(self, pair: Pair) -> None:
        spec = pair.boot("local")
        first = self._use(pair)
        guest = (first.guests or {})[spec.uuid]
        assert 0 < guest.memory_mb <= first.memory_mb
        assert min(guest.busy_s, guest.waited_s, first.busy_s) >= 0
        second = self._use(pair)
        assert (second.guests or {})[spec.uuid].busy_s >= guest.busy_s
        assert second.busy_s >= first.busy_s
        pair.source.destroy(spec.uuid)
        assert spec.uuid not in (self._use(pair).guests or {})

    def _use(self, pair: Pair) -> HostCounters:
        """With its guests: an emulator may be slow to answer."""
        found: list[HostCounters] = []

        def told() -> bool:
            found.append(pair.source.use())
            return found[-1].guests is not None

        pair.settle(told)
        return found[-1]

    def test_each_host_reaches_the_others_migration_uri(self, pair: Pair) -> None:
        one, other = pair.source.host_report(), pair.destination.host_report()
        assert pair.source.reach(other.live_migration_uri) is None
        assert pair.destination.reach(one.live_migration_uri) is None
        assert pair.source.reach(other.live_migration_uri.replace(other.address, "127.77.77.77"))
