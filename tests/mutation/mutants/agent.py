"""Planted bugs in the agent's handlers and worker."""

from tests.mutation.mutant import Mutant

ENSURE = "migrator/compute/handlers/live.py"
ENSURE_MOVING = "migrator/compute/handlers/cold.py"
ENSURE_POWER = "migrator/compute/handlers/power.py"
WORKER = "migrator/compute/agent/worker.py"
PROTOCOL_FACTS = "migrator/protocol/facts.py"

MUTANTS = (
    Mutant(
        "begun is not looked up",
        ENSURE,
        ("    if tools.journal.begun(operation, epoch):\n        return _steered(driver, memory, uuid, inputs)\n"),
        "",
    ),
    Mutant(
        "stamp is not looked at",
        ENSURE,
        "if (domain.stamp_operation, domain.stamp_epoch) == (operation, epoch):",
        "if False:",
    ),
    Mutant(
        "not journalled before",
        ENSURE,
        ("    tools.journal.begin(operation, epoch)\n    memory.quiet_since"),
        "    memory.quiet_since",
    ),
    Mutant(
        "beside another job",
        ENSURE,
        (
            "    if driver.migration_running(uuid) or (job is not None and job.active):\n"
            '        raise Conflict("another job is active on the domain")\n'
        ),
        "",
    ),
    Mutant(
        "another operation's job ended",
        ENSURE,
        "if active and begun(tools, assignment, driver.domain(uuid)):",
        "if active:",
    ),
    Mutant(
        "absent beside a copy",
        ENSURE,
        (
            "    if not driver.stop_copy(spec.uuid):\n"
            '        return {"domain": None, "note": "a copy is still being ended"}  # its half-made '
            "files would be overlooked\n"
        ),
        "    driver.stop_copy(spec.uuid)\n",
    ),
    Mutant(
        "absent beside a transfer",
        ENSURE,
        (
            "    if not inputs.destroy_running and _transfer_active(driver, spec.uuid):\n"
            '        return {"note": "a transfer is still active: left alone"}\n'
        ),
        "",
    ),
    Mutant(
        "absent destroys what runs",
        ENSURE,
        "if not inputs.destroy_running and not _left_behind(assignment, domain, paused=inputs.paused):",
        "if False:",
    ),
    Mutant(
        "files go though the domain is there",
        ENSURE,
        "return None if driver.domain(spec.uuid).state is DomainState.ABSENT else NOTHING",
        "return None",
    ),
    Mutant(
        "left behind by anybody",
        ENSURE,
        ("    if domain.stamp_operation != assignment.operation_id:\n        return False\n"),
        "",
    ),
    Mutant(
        "kill first is dropped",
        ENSURE,
        (
            "    if inputs.destroy_running and driver.domain(spec.uuid).state not in DEAD:\n"
            "        driver.destroy(spec.uuid)  # before all that a broken disk or mount can hinder: "
            "it may run elsewhere\n"
        ),
        "",
    ),
    Mutant(
        "a process is no hindrance",
        ENSURE_MOVING,
        ('    if state not in DEAD:\n        raise Conflict(f"the domain is {state} here: its disks are left alone")'),
        "    return",
    ),
    Mutant(
        "missing shared disks made anew",
        ENSURE_MOVING,
        ('    if missing:\n        raise StorageError(\n            f"disk missing on shared'),
        ('    if False:\n        raise StorageError(\n            f"disk missing on shared'),
    ),
    Mutant(
        "copy begun again in a new epoch is not",
        ENSURE_MOVING,
        "if memory.copy_epoch != assignment.epoch:",
        "if memory.copy_epoch is None:",
    ),
    Mutant(
        "suspended is started over",
        ENSURE_POWER,
        (
            "    if state is DomainState.SAVED:\n"
            '        raise Conflict("the instance is suspended: resume it", advice="resume it, or '
            'its saved memory would be lost")\n'
        ),
        "",
    ),
    Mutant(
        "powered over a process",
        ENSURE_POWER,
        (
            "    if state not in DEAD:\n"
            '        raise Conflict(f"the domain is {state}, and should become {inputs.power}: it is '
            'left alone")\n'
        ),
        "",
    ),
    Mutant(
        "powered without its disks",
        ENSURE_POWER,
        ("    refuse_missing_disks(driver, spec)\n    return _POWERING"),
        "    return _POWERING",
    ),
    Mutant(
        "running without its disks",
        ENSURE_POWER,
        (
            "    refuse_missing_disks(driver, spec)\n"
            "    driver.define_and_start(spec, assignment.operation_id, assignment.epoch, "
            "seal=assignment.seal)"
        ),
        ("    driver.define_and_start(spec, assignment.operation_id, assignment.epoch, seal=assignment.seal)"),
    ),
    Mutant(
        "stopped with old memory beside",
        ENSURE_POWER,
        "its own.\n            tools.driver.delete_saved_memory(uuid)\n",
        "its own.\n            pass\n",
    ),
    Mutant(
        "powered keeps old memory",
        ENSURE_POWER,
        "        driver.delete_saved_memory(spec.uuid)  # it ran on",
        "        pass  # it ran on",
    ),
    Mutant(
        "not running leaves a paused one",
        ENSURE_POWER,
        ("        driver.destroy(uuid)  # paused it does not hear, and crashed it may still have a process"),
        "        pass",
    ),
    Mutant(
        "unpaused whatever paused it",
        ENSURE_POWER,
        "if domain.state is not DomainState.PAUSED or domain.reason not in MAY_GO_ON:",
        "if domain.state is not DomainState.PAUSED:",
    ),
    Mutant(
        "pause without forward",
        ENSURE_POWER,
        ("    if assignment.forward:\n        state = driver.domain(uuid).state\n        if state not in"),
        ("    if True:\n        state = driver.domain(uuid).state\n        if state not in"),
        equivalent="a pause has no undo that asks for it",
    ),
    Mutant(
        "domain before job",
        WORKER,
        (
            "        job = driver.job(uuid) if assignment.ensure in _WITH_JOB else None\n"
            "        domain = driver.domain(uuid)"
        ),
        (
            "        domain = driver.domain(uuid)\n"
            "        job = driver.job(uuid) if assignment.ensure in _WITH_JOB else None"
        ),
    ),
    Mutant(
        "a cut call counts as an end",
        WORKER,
        ("            memory.started_epoch = None\n            memory.quiet_since = None\n        return"),
        ("            pass\n        return"),
    ),
    Mutant(
        "a transient domain has arrived",
        PROTOCOL_FACTS,
        "if not self.persistent or self.stamp_operation != operation_id:",
        "if self.stamp_operation != operation_id:",
    ),
    Mutant(
        "another operation's domain has arrived",
        PROTOCOL_FACTS,
        "if not self.persistent or self.stamp_operation != operation_id:",
        "if not self.persistent:",
    ),
    Mutant(
        "an arrived guest is a leftover",
        ENSURE,
        "if moved_here and domain.arrived(assignment.operation_id) and not inputs.arrived:",
        "if False:",
    ),
    Mutant(
        "disks are set aside beside a domain",
        ENSURE,
        (
            "    left = _without_domain(tools, assignment, inputs)\n"
            "    if left is not None:\n"
            "        return left\n"
            "    driver.set_aside"
        ),
        ("    _without_domain(tools, assignment, inputs)\n    driver.set_aside"),
    ),
    Mutant(
        "a stop forgets the guest's memory file",
        ENSURE_POWER,
        ("    driver.stop_copy(uuid)\n    return NOTHING"),
        "    return NOTHING",
    ),
    Mutant(
        "a crashed process is started over",
        ENSURE_POWER,
        ("    if state is DomainState.CRASHED:\n        driver.destroy(spec.uuid)"),
        ("    if False:\n        driver.destroy(spec.uuid)"),
    ),
    Mutant(
        "a suspended guest boots from its disks",
        ENSURE_POWER,
        "    if driver.domain(spec.uuid).state is DomainState.SAVED:",
        "    if False:",
    ),
    Mutant(
        "a guest is never asked to shut down twice",
        ENSURE_POWER,
        "if memory.asked_at is None or now - memory.asked_at >= ASK_AGAIN_S:",
        "if memory.asked_at is None:",
    ),
)
