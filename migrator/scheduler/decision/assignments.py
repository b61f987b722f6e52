"""What each host of an operation should make true now: derived from the operation's row, never stored.

Pure. An agent's full set is the union over its active operations. The inputs of each ``Ensure`` are worked out here
and nowhere else: that table, by ``Ensure``, belongs to the protocol. Of the table of operations no kind and no phase
is named here; ``Ensure.OBSERVED`` is what remains where nothing more is asked.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from migrator.operations import OPERATIONS, Actor, Kind, Loss, Operation, Phase
from migrator.protocol import (
    HARMLESS,
    AbsentInputs,
    Assignment,
    CompatibleInputs,
    CopiedInputs,
    DisksPresentInputs,
    DisksWholeInputs,
    Ensure,
    GuestDescription,
    KeptInputs,
    MeasuredInputs,
    Message,
    MigratingInputs,
    OfferedInputs,
    PoweredInputs,
    PreparedInputs,
    RebuiltInputs,
    Role,
    ShutOffInputs,
)
from migrator.scheduler.decision import proof, strategy_choice, views
from migrator.scheduler.decision.downtime_steps import downtime_steps
from migrator.scheduler.decision.held_back import held_back
from migrator.scheduler.decision.operation_data import Steering
from migrator.scheduler.decision.snapshot import MigrationOptions, Placed, Snapshot

_HELD_MIB_S = 1  # the least that libvirt knows


@dataclass(frozen=True, slots=True)
class AssignmentContext:
    """One host's part in the phase: all that the inputs are worked out from."""

    snapshot: Snapshot
    table: Operation
    phase: Phase
    actor: Actor


def assignments(snapshot: Snapshot) -> Mapping[str, Assignment]:
    """Host name -> its assignment. Empty while the scheduler itself is the actor, while it is held back, and while a
    host's description cannot be read."""
    operation = snapshot.operation
    if any(host.unreadable for host in snapshot.hosts.values()):
        return {}
    table = OPERATIONS[operation.kind]
    phase = table.phase(operation.phase)
    found: dict[str, Assignment] = {}
    if held_back(snapshot, phase):
        return found
    for host, (actor, ensure) in asked(operation).items():
        fencing = operation.forward and phase.fencing_evidence_suffices and actor is phase.actor
        if fencing and (snapshot.hosts[host].up or not views.keeps_disks(snapshot)):
            ensure = Ensure.OBSERVED  # it answers, and keeps its instances: ``decide`` is about to turn round
        found[host] = _assignment(AssignmentContext(snapshot, table, phase, actor), host, ensure)
    return found


def asked(operation: Placed) -> Mapping[str, tuple[Actor, Ensure]]:
    """Host name -> which end it is and what the phase asks of it; hosts of which it asks nothing are not in it."""
    phase = OPERATIONS[Kind(operation.kind)].phase(operation.phase)
    wanted = phase.do if operation.forward else phase.undo
    found: dict[str, tuple[Actor, Ensure]] = {}
    host = views.host_of(operation, phase.actor)
    if host is not None and isinstance(wanted, Ensure):
        found[host] = phase.actor, wanted
    if phase.peer_ensure is not None:
        peer_ensure = phase.peer_ensure if operation.forward else Ensure.OBSERVED
        for end in (Actor.SOURCE, Actor.DESTINATION):
            host = views.host_of(operation, end)
            if host is not None and host not in found:
                found[host] = end, peer_ensure
    return found


def ever_asked(operation: Placed, host: str) -> bool:
    """Whether the operation, on its first way forward, has asked the host for more than to look by now."""
    table = OPERATIONS[Kind(operation.kind)]
    ends = {Actor.SOURCE: operation.source, Actor.DESTINATION: operation.destination}
    for phase in table.phases[: table.index(operation.phase) + 1]:
        wanted = (phase.do, *((phase.peer_ensure,) if phase.peer_ensure is not None else ()))
        peers = ends.values() if phase.peer_ensure is not None else (ends.get(phase.actor),)
        if host in peers and any(isinstance(one, Ensure) and one not in HARMLESS for one in wanted):
            return True
    return False


