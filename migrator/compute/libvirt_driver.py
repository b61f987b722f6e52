"""The real driver: libvirt and QEMU. The only file that imports libvirt.

Owns the connections and the translation between libvirt's numbers and the protocol's words. A transfer has a
connection of its own: a control call on the same one would hang until the transfer ends. It never decides what
should happen to an instance, and never looks at files (``disks``) or XML (``domain_xml``) itself.
"""

import contextlib
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import libvirt

from migrator.compute import compatibility, domain_xml, libvirt_words
from migrator.compute.addresses import address_towards, bracketed
from migrator.compute.files import sync
from migrator.compute.host_files import HostFiles
from migrator.compute.reconnect import Reconnecting
from migrator.errors import DomainNotFound, DriverError, HypervisorUnavailable, StorageError
from migrator.protocol import (
    CheckResult,
    Copy,
    DomainFact,
    DomainState,
    GuestDescription,
    HostReport,
    InstanceSpec,
    JobFact,
    MigratingInputs,
)
from migrator.settings import AgentSettings

T = TypeVar("T")

# libvirtd counts as gone after this many seconds without an answer to so many probes.
KEEPALIVE = (5, 3)
# Another host's, when files are read from it: whoever waits for them should know soon.
READER_KEEPALIVE = (2, 2)
READER_OPEN_TIMEOUT_S = 5.0
# Rather small: larger buffers are mapped and unmapped by the C library for each call, and seldom filled.
CHUNK_BYTES = 128 * 1024
_AT_HOLE = -3  # in place of data: a hole is next

_STATES = {getattr(libvirt, f"VIR_DOMAIN_{name}"): state for name, state in libvirt_words.STATES.items()}
_REASONS = {
    getattr(libvirt, f"VIR_DOMAIN_{state}"): {
        getattr(libvirt, f"VIR_DOMAIN_{state}_{name}"): words for name, words in reasons.items()
    }
    for state, reasons in libvirt_words.REASONS.items()
}
_JOB_FIELDS = {field: getattr(libvirt, f"VIR_DOMAIN_JOB_{name}") for field, name in libvirt_words.JOB_FIELDS.items()}

# "the domain is not running" and "statistics are available only on the source host".
_NO_STATISTICS = (libvirt.VIR_ERR_OPERATION_INVALID, libvirt.VIR_ERR_OPERATION_UNSUPPORTED)

_FORGET = (
    libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
    | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
)

_TRANSFER = (
    libvirt.VIR_MIGRATE_LIVE
    | libvirt.VIR_MIGRATE_PEER2PEER
    | libvirt.VIR_MIGRATE_UNDEFINE_SOURCE
    | libvirt.VIR_MIGRATE_PERSIST_DEST
    # A guest that stopped on an I/O error stays where its disk is, instead of arriving paused.
    | libvirt.VIR_MIGRATE_ABORT_ON_ERROR
)


