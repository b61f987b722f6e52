"""The simulated hypervisor's part that only looks around. See ``driver.py``."""

from collections.abc import Mapping

from migrator.compute import compatibility
from migrator.compute.simulated.connection import PROCESS, Connection, call
from migrator.compute.simulated.state import Domain
from migrator.compute.storage_driver import ConsoleLog
from migrator.compute.use_counters import GuestCounters, HostCounters
from migrator.protocol import CheckResult, GuestCpu, GuestDescription, HostCpu

VERSION = 7002000
_SCHEME = "simulated://"


class SimulatedSurvey(Connection):
    @call
    def live_guests(self) -> Mapping[str, GuestDescription]:
        live = {uuid: domain for uuid, domain in self.host.domains.items() if domain.state in PROCESS}
        return {uuid: self._described(domain) for uuid, domain in live.items()}

    @call
    def memory_allocated_mb(self) -> int:
        live = (domain for domain in self.host.domains.values() if domain.state in PROCESS)
        return self.host.foreign_memory_mb + sum(domain.spec.memory_mb for domain in live)

    @call
    def use(self) -> HostCounters:
        """A guest counts from the world's beginning on: its use since then is what its behaviour says now."""
        now, guests = self.simulation.clock(), {}
        for uuid, domain in self.host.domains.items():
            if domain.state in PROCESS:
                cpus = self.simulation.behaviour(uuid).cpus
                guests[uuid] = GuestCounters(now * cpus, 0.0, domain.spec.memory_mb)
        memory_mb = self.host.foreign_memory_mb + sum(guest.memory_mb for guest in guests.values())
        return HostCounters(sum(guest.busy_s for guest in guests.values()), memory_mb, guests)

    @call
    def host_cpu(self) -> HostCpu:
        return HostCpu(xml=self._cpu_xml(), models=(self.host.cpu_model,), virt_type="simulated")

    @call
    def check_cpu(self, cpu: GuestCpu) -> CheckResult:
        return compatibility.cpu(self.host.cpu_model in cpu.xml, f"this host's CPU is {self.host.cpu_model}")

    @call
    def reach(self, uri: str) -> str | None:
        peer = self.simulation.hosts.get(uri.removeprefix(_SCHEME))
        if peer is None:
            return f"unable to connect to server at {uri!r}"
        if not self.simulation.reachable(self.name, peer.name) or not peer.powered:
            return "No route to host"
        return None if peer.daemon_up else "Connection refused"

    @call
    def addresses(self) -> tuple[str, ...]:
        return self.host.addresses

    def console_logs(self) -> Mapping[str, ConsoleLog]:
        """Asks no hypervisor, as the real driver's does not: they are files."""
        with self.simulation.lock:
            return {uuid: ConsoleLog(1, len(log)) for uuid, log in self.host.consoles.items()}

    def read_console(self, uuid: str, start: int, most: int) -> bytes:
        with self.simulation.lock:
            return self.host.consoles.get(uuid, b"")[start : start + most]

    def _cpu_xml(self) -> str:
        return f"<cpu><model>{self.host.cpu_model}</model></cpu>"

    def _described(self, domain: Domain) -> GuestDescription:
        """Its disks are left out."""
        return GuestDescription(
            cpu_xml=self._cpu_xml(),
            machine=domain.machine,
            memory_mb=domain.spec.memory_mb,
            vcpus=domain.spec.vcpus,
            hypervisor_version=VERSION,
            devices=domain.devices,
            listens=domain.listens,
        )
