"""libvirt, call by call: the only file that imports it.

Owns the connections, and the translation between libvirt's numbers and errors and the protocol's words. What is called
a connection or a domain elsewhere in the agent is libvirt's object, and is only handed back here or asked for what it
is. Never knows an instance, a file or an operation: ``libvirt_driver`` does.
"""

import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import libvirt

from migrator.compute import domain_xml, libvirt_words
from migrator.compute.addresses import bracketed
from migrator.compute.reconnect import OPEN_TIMEOUT_S, Reconnecting
from migrator.errors import DomainNotFound, DriverError, HypervisorUnavailable
from migrator.protocol import DomainState, JobFact, MigratingInputs

Error = libvirt.libvirtError

# Seconds between two probes of a silent libvirtd, and how many it may leave unanswered.
KEEPALIVE = (5, 3)
# Rather small: larger buffers are mapped and unmapped by the C library for each call, and seldom filled.
CHUNK_BYTES = 128 * 1024
_NO_LIMIT_MIB_S = (2**63 - 1) // 2**20  # what libvirt itself begins with
_COUNTED_S = 1  # in which pages written to are counted
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


# connections
def connect(
    uri: str, *, keepalive: tuple[int, int] = KEEPALIVE, open_timeout_s: float = OPEN_TIMEOUT_S
) -> Reconnecting[Any]:
    """A connection to the libvirtd at ``uri``, not opened yet."""
    return Reconnecting(_Libvirt(uri, keepalive), f"libvirtd at {uri}", open_timeout_s)


def alone(uri: str, act: Callable[[Any], None]) -> None:
    """``act`` on a connection of its own, for it may last; never twice, for it is not idempotent."""
    connection, transport = connect(uri), _Libvirt(uri, KEEPALIVE)
    opened = connection.open()
    try:
        act(opened)
    except libvirt.libvirtError as error:
        if transport.broken(opened, error):
            raise HypervisorUnavailable(f"libvirtd at {uri} went away: {error}") from error
        raise transport.translated(error) from error
    finally:
        connection.close()


def alive(connection: Any) -> bool:
    """Whether the libvirtd that it was opened to is still there, as far as is known."""
    try:
        return bool(connection.isAlive())
    except libvirt.libvirtError:
        return False


class _Libvirt:
    """``reconnect.Transport`` for libvirt, with keepalive so that a stopped libvirtd is noticed."""

    error = libvirt.libvirtError

    def __init__(self, uri: str, keepalive: tuple[int, int]) -> None:
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
        return not alive(connection)

    def translated(self, error: Any) -> DriverError:
        kind = DomainNotFound if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN else DriverError
        return kind(error.get_error_message() or str(error), details={"libvirt_code": error.get_error_code()})


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


def unless_absent() -> Any:
    """Leave the block when there is no such domain, or not any more."""
    return _unless(libvirt.VIR_ERR_NO_DOMAIN)


# the host
def memory_mb(connection: Any) -> int:
    """The host's RAM in MiB. ``getInfo`` counts the first NUMA node's boot memory only, not what was plugged in."""
    return int(connection.getMemoryStats(libvirt.VIR_NODE_MEMORY_STATS_ALL_CELLS)["total"]) // 1024


def memory_given_mb(connection: Any, besides: str) -> int:
    """MiB that live domains, migrator's or not, may use at most; the domain ``besides`` is not counted."""
    total = 0
    for domain in connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE):
        with unless_absent():
            total += domain.info()[1] if domain.UUIDString() != besides else 0
    return total // 1024


# what a domain is
def ours(connection: Any, flags: int = 0) -> Iterator[Any]:
    """Every domain that migrator made."""
    for domain in connection.listAllDomains(flags):
        with unless_absent():  # gone since it was listed
            if _metadata(domain) is not None:
                yield domain


def live(connection: Any) -> Iterator[tuple[Any, DomainState]]:
    """Those of ours that have a process, without a word to it."""
    for domain in ours(connection, libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE):
        with unless_absent():
            yield domain, _STATES.get(domain.state()[0], DomainState.RUNNING)


def _metadata(domain: Any) -> str | None:
    """Migrator's element in the domain's metadata; None in a domain that is not ours."""
    with _unless(libvirt.VIR_ERR_NO_DOMAIN_METADATA):
        return str(domain.metadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, domain_xml.NAMESPACE))
    return None


