"""The real driver's part that only looks around, so that a move can be judged before a client asks for it.

Owns what is asked of libvirt for that. It never changes anything, on this host or another.
"""

from collections.abc import Mapping
from typing import Any

from migrator.compute import compatibility
from migrator.compute.libvirt.bindings import connections, domains, hosts
from migrator.compute.libvirt.bindings.connection_pool import Reconnecting
from migrator.compute.libvirt.xml import capabilities as capabilities_xml
from migrator.compute.libvirt.xml import guest as guest_xml
from migrator.compute.network.host_addresses import host_addresses
from migrator.compute.network.port_check import probe_port
from migrator.errors import HypervisorUnavailable
from migrator.protocol import CheckResult, GuestCpu, GuestDescription, HostCpu
from migrator.settings import AgentSettings

_OPEN_S = 4.0


class LibvirtSurvey:
    _control: Reconnecting[Any]
    _settings: AgentSettings

    def live_guests(self) -> Mapping[str, GuestDescription]:
        def read(connection: Any) -> dict[str, GuestDescription]:
            capabilities, version, found = connection.getCapabilities(), connection.getVersion(), {}
            for domain, _ in domains.live(connection):
                with connections.ignore_missing_domain():
                    xml = domains.migratable_xml(domain)
                    found[domain.UUIDString()] = describe_guest(xml, capabilities, version)
            return found

        return self._control.call(read)

    def memory_allocated_mb(self) -> int:
        return self._control.call(lambda connection: hosts.memory_allocated_mb(connection))

    def host_cpu(self) -> HostCpu:
        virt_type = self._settings.virt_type
        capabilities = self._control.call(lambda connection: hosts.domain_capabilities(connection, virt_type))
        return capabilities_xml.read_offered_cpus(capabilities, virt_type)

    def check_cpu(self, cpu: GuestCpu) -> CheckResult:
        machines = self._control.call(lambda c: capabilities_xml.read_machines(c.getCapabilities(), cpu.arch))
        # A machine type that is not here has a refusal of its own and says nothing about the CPU.
        machine = cpu.machine if cpu.machine in machines else None
        where = (cpu.arch, machine, self._settings.virt_type)
        lacking = self._control.call(lambda connection: hosts.compare_cpu(connection, *where, cpu.xml))
        return compatibility.cpu(lacking is None, lacking or "this host has every feature of the guest's CPU")

    def reach(self, uri: str) -> str | None:
        try:
            uri = self._settings.peer_uri(uri)
        except ValueError as error:
            return str(error)
        if (message := probe_port(uri)) is not None:
            return message
        peer = connections.connect(uri, open_timeout_s=_OPEN_S)
        try:
            peer.open()
        except HypervisorUnavailable as error:
            return error.message
        finally:
            peer.close()
        return None

    def addresses(self) -> tuple[str, ...]:
        return host_addresses()


def describe_guest(xml: str, capabilities: str, version: int) -> GuestDescription:
    """A live guest as its domain's XML says; its disks are left out."""
    facts = guest_xml.read_guest(xml, capabilities)
    return GuestDescription(
        cpu_xml=facts.cpu_xml,
        machine=facts.machine,
        arch=facts.arch,
        memory_mb=facts.memory_mb,
        vcpus=facts.vcpus,
        hypervisor_version=version,
        devices=facts.passed_through,
        listens=guest_xml.read_listens(xml),
    )
