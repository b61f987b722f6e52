"""The destination shows its disks before the source's are given up.

Pure. Owns what holds an operation back there: a proof that is missing or fails, a host that is silent. Who confirmed
a cold move may still revert; after a live one there is no way back, and what the source has is kept until the proof.
"""

from dataclasses import replace

from migrator.event_types import EventType
from migrator.operations import Actor, End, Operation, Phase
from migrator.scheduler.decision import proof, views
from migrator.scheduler.decision.completion import ConditionStatus, Progress
from migrator.scheduler.decision.postcopy_failure import torn_after_arrival
from migrator.scheduler.decision.rollback_start import start_rollback
from migrator.scheduler.decision.snapshot import Plan, Snapshot, Timeline
from migrator.scheduler.decision.verdict import Verdict
from migrator.scheduler.decision.waiting import alarm, set_free, wait


def held_back(snapshot: Snapshot, table: Operation, phase: Phase) -> Plan | None:
    """None: the copy at the destination is proven, or needs no proof."""
    operation, host = snapshot.operation, snapshot.operation.destination
    if host is None or views.skipped(operation, phase):
        return None
    if not table.reversible(phase.name) and not views.heard(snapshot, operation.source):
        return _without_source(snapshot)
    if snapshot.deleting:  # what is deleted needs no proof
        return None
    if not operation.locks_instance and (
        snapshot.deleted or snapshot.record_host != host
    ):  # it lives elsewhere, or nowhere
        return None
    if operation.cancel_requested and table.reversible(phase.name):
        return replace(start_rollback(snapshot, "reverted", "reverted on request", status="reverted"), confirm=False)
    if torn_after_arrival(snapshot, table, phase):
        return alarm(snapshot, Verdict.POSTCOPY_LOST)
    if not table.reversible(phase.name) and views.fenced(snapshot, host):
        return set_free(snapshot, host)
    fact = views.fresh(snapshot, host)
    if fact is None:
        silent = f"{views.silence(snapshot, host)}: {_kept(snapshot, table, phase)}"
        return wait(snapshot, "" if views.heard(snapshot, host) else silent)
    if views.taken_over(snapshot, fact):  # a newer operation of the instance has had its own proofs
        return None
    found = proof.judge_whole(snapshot, Actor.DESTINATION, fact)
    if found.progress is Progress.DONE:
        return None
    return _not_whole(snapshot, table, phase, found)


def _without_source(snapshot: Snapshot) -> Plan:
    """A proof from before the source was silent would be old by the time it can delete anything."""
    source = snapshot.operation.source or ""
    if views.fenced(snapshot, source):
        return set_free(snapshot, source)
    return wait(snapshot, views.silence(snapshot, source))


def _not_whole(snapshot: Snapshot, table: Operation, phase: Phase, found: ConditionStatus) -> Plan:
    operation, host = snapshot.operation, snapshot.operation.destination
    asked = table.ended_by(End.OPERATOR)
    if found.progress is Progress.PENDING or asked is None or not table.reversible(phase.name):
        missing = f"{host} has not what it should have: " if found.progress is Progress.FAILED else f"{host}: "
        return wait(snapshot, f"{missing}{found.message}: {_kept(snapshot, table, phase)}" if found.message else "")
    line = Timeline(
        EventType.ROLLBACK_STARTED, f"not confirmed, for {host} has not what it should have: {found.message}", host
    )
    waiting = "" if operation.wait_reason else None
    # Under another epoch: what the host has said must not answer when it is asked again.
    return Plan(
        phase=asked.name,
        bump_epoch=True,
        confirm=False,
        context={proof.WINDOW: None},
        wait_reason=waiting,
        timeline=(line,),
    )


def _kept(snapshot: Snapshot, table: Operation, phase: Phase) -> str:
    operation = snapshot.operation
    back = "; revert goes back to it" if table.reversible(phase.name) else ""
    return f"what {operation.source} has is kept until {operation.destination} has shown its disks{back}"