def stamp(domain: Any) -> domain_xml.Stamp | None:
    """Who touched it last; None for one that is not ours."""
    element = _metadata(domain)
    return None if element is None else domain_xml.read_stamp(element)


def state(domain: Any) -> tuple[DomainState, str | None]:
    """Its state, and libvirt's reason in words."""
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


def active_job(domain: Any) -> JobFact | None:
    """The outgoing job; None when there is none."""
    if not domain.isActive():
        return None
    with _unless(*_NO_STATISTICS):  # the receiving end, or stopped meanwhile
        return _job_fact(domain.jobStats(), active=True)
    return None


def ended_job(domain: Any, *, keep: bool = True) -> JobFact | None:
    """The last job, if libvirtd still has its statistics; ``keep`` them for the next one who asks. The receiving end
    has those of a migration that succeeded, for the sending end forgets the domain."""
    flags = libvirt.VIR_DOMAIN_JOB_STATS_COMPLETED
    flags |= libvirt.VIR_DOMAIN_JOB_STATS_KEEP_COMPLETED if keep else 0
    with _unless(*_NO_STATISTICS):
        return _job_fact(domain.jobStats(flags), active=False)
    return None


def _job_fact(statistics: Mapping[str, Any], *, active: bool) -> JobFact | None:
    if statistics.get("type", 0) == libvirt.VIR_DOMAIN_JOB_NONE:
        return None
    known = {field: statistics[name] for field, name in _JOB_FIELDS.items() if name in statistics}
    return JobFact(active=active, **known)


def abort_job(domain: Any) -> None:
    """End the outgoing job; no-op for none."""
    if active_job(domain) is None:
        return
    try:
        domain.abortJob()
    except libvirt.libvirtError:
        if active_job(domain) is not None:  # else it ended by itself meanwhile
            raise


# a domain's life
def write_stamp(domain: Any, stamp: domain_xml.Stamp) -> None:
    """Stamp it, in what runs and in what is kept."""
    flags = libvirt.VIR_DOMAIN_AFFECT_LIVE if domain.isActive() else 0
    flags |= libvirt.VIR_DOMAIN_AFFECT_CONFIG if domain.isPersistent() else 0
    element, prefix, namespace = libvirt.VIR_DOMAIN_METADATA_ELEMENT, domain_xml.PREFIX, domain_xml.NAMESPACE
    domain.setMetadata(element, domain_xml.stamp_xml(stamp), prefix, namespace, flags)


def never_by_itself(domain: Any) -> None:
    """Not even when its host starts: what may run there is not libvirt's to know. Where libvirt refuses that, the
    domain is still to be seen and to be stopped."""
    with contextlib.suppress(libvirt.libvirtError):
        if domain.isPersistent() and domain.autostart():
            domain.setAutostart(0)


def start(domain: Any) -> None:
    """Run it, from its disks; no-op when it runs."""
    try:
        domain.create()
    except libvirt.libvirtError:
        if not domain.isActive():  # else somebody else was faster
            raise


def shut_down(domain: Any) -> None:
    """Ask the guest to stop; no-op unless it has a process."""
    _while_active(domain, domain.shutdown)


def destroy(domain: Any) -> None:
    """Cut its power; no-op unless it has a process."""
    _while_active(domain, domain.destroy)


def _while_active(domain: Any, act: Callable[[], Any]) -> None:
    if not domain.isActive():
        return
    # It may stop by itself meanwhile. libvirt then says "domain is not running", and for a moment may still call it
    # active, so its answer to the call is what counts.
    with _unless(libvirt.VIR_ERR_OPERATION_INVALID):
        act()


def forget(domain: Any) -> None:
    """Undefine it, whatever libvirt keeps for it."""
    domain.undefineFlags(_FORGET)


def save(domain: Any, path: str) -> None:
    """Write its memory to ``path`` and end its process; restored, it runs."""
    domain.saveFlags(path, None, libvirt.VIR_DOMAIN_SAVE_RUNNING)


def saved_xml(connection: Any, path: str) -> str:
    """The domain in a saved memory, passwords included."""
    return str(connection.saveImageGetXMLDesc(path, libvirt.VIR_DOMAIN_SAVE_IMAGE_XML_SECURE))


