"""The real driver: libvirt and QEMU.

Owns the order of libvirt's calls (``bindings``) that keeps what ``driver.py`` promises. What lasts has its own
connection: a control call on the same one would hang until it ends. It never decides what should happen to an
instance, and never looks at files (``storage/file_driver.py``) or XML (``xml``) itself.
"""

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from migrator.compute import compatibility
from migrator.compute.libvirt import guests_service, tls
from migrator.compute.libvirt.bindings import connections, domains, hosts, jobs, pools
from migrator.compute.libvirt.dirty_rate import LibvirtMeasuring
from migrator.compute.libvirt.migration import LibvirtMoves
from migrator.compute.libvirt.migration_thread import Transfer
from migrator.compute.libvirt.remote_volumes import OfferedFiles
from migrator.compute.libvirt.survey import LibvirtSurvey
from migrator.compute.libvirt.xml import capabilities as survey_xml
from migrator.compute.libvirt.xml import domain as domain_xml
from migrator.compute.machine import machine_of
from migrator.compute.network.addresses import address_towards, bracketed
from migrator.compute.network.host_addresses import host_addresses
from migrator.compute.storage import lent_files
from migrator.compute.storage.atomic_files import sync
from migrator.compute.storage.file_driver import HostFiles
from migrator.compute.storage.file_permissions import CONSOLES
from migrator.compute.storage.kept_disks import kept_gb
from migrator.errors import DriverError, StorageError
from migrator.private_files import PASSAGE, make_folder
from migrator.protocol import (
    CheckResult,
    Copy,
    DiskSpec,
    DomainFact,
    DomainState,
    GuestCpu,
    GuestDescription,
    HostReport,
    InstanceSpec,
    Leftover,
)
from migrator.settings import AgentSettings


