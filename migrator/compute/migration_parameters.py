"""How a transfer under way should be set now. Pure: what the server asked for and how long it lasts in, settings out.

Counts by libvirt's own clock of the job, so that a restarted agent goes on with the step where the old one was.
"""

from dataclasses import dataclass

from migrator.protocol import JobFact, MigratingInputs


@dataclass(frozen=True, slots=True)
class Steering:
    """``max_downtime_ms`` None: the hypervisor's own; ``bandwidth_mib_s`` 0: no limit."""

    max_downtime_ms: int | None
    bandwidth_mib_s: int
    force: bool


def steering(inputs: MigratingInputs, job: JobFact | None) -> Steering:
    """``job``: as it was last seen; None: it has not begun."""
    elapsed_ms = job.elapsed_ms if job is not None else 0
    reached = [ms for after_s, ms in inputs.downtime_steps if after_s * 1000 <= elapsed_ms]
    force = inputs.force or (job is not None and _passed(inputs, job))
    return Steering(reached[-1] if reached else None, inputs.bandwidth_mib_s, force)


def _passed(inputs: MigratingInputs, job: JobFact) -> bool:
    """Whether all memory was sent as often as it should be before post-copy. The pass under way is counted too."""
    return bool(inputs.post_copy and inputs.post_copy_after and (job.iterations or 0) > inputs.post_copy_after)