def restore(connection: Any, path: str, xml: str) -> None:
    """Run the domain on from its saved memory, as ``xml`` says."""
    connection.restoreFlags(path, xml, libvirt.VIR_DOMAIN_SAVE_RUNNING)


# a domain's moves
def migratable_xml(domain: Any, *, secure: bool = False, inactive: bool = False) -> str:
    """The domain as another host understands it; ``secure``: passwords included; ``inactive``: as it starts next."""
    flags = libvirt.VIR_DOMAIN_XML_MIGRATABLE
    flags |= libvirt.VIR_DOMAIN_XML_SECURE if secure else 0
    flags |= libvirt.VIR_DOMAIN_XML_INACTIVE if inactive else 0
    return str(domain.XMLDesc(flags))


def compare_cpu(connection: Any, arch: str, machine: str | None, virt_type: str, cpu_xml: str) -> str | None:
    """libvirt's words for what this host's CPU lacks; None: nothing."""
    flags = libvirt.VIR_CONNECT_COMPARE_CPU_FAIL_INCOMPATIBLE
    try:
        connection.compareHypervisorCPU(None, arch, machine, virt_type, cpu_xml, flags)
    except libvirt.libvirtError as error:
        if error.get_error_domain() != libvirt.VIR_FROM_CPU:
            raise
        return str(error.get_error_message())
    return None


def domain_capabilities(connection: Any, virt_type: str) -> str:
    """What this libvirtd can give a domain of that type on its own architecture, as XML."""
    arch = connection.getInfo()[0]
    return str(connection.getDomainCapabilities(None, arch, None, virt_type))


def baseline_cpu(connection: Any, arch: str, virt_type: str, cpus: Sequence[str], *, expand: bool = False) -> str:
    """XML of the richest CPU that has nothing which one of ``cpus`` (XML) lacks; ``expand``: every feature by name."""
    flags = libvirt.VIR_CONNECT_BASELINE_CPU_EXPAND_FEATURES if expand else 0
    return str(connection.baselineHypervisorCPU(None, arch, None, virt_type, list(cpus), flags))


def count_writes(domain: Any) -> None:
    """Begin to count the pages that the guest writes to within a second, by comparing a sample of them: this needs no
    support by the processor. No-op while one is counted."""
    try:
        domain.startDirtyRateCalc(_COUNTED_S, libvirt.VIR_DOMAIN_DIRTYRATE_MODE_PAGE_SAMPLING)
    except libvirt.libvirtError:
        if _writes(domain.connect(), domain).get("dirtyrate.calc_status") != libvirt.VIR_DOMAIN_DIRTYRATE_MEASURING:
            raise


