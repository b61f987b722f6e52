"""How a simulated live migration goes: setup, rounds of pre-copy, switch-over, and every way it fails.

Each step happens at the instant ``Transfer.ends_at`` and sets the next one. Memory that the guest dirties during a
round is sent in the next; when what is left takes less than the allowed downtime, the guest is paused and handed over.
The source's domain is forgotten and the destination's is kept, as ``compute/libvirt/driver.py`` asks libvirt to.
"""

from migrator.compute.migration_parameters import steering
from migrator.compute.simulated.cluster_state import ClusterState
from migrator.compute.simulated.state import MIB, Domain, Transfer
from migrator.errors import DriverError
from migrator.protocol import PAUSE_REASON_USER, DomainState, InstanceSpec, JobFact, MigratingInputs

SETUP_S = 0.02  # before the first byte
HANDOVER_S = 0.01  # beyond the time that the last bytes take
_SHORTEST_ROUND_S = 0.01
# QEMU's: the guest is slowed down when, for the second time, more than half of what was sent is dirty again
_THROTTLE_FIRST, _THROTTLE_STEP, _THROTTLE_MOST = 20, 10, 99  # percent
_TRIGGER, _STRIKES, _PERIOD_S = 0.5, 2, 1.0
_PAGE = 4096
_DOWNTIME_MS = 300  # QEMU's own


def begin(
    cluster: ClusterState, source: str, spec: InstanceSpec, inputs: MigratingInputs, destination: str, now: float
) -> Transfer:
    own = cluster.hosts[source]
    disks = [own.pools[d.pool].disks[spec.uuid, d.target] for d in spec.disks if d.target in inputs.copy_disks]
    limit = inputs.bandwidth_mib_s * MIB or float("inf")
    transfer = Transfer(
        uuid=spec.uuid,
        source=source,
        destination=destination,
        memory_bytes=spec.memory_mb * MIB,
        disk_bytes=sum(disk.virtual_bytes for disk in disks) / 10,  # disks are sparse
        copied=inputs.copy_disks,
        limit_bytes_per_s=min(limit, own.bandwidth_bytes_per_s, cluster.hosts[destination].bandwidth_bytes_per_s),
        full_bytes_per_s=min(own.bandwidth_bytes_per_s, cluster.hosts[destination].bandwidth_bytes_per_s),
        max_downtime_ms=steering(inputs, None).max_downtime_ms or _DOWNTIME_MS,
        post_copy=inputs.post_copy,
        auto_converge=inputs.auto_converge,
        throttle_first=inputs.auto_converge_initial or _THROTTLE_FIRST,
        began_at=now,
        ends_at=now + SETUP_S,
        stays_paused=own.domains[spec.uuid].state is DomainState.PAUSED,
        destination_seal=inputs.destination_seal,
    )
    if transfer.stays_paused:
        transfer.paused_at = now
    if not cluster.reachable(source, destination):
        transfer.stalled_since = now
    cluster.transfers[spec.uuid] = transfer
    return transfer


def step(cluster: ClusterState, transfer: Transfer) -> None:
    """What happens at ``ends_at``."""
    source = cluster.hosts[transfer.source].domains.get(transfer.uuid)
    paused = transfer.paused_at is not None
    if source is None or source.state is not (DomainState.PAUSED if paused else DomainState.RUNNING):
        fail(cluster, transfer, "operation failed: domain is not running", transfer.ends_at)
        return
    _STAGES[transfer.stage](cluster, transfer, source)


def steer(cluster: ClusterState, transfer: Transfer, max_downtime_ms: int | None, bandwidth_mib_s: int) -> None:
    """What is left of the present round goes on at the new rate. Before the first byte it is lost, as libvirt loses it:
    what the transfer was begun with is set after that."""
    if transfer.stage == "setup":
        return
    now, before = cluster.clock(), transfer.limit_bytes_per_s
    transfer.max_downtime_ms = max_downtime_ms or transfer.max_downtime_ms
    transfer.limit_bytes_per_s = min(bandwidth_mib_s * MIB or float("inf"), transfer.full_bytes_per_s)
    if transfer.stage == "copy" and transfer.ends_at > now:
        transfer.ends_at = now + (transfer.ends_at - now) * before / transfer.limit_bytes_per_s


