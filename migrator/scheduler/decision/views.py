"""Reads a snapshot: who is meant, what was heard from whom, and how the instance is shaped for each host.

Pure, and without an opinion: what follows from it is ``forward.py``'s and ``backward.py``'s to say.
"""

from collections.abc import Mapping
from typing import Any, Final

from migrator.operations import OPERATIONS, Actor, Operation, Phase
from migrator.protocol import (
    MEMORY,
    SUPERSEDED,
    DomainState,
    Fact,
    GuestDescription,
    HostReport,
    InstanceSpec,
    TargetPowerState,
)
from migrator.scheduler.decision import downtime_steps
from migrator.scheduler.decision.snapshot import HostView, OperationView, Placed, Snapshot
from migrator.scheduler.decision.verdict import Verdict, verdict

LENT: Final = "lent"  # in an operation's context: target -> path at which the source lends its config drive
_NO_GUEST = GuestDescription()
# what a source's domain was, and how the instance is wanted wherever it is put
_POWER = {DomainState.RUNNING: TargetPowerState.RUNNING, DomainState.SAVED: TargetPowerState.SAVED}


def host_of(operation: Placed, actor: Actor) -> str | None:
    return {Actor.SOURCE: operation.source, Actor.DESTINATION: operation.destination}.get(actor)


def view_of(snapshot: Snapshot, host: str | None) -> HostView | None:
    return snapshot.hosts.get(host) if host is not None else None


def heard(snapshot: Snapshot, host: str | None) -> bool:
    view = view_of(snapshot, host)
    return view is not None and view.heard


def listed(snapshot: Snapshot, host: str) -> bool:
    """Whether what the host had before it fell silent is known from a time since which servers listen: a backup may
    have lost that it was asked for more."""
    view = view_of(snapshot, host)
    return view is None or view.listed


def awaited(snapshot: Snapshot, host: str | None) -> bool:
    """Whether the host's silence says nothing, for there was no server to speak to until a moment ago."""
    view = view_of(snapshot, host)
    return view is not None and view.awaited


def fenced(snapshot: Snapshot, host: str | None) -> bool:
    """Whether the host is silent and there is evidence that its guests do not run."""
    view = view_of(snapshot, host)
    return view is not None and view.fenced


def evidence(snapshot: Snapshot, host: str | None) -> str:
    """Why the guests of a silent host do not run; "" where nothing tells."""
    view = view_of(snapshot, host)
    return view.evidence or "" if view is not None else ""


def fresh(snapshot: Snapshot, host: str | None) -> Fact | None:
    """The host's fact, if it was observed under this epoch and phase and the host still speaks."""
    fact = snapshot.facts.get(host) if host is not None else None
    operation = snapshot.operation
    if fact is None or host is None or fact.epoch != operation.epoch or fact.phase != operation.phase:
        return None
    return fact if heard(snapshot, host) else None


def newest(snapshot: Snapshot, host: str | None, epoch: int) -> Fact | None:
    """The newest fact that the host gave under ``epoch``, of whatever phase."""
    fact = snapshot.facts.get(host or "")
    return fact if fact is not None and fact.epoch == epoch else None


def taken_over(snapshot: Snapshot, fact: Fact) -> bool:
    """Whether the host has served an operation of the record that is newer than this one, which merely cleans up after
    itself: what it left there is the newer one's."""
    refused = fact.problem is not None and fact.problem.code == SUPERSEDED
    return refused and fact.served is not None and not snapshot.operation.locks_instance


def state_of(fact: Fact | None) -> DomainState | None:
    return fact.domain.state if fact is not None and fact.domain is not None else None


def verdict_of(snapshot: Snapshot) -> Verdict:
    operation = snapshot.operation
    paused = stays_paused(operation)
    return verdict(fresh(snapshot, operation.source), fresh(snapshot, operation.destination), paused=paused)


def judged_by_verdict(table: Operation, phase: Phase) -> bool:
    """Whether both hosts say together where the guest runs while this phase lasts."""
    return table.live and phase.observes_peer


