"""What a live migration's measurements and settings mean for its transfer: the means that are chosen, and changed.

Pure. Owns what goes into ``strategy``'s arithmetic, what of its answer is kept with the operation (``context``'s
"strategy"), and what the timeline says about it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from migrator.event_types import EventType
from migrator.protocol import Fact, JobFact, Measurement
from migrator.scheduler.decision import strategy, views
from migrator.scheduler.decision.downtime_steps import downtime_steps
from migrator.scheduler.decision.operation_data import StrategyJson, StrategyRecord
from migrator.scheduler.decision.snapshot import Plan, Snapshot, Timeline
from migrator.scheduler.decision.strategy import (
    AllowedStrategies,
    Choice,
    Strategy,
    TransferEstimateInput,
    TransferProgress,
)

LIMIT = "live_migration_bandwidth"
MIB = 1024**2
PAGE_BYTES = 4096
FIRST_PASS = 2  # libvirt's count of iterations once all memory was sent once


@dataclass(frozen=True, slots=True)
class Bandwidth:
    """MiB/s that a transfer will get, and how we know; None: unknown. ``network_mib_s``: without the limit."""

    mib_s: float | None
    source: str
    network_mib_s: float | None = None


def chosen(snapshot: Snapshot, measurement: Measurement) -> tuple[StrategyJson, Timeline]:
    """What is kept of the choice, and the line of the timeline."""
    bandwidth = bandwidth_of(snapshot, measurement)
    unknown = _unknown(measurement, bandwidth)
    if unknown:
        record = StrategyJson(chosen=Strategy.PRE_COPY.value, reason=f"{unknown}: nothing is predicted")
    else:
        load = _load(snapshot, measurement, bandwidth)
        choice = strategy.choose(load, permitted(snapshot), _least_mib_s(measurement))
        record = {"chosen": choice.forecast.strategy.value, "reason": choice.reason, **_predicted(choice)}
    record["bandwidth_mib_s"], record["bandwidth_by"] = bandwidth.mib_s, bandwidth.source
    record["network_mib_s"] = bandwidth.network_mib_s
    record["measured"] = measurement.model_dump(mode="json", exclude_none=True)
    return record, Timeline(
        EventType.STRATEGY_SELECTED, _describe_strategy(record), snapshot.operation.source, details=record
    )


def _unknown(measurement: Measurement, bandwidth: Bandwidth) -> str:
    if measurement.dirty_mib_s is None:
        return f"how fast the guest writes its memory is not known ({measurement.message or 'no answer'})"
    return "" if bandwidth.mib_s else "what the network gives is not known"


def bandwidth_of(snapshot: Snapshot, measurement: Measurement) -> Bandwidth:
    """What earlier transfers between the hosts reached, or else what the network is made for, up to the limit."""
    limit = limit_mib_s(snapshot)
    network, source = snapshot.reached_mib_s, "earlier transfers"
    if not network:
        network, source = measurement.link_mib_s or None, "the link's speed" if measurement.link_mib_s else "nobody"
    if limit and (network is None or limit <= network):
        return Bandwidth(float(limit), LIMIT, network)
    return Bandwidth(network, source, network)


def limit_mib_s(snapshot: Snapshot) -> int:
    """0: none. Kept with each operation, so that its rate is not taken for what the network gives."""
    return snapshot.operation.steering.bandwidth(snapshot.migration_options.bandwidth_mib_s)


def _load(snapshot: Snapshot, measurement: Measurement, bandwidth: Bandwidth) -> TransferEstimateInput:
    assert measurement.dirty_mib_s is not None
    assert bandwidth.mib_s is not None
    copied, memory_mb = set(views.copied_live(snapshot)), snapshot.instance.memory_mb
    disks = (disk for disk in views.guest_of(snapshot.operation).disks if disk.target in copied)
    return TransferEstimateInput(
        memory_mib=min(memory_mb, measurement.memory_mib or memory_mb),
        disk_mib=sum(disk.allocated_bytes for disk in disks) / MIB,
        dirty_mib_s=measurement.dirty_mib_s,
        bandwidth_mib_s=bandwidth.mib_s,
        network_mib_s=bandwidth.network_mib_s,
    )


def _least_mib_s(measurement: Measurement) -> float | None:
    """What the guest writes where its sample erred by two standard deviations, as Poisson's law has them: of k pages
    that were found written to, 2 √k. None: all were looked at."""
    if measurement.dirty_mib_s is None or not measurement.sample_resolution_mib_s:
        return None
    return max(
        0.0, measurement.dirty_mib_s - 2 * math.sqrt(measurement.dirty_mib_s * measurement.sample_resolution_mib_s)
    )


def permitted(snapshot: Snapshot) -> AllowedStrategies:
    """What an operator wants goes before the settings, as it does in ``assignments``."""
    s, data_gib = snapshot.schedule, views.data_gib(snapshot)
    wanted_ms = snapshot.operation.steering.max_downtime_ms
    steps = downtime_steps(s.max_downtime_ms, s.steps, s.delay_s, data_gib, s.curve)
    return AllowedStrategies(
        steps=steps if wanted_ms is None else ((0, int(wanted_ms)),),
        auto_converge=snapshot.migration_options.auto_converge,
        post_copy=snapshot.migration_options.post_copy,
        deadline_s=s.completion_s * data_gib,
    )


def _predicted(choice: Choice) -> StrategyJson:
    forecast = choice.forecast
    total_ms = round(forecast.total_s * 1000) if forecast.total_s is not None else None
    found = StrategyJson(predicted_downtime_ms=forecast.downtime_ms, predicted_total_ms=total_ms)
    if forecast.initial_percent:
        found["initial_percent"] = forecast.initial_percent
    return found


def _describe_strategy(record: StrategyJson) -> str:
    total_ms, downtime_ms = record.get("predicted_total_ms"), record.get("predicted_downtime_ms")
    predicted = f", predicted {total_ms / 1000:.1f} s with {downtime_ms} ms of downtime" if total_ms else ""
    return f"{record['chosen']}{predicted}: {record['reason']}"


def flags(snapshot: Snapshot) -> Mapping[str, Any]:
    """How the transfer is begun, as far as ``MigratingInputs`` has words for it. The hypervisor takes no further means
    up on the way: whatever is permitted is switched on from the beginning, and left for later."""
    means = snapshot.migration_options
    record = snapshot.operation.context.strategy
    way = record.chosen if record is not None else means.strategy
    # Not where the guest is to run at full speed until post-copy, nor where the settings say otherwise.
    slow_down = means.auto_converge and (means.strategy != way or way in ("permitted", Strategy.AUTO_CONVERGE))
    return {
        "auto_converge": slow_down and way != Strategy.POST_COPY,
        "auto_converge_initial": record.initial_percent if record is not None else 0,
        # A guest that is paused is not made to run.
        "post_copy": post_copy(snapshot) and not views.stays_paused(snapshot.operation),
        "post_copy_after": 1 if way == Strategy.POST_COPY else 0,
    }


def post_copy(snapshot: Snapshot) -> bool:
    """Whether the transfer may go on by post-copy: that is permitted now, and was when it began, for it is prepared for
    that or not."""
    return snapshot.migration_options.post_copy and snapshot.operation.context.post_copy


def switch_to_postcopy(snapshot: Snapshot, source: Fact) -> Plan | None:
    """Post-copy for a transfer that was left to find its way, is past its first pass, and will not get there by what it
    does; None: it goes on. Operators' parameters go before it."""
    record, job, steering = snapshot.operation.context.strategy, source.job, snapshot.operation.steering
    if record is None or job is None or steering.force or steering.held or not post_copy(snapshot):
        return None
    if record.chosen == Strategy.POST_COPY or (standing := _standing(snapshot, record, job)) is None:
        return None
    reason = strategy.needs_post_copy(
        standing, permitted(snapshot), slows_down=snapshot.migration_options.auto_converge
    )
    if reason is None:
        return None
    line = Timeline(
        EventType.STRATEGY_SELECTED, f"post-copy instead of {record.chosen}: {reason}", snapshot.operation.source
    )
    kept: StrategyJson = snapshot.operation.context.raw["strategy"]
    changes: StrategyJson = {**kept, "changed_to": Strategy.POST_COPY.value, "changed_because": reason}
    return Plan(steering={"force": True}, context={"strategy": changes}, timeline=(line,))


