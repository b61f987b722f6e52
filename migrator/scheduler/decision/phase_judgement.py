"""Whether what a host says ends its part of a phase, and what is said of it where it does not.

Pure. Owns what depends on the operation beside the fact: which hosts' content is compared, how the instance is wanted,
which storage has to be the one that was lost. Never decides what follows from it.
"""

from migrator.operations import End, Phase, Record
from migrator.protocol import Ensure, Fact
from migrator.scheduler.decision import views
from migrator.scheduler.decision.completion import DONE, ConditionStatus, Progress, judge, judge_copy
from migrator.scheduler.decision.snapshot import Snapshot


def judge_done(snapshot: Snapshot, phase: Phase, fact: Fact) -> ConditionStatus:
    """On the way forward."""
    assert isinstance(phase.do, Ensure)
    if views.taken_over(snapshot, fact):
        return DONE
    if phase.end is End.CHECKSUMS:
        offered = views.fresh(snapshot, snapshot.operation.source)
        return judge_copy(offered, fact, views.fetched_targets(snapshot, phase))
    if phase.records is Record.SHARED_POOLS and (lost := _unproven(snapshot, fact)):
        return lost
    return judge(phase.do, fact, views.power_asked(snapshot.operation))


def judge_undone(snapshot: Snapshot, phase: Phase, fact: Fact) -> ConditionStatus:
    """On the way back."""
    assert isinstance(phase.undo, Ensure)
    if views.taken_over(snapshot, fact):
        return DONE
    return judge(phase.undo, fact, views.power_wanted(snapshot.operation))


def _unproven(snapshot: Snapshot, fact: Fact) -> ConditionStatus | None:
    """Disks that outlived their host are only where what that host wrote is found: a copied marker is none."""
    surviving = snapshot.operation.params.surviving
    lost = [pool for pool in surviving if pool in fact.unproven]
    if not lost:
        return None
    message = (
        f"storage: {', '.join(lost)} has the same marker here, but not what {snapshot.operation.source} wrote there"
    )
    return ConditionStatus(Progress.FAILED, "check_failed", message)


def pending_reason(snapshot: Snapshot, phase: Phase, host: str, judgement: ConditionStatus) -> str:
    """Why it is not done yet; "" while it merely goes on. A copy is done by what both ends say."""
    if judgement.message:
        return f"{host}: {judgement.message}"
    source = snapshot.operation.source or ""
    away = phase.end is End.CHECKSUMS and not views.heard(snapshot, source)
    return views.silence(snapshot, source) if away else ""


def failure_message(phase: Phase, host: str, judgement: ConditionStatus) -> str:
    """The hypervisor's words, and for the lock of a disk image what it means: the last guard has held."""
    if phase.guarded_by_lock and "lock" in judgement.message.lower():
        return (
            f"{host}: the instance was not started, for its disk is locked: a copy of it still runs elsewhere, and "
            f"was left alone ({judgement.message})"
        )
    return f"{host}: {judgement.message}"