class LibvirtDriver(HostFiles):
    """``compute/driver.py``'s protocol over one libvirtd."""

    def __init__(self, settings: AgentSettings) -> None:
        super().__init__(settings, _OfferedFiles)
        self._settings = settings
        self._control = _connect(settings.libvirt_uri)
        self._transfers: dict[str, _Transfer] = {}
        self._lock = threading.Lock()

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
            memory_mb=connection.call(_memory_mb),
            reserved_host_memory_mb=settings.reserved_host_memory_mb,
            cpu_allocation_ratio=settings.cpu_allocation_ratio,
            ram_allocation_ratio=settings.ram_allocation_ratio,
            disk_allocation_ratio=settings.disk_allocation_ratio,
            storage=self._disks.pool_reports(),
            default_pool=settings.default_pool,
            address=address,
            live_migration_uri=settings.live_migration_uri.replace("%s", bracketed(address)),
            networks=tuple(settings.networks),
        )

    def list_copies(self) -> Sequence[Copy]:
        def look(connection: Any) -> list[Copy]:
            copies = []
            for domain in connection.listAllDomains():
                with _unless(libvirt.VIR_ERR_NO_DOMAIN):  # gone since it was listed
                    if _metadata(domain) is not None:
                        copies.append(Copy(uuid=domain.UUIDString(), state=self._state(domain)[0]))
            return copies

        return self._control.call(look)

    def domain(self, uuid: str) -> DomainFact:
        def look(connection: Any) -> DomainFact:
            with _unless(libvirt.VIR_ERR_NO_DOMAIN):
                domain = connection.lookupByUUIDString(uuid)
                state, reason = self._state(domain)
                stamp = _stamp(domain)
                return DomainFact(
                    state=state,
                    reason=reason,
                    stamp_operation=stamp.operation_id if stamp else None,
                    stamp_epoch=stamp.epoch if stamp else None,
                )
            return DomainFact(state=DomainState.ABSENT)

        return self._control.call(look)

    def stamp(self, uuid: str, operation_id: str, epoch: int) -> None:
        def write(connection: Any) -> None:
            domain = connection.lookupByUUIDString(uuid)
            old = _stamp(domain)
            new = domain_xml.Stamp(old.name if old else uuid, operation_id, epoch)
            if new == old:
                return  # also spares a call that would wait for an active job
            # The statistics kept so far are another operation's; asking for them this way lets go of them.
            _ended_job(domain, keep=False)
            flags = libvirt.VIR_DOMAIN_AFFECT_LIVE if domain.isActive() else 0
            flags |= libvirt.VIR_DOMAIN_AFFECT_CONFIG if domain.isPersistent() else 0
            element, prefix, namespace = libvirt.VIR_DOMAIN_METADATA_ELEMENT, domain_xml.PREFIX, domain_xml.NAMESPACE
            domain.setMetadata(element, domain_xml.stamp_xml(new), prefix, namespace, flags)

        self._control.call(write)

    # disks
    def make_target_disks(self, spec: InstanceSpec, guest: GuestDescription, images: dict[str, Path]) -> None:
        self._console(spec.uuid)
        self._disks.make_targets(spec, guest, images)

    def offer(self, spec: InstanceSpec, targets: Sequence[str]) -> None:
        homes = self._disks.homes(spec, targets)

        def open_pools(connection: Any) -> None:
            for pool, home in homes.items():
                with _unless(libvirt.VIR_ERR_NO_STORAGE_POOL):
                    if connection.storagePoolLookupByTargetPath(str(home)).isActive():
                        continue
                connection.storagePoolCreateXML(domain_xml.pool(f"{_offered(spec.uuid)}{pool}", home))

        self._control.call(open_pools)

    def withdraw(self, uuid: str) -> None:
        def close_pools(connection: Any) -> None:
            for pool in connection.listAllStoragePools(libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE):
                if pool.name().startswith(_offered(uuid)):
                    with _unless(libvirt.VIR_ERR_NO_STORAGE_POOL, libvirt.VIR_ERR_OPERATION_INVALID):
                        pool.destroy()  # forgets it; no file is touched

        self._control.call(close_pools)

    # life
    def define(self, spec: InstanceSpec, operation_id: str, epoch: int, machine: str = "") -> None:
        stamp = domain_xml.Stamp(spec.name, operation_id, epoch)
        self._control.call(lambda connection: self._defined(connection, spec, stamp, machine))

    def define_and_start(self, spec: InstanceSpec, operation_id: str, epoch: int, machine: str = "") -> None:
        stamp = domain_xml.Stamp(spec.name, operation_id, epoch)

        def start(connection: Any) -> None:
            domain = self._defined(connection, spec, stamp, machine)
            if domain is None:
                return
            try:
                domain.create()
            except libvirt.libvirtError:
                if not domain.isActive():  # else somebody else was faster
                    raise

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
            domain.saveFlags(str(path), None, libvirt.VIR_DOMAIN_SAVE_RUNNING)

        _alone(self._settings.libvirt_uri, save)
        try:
            sync(path)
            sync(path.parent)
        except OSError as error:
            raise StorageError(f"cannot save the memory to {path}: {error}") from error

    def restore_memory(self, spec: InstanceSpec, operation_id: str, epoch: int) -> None:
        stamp = domain_xml.Stamp(spec.name, operation_id, epoch)

        def restore(connection: Any) -> None:
            if connection.lookupByUUIDString(spec.uuid).isActive():
                return
            saved = self._memory.find(spec.uuid)
            if saved is None:
                raise StorageError(f"there is no saved memory of {spec.uuid} here")
            xml = connection.saveImageGetXMLDesc(str(saved), libvirt.VIR_DOMAIN_SAVE_IMAGE_XML_SECURE)
            shape = self._shape(spec, connection.getInfo()[0], machine="")
            xml = domain_xml.for_restoring(xml, spec, shape, stamp)
            used = self._memory.use_up(saved)
            try:
                connection.restoreFlags(str(used), xml, libvirt.VIR_DOMAIN_SAVE_RUNNING)
            except libvirt.libvirtError:
                # Only an answer that nothing runs allows a second attempt; without one the memory stays used.
                if not self._with_domain(spec.uuid, lambda domain: domain.isActive()):
                    self._memory.put_back(used)
                raise

        _alone(self._settings.libvirt_uri, restore)
        self._memory.drop(spec.uuid)

    def shut_down(self, uuid: str) -> None:
        self._if_active(uuid, lambda domain: domain.shutdown())

    def destroy(self, uuid: str) -> None:
        self._if_active(uuid, lambda domain: domain.destroy())

    def undefine(self, uuid: str) -> None:
        def forget(connection: Any) -> None:
            with _unless(libvirt.VIR_ERR_NO_DOMAIN):
                domain = connection.lookupByUUIDString(uuid)
                if domain.isActive():
                    raise DriverError(f"the domain {uuid} is alive; only one that is not can be forgotten")
                domain.undefineFlags(_FORGET)

        self._control.call(forget)

    # moving
    def describe_guest(self, spec: InstanceSpec) -> GuestDescription:
        def read(connection: Any) -> tuple[domain_xml.GuestFacts, int, bool]:
            domain = connection.lookupByUUIDString(spec.uuid)
            saved = None if domain.isActive() else self._memory.find(spec.uuid)
            if saved is None:
                xml, off = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_MIGRATABLE), not domain.isActive()
            else:
                xml, off = connection.saveImageGetXMLDesc(str(saved)), False
            facts = domain_xml.read_guest(xml, connection.getCapabilities(), off=off)
            return facts, connection.getVersion(), saved is not None

        facts, version, saved = self._control.call(read)
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
        )

    def check_source(self, spec: InstanceSpec, *, live: bool = True) -> Sequence[CheckResult]:
        def look(connection: Any) -> tuple[DomainState, bool, tuple[str, ...]]:
            with _unless(libvirt.VIR_ERR_NO_DOMAIN):
                domain = connection.lookupByUUIDString(spec.uuid)
                devices = domain_xml.read_guest(domain.XMLDesc(0)).passed_through
                return self._state(domain)[0], _active_job(domain) is not None, devices
            return DomainState.ABSENT, False, ()

        state, job_active, devices = self._control.call(look)
        return compatibility.source(state, job_active=job_active, passed_through=devices, live=live)

    def check_destination(
        self, spec: InstanceSpec, guest: GuestDescription, block: bool | None
    ) -> Sequence[CheckResult]:
        settings, own = self._settings, self._disks.identities()
        machines = self._control.call(lambda c: domain_xml.read_machines(c.getCapabilities(), guest.arch))
        total_mb = self._control.call(_memory_mb)
        return [
            compatibility.domain(self.domain(spec.uuid).state),
            compatibility.memory(
                compatibility.memory_needed(spec, guest),
                total_mb=total_mb,
                reserved_mb=settings.reserved_host_memory_mb,
                used_mb=self._memory_given(besides=spec.uuid),
                ratio=settings.ram_allocation_ratio,
            ),
            self._check_cpu(guest, machines),
            compatibility.machine_type(guest.machine, machines),
            compatibility.network(spec, settings.networks),
            compatibility.storage(spec, guest, own, block),
            compatibility.disk(
                spec, guest, own, free_bytes=self._disks.free_bytes(), ratio=settings.disk_allocation_ratio
            ),
            compatibility.leftover(spec, guest, own, [*self._disks.facts(spec), self._disks.memory_fact(spec)]),
        ]

    def start_migration(self, spec: InstanceSpec, operation_id: str, epoch: int, inputs: MigratingInputs) -> None:
        self.stamp(spec.uuid, operation_id, epoch)
        paths = {disk.target: disk.path for disk in inputs.destination_disks}

        def describe(connection: Any) -> tuple[str, str]:
            domain = connection.lookupByUUIDString(spec.uuid)
            flags = libvirt.VIR_DOMAIN_XML_MIGRATABLE | libvirt.VIR_DOMAIN_XML_SECURE
            return domain.XMLDesc(flags), domain.XMLDesc(flags | libvirt.VIR_DOMAIN_XML_INACTIVE)

        live, persistent = self._control.call(describe)
        parameters = _transfer_parameters(inputs) | {
            libvirt.VIR_MIGRATE_PARAM_DEST_XML: domain_xml.for_destination(live, paths),
            libvirt.VIR_MIGRATE_PARAM_PERSIST_XML: domain_xml.for_destination(persistent, paths),
        }
        # Set before the transfer, for a small guest's is over before a call could reach it.
        self._with_domain(spec.uuid, lambda domain: domain.migrateSetMaxDowntime(inputs.max_downtime_ms))
        with self._lock:
            if (old := self._transfers.get(spec.uuid)) is not None and old.running:
                raise DriverError(f"a transfer of {spec.uuid} is already under way")
            transfer = _Transfer(_connect(self._settings.libvirt_uri), spec.uuid, inputs, parameters)
            self._transfers[spec.uuid] = transfer
        transfer.start()

    def migration_running(self, uuid: str) -> bool:
        transfer = self._transfers.get(uuid)
        return transfer is not None and transfer.running

    def migration_error(self, uuid: str) -> str | None:
        transfer = self._transfers.get(uuid)
        return None if transfer is None or transfer.running else transfer.error

    def job(self, uuid: str) -> JobFact | None:
        def look(connection: Any) -> JobFact | None:
            with _unless(libvirt.VIR_ERR_NO_DOMAIN):
                domain = connection.lookupByUUIDString(uuid)
                if (statistics := _active_job(domain)) is not None:
                    return _job_fact(statistics, active=True)
                ended = _ended_job(domain)
                return _job_fact(ended, active=False) if ended else None
            return None

        return self._control.call(look)

    def abort_job(self, uuid: str) -> None:
        def abort(connection: Any) -> None:
            with _unless(libvirt.VIR_ERR_NO_DOMAIN):
                domain = connection.lookupByUUIDString(uuid)
                if _active_job(domain) is None:
                    return
                try:
                    domain.abortJob()
                except libvirt.libvirtError:
                    if _active_job(domain) is not None:  # else it ended by itself meanwhile
                        raise

        self._control.call(abort)

    def close(self) -> None:
        self._control.close()

    # parts
    def _state(self, domain: Any) -> tuple[DomainState, str | None]:
        state, words = _state(domain)
        if state is DomainState.SHUT_OFF and self._memory.find(domain.UUIDString()) is not None:
            state = DomainState.SAVED
        return state, words

    def _defined(self, connection: Any, spec: InstanceSpec, stamp: domain_xml.Stamp, machine: str) -> Any | None:
        """The domain, made anew from the spec; None for one that has a process, which is left alone."""
        kept = ""
        with _unless(libvirt.VIR_ERR_NO_DOMAIN):
            old = connection.lookupByUUIDString(spec.uuid)
            if old.isActive():
                return None
            # What the guest has seen once it keeps, although "pc" may mean a newer one by now.
            kept = domain_xml.read_guest(old.XMLDesc(0)).machine
        machine = machine or kept or self._settings.machine_type or "pc"
        shape = self._shape(spec, connection.getInfo()[0], machine)
        return connection.defineXML(domain_xml.build(spec, shape, stamp))

    def _with_domain(self, uuid: str, act: Callable[[Any], T]) -> T:
        return self._control.call(lambda connection: act(connection.lookupByUUIDString(uuid)))

    def _if_active(self, uuid: str, act: Callable[[Any], Any]) -> None:
        def try_it(connection: Any) -> None:
            with _unless(libvirt.VIR_ERR_NO_DOMAIN):
                domain = connection.lookupByUUIDString(uuid)
                if not domain.isActive():
                    return
                # It may stop by itself meanwhile. libvirt then says "domain is not running", and for a moment may still
                # call it active, so its answer to the call is what counts.
                with _unless(libvirt.VIR_ERR_OPERATION_INVALID):
                    act(domain)

        self._control.call(try_it)

    def _console(self, uuid: str) -> Path:
        consoles = self._settings.state_path / "consoles"
        consoles.mkdir(parents=True, exist_ok=True)
        return consoles / f"{uuid}.log"

    def _shape(self, spec: InstanceSpec, arch: str, machine: str) -> domain_xml.HostShape:
        settings, files = self._settings, self._disks.boot_files(spec)
        paths = {disk.target: self._disks.path(spec.uuid, disk) for disk in spec.disks}
        return domain_xml.HostShape(
            virt_type=settings.virt_type,
            cpu_mode=settings.cpu_mode,
            cpu_model=settings.cpu_models[0] if settings.cpu_models else None,
            machine=machine,
            arch=arch,
            console=self._console(spec.uuid),
            disks={t: domain_xml.DiskPlace(path, self._disks.cache_mode(path)) for t, path in paths.items()},
            bridges=settings.networks,
            kernel=files.kernel,
            ramdisk=files.ramdisk,
        )

    def _memory_given(self, besides: str) -> int:
        """MiB that live domains, migrator's or not, may use at most."""

        def add(connection: Any) -> int:
            total = 0
            for domain in connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE):
                with _unless(libvirt.VIR_ERR_NO_DOMAIN):
                    total += domain.info()[1] if domain.UUIDString() != besides else 0
            return total // 1024

        return self._control.call(add)

    def _check_cpu(self, guest: GuestDescription, machines: Sequence[str]) -> CheckResult:
        if guest.cpu_xml is None:
            return compatibility.cpu(True, "the guest names no CPU model")
        # A machine type that is not here has a refusal of its own and says nothing about the CPU.
        machine = guest.machine if guest.machine in machines else None
        where = (None, guest.arch, machine, self._settings.virt_type)

        def compare(connection: Any) -> CheckResult:
            try:
                flags = libvirt.VIR_CONNECT_COMPARE_CPU_FAIL_INCOMPATIBLE
                connection.compareHypervisorCPU(*where, guest.cpu_xml, flags)
            except libvirt.libvirtError as error:
                if error.get_error_domain() != libvirt.VIR_FROM_CPU:
                    raise
                return compatibility.cpu(False, error.get_error_message())
            return compatibility.cpu(True, "this host has every feature of the guest's CPU")

        return self._control.call(compare)


