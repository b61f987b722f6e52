"""Planted bugs in proofs of copies, in how a fact is judged, and in what a host is claimed or kept waiting for."""

from tests.mutation.mutant import Mutant

CLAIM = "migrator/scheduler/decision/host_claim.py"
JUDGEMENT = "migrator/scheduler/decision/phase_judgement.py"
KEPT = "migrator/compute/handlers/kept_disks.py"
PROOF = "migrator/scheduler/decision/proof.py"
SOURCE_PROOF = "migrator/scheduler/decision/source_proof.py"
UNREPORTED = "migrator/scheduler/decision/unreported.py"

MUTANTS = (
    Mutant(
        "what a guest has written since is compared with its copy",
        PROOF,
        "if actor is not Actor.SOURCE or snapshot.operation.same_host or not snapshot.operation.locks_instance:",
        "if snapshot.operation.same_host or not snapshot.operation.locks_instance:",
    ),
    Mutant(
        "a source whose guest is put back is compared with its copy",
        PROOF,
        "if actor is not Actor.SOURCE or snapshot.operation.same_host or not snapshot.operation.locks_instance:",
        "if actor is not Actor.SOURCE or snapshot.operation.same_host:",
    ),
    Mutant(
        "a host that cannot note what it is asked has lost its disks",
        PROOF,
        "final = fact.problem.final and fact.problem.code != JOURNAL_UNWRITABLE",
        "final = fact.problem.final",
    ),
    Mutant(
        "a missing disk is whole",
        PROOF,
        'wrong = [f"{target} is missing ({disk.path})" for target, disk in found.items() if not disk.exists]',
        "wrong: list[str] = []",
    ),
    Mutant(
        "a disk that became smaller is whole",
        PROOF,
        "if disk.target in found and found[disk.target].exists and size < disk.virtual_bytes:",
        "if disk.target in found and found[disk.target].exists and not size:",
    ),
    Mutant(
        "a disk whose content is another one is whole",
        PROOF,
        "if t in sums and sums[t] != c]",
        "if t not in sums]",
    ),
    Mutant(
        "a disk is whole before its checksum is known",
        PROOF,
        "return ConditionStatus(Progress.DONE if expected.keys() <= sums.keys() else Progress.PENDING)",
        "return ConditionStatus(Progress.DONE)",
    ),
    Mutant(
        "what is deleted waits for a proof",
        PROOF,
        "    if snapshot.deleting:\n        return False\n    return",
        "    return",
    ),
    Mutant(
        "what is deleted already waits for a proof",
        PROOF,
        "(not snapshot.deleted and snapshot.record_host == keeper)",
        "(snapshot.record_host == keeper)",
    ),
    Mutant(
        "a proof counts although its host is silent",
        PROOF,
        "return not views.heard(snapshot, keeper) or snapshot.operation.phase_age_s > GOOD_FOR_S",
        "return snapshot.operation.phase_age_s > GOOD_FOR_S",
    ),
    Mutant(
        "a proof counts for ever",
        PROOF,
        "return not views.heard(snapshot, keeper) or snapshot.operation.phase_age_s > GOOD_FOR_S",
        "return not views.heard(snapshot, keeper)",
    ),
    Mutant(
        "a copy that failed has arrived",
        PROOF,
        "table.index(failed) > table.index(table.copied_by)",
        "table.index(failed) >= table.index(table.copied_by)",
    ),
    Mutant(
        "an instance that never ran there stays again and again",
        PROOF,
        "return recorded(snapshot) or (arrived(snapshot) and not snapshot.operation.context.stayed)",
        "return recorded(snapshot) or arrived(snapshot)",
    ),
    Mutant(
        "one wrong reading of the clock confirms",
        PROOF,
        "kept.counted_s + min(passed, _MOST_S, window / _READINGS)",
        "kept.counted_s + passed",
    ),
    Mutant(
        "time in which the destination is silent confirms",
        PROOF,
        "if not window or view is None or not views.heard(snapshot, host):",
        "if not window or view is None:",
    ),
    Mutant(
        "a copy on a silent host is given up for a proof of now",
        SOURCE_PROOF,
        "if not operation.locks_instance and not views.heard(snapshot, operation.destination):",
        "if False:",
    ),
    Mutant(
        "a revert is called off although its copy is deleted",
        SOURCE_PROOF,
        "called_off = operation.confirm_requested and not _gone(snapshot)",
        "called_off = operation.confirm_requested",
    ),
    Mutant(
        "the source owes a proof to a newer operation",
        SOURCE_PROOF,
        "    if views.taken_over(snapshot, fact):",
        "    if False:",
    ),
    Mutant(
        "the stop at the destination is not remembered",
        SOURCE_PROOF,
        "context: ContextUpdate = {**plan.context, proof.UNDOING: True}",
        "context: ContextUpdate = {**plan.context}",
    ),
    Mutant(
        "an instance that is free is put down where it is not",
        SOURCE_PROOF,
        "if judged.progress is Progress.FAILED and operation.locks_instance and proof.may_stay(snapshot):",
        "if judged.progress is Progress.FAILED and proof.may_stay(snapshot):",
    ),
    Mutant(
        "an instance stays where it never arrived",
        SOURCE_PROOF,
        "if judged.progress is Progress.FAILED and operation.locks_instance and proof.may_stay(snapshot):",
        "if judged.progress is Progress.FAILED and operation.locks_instance:",
    ),
    Mutant(
        "a source that is merely silent is given up",
        SOURCE_PROOF,
        "if views.awaited(snapshot, host) or not operation.locks_instance or not views.fenced(snapshot, host):",
        "if views.awaited(snapshot, host) or not operation.locks_instance:",
    ),
    Mutant(
        "an instance that may be half deleted stays",
        SOURCE_PROOF,
        "if operation.context.undoing and (undone := _undoing(snapshot)):",
        'if (undone := ""):',
    ),
    Mutant(
        "what is left of a copy is said before its host answers",
        SOURCE_PROOF,
        '    if fact is None or fact.domain is None:\n        return f"{views.silence',
        '    if False:\n        return f"{views.silence',
    ),
    Mutant(
        "a host with a newer operation has to do an old one's work",
        JUDGEMENT,
        "    assert isinstance(phase.do, Ensure)\n    if views.taken_over(snapshot, fact):\n        return DONE\n",
        "    assert isinstance(phase.do, Ensure)\n",
    ),
    Mutant(
        "a host with a newer operation has to undo an old one's work",
        JUDGEMENT,
        "    assert isinstance(phase.undo, Ensure)\n    if views.taken_over(snapshot, fact):\n        return DONE\n",
        "    assert isinstance(phase.undo, Ensure)\n",
    ),
    Mutant(
        "a copied marker proves shared storage",
        JUDGEMENT,
        "if phase.records is Record.SHARED_POOLS and (lost := _unproven(snapshot, fact)):",
        "if phase.records is not Record.SHARED_POOLS and (lost := _unproven(snapshot, fact)):",
    ),
    Mutant(
        "a suspended instance is put back running",
        JUDGEMENT,
        "return judge(phase.undo, fact, views.power_wanted(snapshot.operation))",
        "return judge(phase.undo, fact, views.TargetPowerState.RUNNING)",
    ),
    Mutant(
        "a suspended instance stays suspended where it is moved to",
        JUDGEMENT,
        "return judge(phase.do, fact, views.power_asked(snapshot.operation))",
        "return judge(phase.do, fact, views.power_wanted(snapshot.operation))",
    ),
    Mutant(
        "a host that is not heard is said to be heard",
        UNREPORTED,
        "if view is None or not limit_s or not view.heard:",
        "if view is None or not limit_s:",
    ),
    Mutant(
        "a host that was heard again a moment ago is late",
        UNREPORTED,
        "if min(snapshot.operation.phase_age_s, view.heard_s) < limit_s:",
        "if snapshot.operation.phase_age_s < limit_s:",
    ),
    Mutant(
        "a step that takes its time is said to be not done",
        UNREPORTED,
        "for host, (_, ensure) in sorted(wanted.items()) if ensure in SETTLES)",
        "for host, _ in sorted(wanted.items()))",
    ),
    Mutant(
        "a host that is full takes an operation in",
        CLAIM,
        "if found.host is not None and found.ahead is not None:",
        "if False:",
    ),
    Mutant(
        "an operation does not keep its place in the queue",
        CLAIM,
        "if (queued := queue_wait(snapshot)) is not None:",
        "if (queued := None) is not None:",
    ),
    Mutant(
        "hosts that could not speak yet are not waited for",
        CLAIM,
        "    if found.silent_hosts:\n",
        "    if False:\n",
    ),
    Mutant(
        "an operation that no host takes keeps its place at one",
        CLAIM,
        "ending = replace(refused(snapshot, found.refusals), clear_destination=True)",
        "ending = refused(snapshot, found.refusals)",
    ),
    Mutant(
        "kept disks are put back under a guest that runs",
        KEPT,
        "    _refuse_process(tools, assignment)\n    if not {kept",
        "    if not {kept",
    ),
    Mutant(
        "kept disks are taken away again under a guest that runs",
        KEPT,
        "    _refuse_process(tools, assignment)\n    tools.driver.unrestore_kept",
        "    tools.driver.unrestore_kept",
    ),
    Mutant(
        "disks that are put back already are missing",
        KEPT,
        "if not {kept, operation} & {one.operation",
        "if not {kept} & {one.operation",
    ),
    Mutant(
        "what keeps nothing is put back",
        KEPT,
        "if not {kept, operation} & {one.operation for one in driver.kept_disks(spec.uuid)}:",
        "if False:",
    ),
    Mutant(
        "what was never put back is taken away",
        KEPT,
        "        return NOTHING  # nothing was put back, and",
        "        pass  # nothing was put back, and",
    ),
)