def _standing(snapshot: Snapshot, record: StrategyRecord, job: JobFact) -> TransferProgress | None:
    """None: not all memory was sent once, or what matters is not counted yet."""
    if (
        (job.iterations or 0) < FIRST_PASS
        or job.disk_remaining_bytes
        or not job.bytes_per_s
        or not job.dirty_pages_per_s
    ):
        return None
    slowed = job.throttle_percent or 0
    # A page that is written to again and again counts once in a pass: after a long one the job's rate is too low.
    measured = (record.measured.dirty_mib_s or 0) * (1 - slowed / 100)
    load = TransferEstimateInput(
        memory_mib=min(snapshot.instance.memory_mb, job.memory_total_bytes / MIB),
        disk_mib=0.0,
        dirty_mib_s=max(measured, job.dirty_pages_per_s * PAGE_BYTES / MIB) / max(0.01, 1 - slowed / 100),
        bandwidth_mib_s=job.bytes_per_s / MIB,
        network_mib_s=record.network_mib_s,
    )
    return TransferProgress(job.elapsed_ms / 1000, job.memory_remaining_bytes / MIB, load, slowed)


def forecast_vs_actual(snapshot: Snapshot) -> tuple[Timeline, ...]:
    """At the end: what was predicted, beside what happened. () where nothing was."""
    record, outcome = snapshot.operation.context.strategy, snapshot.operation.outcome
    if record is None or outcome.get("elapsed_ms") is None:
        return ()
    took = f"took {outcome['elapsed_ms'] / 1000:.1f} s"
    if (downtime_ms := outcome.get("downtime_ms")) is not None:
        took += f" with {downtime_ms} ms of downtime"
    by = record.changed_to or record.chosen
    total_ms = record.predicted_total_ms
    said = f"predicted {total_ms / 1000:.1f} s with {record.predicted_downtime_ms} ms" if total_ms else "no prediction"
    details = {name: outcome.get(name) for name in ("elapsed_ms", "downtime_ms", "setup_ms", "iterations")}
    predicted = {"predicted_total_ms": total_ms, "predicted_downtime_ms": record.predicted_downtime_ms}
    return (Timeline(EventType.STRATEGY_SELECTED, f"{by} {took}; {said}", details=details | predicted),)