class _Transfer(threading.Thread):
    """One migrate call on its own connection. A daemon: libvirtd owns the transfer and goes on without us."""

    def __init__(
        self, connection: Reconnecting[Any], uuid: str, inputs: MigratingInputs, parameters: Mapping[str, Any]
    ) -> None:
        super().__init__(name=f"transfer-{uuid}", daemon=True)
        self._connection, self._uuid, self._inputs = connection, uuid, inputs
        self._parameters = dict(parameters)
        self.error: str | None = None
        self.running = True

    def run(self) -> None:
        try:
            connection = self._connection.open()
            domain = connection.lookupByUUIDString(self._uuid)
            domain.migrateToURI3(self._inputs.uri, self._parameters, _transfer_flags(self._inputs))
        except libvirt.libvirtError as error:
            self.error = error.get_error_message() or str(error)
        except DriverError as error:
            self.error = error.message
        finally:
            self._connection.close()
            self._parameters = {}  # two domain XMLs that nobody needs any more
            self.running = False


class _OfferedFiles:
    """``copying.Reader`` of what another host offers (``LibvirtDriver.offer``), on a connection of its own."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        transport = _Libvirt(uri, READER_KEEPALIVE)
        self._connection = Reconnecting(transport, f"libvirtd at {uri}", READER_OPEN_TIMEOUT_S)
        self._connection.open()

    def size(self, path: str) -> int:
        flags = libvirt.VIR_STORAGE_VOL_GET_PHYSICAL  # of the file, not of the disk in it
        return self._connection.call(lambda c: int(self._volume(c, path).infoFlags(flags)[2]))

    def read(self, path: str, offset: int, length: int, sink: Callable[[int, bytes], None]) -> None:
        def download(connection: Any) -> None:
            volume, stream = self._volume(connection, path), connection.newStream()
            volume.download(stream, offset, length, libvirt.VIR_STORAGE_VOL_DOWNLOAD_SPARSE_STREAM)
            try:
                end = _receive(stream, offset, sink)
                stream.finish()
            except BaseException:
                with contextlib.suppress(libvirt.libvirtError):
                    stream.abort()
                raise
            if end != offset + length:
                raise StorageError(f"{path} on {self._uri} ended at {end}, not at {offset + length}")

        self._connection.call(download)

    def close(self) -> None:
        self._connection.close()

    def _volume(self, connection: Any, path: str) -> Any:
        with _unless(libvirt.VIR_ERR_NO_STORAGE_VOL):
            return connection.storageVolLookupByPath(path)
        # libvirt knows the files that were there when the pool was opened.
        with _unless(libvirt.VIR_ERR_NO_STORAGE_POOL, libvirt.VIR_ERR_NO_STORAGE_VOL):
            connection.storagePoolLookupByTargetPath(os.path.dirname(path)).refresh()
            return connection.storageVolLookupByPath(path)
        raise HypervisorUnavailable(f"{self._uri} does not offer {path}", advice="see whether the source's agent runs")


def _receive(stream: Any, at: int, sink: Callable[[int, bytes], None]) -> int:
    """Everything that the stream has, holes left out; where it ended."""
    while True:
        data = stream.recvFlags(CHUNK_BYTES, libvirt.VIR_STREAM_RECV_STOP_AT_HOLE)
        if data == _AT_HOLE:
            at += stream.recvHole()
        elif data:
            sink(at, data)
            at += len(data)
        else:
            return at


def _offered(uuid: str) -> str:
    """How the names of the pools begin through which an instance's files are offered."""
    return f"migrator-{uuid}-"