def skipped(operation: OperationView, phase: Phase) -> bool:
    """Nothing to do between a host and itself."""
    return phase.skipped_on_same_host and operation.same_host


def left_out(snapshot: Snapshot, phase: Phase) -> bool:
    """A phase that is not for this operation: to plan the transfer, where the settings say how, or the guest is paused
    and writes nothing; to copy config drives, or to prove copies, where there are none."""
    if phase.skipped_when_shared:
        return not moved_targets(snapshot)
    if phase.lends:
        return not lent_targets(snapshot) and not lent_images(snapshot)
    return phase.auto_strategy_only and (
        snapshot.migration_options.strategy != "auto" or stays_paused(snapshot.operation)
    )


# --- words ------------------------------------------------------------------------------------------------------


def silence(snapshot: Snapshot, host: str) -> str:
    return f"waiting for host {host}" + ("" if heard(snapshot, host) else ", which is silent")


def missing(snapshot: Snapshot) -> str:
    """Which host a WAIT waits for; "" while both are up and merely have not reported yet."""
    for host in (snapshot.operation.source, snapshot.operation.destination):
        if host and not heard(snapshot, host):
            return silence(snapshot, host)
        fact = snapshot.facts.get(host) if host else None
        if fact is not None and fact.domain is None and fact.problem is not None:
            return f"{host}: {fact.problem.message}"
    return ""


# --- shapes -----------------------------------------------------------------------------------------------------


def shared_pools(one: HostReport | None, other: HostReport | None) -> frozenset[str]:
    """Names of the pools that both hosts have and that carry the same storage identity."""
    if one is None or other is None:
        return frozenset()
    identities = {name: pool.identity for name, pool in one.storage.items()}
    return _same(identities, other)


def shared_by_both(snapshot: Snapshot) -> frozenset[str]:
    """Pools that the operation's two hosts share. What they had when the destination was found fit counts, whatever
    becomes of either: it may be set up anew, or be gone, and the other one must still not clean up there."""
    agreed = snapshot.operation.context.shared.get(snapshot.operation.destination or "")
    if agreed is not None:
        return frozenset(agreed)
    source, destination = (view_of(snapshot, h) for h in (snapshot.operation.source, snapshot.operation.destination))
    if destination is None:
        return frozenset()
    described = guest_of(snapshot.operation).storage
    if described:
        return _same(described, destination.report)
    return shared_pools(source.report if source is not None else None, destination.report)


def _same(identities: Mapping[str, str], report: HostReport) -> frozenset[str]:
    return frozenset(
        name
        for name, identity in identities.items()
        if name in report.storage and report.storage[name].identity == identity
    )


def guest_of(operation: OperationView) -> GuestDescription:
    return operation.context.guest or _NO_GUEST


def power_wanted(operation: OperationView) -> TargetPowerState:
    """How the instance was when it was described (``params`` for one whose host cannot be asked)."""
    return operation.context.power or operation.params.power or TargetPowerState.RUNNING


def stays_paused(operation: OperationView) -> bool:
    """Whether it is moved live while a user has paused it."""
    return power_wanted(operation) is TargetPowerState.PAUSED


def power_asked(operation: OperationView) -> TargetPowerState:
    """How the present phase wants it: a suspended instance is resumed where it is moved to, and stays suspended where
    it is put back. An evacuated one stays as it was."""
    power = power_wanted(operation)
    moved = operation.forward and not OPERATIONS[operation.kind].leaves_lost_host
    return TargetPowerState.RUNNING if power is TargetPowerState.SAVED and moved else power


def power_found(fact: Fact) -> TargetPowerState:
    state = state_of(fact)
    return _POWER.get(state, TargetPowerState.SHUT_OFF) if state is not None else TargetPowerState.SHUT_OFF


def keeps_disks(snapshot: Snapshot) -> bool:
    """Whether every disk but the config drive outlives the loss of the source."""
    shared = shared_by_both(snapshot)
    return all(disk.pool in shared for disk in snapshot.instance.disks if not disk.config_drive)