def counted_writes(connection: Any, uuid: str) -> tuple[int, int | None] | None:
    """(MiB a second, MiB of memory that has something in it or None); None while it is counted."""
    found = _writes(connection, connection.lookupByUUIDString(uuid))
    if found.get("dirtyrate.calc_status") != libvirt.VIR_DOMAIN_DIRTYRATE_MEASURED:
        return None
    sizes = [found[name] // 1024 for name in ("balloon.current", "balloon.rss") if found.get(name)]
    return int(found["dirtyrate.megabytes_per_second"]), min(sizes, default=None)


def _writes(connection: Any, domain: Any) -> Mapping[str, Any]:
    wanted = libvirt.VIR_DOMAIN_STATS_DIRTYRATE | libvirt.VIR_DOMAIN_STATS_BALLOON
    return dict(connection.domainListGetStats([domain], wanted)[0][1])


def migrate(domain: Any, inputs: MigratingInputs, live_xml: str, persistent_xml: str) -> None:
    """The whole transfer: returns when it has ended well, raises when it has not."""
    parameters = _transfer_parameters(inputs) | {
        libvirt.VIR_MIGRATE_PARAM_DEST_XML: live_xml,
        libvirt.VIR_MIGRATE_PARAM_PERSIST_XML: persistent_xml,
    }
    domain.migrateToURI3(inputs.uri, parameters, _transfer_flags(inputs))


def _transfer_flags(inputs: MigratingInputs) -> int:
    flags: int = _TRANSFER
    if inputs.copy_disks:
        flags |= libvirt.VIR_MIGRATE_NON_SHARED_INC
    if inputs.auto_converge:
        flags |= libvirt.VIR_MIGRATE_AUTO_CONVERGE
    if inputs.post_copy:
        flags |= libvirt.VIR_MIGRATE_POSTCOPY
    if inputs.parallel_connections:
        flags |= libvirt.VIR_MIGRATE_PARALLEL
    if inputs.compression:
        flags |= libvirt.VIR_MIGRATE_COMPRESSED
    return flags


def _transfer_parameters(inputs: MigratingInputs) -> dict[str, Any]:
    parameters: dict[str, Any] = {
        libvirt.VIR_MIGRATE_PARAM_URI: f"tcp://{bracketed(inputs.destination_address)}",
    }
    if inputs.bandwidth_mib_s:
        parameters[libvirt.VIR_MIGRATE_PARAM_BANDWIDTH] = inputs.bandwidth_mib_s
    if inputs.auto_converge and inputs.auto_converge_initial:
        parameters[libvirt.VIR_MIGRATE_PARAM_AUTO_CONVERGE_INITIAL] = inputs.auto_converge_initial
    if inputs.parallel_connections:
        parameters[libvirt.VIR_MIGRATE_PARAM_PARALLEL_CONNECTIONS] = inputs.parallel_connections
    if inputs.compression:
        parameters[libvirt.VIR_MIGRATE_PARAM_COMPRESSION] = inputs.compression
    if inputs.copy_disks:
        parameters[libvirt.VIR_MIGRATE_PARAM_MIGRATE_DISKS] = list(inputs.copy_disks)
    return parameters


def limit_bandwidth(domain: Any, mib_s: int) -> None:
    """Of the active job's memory; 0: no limit. The speed of a disk's copy libvirt does not change while it migrates:
    ``blockJobSetSpeed`` waits for the job until it times out."""
    domain.migrateSetMaxSpeed(mib_s or _NO_LIMIT_MIB_S)


def complete(domain: Any, *, post_copy: bool) -> None:
    """End the active transfer although the guest writes faster than it is sent. Paused by this, it runs on by itself
    wherever the transfer leaves it."""
    if post_copy:
        domain.migrateStartPostCopy()
    else:
        domain.suspend()


# storage
def open_pool(connection: Any, name: str, directory: Path) -> None:
    """Make the files of a directory readable through this libvirtd; no-op where they are."""
    with _unless(libvirt.VIR_ERR_NO_STORAGE_POOL):
        if connection.storagePoolLookupByTargetPath(str(directory)).isActive():
            return
    connection.storagePoolCreateXML(domain_xml.pool(name, directory))


def close_pools(connection: Any, prefix: str) -> None:
    """Forget the pools whose names begin so. No file is touched."""
    for pool in connection.listAllStoragePools(libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE):
        if pool.name().startswith(prefix):
            with _unless(libvirt.VIR_ERR_NO_STORAGE_POOL, libvirt.VIR_ERR_OPERATION_INVALID):
                pool.destroy()


def file_size(connection: Any, path: str) -> int | None:
    """Bytes of a file in a pool (not of the disk in it); None for a file that is in none."""
    volume = _volume(connection, path)
    return None if volume is None else int(volume.infoFlags(libvirt.VIR_STORAGE_VOL_GET_PHYSICAL)[2])


def download(connection: Any, path: str, offset: int, length: int, sink: Callable[[int, bytes], None]) -> int | None:
    """Hand the runs of data in a file to ``sink``, holes left out. Where it ended; None for a file in no pool."""
    volume, stream = _volume(connection, path), connection.newStream()
    if volume is None:
        return None
    volume.download(stream, offset, length, libvirt.VIR_STORAGE_VOL_DOWNLOAD_SPARSE_STREAM)
    try:
        end = _receive(stream, offset, sink)
        stream.finish()
    except BaseException:
        with contextlib.suppress(libvirt.libvirtError):
            stream.abort()
        raise
    return end


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


def _volume(connection: Any, path: str) -> Any | None:
    with _unless(libvirt.VIR_ERR_NO_STORAGE_VOL):
        return connection.storageVolLookupByPath(path)
    # libvirt knows the files that were there when the pool was opened.
    with _unless(libvirt.VIR_ERR_NO_STORAGE_POOL, libvirt.VIR_ERR_NO_STORAGE_VOL):
        connection.storagePoolLookupByTargetPath(os.path.dirname(path)).refresh()
        return connection.storageVolLookupByPath(path)
    return None