def _assignment(ask: AssignmentContext, host: str, ensure: Ensure) -> Assignment:
    operation = ask.snapshot.operation
    undone = (
        not operation.forward and operation.locks_instance
    )  # later the instance, and its memory, are another operation's
    anew = ask.phase.undo_if_memory_shared if ask.actor is ask.phase.actor else None
    if anew is not None and undone and views.memory_is_shared(ask.snapshot):
        ensure = anew
    inputs = _INPUTS.get(ensure)
    return Assignment(
        operation_id=operation.uuid,
        kind=operation.kind.value,
        epoch=operation.epoch,
        generation=operation.generation,
        serial=operation.serial,
        phase=ask.phase.name,
        forward=operation.forward,
        role=Role.DESTINATION if ask.actor is Actor.DESTINATION and host != operation.source else Role.SOURCE,
        ensure=ensure,
        instance=views.spec_for(ask.snapshot, ask.actor),
        inputs=inputs(ask).model_dump(mode="json") if inputs else {},
    )


def _compatible(ask: AssignmentContext) -> Message:
    operation = ask.snapshot.operation
    return CompatibleInputs(
        guest=views.guest_of(operation),
        block=operation.params.block,
        trust_marker=operation.params.trust_marker,
        over_commit=operation.params.over_commit,
    )


def _for_destination(ask: AssignmentContext) -> GuestDescription:
    """The guest, without those pools that only seem to be the destination's too: what is in them is copied."""
    guest, shared = views.guest_of(ask.snapshot.operation), views.shared_by_both(ask.snapshot)
    destination = views.view_of(ask.snapshot, ask.snapshot.operation.destination)
    own = destination.report.storage if destination is not None else {}
    copied = [p for p, i in guest.storage.items() if p in own and own[p].identity == i and p not in shared]
    return guest.model_copy(update={"storage": {p: i for p, i in guest.storage.items() if p not in copied}})


def _prepared(ask: AssignmentContext) -> Message:
    return PreparedInputs(guest=_for_destination(ask))


def _measured(ask: AssignmentContext) -> Message:
    snapshot, destination = ask.snapshot, ask.snapshot.operation.destination
    assert destination is not None
    return MeasuredInputs(destination_address=snapshot.hosts[destination].report.address)


def _migrating(ask: AssignmentContext) -> Message:
    snapshot, operation = ask.snapshot, ask.snapshot.operation
    assert operation.destination is not None
    report = snapshot.hosts[operation.destination].report
    return MigratingInputs(
        destination_host=operation.destination,
        destination_address=report.address,
        uri=report.live_migration_uri,
        copy_disks=views.copied_live(snapshot),
        destination_disks=operation.context.destination_disks,
        bandwidth_mib_s=_bandwidth(operation.steering, snapshot.migration_options),
        downtime_steps=_downtime(snapshot),
        force=operation.steering.force,
        parallel_connections=snapshot.migration_options.parallel_connections,
        compression=snapshot.migration_options.compression,
        # Where one of them cannot any more, libvirt refuses: nothing goes in the clear that was not meant to.
        tls=any(host.report.tls is not None for host in snapshot.hosts.values()),
        paused=views.stays_paused(operation),
        **strategy_choice.flags(snapshot),
    )


def _bandwidth(steering: Steering, means: MigrationOptions) -> int:
    if steering.held:
        return _HELD_MIB_S
    return steering.bandwidth(means.bandwidth_mib_s)


def _downtime(snapshot: Snapshot) -> tuple[tuple[int, int], ...]:
    """The schedule, or from now on what an operator wants."""
    if (wanted := snapshot.operation.steering.max_downtime_ms) is not None:
        return ((0, wanted),)
    s = snapshot.schedule
    return tuple(downtime_steps(s.max_downtime_ms, s.steps, s.delay_s, views.data_gib(snapshot), s.curve))


def _offered(ask: AssignmentContext) -> Message:
    return OfferedInputs(copy_disks=views.moved_targets(ask.snapshot), images=views.lent_images(ask.snapshot))


def _lent(ask: AssignmentContext) -> Message:
    return OfferedInputs(copy_disks=views.lent_targets(ask.snapshot), images=views.lent_images(ask.snapshot))


def _disks_whole(ask: AssignmentContext) -> Message:
    return DisksWholeInputs(checksums=tuple(proof.expected_checksums(ask.snapshot, ask.actor)))


