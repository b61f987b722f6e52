"""The real driver's part that says which host this is, and what it has.

Owns how libvirt's words and the settings become a ``HostReport``. Changes nothing.
"""

from pathlib import Path
from typing import Any

from migrator.compute.libvirt import guests_service, tls
from migrator.compute.libvirt.bindings import domains, hosts
from migrator.compute.libvirt.bindings.connection_pool import Reconnecting
from migrator.compute.libvirt.xml import capabilities as capabilities_xml
from migrator.compute.machine import machine_of
from migrator.compute.network.addresses import address_towards, bracketed
from migrator.compute.network.bridges import host_bridges
from migrator.compute.storage.file_driver import HostFiles
from migrator.compute.storage.kept_disks import kept_gb
from migrator.protocol import HostReport
from migrator.settings import AgentSettings


class LibvirtHostReport(HostFiles):
    """``_control``: a connection for short calls."""

    _control: Reconnecting[Any]
    _settings: AgentSettings

    def machine(self) -> str:
        capabilities = self._control.call(lambda connection: connection.getCapabilities())
        return machine_of(capabilities_xml.read_host_uuid(capabilities), _machine_id())

    def host_report(self) -> HostReport:
        connection = self._control
        capabilities = connection.call(lambda c: c.getCapabilities())
        arch, _, vcpus, *_ = connection.call(lambda c: c.getInfo())
        model, vendor, features, topology = capabilities_xml.read_host_cpu(capabilities)
        settings = self._settings
        address = settings.live_migration_inbound_addr or address_towards(settings.server_url)
        return HostReport(
            hypervisor_version=connection.call(lambda c: c.getVersion()),
            arch=arch,
            cpu_model=model,
            cpu_vendor=vendor,
            cpu_features=features,
            cpu_topology=topology,
            machine_types=capabilities_xml.read_machines(capabilities, arch),
            vcpus=vcpus,
            memory_mb=connection.call(hosts.memory_mb),
            reserved_host_memory_mb=settings.reserved_host_memory_mb,
            foreign_memory_mb=connection.call(_foreign_memory_mb),
            kept_disks_gb=kept_gb(self.kept_disks()),
            cpu_allocation_ratio=settings.cpu_allocation_ratio,
            ram_allocation_ratio=settings.ram_allocation_ratio,
            disk_allocation_ratio=settings.disk_allocation_ratio,
            storage=self._disks.pool_reports(),
            default_pool=settings.default_pool,
            address=address,
            live_migration_uri=settings.migration_uri(bracketed(address)),
            networks=tuple(settings.networks),
            bridges=host_bridges(connection.call(lambda c: c.getLibVersion())),
            tls=tls.report(address) if settings.live_migration_with_native_tls else None,
            warnings=guests_service.warnings(),
        )


def _machine_id() -> str:
    """The installation's id; "" where there is none."""
    try:
        return Path("/etc/machine-id").read_text().strip()
    except OSError:
        return ""


def _foreign_memory_mb(connection: Any) -> int:
    """Of migrator's own domains the server keeps account by claims."""
    return hosts.memory_allocated_mb(connection, besides=domains.is_ours)