class _Libvirt:
    """``reconnect.Transport`` for libvirt, with keepalive so that a stopped libvirtd is noticed."""

    error = libvirt.libvirtError

    def __init__(self, uri: str, keepalive: tuple[int, int] = KEEPALIVE) -> None:
        _run_events()
        self._uri, self._keepalive = uri, keepalive

    def open(self) -> Any:
        connection = libvirt.open(self._uri)
        with _unless(libvirt.VIR_ERR_NO_SUPPORT):  # a driver without a wire needs none
            connection.setKeepAlive(*self._keepalive)
        return connection

    def close(self, connection: Any) -> None:
        with contextlib.suppress(libvirt.libvirtError):
            connection.close()

    def broken(self, connection: Any, error: Any) -> bool:
        if error.get_error_domain() in (libvirt.VIR_FROM_RPC, libvirt.VIR_FROM_REMOTE):
            return True
        try:
            return not connection.isAlive()
        except libvirt.libvirtError:
            return True

    def translated(self, error: Any) -> DriverError:
        kind = DomainNotFound if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN else DriverError
        return kind(error.get_error_message() or str(error), details={"libvirt_code": error.get_error_code()})


def _connect(uri: str) -> Reconnecting[Any]:
    return Reconnecting(_Libvirt(uri), f"libvirtd at {uri}")


