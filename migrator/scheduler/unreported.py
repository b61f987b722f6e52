"""A host that is heard, but says nothing of a step that it was asked for: the operation waits for a named reason.

Pure. A step may hang in a call that does not return, or take long; a fact may be lost, or its host may not understand.
Owns after how long that is said, and never what follows from it.
"""

from dataclasses import replace

from migrator.scheduler import reading
from migrator.scheduler.assign import asked
from migrator.scheduler.snapshot import NOTHING, Plan, Snapshot
from migrator.scheduler.waiting import wait

_REPEATING = 2  # the protocol from which on an agent sends unchanged facts again


def named(snapshot: Snapshot, plan: Plan) -> Plan:
    """``plan``, or if it gives no reason for waiting although a host owes a report, one that does."""
    if not _silent(plan):
        return plan
    late = next((host for host in sorted(asked(snapshot.operation)) if _late(snapshot, host)), None)
    if late is None:
        return plan
    limit = f"{snapshot.report_timeout_s:g} s"
    return wait(snapshot, f"waiting for {late}: heard, but no report on this step for {limit} or more")


def _silent(plan: Plan) -> bool:
    return plan == NOTHING or (plan.waiting == "" and replace(plan, waiting=None, timeline=()) == NOTHING)


def _late(snapshot: Snapshot, host: str) -> bool:
    view, limit_s = reading.view_of(snapshot, host), snapshot.report_timeout_s
    if view is None or not limit_s or not view.heard:
        return False
    if min(snapshot.operation.phase_age_s, view.heard_s) < limit_s:
        return False
    if reading.fresh(snapshot, host) is None:
        return True
    return view.report.protocol >= _REPEATING and snapshot.told.get(host, 0.0) >= limit_s
