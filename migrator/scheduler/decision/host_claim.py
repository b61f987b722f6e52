"""A host is chosen for an operation and claimed, or is waited for, or none will do.

Pure: asks for the placement, which only the database can find, and says what follows from it.
"""

from dataclasses import replace

from migrator.operations import Operation, Phase
from migrator.scheduler.decision.next_phase import next_phase
from migrator.scheduler.decision.rollback_start import refused
from migrator.scheduler.decision.snapshot import Plan, Question, Snapshot
from migrator.scheduler.decision.waiting import queue_wait, wait, wait_in_queue


def claim_host(snapshot: Snapshot, table: Operation, phase: Phase) -> Plan:
    if (queued := queue_wait(snapshot)) is not None:
        return queued
    found = snapshot.placement
    if found is None:
        return Plan(asks=Question.PLACEMENT)
    if found.host is not None and found.ahead is not None:
        return wait_in_queue(snapshot, found.host, found.ahead)
    if found.host is not None:
        return replace(next_phase(snapshot, table, phase), destination=found.host)
    if found.silent_hosts:
        return wait(
            snapshot, f"waiting for {', '.join(found.silent_hosts)} to speak to the servers, which just came back"
        )
    ending = replace(refused(snapshot, found.refusals), clear_destination=True)
    if found.checks is None:
        return ending
    return replace(ending, error=dict(ending.error or {}) | {"checks": found.checks})