def moved_targets(snapshot: Snapshot) -> tuple[str, ...]:
    """What has to be copied: disks in pools that the hosts do not share, and the saved memory where it is in one. Never
    a volume: it is none of the disks."""
    shared, instance = shared_by_both(snapshot), snapshot.instance
    targets = [disk.target for disk in instance.disks if disk.pool not in shared]
    if (
        power_wanted(snapshot.operation) is TargetPowerState.SAVED
        and instance.pools
        and instance.home_pool not in shared
    ):
        targets.append(MEMORY)
    return tuple(targets)


def lent_targets(snapshot: Snapshot) -> tuple[str, ...]:
    """What a live migration copies before it begins to transfer: config drives in pools that the hosts do not share."""
    shared = shared_by_both(snapshot)
    return tuple(d.target for d in snapshot.instance.disks if d.pool not in shared and d.config_drive)


def lent_images(snapshot: Snapshot) -> tuple[str, ...]:
    """Images that the catalogue had lost when the move was asked for, and that the destination needs: under disks that
    are copied, and as kernel and ramdisk where they do not lie on a pool that both hosts share."""
    shared, instance = shared_by_both(snapshot), snapshot.instance
    needed = {d.backing_image_id for d in guest_of(snapshot.operation).disks if d.pool not in shared}
    needed |= {instance.kernel_id, instance.ramdisk_id} if instance.home_pool not in shared else set()
    return tuple(image for image in snapshot.operation.params.lost_images if image in needed)


def fetched_targets(snapshot: Snapshot, phase: Phase) -> tuple[str, ...]:
    """What the destination fetches in this phase."""
    return lent_targets(snapshot) if phase.lends else moved_targets(snapshot)


def copied_live(snapshot: Snapshot) -> tuple[str, ...]:
    """Targets that the transfer of a live migration copies; config drives are there by then."""
    shared = shared_by_both(snapshot)
    return tuple(d.target for d in snapshot.instance.disks if d.pool not in shared and not d.config_drive)


def copied_live_bytes(snapshot: Snapshot) -> list[int]:
    """The sizes, as the guest sees them, of the disks that a live migration copies."""
    copied = copied_live(snapshot)
    return [disk.virtual_bytes for disk in guest_of(snapshot.operation).disks if disk.target in copied]


def data_gib(snapshot: Snapshot) -> float:
    """What a live migration is counted with for its delays and timeouts."""
    return downtime_steps.data_gib(snapshot.instance.memory_mb, copied_live_bytes(snapshot))


def memory_is_shared(snapshot: Snapshot) -> bool:
    """Whether the suspended instance's saved memory is the same file on both hosts."""
    saved = power_wanted(snapshot.operation) is TargetPowerState.SAVED
    return saved and snapshot.instance.home_pool in shared_by_both(snapshot)


def spec_for(snapshot: Snapshot, actor: Actor) -> InstanceSpec:
    """The instance as this end is to have it: with the old flavor at the source, the new one at the destination."""
    params = snapshot.operation.params
    flavor = params.new_flavor if actor is Actor.DESTINATION else params.old_flavor
    return with_flavor(snapshot.instance, flavor) if flavor else snapshot.instance


def with_flavor(spec: InstanceSpec, flavor: Mapping[str, Any]) -> InstanceSpec:
    """``spec`` with the flavor's CPUs, memory (MiB) and disk sizes (GiB): the root disk is the first one, the empty
    second one is the ephemeral disk."""
    sizes = {"vda": flavor["disk_gb"], "vdb": flavor.get("ephemeral_gb", 0)}
    disks = tuple(
        disk if disk.config_drive else disk.model_copy(update={"size_gb": sizes.get(disk.target) or disk.size_gb})
        for disk in spec.disks
    )
    return spec.model_copy(update={"vcpus": flavor["vcpus"], "memory_mb": flavor["memory_mb"], "disks": disks})
