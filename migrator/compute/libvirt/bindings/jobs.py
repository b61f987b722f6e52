"""A domain's move: begun, counted, steered and ended."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import libvirt

from migrator.compute.libvirt.bindings import constants
from migrator.compute.libvirt.bindings.connections import unless
from migrator.compute.network.addresses import bracketed
from migrator.protocol import JobFact, MigratingInputs

_NO_LIMIT_MIB_S = (2**63 - 1) // 2**20  # what libvirt itself begins with
_LARGEST = 2**63 - 1
_COUNTED_S = 1  # in which pages written to are counted
# QEMU samples 512 pages a GiB (its migration/dirtyrate.h): each that was written to stands for 2 MiB in that time.
DIRTY_GRAIN_MIB_S = 1024 / 512 / _COUNTED_S
_JOB_FIELDS = {field: getattr(libvirt, f"VIR_DOMAIN_JOB_{name}") for field, name in constants.JOB_FIELDS.items()}

# "the domain is not running" and "statistics are available only on the source host".
_NO_STATISTICS = (libvirt.VIR_ERR_OPERATION_INVALID, libvirt.VIR_ERR_OPERATION_UNSUPPORTED)

_TRANSFER = (
    libvirt.VIR_MIGRATE_LIVE
    | libvirt.VIR_MIGRATE_PEER2PEER
    | libvirt.VIR_MIGRATE_UNDEFINE_SOURCE
    | libvirt.VIR_MIGRATE_PERSIST_DEST
    # A guest that stopped on an I/O error stays where its disk is, instead of arriving paused.
    | libvirt.VIR_MIGRATE_ABORT_ON_ERROR
)


def receiving(domain: Any) -> bool:
    """Whether a domain paused for a migration is its receiving end: only the sending end gives statistics."""
    with unless(*_NO_STATISTICS):
        return bool(domain.jobStats().get("operation") == libvirt.VIR_DOMAIN_JOB_OPERATION_MIGRATION_IN)
    return True


def active_job(domain: Any) -> JobFact | None:
    """The outgoing job; None when there is none."""
    if not domain.isActive():
        return None
    with unless(*_NO_STATISTICS):  # the receiving end, or stopped by now
        return _job_fact(domain.jobStats(), active=True)
    return None


def ended_job(domain: Any, *, keep: bool = True) -> JobFact | None:
    """The last job, if libvirtd still has its statistics; ``keep`` them for the next one who asks. The receiving end
    has those of a migration that succeeded, for the sending end forgets the domain."""
    flags = libvirt.VIR_DOMAIN_JOB_STATS_COMPLETED
    flags |= libvirt.VIR_DOMAIN_JOB_STATS_KEEP_COMPLETED if keep else 0
    with unless(*_NO_STATISTICS):
        return _job_fact(domain.jobStats(flags), active=False)
    return None


def _job_fact(statistics: Mapping[str, Any], *, active: bool) -> JobFact | None:
    if statistics.get("type", 0) == libvirt.VIR_DOMAIN_JOB_NONE:
        return None
    # libvirt counts without a sign; its "unknown" is more than a message or a database keeps.
    known = {field: min(statistics[name], _LARGEST) for field, name in _JOB_FIELDS.items() if name in statistics}
    return JobFact(active=active, **known)


def abort_job(domain: Any) -> None:
    """End the outgoing job; no-op for none."""
    if active_job(domain) is None:
        return
    try:
        domain.abortJob()
    except libvirt.libvirtError:
        if active_job(domain) is not None:  # else it has ended already
            raise


def count_writes(domain: Any) -> None:
    """Begin to count the pages that the guest writes to within a second, by comparing a sample of them: this needs no
    support by the processor, and counting all of them ends an emulated guest's QEMU 7.2. No-op while one is counted."""
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
    if inputs.parallel_connections > 1:
        flags |= libvirt.VIR_MIGRATE_PARALLEL
    if inputs.compression:
        flags |= libvirt.VIR_MIGRATE_COMPRESSED
    if inputs.tls:
        flags |= libvirt.VIR_MIGRATE_TLS
    return flags


def _transfer_parameters(inputs: MigratingInputs) -> dict[str, Any]:
    parameters: dict[str, Any] = {
        libvirt.VIR_MIGRATE_PARAM_URI: f"tcp://{bracketed(inputs.destination_address)}",
    }
    if inputs.bandwidth_mib_s:
        parameters[libvirt.VIR_MIGRATE_PARAM_BANDWIDTH] = inputs.bandwidth_mib_s
    if inputs.auto_converge and inputs.auto_converge_initial:
        parameters[libvirt.VIR_MIGRATE_PARAM_AUTO_CONVERGE_INITIAL] = inputs.auto_converge_initial
    if inputs.parallel_connections > 1:
        parameters[libvirt.VIR_MIGRATE_PARAM_PARALLEL_CONNECTIONS] = inputs.parallel_connections
    if inputs.compression:
        parameters[libvirt.VIR_MIGRATE_PARAM_COMPRESSION] = inputs.compression
    if inputs.copy_disks:
        parameters[libvirt.VIR_MIGRATE_PARAM_MIGRATE_DISKS] = list(inputs.copy_disks)
    return parameters


def steer(domain: Any, max_downtime_ms: int | None, bandwidth_mib_s: int) -> None:
    """Of the active job: the pause that the guest may be given (None leaves it alone), and the bandwidth. No-op for a
    guest that has left."""
    with _unless_left(domain):
        if max_downtime_ms is not None:
            domain.migrateSetMaxDowntime(max_downtime_ms)
        limit_bandwidth(domain, bandwidth_mib_s)


@contextlib.contextmanager
def _unless_left(domain: Any) -> Iterator[None]:
    """Swallow what libvirt refuses for a guest that has left: for a moment it still has the domain, which does not
    run."""
    try:
        yield
    except libvirt.libvirtError:
        if domain.isActive():
            raise


def limit_bandwidth(domain: Any, mib_s: int) -> None:
    """Of the active job's memory; 0: no limit. The speed of a disk's copy libvirt does not change while it migrates:
    ``blockJobSetSpeed`` waits for the job until it times out."""
    domain.migrateSetMaxSpeed(mib_s or _NO_LIMIT_MIB_S)


def complete(domain: Any, *, post_copy: bool) -> None:
    """End the active transfer although the guest writes faster than it is sent. Paused by this, it runs on
    wherever the transfer leaves it. No-op for a guest that has left."""
    with _unless_left(domain):
        _complete(domain, post_copy=post_copy)


def _complete(domain: Any, *, post_copy: bool) -> None:
    if post_copy:
        domain.migrateStartPostCopy()
        return
    domain.suspend()
    # Libvirt gives a guest its life back that was stopped during a transfer. When that had just ended it was stopped
    # for us alone, and no other process would wake it up.
    if domain.state() == [libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_USER]:
        domain.resume()
