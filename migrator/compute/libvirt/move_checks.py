"""The real driver's part that describes a guest before it moves, and checks both hosts for it.

Owns what libvirt is asked for that; ``compatibility`` compares, and has the words. Changes nothing.
"""

from collections.abc import Sequence
from typing import Any

from migrator.compute import compatibility
from migrator.compute.libvirt.bindings import connections, domains, hosts, jobs
from migrator.compute.libvirt.domain_facts import LibvirtDomainFacts
from migrator.compute.libvirt.survey import LibvirtSurvey
from migrator.compute.libvirt.xml import capabilities as capabilities_xml
from migrator.compute.libvirt.xml import guest as guest_xml
from migrator.compute.network.bridges import host_bridges
from migrator.compute.network.host_addresses import host_addresses
from migrator.protocol import CheckResult, DomainState, GuestCpu, GuestDescription, InstanceSpec


def _bridges(connection: Any) -> dict[str, str]:
    return host_bridges(connection.getLibVersion())


class LibvirtMoveChecks(LibvirtSurvey, LibvirtDomainFacts):
    def describe_guest(self, spec: InstanceSpec) -> GuestDescription:
        def read(connection: Any) -> tuple[guest_xml.GuestFacts, tuple[str, ...], int, bool]:
            domain = connection.lookupByUUIDString(spec.uuid)
            saved = None if domain.isActive() else self._memory.find(spec.uuid)
            if saved is None:
                xml, off = domains.migratable_xml(domain), not domain.isActive()
            else:
                xml, off = domains.saved_xml(connection, str(saved)), False
            facts = guest_xml.read_guest(xml, connection.getCapabilities(), off=off)
            return facts, guest_xml.read_listens(xml), connection.getVersion(), saved is not None

        facts, listens, version, saved = self._control.call(read)
        disks = self._disks.facts(spec)
        return GuestDescription(
            cpu_xml=facts.cpu_xml,
            machine=facts.machine,
            arch=facts.arch,
            memory_mb=facts.memory_mb,
            vcpus=facts.vcpus,
            disks=(*disks, self._disks.memory_fact(spec)) if saved else tuple(disks),
            storage=self._disks.identities(),
            hypervisor_version=version,
            devices=facts.passed_through,
            listens=listens,
        )

    def check_source(self, spec: InstanceSpec, *, live: bool = True) -> Sequence[CheckResult]:
        def read(connection: Any) -> Sequence[CheckResult]:
            with connections.ignore_missing_domain():
                domain = connection.lookupByUUIDString(spec.uuid)
                xml = domain.XMLDesc(0)
                state, reason = self._state(domain)
                return compatibility.source(
                    state,
                    reason=reason,
                    job_active=jobs.active_job(domain) is not None,
                    passed_through=guest_xml.read_guest(xml).passed_through,
                    live=live,
                    unknown_disks=self._disks.unknown_disks(spec, guest_xml.read_disks(xml)),
                    asleep=bool(domain.hasManagedSaveImage()),
                )
            return compatibility.source(DomainState.ABSENT, job_active=False, passed_through=(), live=live)

        return self._control.call(read)

    def check_destination(
        self, spec: InstanceSpec, guest: GuestDescription, block: bool | None, *, over_commit: bool = False
    ) -> Sequence[CheckResult]:
        settings, own = self._settings, self._disks.identities()
        machines = self._control.call(lambda c: capabilities_xml.read_machines(c.getCapabilities(), guest.arch))
        total_mb = self._control.call(hosts.memory_mb)

        def guest_itself(domain: Any) -> bool:
            return bool(domain.UUIDString() == spec.uuid)

        return [
            compatibility.domain(self.domain(spec.uuid).state),
            compatibility.memory(
                compatibility.memory_needed(spec, guest),
                total_mb=total_mb,
                reserved_mb=settings.reserved_host_memory_mb,
                used_mb=self._control.call(lambda c: hosts.memory_allocated_mb(c, besides=guest_itself)),
                ratio=settings.ram_allocation_ratio,
            ),
            self._check_cpu(guest),
            compatibility.machine_type(guest.machine, machines),
            compatibility.version(guest.hypervisor_version, self._control.call(lambda c: c.getVersion())),
            compatibility.console(guest.listens, host_addresses()),
            compatibility.network(spec, settings.networks, self._control.call(_bridges)),
            compatibility.storage(spec, guest, own, block),
            compatibility.volumes(spec, self.volumes([volume.source for volume in spec.volumes])),
            compatibility.disk(
                spec,
                guest,
                own,
                free_bytes=self._disks.free_bytes(),
                ratio=settings.disk_allocation_ratio,
                over_commit=over_commit,
            ),
            compatibility.leftover(spec, guest, own, [*self._disks.facts(spec), self._disks.memory_fact(spec)]),
        ]

    def _check_cpu(self, guest: GuestDescription) -> CheckResult:
        if guest.cpu_xml is None:
            return compatibility.cpu(True, "the guest names no CPU model")
        return self.check_cpu(GuestCpu(xml=guest.cpu_xml, machine=guest.machine, arch=guest.arch))
