"""How the files of an instance that does not run get to another simulated host: one after the other, each at the speed
of both hosts, appearing under its name when it is complete. The destination's agent makes the copy: it ends with it.
"""

from copy import deepcopy

from migrator.compute.simulated.cluster_state import ClusterState
from migrator.compute.simulated.state import FileCopy, SimulatedDisk
from migrator.errors import DriverError, HypervisorUnavailable, StorageError
from migrator.protocol import MEMORY, InstanceSpec, JobFact

_OPEN_S = 0.02  # to connect, and for each file


def begin(
    cluster: ClusterState, source: str, destination: str, spec: InstanceSpec, targets: list[str], now: float
) -> FileCopy:
    """Begin with the first of ``targets``; over at once when there is none or the source cannot be read."""
    rate = min(cluster.hosts[source].bandwidth_bytes_per_s, cluster.hosts[destination].bandwidth_bytes_per_s)
    copy = FileCopy(spec.uuid, source, destination, spec, targets, rate, now, now + _OPEN_S)
    if not cluster.reachable(source, destination):
        copy.stalled_since = now
    cluster.copies[destination, spec.uuid] = copy
    try:
        copy.total_bytes = sum(_there(cluster, copy, target).allocated_bytes for target in targets)
        _next(cluster, copy, now)
    except DriverError as error:
        fail(cluster, copy, error, now)
    return copy


def step(cluster: ClusterState, copy: FileCopy, at: float) -> None:
    """What happens at ``ends_at``: the present file is complete."""
    try:
        _appear(cluster, copy, copy.waiting.pop(0))
        _next(cluster, copy, at)
    except DriverError as error:
        fail(cluster, copy, error, at)


def fail(cluster: ClusterState, copy: FileCopy, error: DriverError, at: float) -> None:
    copy.error = error
    _end(cluster, copy, at)


def lost(source: str) -> HypervisorUnavailable:
    return HypervisorUnavailable(f"the hypervisor of {source} cannot be reached: end of file while reading data")


def job_fact(copy: FileCopy, now: float) -> JobFact:
    until = copy.over_at if copy.over_at is not None else copy.stalled_since or now
    present = 0 if copy.over else max(0, copy.size - int(max(0.0, copy.ends_at - until) * copy.bytes_per_s))
    done = copy.done_bytes + present
    return JobFact(
        active=not copy.over,
        disk_total_bytes=copy.total_bytes,
        disk_processed_bytes=done,
        disk_remaining_bytes=copy.total_bytes - done,
        elapsed_ms=int((until - copy.began_at) * 1000),
        bytes_per_s=int(copy.bytes_per_s),
    )


def pool_of(spec: InstanceSpec, target: str) -> str:
    """The saved memory lies where the instance's other files do."""
    return spec.home_pool if target == MEMORY else next(disk.pool for disk in spec.disks if disk.target == target)


def _there(cluster: ClusterState, copy: FileCopy, target: str) -> SimulatedDisk:
    source = cluster.hosts[copy.source]
    if not source.powered or not source.daemon_up:
        raise lost(copy.source)
    if target not in source.offers.get(copy.uuid, ()):
        raise HypervisorUnavailable(f"{copy.source} does not offer {target} of {copy.uuid}")
    found = source.pools[pool_of(copy.spec, target)].disks.get((copy.uuid, target))
    if found is None:
        raise StorageError(f"{copy.source} has no {target} of {copy.uuid}")
    return found


def _next(cluster: ClusterState, copy: FileCopy, at: float) -> None:
    if not copy.waiting:
        _end(cluster, copy, at)
        return
    found = _there(cluster, copy, copy.waiting[0])
    copy.size, copy.version = found.allocated_bytes, found.version
    copy.ends_at = at + _OPEN_S + copy.size / copy.bytes_per_s


def _appear(cluster: ClusterState, copy: FileCopy, target: str) -> None:
    found = deepcopy(_there(cluster, copy, target))
    if found.version != copy.version:
        found.damage = "-torn"
    pool = pool_of(copy.spec, target)
    storage = cluster.hosts[copy.destination].pools[pool]
    storage.take(pool, found.virtual_bytes)
    storage.disks[copy.uuid, target] = found
    copy.done_bytes += copy.size
    copy.size = 0


def _end(cluster: ClusterState, copy: FileCopy, at: float) -> None:
    copy.over_at, copy.size = at, 0
    cluster.copies.pop((copy.destination, copy.uuid), None)