def _alone(uri: str, act: Callable[[Any], None]) -> None:
    """``act`` on a connection of its own, for it may last; never twice, for it is not idempotent."""
    connection, transport = _connect(uri), _Libvirt(uri)
    opened = connection.open()
    try:
        act(opened)
    except libvirt.libvirtError as error:
        if transport.broken(opened, error):
            raise HypervisorUnavailable(f"libvirtd at {uri} went away: {error}") from error
        raise transport.translated(error) from error
    finally:
        connection.close()


_events_lock = threading.Lock()
_events_thread: threading.Thread | None = None


def _run_events() -> None:
    """libvirt's event loop, once a process and before the first connection; keepalive needs it."""
    global _events_thread
    with _events_lock:
        if _events_thread is not None:
            return
        libvirt.virEventRegisterDefaultImpl()
        libvirt.registerErrorHandler(lambda *_: None, None)  # errors are raised; no copy on stderr
        _events_thread = threading.Thread(target=_loop, name="libvirt-events", daemon=True)
        _events_thread.start()


def _loop() -> None:
    while True:
        with contextlib.suppress(libvirt.libvirtError):
            libvirt.virEventRunDefaultImpl()


@contextlib.contextmanager
def _unless(*codes: int) -> Any:
    """Swallow libvirt's errors with these codes: the expected answers "there is none"."""
    try:
        yield
    except libvirt.libvirtError as error:
        if error.get_error_code() not in codes:
            raise


