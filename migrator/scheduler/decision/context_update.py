"""What an operation keeps of the fact that ended a phase, for the assignments and decisions of later ones.

Pure: one small function for each word of the table's column *records*.
"""

from collections.abc import Callable, Mapping
from typing import Any

from migrator.operations import Actor, Phase, Record
from migrator.protocol import Fact, TargetPowerState
from migrator.scheduler.decision import evacuated_disks, proof, strategy_choice, views
from migrator.scheduler.decision.operation_data import ContextUpdate
from migrator.scheduler.decision.snapshot import Snapshot, Timeline
from migrator.scheduler.decision.verdict import user_paused


def context_update(snapshot: Snapshot, phase: Phase, fact: Fact | None) -> ContextUpdate:
    """What leaving ``phase`` adds to the operation's context."""
    return {} if fact is None or phase.records not in _UPDATES else _UPDATES[phase.records](snapshot, fact)


def strategy(snapshot: Snapshot, phase: Phase, fact: Fact | None) -> tuple[Mapping[str, Any], Timeline] | None:
    """By which means the transfer is begun, once its source has measured."""
    if phase.records is not Record.STRATEGY or fact is None or fact.measurement is None:
        return None
    return strategy_choice.chosen(snapshot, fact.measurement)


def observed(snapshot: Snapshot, phase: Phase, *, turned: bool = False) -> Fact | None:
    """The newest fact of this epoch from the host that the effect writes down. ``turned``: or of the epoch before, for
    an operation that was on its way back, and was turned by what it heard there."""
    if phase.observed_on is None:
        return None
    operation = snapshot.operation
    host = operation.source if phase.observed_on is Actor.SOURCE else operation.destination
    found = views.newest(snapshot, host, operation.epoch)
    return views.newest(snapshot, host, operation.epoch - 1) if found is None and turned else found


def _guest(_: Snapshot, fact: Fact) -> ContextUpdate:
    found = _description(fact)
    return {**found, "power": TargetPowerState.PAUSED.value} if user_paused(fact) else found


def _guest_and_power(_: Snapshot, fact: Fact) -> ContextUpdate:
    return {**_description(fact), "power": views.power_found(fact).value}


def _description(fact: Fact) -> ContextUpdate:
    return {"guest": fact.guest.model_dump(mode="json")} if fact.guest is not None else {}


def _shared_pools(snapshot: Snapshot, fact: Fact) -> ContextUpdate:
    shared = views.shared_by_both(snapshot)
    found = shared if fact.proven is None else shared & set(fact.proven)
    return {"shared": {snapshot.operation.destination or "": sorted(found)}}


def _lent_files(_: Snapshot, fact: Fact) -> ContextUpdate:
    return {views.LENT: {disk.target: disk.path for disk in fact.disks}}


def _lent_images(snapshot: Snapshot, fact: Fact) -> ContextUpdate:
    images = views.lent_images(snapshot)
    return {views.LENT: {disk.target: disk.path for disk in fact.disks if disk.target in images}} if images else {}


def _copy(snapshot: Snapshot, fact: Fact) -> ContextUpdate:
    targets = views.moved_targets(snapshot)
    return {proof.COPIED: {d.target: d.checksum for d in fact.disks if d.target in targets and d.checksum}}


def _destination_disks(snapshot: Snapshot, fact: Fact) -> ContextUpdate:
    disks = [disk.model_dump(mode="json") for disk in fact.disks]
    begun: ContextUpdate = {"destination_disks": disks, "post_copy": snapshot.migration_options.post_copy}
    return {**begun, "limit_mib_s": limit} if (limit := strategy_choice.limit_mib_s(snapshot)) else begun


def _kept_disks(_: Snapshot, fact: Fact) -> ContextUpdate:
    return {"set_aside": evacuated_disks.kept_view(fact.kept)}


_UPDATES: Mapping[Record, Callable[[Snapshot, Fact], ContextUpdate]] = {
    Record.GUEST: _guest,
    Record.GUEST_AND_POWER: _guest_and_power,
    Record.SHARED_POOLS: _shared_pools,
    Record.LENT_FILES: _lent_files,
    Record.LENT_IMAGES: _lent_images,
    Record.COPY: _copy,
    Record.DESTINATION_DISKS: _destination_disks,
    Record.KEPT_DISKS: _kept_disks,
}
