"""A host that is heard, but says nothing of a step that it was asked for, or only that it is not done: the operation
waits for a named reason.

Pure. A step may hang in a call that does not return, or take long; a fact may be lost, or its host may not understand.
Owns after how long that is said, and never what follows from it.
"""

from dataclasses import replace

from migrator.operations import SETTLES
from migrator.scheduler.decision import views
from migrator.scheduler.decision.assignments import asked
from migrator.scheduler.decision.snapshot import NOTHING, Plan, Snapshot
from migrator.scheduler.decision.waiting import REPEATING, wait

_REPORT = "no report on this step"


def named(snapshot: Snapshot, plan: Plan) -> Plan:
    """``plan``, or if it gives no reason for waiting although a host owes a report, one that does."""
    if not _silent(snapshot, plan):
        return plan
    wanted = asked(snapshot.operation)
    late = next((host for host in sorted(wanted) if _late(snapshot, host)), None)
    if late is not None:
        limit = f"{snapshot.report_timeout_s:g} s"
        return wait(snapshot, f"waiting for {late}: heard, but {_REPORT} for {limit} or more")
    said = (_not_done(snapshot, host) for host, (_, ensure) in sorted(wanted.items()) if ensure in SETTLES)
    reason = next((message for message in said if message), "")
    return wait(snapshot, reason) if reason else plan


def _silent(snapshot: Snapshot, plan: Plan) -> bool:
    """Whether it gives no reason. ``NOTHING`` beside a reason that is none of ours says that this one still holds."""
    if plan == NOTHING:
        return not snapshot.operation.wait_reason or _ours(snapshot)
    return plan.wait_reason == "" and replace(plan, wait_reason=None, timeline=()) == NOTHING


def _ours(snapshot: Snapshot) -> bool:
    return _REPORT in (snapshot.operation.wait_reason or "")


def _not_done(snapshot: Snapshot, host: str) -> str:
    """What a host says that tells of no problem, long after it was asked: a user paused the guest, or runs it."""
    fact, limit_s = views.fresh(snapshot, host), snapshot.report_timeout_s
    if fact is None or fact.domain is None or not limit_s or snapshot.operation.phase_age_s < limit_s:
        return ""
    return f"{host}: {fact.note or f'its domain is {fact.domain.state}'}"


def _late(snapshot: Snapshot, host: str) -> bool:
    view, limit_s = views.view_of(snapshot, host), snapshot.report_timeout_s
    if view is None or not limit_s or not view.heard:
        return False
    if min(snapshot.operation.phase_age_s, view.heard_s) < limit_s:
        return False
    if views.fresh(snapshot, host) is None:
        return True
    return view.report.protocol >= REPEATING and snapshot.told.get(host, 0.0) >= limit_s