def _memory_mb(connection: Any) -> int:
    """The host's RAM in MiB. ``getInfo`` counts the first NUMA node's boot memory only, not what was plugged in."""
    return int(connection.getMemoryStats(libvirt.VIR_NODE_MEMORY_STATS_ALL_CELLS)["total"]) // 1024


def _metadata(domain: Any) -> str | None:
    """Migrator's element in the domain's metadata; None in a domain that is not ours."""
    with _unless(libvirt.VIR_ERR_NO_DOMAIN_METADATA):
        return str(domain.metadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, domain_xml.NAMESPACE))
    return None


def _stamp(domain: Any) -> domain_xml.Stamp | None:
    element = _metadata(domain)
    return None if element is None else domain_xml.read_stamp(element)


def _state(domain: Any) -> tuple[DomainState, str | None]:
    number, reason = domain.state()
    state, words = _STATES[number], _REASONS.get(number, {}).get(reason)
    if state is DomainState.PAUSED and words in ("migration", "starting-up") and _incoming(domain):
        state = DomainState.INCOMING
    return state, words


def _incoming(domain: Any) -> bool:
    """Whether a domain paused for a migration is its receiving end: only the sending end gives statistics."""
    with _unless(*_NO_STATISTICS):
        return bool(domain.jobStats().get("operation") == libvirt.VIR_DOMAIN_JOB_OPERATION_MIGRATION_IN)
    return True