class LibvirtDriver(LibvirtMoves, LibvirtMeasuring, LibvirtSurvey, HostFiles):
    """``compute/driver.py``'s protocol over one libvirtd."""

    def __init__(self, settings: AgentSettings) -> None:
        HostFiles.__init__(self, settings, self._reader)
        self._settings = settings
        self._control = connections.connect(settings.libvirt_uri)
        self._transfers: dict[str, Transfer] = {}
        self._lock = threading.Lock()

    def machine(self) -> str:
        capabilities = self._control.call(lambda connection: connection.getCapabilities())
        return machine_of(domain_xml.read_host_uuid(capabilities), _machine_id())

    def host_report(self) -> HostReport:
        connection = self._control
        capabilities = connection.call(lambda c: c.getCapabilities())
        arch, _, vcpus, *_ = connection.call(lambda c: c.getInfo())
        model, vendor, features, topology = domain_xml.read_host_cpu(capabilities)
        settings = self._settings
        address = settings.live_migration_inbound_addr or address_towards(settings.server_url)
        return HostReport(
            hypervisor_version=connection.call(lambda c: c.getVersion()),
            libvirt_version=connection.call(lambda c: c.getLibVersion()),
            arch=arch,
            cpu_model=model,
            cpu_vendor=vendor,
            cpu_features=features,
            cpu_topology=topology,
            machine_types=domain_xml.read_machines(capabilities, arch),
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
            tls=tls.report(address) if settings.live_migration_with_native_tls else None,
            warnings=guests_service.warnings(),
        )

    def list_copies(self, *, live: bool = False) -> Sequence[Copy]:
        def look(connection: Any) -> list[Copy]:
            copies = []
            for domain in domains.ours(connection):
                with connections.unless_absent():  # gone since it was listed
                    domains.never_by_itself(domain)
                    copies.append(self._copy(domain))
            return copies

        def glance(connection: Any) -> list[Copy]:
            return [Copy(uuid=domain.UUIDString(), state=state) for domain, state in domains.live(connection)]

        return self._control.call(glance if live else look)

    def tidy(self) -> Sequence[Leftover]:
        return self._tidy({copy.uuid for copy in self.list_copies()})

    def domain(self, uuid: str) -> DomainFact:
        def look(connection: Any) -> DomainFact:
            with connections.unless_absent():
                domain = connection.lookupByUUIDString(uuid)
                state, reason = self._state(domain)
                stamp = domains.stamp(domain)
                return DomainFact(
                    state=state,
                    reason=reason,
                    stamp_operation=stamp.operation_id if stamp else None,
                    stamp_epoch=stamp.epoch if stamp else None,
                    persistent=bool(domain.isPersistent()),
                )
            return DomainFact(state=DomainState.ABSENT)

        return self._control.call(look)

    # disks
    def make_target_disks(self, spec: InstanceSpec, guest: GuestDescription, images: dict[str, Path]) -> None:
        self._console(spec.uuid)
        self._disks.make_targets(spec, guest, images)

    def offer(self, spec: InstanceSpec, targets: Sequence[str]) -> None:
        homes = self._offerable(spec, targets)

        def open_pools(connection: Any) -> None:
            for pool, home in homes.items():
                pools.open_pool(connection, f"{_offered(spec.uuid)}{pool}", home)

        self._control.call(open_pools)

    def lend(self, spec: InstanceSpec, targets: Sequence[str], images: Sequence[str] = ()) -> Mapping[str, str]:
        directories, places = self._lendable(spec, targets, images)

        def open_pools(connection: Any) -> None:
            for pool, directory in directories.items():
                pools.open_pool(connection, f"{_offered(spec.uuid)}{pool}.lent", directory)

        self._control.call(open_pools)
        return places

    def withdraw(self, uuid: str) -> None:
        self._control.call(lambda connection: pools.close_pools(connection, _offered(uuid)))
        for home in self._disks.all_homes(uuid):
            lent_files.take_back(home)

    # life
    def define(self, spec: InstanceSpec, operation_id: str, epoch: int, machine: str = "", seal: str = "") -> None:
        stamp = domain_xml.Stamp(spec.name, operation_id, epoch, seal)
        self._control.call(lambda connection: self._defined(connection, spec, stamp, machine))

    def define_and_start(
        self, spec: InstanceSpec, operation_id: str, epoch: int, machine: str = "", seal: str = ""
    ) -> None:
        stamp = domain_xml.Stamp(spec.name, operation_id, epoch, seal)

        self._disks.refuse_foreign(spec)

        def start(connection: Any) -> None:
            domain = self._defined(connection, spec, stamp, machine)
            if domain is not None:
                domains.start(domain)

        self._control.call(start)

    def save_memory(self, spec: InstanceSpec) -> None:
        path = self._disks.memory(spec)

        def save(connection: Any) -> None:
            domain = connection.lookupByUUIDString(spec.uuid)
            if not domain.isActive():
                if self._memory.find(spec.uuid) is None:
                    raise DriverError(f"the domain {spec.uuid} does not run; there is no memory to save")
                return
            self._memory.drop(spec.uuid)  # of an earlier life
            domains.save(domain, str(path))

        connections.alone(self._settings.libvirt_uri, save)
        try:
            sync(path)
            sync(path.parent)
        except OSError as error:
            raise StorageError(f"cannot save the memory to {path}: {error}") from error

    def restore_memory(self, spec: InstanceSpec, operation_id: str, epoch: int, seal: str = "") -> None:
        stamp = domain_xml.Stamp(spec.name, operation_id, epoch, seal)

        def restore(connection: Any) -> None:
            if connection.lookupByUUIDString(spec.uuid).isActive():
                return
            saved = self._memory.find(spec.uuid)
            if saved is None:
                raise StorageError(f"there is no saved memory of {spec.uuid} here")
            self._disks.refuse_foreign(spec)
            shape = self._shape(spec, connection.getInfo()[0], machine="")
            xml = domain_xml.for_restoring(domains.saved_xml(connection, str(saved)), spec, shape, stamp)
            used = self._memory.use_up(saved)
            try:
                domains.restore(connection, str(used), xml)
            except connections.Error:
                # Only libvirt's own answer that nothing runs allows a second attempt. One that died meanwhile may have
                # let it run for a moment, and the next one ends such a guest: the memory stays used.
                if connections.alive(connection) and not connection.lookupByUUIDString(spec.uuid).isActive():
                    self._memory.put_back(used)
                raise

        connections.alone(self._settings.libvirt_uri, restore)
        self._memory.drop(spec.uuid)

    # moving
    def describe_guest(self, spec: InstanceSpec) -> GuestDescription:
        def read(connection: Any) -> tuple[domain_xml.GuestFacts, tuple[str, ...], int, bool]:
            domain = connection.lookupByUUIDString(spec.uuid)
            saved = None if domain.isActive() else self._memory.find(spec.uuid)
            if saved is None:
                xml, off = domains.migratable_xml(domain), not domain.isActive()
            else:
                xml, off = domains.saved_xml(connection, str(saved)), False
            facts = domain_xml.read_guest(xml, connection.getCapabilities(), off=off)
            return facts, survey_xml.read_listens(xml), connection.getVersion(), saved is not None

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
        def look(connection: Any) -> Sequence[CheckResult]:
            with connections.unless_absent():
                domain = connection.lookupByUUIDString(spec.uuid)
                xml = domain.XMLDesc(0)
                state, reason = self._state(domain)
                return compatibility.source(
                    state,
                    reason=reason,
                    job_active=jobs.active_job(domain) is not None,
                    passed_through=domain_xml.read_guest(xml).passed_through,
                    live=live,
                    strays=self._disks.strays(spec, domain_xml.read_disks(xml)),
                    asleep=bool(domain.hasManagedSaveImage()),
                )
            return compatibility.source(DomainState.ABSENT, job_active=False, passed_through=(), live=live)

        return self._control.call(look)

    def check_destination(
        self, spec: InstanceSpec, guest: GuestDescription, block: bool | None, *, over_commit: bool = False
    ) -> Sequence[CheckResult]:
        settings, own = self._settings, self._disks.identities()
        machines = self._control.call(lambda c: domain_xml.read_machines(c.getCapabilities(), guest.arch))
        total_mb = self._control.call(hosts.memory_mb)
        return [
            compatibility.domain(self.domain(spec.uuid).state),
            compatibility.memory(
                compatibility.memory_needed(spec, guest),
                total_mb=total_mb,
                reserved_mb=settings.reserved_host_memory_mb,
                used_mb=self._control.call(lambda c: hosts.memory_given_mb(c, besides=(spec.uuid,))),
                ratio=settings.ram_allocation_ratio,
            ),
            self._check_cpu(guest),
            compatibility.machine_type(guest.machine, machines),
            compatibility.version(guest.hypervisor_version, self._control.call(lambda c: c.getVersion())),
            compatibility.console(guest.listens, host_addresses()),
            compatibility.network(spec, settings.networks),
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

    def close(self) -> None:
        self._control.close()

    # parts
    def _reader(self, uri: str) -> OfferedFiles:
        try:
            return OfferedFiles(self._settings.peer_uri(uri))
        except ValueError as error:
            raise DriverError(f"the source is not opened: {error}") from error

    def _copy(self, domain: Any) -> Copy:
        """With its stamp, unless somebody wrote over that: one such domain hides no other."""
        copy = Copy(uuid=domain.UUIDString(), state=self._state(domain)[0])
        try:
            stamp = domains.stamp(domain)
        except DriverError:
            return copy
        if stamp is None or not stamp.sound:
            return copy
        said = {"stamp_operation": stamp.operation_id, "stamp_epoch": stamp.epoch, "seal": stamp.seal}
        return copy.model_copy(update=said)

    def _state(self, domain: Any) -> tuple[DomainState, str | None]:
        state, words = domains.state(domain)
        if state is DomainState.SHUT_OFF and self._memory.find(domain.UUIDString()) is not None:
            state = DomainState.SAVED
        return state, words

    def _defined(self, connection: Any, spec: InstanceSpec, stamp: domain_xml.Stamp, machine: str) -> Any | None:
        """The domain, made anew from the spec; None for one that has a process, which is left alone."""
        kept = ""
        with connections.unless_absent():
            old = connection.lookupByUUIDString(spec.uuid)
            if old.isActive():
                return None
            # What the guest has seen once it keeps, although "pc" may mean a newer one by now.
            xml = old.XMLDesc(0)
            kept = domain_xml.read_guest(xml).machine
            if strays := self._disks.strays(spec, domain_xml.read_disks(xml)):
                raise DriverError(
                    f"the domain {spec.uuid} has disks that are not the instance's own, and they would be lost to it: "
                    f"{', '.join(strays)}",
                    advice="merge the snapshot (virsh blockcommit), or detach the disk",
                )
        machine = machine or kept or self._settings.machine_type or "pc"
        shape = self._shape(spec, connection.getInfo()[0], machine)
        domain = connection.defineXML(domain_xml.build(spec, shape, stamp))
        domains.never_by_itself(domain)
        return domain

    def _console(self, uuid: str) -> Path:
        consoles = self._settings.state_path / CONSOLES
        make_folder(consoles, PASSAGE)
        return consoles / f"{uuid}.log"

    def _shape(self, spec: InstanceSpec, arch: str, machine: str) -> domain_xml.HostShape:
        settings, files = self._settings, self._disks.boot_files(spec)
        places = {disk.target: self._place(spec, disk) for disk in spec.disks}
        return domain_xml.HostShape(
            virt_type=settings.virt_type,
            cpu_mode=settings.cpu_mode,
            cpu_model=settings.cpu_models[0] if settings.cpu_models else None,
            machine=machine,
            arch=arch,
            console=self._console(spec.uuid),
            disks=places,
            bridges=settings.networks,
            kernel=files.kernel,
            ramdisk=files.ramdisk,
        )

    def _place(self, spec: InstanceSpec, disk: DiskSpec) -> domain_xml.DiskPlace:
        path = self._disks.path(spec.uuid, disk)
        return domain_xml.DiskPlace(path, self._disks.cache_mode(path), self._disks.chain(spec, disk))

    def _check_cpu(self, guest: GuestDescription) -> CheckResult:
        if guest.cpu_xml is None:
            return compatibility.cpu(True, "the guest names no CPU model")
        return self.check_cpu(GuestCpu(xml=guest.cpu_xml, machine=guest.machine, arch=guest.arch))


def _offered(uuid: str) -> str:
    """How the names of the pools begin through which an instance's files are offered."""
    return f"migrator-{uuid}-"


def _machine_id() -> str:
    """The installation's id; "" where there is none."""
    try:
        return Path("/etc/machine-id").read_text().strip()
    except OSError:
        return ""


def _foreign_memory_mb(connection: Any) -> int:
    """Of migrator's own domains the server keeps account by claims."""
    return hosts.memory_given_mb(connection, besides={domain.UUIDString() for domain in domains.ours(connection)})
