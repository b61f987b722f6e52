"""What is kept of a transfer that has ended: the last statistics, as far as the hosts had them. Pure."""

from collections.abc import Mapping
from typing import Any

from migrator.operations import OPERATIONS
from migrator.protocol import JobFact
from migrator.scheduler.decision import views
from migrator.scheduler.decision.snapshot import Snapshot


def outcome_of(snapshot: Snapshot) -> Mapping[str, Any]:
    """The last statistics of the job, as far as both hosts had them when the verdict fell."""
    facts = (views.fresh(snapshot, snapshot.operation.source), views.fresh(snapshot, snapshot.operation.destination))
    jobs: list[JobFact] = [fact.job for fact in facts if fact is not None and fact.job is not None]
    merged: dict[str, Any] = {}
    for job in jobs:
        expected = {"active", "downtime_ms"} if job.active else {"active"}  # while it runs, downtime is a forecast
        merged |= {k: v for k, v in job.model_dump(mode="json").items() if v is not None and k not in expected}
    return merged | _uncounted(snapshot, merged)


def _uncounted(snapshot: Snapshot, merged: Mapping[str, Any]) -> dict[str, Any]:
    """What the hypervisor's last statistics of a live migration lack. They have none of a post-copy, which may be over
    before its last counters were read, nor of disks, which are copied before the memory and sometimes between two
    looks: of disks it counts the size that the guest sees, and after a transfer that went well all of it is copied."""
    found: dict[str, Any] = {}
    if not OPERATIONS[snapshot.operation.kind].live:
        return found
    if not merged.get("elapsed_ms"):
        found["elapsed_ms"] = round(snapshot.operation.phase_age_s * 1000)
    if total := sum(views.copied_live_bytes(snapshot)):
        found |= {"disk_total_bytes": total, "disk_processed_bytes": total, "disk_remaining_bytes": 0}
    return found