def complete(cluster: ClusterState, transfer: Transfer, *, post_copy: bool) -> None:
    """Pause the guest, so that nothing more is dirtied; or let it run at the destination and fetch what it lacks."""
    now = cluster.clock()
    if not post_copy:
        cluster.set_state(transfer.source, transfer.uuid, DomainState.PAUSED, "migration", now)
        transfer.paused_at = now
        return
    if not transfer.post_copy or transfer.stage != "copy":
        raise DriverError("Requested operation is not valid: post-copy was not enabled")
    cluster.set_state(transfer.source, transfer.uuid, DomainState.PAUSED, "postcopy", now)
    _bring_disks(cluster, transfer)
    transfer.stage, transfer.paused_at, transfer.downtime_ms = "postcopy", now, round(HANDOVER_S * 1000)
    transfer.remaining = _remaining(transfer, now)
    # No limit holds for what the guest waits for.
    transfer.ends_at = now + max(_SHORTEST_ROUND_S, transfer.remaining / transfer.full_bytes_per_s)
    cluster.hosts[transfer.destination].domains[transfer.uuid].persistent = True
    cluster.set_state(transfer.destination, transfer.uuid, DomainState.RUNNING, "postcopy", now)


def fail(cluster: ClusterState, transfer: Transfer, error: str, at: float) -> None:
    """The transfer is over and the guest stays where it is: at once, or when its daemon is back."""
    transfer.stage, transfer.error, transfer.over_at = "over", error, at
    cluster.transfers.pop(transfer.uuid, None)
    own, other = cluster.hosts[transfer.source], cluster.hosts[transfer.destination]
    arriving = other.domains.get(transfer.uuid)
    if arriving is not None and arriving.state is DomainState.INCOMING and other.daemon_up:
        cluster.drop_domain(other.name, transfer.uuid, at)
    domain = own.domains.get(transfer.uuid)
    if domain is not None and domain.state is DomainState.PAUSED and domain.reason == "migration" and own.daemon_up:
        cluster.set_state(own.name, transfer.uuid, DomainState.RUNNING, "migration-canceled", at)


def job_fact(cluster: ClusterState, transfer: Transfer, now: float) -> JobFact:
    active = not transfer.over
    total = transfer.memory_bytes
    remaining = _remaining(transfer, now) if active else 0.0
    return JobFact(
        active=active,
        memory_total_bytes=int(total),
        memory_processed_bytes=int(transfer.processed + (transfer.remaining - remaining if active else 0)),
        memory_remaining_bytes=int(min(remaining, total)),
        disk_total_bytes=int(transfer.disk_bytes),
        disk_processed_bytes=int(transfer.disk_bytes if transfer.rounds else 0),
        disk_remaining_bytes=int(0 if transfer.rounds else transfer.disk_bytes),
        elapsed_ms=int(((now if transfer.over_at is None else transfer.over_at) - transfer.began_at) * 1000),
        setup_ms=int(SETUP_S * 1000),
        downtime_ms=transfer.downtime_ms,
        iterations=transfer.rounds + (transfer.stage == "copy"),  # libvirt counts the one under way
        dirty_pages_per_s=int(dirty_bytes_per_s(cluster, transfer) / _PAGE) if transfer.rounds else 0,
        bytes_per_s=int(transfer.limit_bytes_per_s),
        throttle_percent=transfer.throttle or None,
    )


def _remaining(transfer: Transfer, now: float) -> float:
    if transfer.stage not in ("copy", "postcopy"):
        return transfer.remaining
    until = transfer.stalled_since if transfer.stalled_since is not None else now
    rate = transfer.limit_bytes_per_s if transfer.stage == "copy" else transfer.full_bytes_per_s
    return max(0.0, min(transfer.remaining, (transfer.ends_at - until) * rate))


def _connected(cluster: ClusterState, transfer: Transfer, source: Domain) -> None:
    other, at = cluster.hosts[transfer.destination], transfer.ends_at
    if not other.daemon_up or not other.powered:
        fail(cluster, transfer, f"unable to connect to server at '{other.name}': Connection refused", at)
        return
    present = other.domains.get(transfer.uuid)
    if present is not None and present.state is not DomainState.SHUT_OFF:
        fail(cluster, transfer, f"domain '{transfer.uuid}' already exists and is active", at)
        return
    for disk in source.spec.disks:
        pool = other.pools.get(disk.pool)
        if pool is None or pool.disks.get((transfer.uuid, disk.target)) is None:
            fail(cluster, transfer, f"Cannot access storage file of {disk.target}: No such file or directory", at)
            return
    try:
        for volume in source.spec.volumes:
            cluster.volume(other.name, volume.source)
    except DriverError as error:
        fail(cluster, transfer, error.message, at)
        return
    arriving = Domain(
        source.spec,
        DomainState.INCOMING,
        "migration",
        source.operation_id,
        source.epoch,
        source.machine,
        at,
        seal=transfer.destination_seal or source.seal,
    )
    arriving.persistent = False
    cluster.put_domain(other.name, arriving)
    transfer.stage = "copy"
    transfer.remaining = transfer.memory_bytes + transfer.disk_bytes
    transfer.ends_at = at + max(_SHORTEST_ROUND_S, transfer.remaining / transfer.limit_bytes_per_s)