def _copied(ask: AssignmentContext) -> Message:
    snapshot, operation = ask.snapshot, ask.snapshot.operation
    assert operation.source is not None
    guest, lent = _for_destination(ask), operation.context.lent
    places = lent if ask.phase.lends else {}
    disks = [d.model_copy(update={"path": places.get(d.target, d.path)}) for d in guest.disks]
    return CopiedInputs(
        guest=guest.model_copy(update={"disks": tuple(disks)}),
        source_uri=snapshot.hosts[operation.source].report.live_migration_uri,
        copy_disks=views.fetched_targets(snapshot, ask.phase),
        images={image: lent[image] for image in views.lent_images(snapshot) if image in lent},
    )


def _powered(ask: AssignmentContext) -> Message:
    operation = ask.snapshot.operation
    return PoweredInputs(power=views.power_asked(operation), machine=views.guest_of(operation).machine)


def _disks_present(ask: AssignmentContext) -> Message:
    return DisksPresentInputs(admin_pass=ask.snapshot.operation.params.password)


def _rebuilt(ask: AssignmentContext) -> Message:
    shared = views.shared_by_both(ask.snapshot)
    return RebuiltInputs(
        shared=tuple(disk.target for disk in ask.snapshot.instance.disks if disk.pool in shared),
        admin_pass=ask.snapshot.operation.params.password,
    )


def _shut_off(ask: AssignmentContext) -> Message:
    """What runs although the instance is, or soon will be, elsewhere is not asked: neither on an evacuated host, which
    is declared dead, nor where an evacuation or a move that was given up had started it."""
    operation = ask.snapshot.operation
    second = ask.table.leaves_lost_host or not operation.locks_instance
    soft = operation.params.soft and not second
    return ShutOffInputs(soft=soft, timeout_s=ask.snapshot.shutdown_timeout_s)


def _absent(ask: AssignmentContext) -> Message:
    """As much as the table lets the step destroy: everything, or the copy that a move leaves, which is never a shared
    disk, and a running guest only where it was evacuated from."""
    snapshot = ask.snapshot
    pools = snapshot.instance.pools
    loss = ask.phase.destroys if snapshot.operation.forward else ask.phase.undo_destroys
    if loss not in (Loss.COPY, Loss.STRAY, Loss.ALL):
        return AbsentInputs()
    if loss is Loss.ALL:
        return AbsentInputs(delete_pools=pools, destroy_running=True)
    shared = views.shared_by_both(snapshot)
    return AbsentInputs(
        delete_pools=tuple(pool for pool in pools if pool not in shared),
        preserve_storage_ids=_kept(ask),
        destroy_running=loss is Loss.STRAY,
        paused=ask.actor is Actor.SOURCE and views.stays_paused(snapshot.operation),
        arrived=snapshot.deleted,
    )


def _kept_disks(ask: AssignmentContext) -> Message:
    return KeptInputs(kept=ask.snapshot.operation.params.kept)


def _kept(ask: AssignmentContext) -> tuple[str, ...]:
    """Storage identities of the hosts where the instance lives on: the operation's other end, and wherever it has been
    moved since, for what is owed may be cleaned up much later."""
    snapshot = ask.snapshot
    here = views.host_of(snapshot.operation, ask.actor)
    kept = set(views.guest_of(snapshot.operation).storage.values()) if ask.actor is Actor.DESTINATION else set()
    for name in {snapshot.operation.destination, snapshot.record_host} - {here}:
        if (view := views.view_of(snapshot, name)) is not None:
            kept |= {pool.identity for pool in view.report.storage.values()}
    return tuple(sorted(kept))


_INPUTS: Mapping[Ensure, Callable[[AssignmentContext], Message]] = {
    Ensure.COMPATIBLE: _compatible,
    Ensure.PREPARED: _prepared,
    Ensure.MEASURED: _measured,
    Ensure.MIGRATING: _migrating,
    Ensure.SHUT_OFF: _shut_off,
    Ensure.NOT_RUNNING: _shut_off,
    Ensure.ABSENT: _absent,
    Ensure.SET_ASIDE: _absent,
    Ensure.KEPT_RESTORED: _kept_disks,
    Ensure.KEPT_UNRESTORED: _kept_disks,
    Ensure.KEPT_DROPPED: _kept_disks,
    Ensure.OFFERED: _offered,
    Ensure.LENT: _lent,
    Ensure.DISKS_WHOLE: _disks_whole,
    Ensure.COPIED: _copied,
    Ensure.POWERED: _powered,
    Ensure.DISKS_PRESENT: _disks_present,
    Ensure.RUNNING: _disks_present,
    Ensure.REBUILT: _rebuilt,
}
