"""The proof that a copy of an instance's data is whole, before another one is given up; and how long a confirmation is
waited for.

Pure. Owns what a host must show of its disks, and what is expected of them. Never decides what follows from it.
"""

from collections.abc import Mapping
from typing import Final

from migrator.operations import OPERATIONS, Actor, Operation, Phase
from migrator.protocol import JOURNAL_UNWRITABLE, MEMORY, Fact
from migrator.scheduler.decision import views
from migrator.scheduler.decision.completion import ConditionStatus, Progress
from migrator.scheduler.decision.snapshot import Snapshot

COPIED: Final = "copied"  # in an operation's context: target -> checksum that both ends had when the copy was complete
STAYED: Final = "stayed"  # there too: it turned forward again, for its source had nothing to go back to
UNDOING: Final = "undoing"  # there too: the source has shown its disks, and the guest at the destination may be stopped
WINDOW: Final = "window"  # there too: what of resize_confirm_window has been counted, and until when
_COUNT_S, _MOST_S = 60.0, 120.0  # between two countings, and counted by one
GOOD_FOR_S = 300.0  # a proof: what it lets a host destroy is destroyed by then, or the copy that stays is shown anew
_READINGS = 3  # of the clock that the shortest window needs: one that is wrong never confirms


def expected_checksums(snapshot: Snapshot, actor: Actor) -> Mapping[str, str]:
    """Target -> the checksum that its disk must have. The source's disks are as they were copied, until its guest is
    put back; the destination's guest has written since."""
    if actor is not Actor.SOURCE or snapshot.operation.same_host or not snapshot.operation.locks_instance:
        return {}
    return snapshot.operation.context.copied


def judge_whole(snapshot: Snapshot, actor: Actor, fact: Fact) -> ConditionStatus:
    """Whether this end's copy is whole: every disk there, none smaller than it was, and its content what was copied."""
    if fact.problem is not None:  # without a journal the host has not looked at its disks
        final = fact.problem.final and fact.problem.code != JOURNAL_UNWRITABLE
        progress = Progress.FAILED if final else Progress.PENDING
        return ConditionStatus(progress, fact.problem.code, fact.problem.message)
    if fact.domain is None:
        return ConditionStatus(Progress.PENDING)
    found = {disk.target: disk for disk in fact.disks}
    if unshown := [disk.target for disk in snapshot.instance.disks if disk.target not in found]:
        return ConditionStatus(Progress.PENDING, message=f"it has not shown {', '.join(unshown)}")
    wrong = [f"{target} is missing ({disk.path})" for target, disk in found.items() if not disk.exists]
    for disk in views.guest_of(snapshot.operation).disks:
        if disk.target == MEMORY:  # its checksum tells
            continue
        size = found[disk.target].virtual_bytes if disk.target in found else disk.virtual_bytes
        if disk.target in found and found[disk.target].exists and size < disk.virtual_bytes:
            wrong.append(f"{disk.target} has {size} bytes, and had {disk.virtual_bytes}")
    expected = expected_checksums(snapshot, actor)
    sums = {target: disk.checksum for target, disk in found.items() if disk.checksum}
    wrong += [f"{t} is {sums[t]}, and {c} was copied" for t, c in expected.items() if t in sums and sums[t] != c]
    if wrong:
        return ConditionStatus(Progress.FAILED, "not_whole", "; ".join(wrong))
    return ConditionStatus(Progress.DONE if expected.keys() <= sums.keys() else Progress.PENDING)


def needed(snapshot: Snapshot, keeper: str) -> bool:
    """Whether the instance's data is the copy on ``keeper``. What is deleted needs no proof, nor what lives elsewhere
    by now: every move since had its own."""
    if snapshot.deleting:
        return False
    return snapshot.operation.locks_instance or (not snapshot.deleted and snapshot.record_host == keeper)


def lapsed(snapshot: Snapshot, table: Operation, phase: Phase, name: str) -> bool:
    """Whether the proof by phase ``name``, under which ``phase`` may destroy a copy, counts no more: the host that
    keeps the other one is silent, or gave its proof long ago. ``name`` "": none is needed."""
    if not name or views.skipped(snapshot.operation, phase) or views.left_out(snapshot, table.phase(name)):
        return False
    keeper = views.host_of(snapshot.operation, table.phase(name).actor)
    if keeper is None or not needed(snapshot, keeper):
        return False
    return not views.heard(snapshot, keeper) or snapshot.operation.phase_age_s > GOOD_FOR_S


def arrived(snapshot: Snapshot) -> bool:
    """On the way back of a cold move: whether it turned round after the copy was complete and proven."""
    operation = snapshot.operation
    table, failed = OPERATIONS[operation.kind], (operation.error or {}).get("phase", "")
    return any(phase.name == failed for phase in table.phases) and table.index(failed) > table.index(table.copied_by)


def may_stay(snapshot: Snapshot) -> bool:
    """Whether the instance can stay at the destination: its copy was proven there; once only, where it never ran."""
    return recorded(snapshot) or (arrived(snapshot) and not snapshot.operation.context.stayed)


def recorded(snapshot: Snapshot) -> bool:
    """The same, after the record had named the destination."""
    operation = snapshot.operation
    table = OPERATIONS[operation.kind]
    return arrived(snapshot) and table.index(str((operation.error or {})["phase"])) > table.index(table.recorded_by)


def counted(snapshot: Snapshot) -> tuple[bool, Mapping[str, float] | None]:
    """Whether resize_confirm_window has passed, and what to keep of the counting; None: nothing new. Only time counts
    in which the servers counted and the destination was heard, and one reading of the clock counts for little."""
    window, host = snapshot.confirm_window_s, snapshot.operation.destination
    view = views.view_of(snapshot, host)
    if not window or view is None or not views.heard(snapshot, host):
        return False, None
    kept = snapshot.operation.context.window
    if kept is None or view.now < kept.at:
        return False, {"counted_s": kept.counted_s if kept is not None else 0.0, "at": view.now}
    passed = view.now - kept.at
    counted_s = kept.counted_s + min(passed, _MOST_S, window / _READINGS)
    if counted_s >= window:
        return True, None
    if passed < counting_s(window):
        return False, None
    return False, {"counted_s": counted_s, "at": view.now}


def counting_s(window_s: float) -> float:
    """Between two countings of resize_confirm_window."""
    return min(_COUNT_S, window_s / (2 * _READINGS))