def _copied(cluster: ClusterState, transfer: Transfer, _source: Domain) -> None:
    rate, at = transfer.limit_bytes_per_s, transfer.ends_at
    lasted = max(_SHORTEST_ROUND_S, transfer.remaining / rate)
    sent, dirty = transfer.remaining, dirty_bytes_per_s(cluster, transfer)
    transfer.processed += sent
    transfer.rounds += 1
    most = min(transfer.memory_bytes, cluster.behaviour(transfer.uuid).working_bytes)
    transfer.remaining = max(_PAGE, min(most, dirty * lasted))
    if transfer.remaining / rate * 1000 <= transfer.max_downtime_ms:
        if transfer.paused_at is None:
            cluster.set_state(transfer.source, transfer.uuid, DomainState.PAUSED, "migration", at)
            transfer.paused_at = at
        transfer.stage = "switch"
        transfer.ends_at = at + transfer.remaining / rate + HANDOVER_S
        return
    if transfer.auto_converge and at - transfer.looked_at >= _PERIOD_S:
        _look(transfer, sent, at)
    transfer.ends_at = at + max(_SHORTEST_ROUND_S, transfer.remaining / rate)


def dirty_bytes_per_s(cluster: ClusterState, transfer: Transfer) -> float:
    """What the guest writes now: less while it is slowed down, nothing while it is paused."""
    if transfer.paused_at is not None:
        return 0.0
    return cluster.behaviour(transfer.uuid).dirty_bytes_per_s * (1 - transfer.throttle / 100)


def _look(transfer: Transfer, sent: float, at: float) -> None:
    transfer.looked_at = at
    transfer.strikes += transfer.remaining > _TRIGGER * sent
    if transfer.strikes == _STRIKES:
        transfer.strikes = 0
        following = transfer.throttle + _THROTTLE_STEP if transfer.throttle else transfer.throttle_first
        transfer.throttle = min(_THROTTLE_MOST, following)


def _handed_over(cluster: ClusterState, transfer: Transfer, _source: Domain) -> None:
    at, paused_at = transfer.ends_at, transfer.paused_at
    assert paused_at is not None
    transfer.processed += transfer.remaining
    if transfer.stage != "postcopy":
        _bring_disks(cluster, transfer)
        transfer.downtime_ms = max(1, round((HANDOVER_S if transfer.stays_paused else at - paused_at) * 1000))
    transfer.stage, transfer.over_at, transfer.remaining = "over", at, 0.0
    cluster.transfers.pop(transfer.uuid, None)
    cluster.stopping.pop(transfer.uuid, None)
    own, other = cluster.hosts[transfer.source], cluster.hosts[transfer.destination]
    own.unsynced[transfer.uuid] = own.domains[transfer.uuid]
    cluster.drop_domain(own.name, transfer.uuid, at)
    other.domains[transfer.uuid].persistent = True
    other.domains[transfer.uuid].completed = job_fact(cluster, transfer, at)
    if transfer.stays_paused:
        cluster.set_state(other.name, transfer.uuid, DomainState.PAUSED, PAUSE_REASON_USER, at)
    else:
        cluster.set_state(other.name, transfer.uuid, DomainState.RUNNING, "migrated", at)


def _bring_disks(cluster: ClusterState, transfer: Transfer) -> None:
    """The copies are the disks from when the guest stops at the source: also in post-copy, which brings memory only."""
    own, other = cluster.hosts[transfer.source], cluster.hosts[transfer.destination]
    for disk in own.domains[transfer.uuid].spec.disks:
        if disk.target in transfer.copied:
            key = (transfer.uuid, disk.target)
            other.pools[disk.pool].disks[key].version = own.pools[disk.pool].disks[key].version


_STAGES = {"setup": _connected, "copy": _copied, "switch": _handed_over, "postcopy": _handed_over}
