"""When a live migration has lasted too long, and what becomes of it then. Pure."""

from migrator.event_types import EventType
from migrator.protocol import POST_COPY, Fact
from migrator.scheduler.decision import views
from migrator.scheduler.decision.rollback_start import start_rollback
from migrator.scheduler.decision.snapshot import Plan, Snapshot, Timeline

_MEASURED_EVERY_S = 1.0


def expired(snapshot: Snapshot, source: Fact) -> tuple[str, str] | None:
    """(code, words) for a transfer that should not go on; None: it may. A transfer that an operator holds, or that is
    being forced to its end, is not measured by its progress; one in post-copy by nothing."""
    operation, schedule = snapshot.operation, snapshot.schedule
    if source.domain is not None and source.domain.reason in POST_COPY:  # there is no way back
        return None
    limit_s = completion_limit_s(snapshot)
    if limit_s and operation.phase_age_s > limit_s:
        return "completion_timeout", f"not completed after {limit_s:.0f} s (live_migration_completion_timeout)"
    if operation.steering.held or operation.steering.force:
        return None
    if schedule.progress_s and snapshot.stalled_s > schedule.progress_s:
        message = f"no new low in bytes remaining for {snapshot.stalled_s:.0f} s (live_migration_progress_timeout)"
        return "progress_timeout", message
    return None


def completion_limit_s(snapshot: Snapshot) -> float:
    """0: none. A transfer that was forced to its end gets as long again for it."""
    factor = 2 if snapshot.operation.steering.force else 1
    return snapshot.schedule.completion_s * views.data_gib(snapshot) * factor


def progress_due_s(snapshot: Snapshot) -> float | None:
    """Seconds until ``live_migration_progress_timeout`` passes if no new low comes; None: it is not measured, or it has
    passed. Its measure grows by a second at a time, so no look sooner than that finds more."""
    steering, limit_s = snapshot.operation.steering, snapshot.schedule.progress_s
    if not limit_s or steering.held or steering.force or snapshot.stalled_s > limit_s:
        return None
    return max(limit_s - snapshot.stalled_s, _MEASURED_EVERY_S)


def act(snapshot: Snapshot, late: tuple[str, str]) -> Plan:
    """``live_migration_timeout_action``; a completion that was forced and does not come either is aborted."""
    code, message = late
    if snapshot.schedule.on_timeout == "abort" or snapshot.operation.steering.force:
        return start_rollback(snapshot, code, message, status="cancelled")
    line = Timeline(EventType.PARAMETERS_CHANGED, f"{message}: its completion is forced", snapshot.operation.source)
    return Plan(steering={"force": True}, timeline=(line,))