def _active_job(domain: Any) -> dict[str, Any] | None:
    """Statistics of the outgoing job; None when there is none."""
    if not domain.isActive():
        return None
    with _unless(*_NO_STATISTICS):  # the receiving end, or stopped meanwhile
        statistics: dict[str, Any] = domain.jobStats()
        return statistics if statistics.get("type", 0) != libvirt.VIR_DOMAIN_JOB_NONE else None
    return None


def _ended_job(domain: Any, *, keep: bool = True) -> dict[str, Any] | None:
    """Statistics of the last job, if libvirtd still keeps them; ``keep`` for the next one who asks. The receiving end
    has those of a migration that succeeded, for the sending end forgets the domain."""
    flags = libvirt.VIR_DOMAIN_JOB_STATS_COMPLETED
    flags |= libvirt.VIR_DOMAIN_JOB_STATS_KEEP_COMPLETED if keep else 0
    with _unless(*_NO_STATISTICS):
        statistics: dict[str, Any] = domain.jobStats(flags)
        return statistics if statistics.get("type", 0) != libvirt.VIR_DOMAIN_JOB_NONE else None
    return None


def _job_fact(statistics: Mapping[str, Any], *, active: bool) -> JobFact:
    known = {field: statistics[name] for field, name in _JOB_FIELDS.items() if name in statistics}
    return JobFact(active=active, **known)


def _transfer_flags(inputs: MigratingInputs) -> int:
    flags: int = _TRANSFER
    if inputs.copy_disks:
        flags |= libvirt.VIR_MIGRATE_NON_SHARED_INC
    if inputs.auto_converge:
        flags |= libvirt.VIR_MIGRATE_AUTO_CONVERGE
    if inputs.post_copy:
        flags |= libvirt.VIR_MIGRATE_POSTCOPY
    return flags


def _transfer_parameters(inputs: MigratingInputs) -> dict[str, Any]:
    parameters: dict[str, Any] = {
        libvirt.VIR_MIGRATE_PARAM_URI: f"tcp://{bracketed(inputs.destination_address)}",
    }
    if inputs.bandwidth_mib_s:
        parameters[libvirt.VIR_MIGRATE_PARAM_BANDWIDTH] = inputs.bandwidth_mib_s
    if inputs.copy_disks:
        parameters[libvirt.VIR_MIGRATE_PARAM_MIGRATE_DISKS] = list(inputs.copy_disks)
    return parameters
