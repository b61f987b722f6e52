"""``GET /metrics``: what Prometheus reads.

Everything is worked out from the database, so that any server tells the same and a restart forgets nothing.
Never labels anything with an instance or an operation: their number has no bound.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector
from starlette.responses import Response

from migrator.alarms import AlarmKind
from migrator.api import operation_metrics
from migrator.api.routing import ApiRequest
from migrator.db import alarms, capacity_check, recoveries, server_heartbeat
from migrator.db import metrics as measures
from migrator.db.capacity_check import CapacityCheckRow
from migrator.db.engine import Database
from migrator.scheduler.decision.waiting import ALARMS
from migrator.scheduler.fleet.plan.vocabulary import DrainState
from migrator.settings import ServerSettings

_MIB = 1024**2
_ALARM_WORDS = tuple(f"{found.value.upper()}:" for found in ALARMS)


class _Snapshot(Collector):
    """One scrape: what is over, and how everything is now."""

    def __init__(self, db: Database, settings: ServerSettings) -> None:
        self._db, self._settings = db, settings

    def describe(self) -> Iterator[Metric]:
        return iter(())  # asked for before there is anything to tell

    def collect(self) -> Iterator[Metric]:
        yield from operation_metrics.collect(self._db)
        with self._db.read() as connection:
            active = measures.active(connection, _ALARM_WORDS)
            states = measures.instances_by_state(connection)
            open_alarms = alarms.open_by_kind(connection)
            hosts, busy = measures.every_host(connection), measures.by_host(connection)
            step = server_heartbeat.last_step(connection)
            capacity = capacity_check.newest(connection)
            recovered = recoveries.by_state(connection)
        yield from _operations(active)
        yield _gauge("instances", "Instances that are not deleted, by vm_state.", ["vm_state"], dict(_pairs(states)))
        yield _gauge("alarms", "Open alarms, by kind.", ["kind"], _by_kind(open_alarms))
        yield from self._hosts(hosts, busy)
        yield from _clock(step)
        yield from _capacity(capacity)
        message = "Evacuations of lost hosts that servers began, by state; those that are over stay counted."
        yield _gauge("recoveries", message, ["state"], {(each,): recovered.get(each, 0) for each in DrainState})

    def _hosts(self, hosts: Sequence[Any], busy: Mapping[str, Mapping[str, int]]) -> Iterator[Metric]:
        down_s = self._settings.service_down_time
        told: Mapping[str, tuple[str, Any]] = {
            "up": ("1: the host's agent speaks, and no operator forced the host down.", lambda h: _up(h, down_s)),
            "enabled": ("1: the scheduler may choose the host.", lambda h: h.approved and not h.disabled),
            "forced_down": ("1: an operator said that the host is down, which is evidence.", lambda h: h.forced_down),
            "silent_seconds": ("Since the host's agent last spoke.", lambda h: max(0.0, h.silent_s)),
            "free_vcpus": ("What is left to claim, by the host's allocation ratio.", lambda h: h.free_vcpus),
            "free_memory_bytes": ("What is left to claim.", lambda h: h.free_memory_mb * _MIB),
            "free_disk_bytes": ("What is left to claim.", lambda h: h.free_disk_gb * 1024 * _MIB),
            "instances": ("Instances whose record names the host.", lambda h: busy[h.name]["instances"]),
            "moves_out": ("Active moves that leave the host.", lambda h: busy[h.name]["out"]),
            "moves_in": ("Active moves that come to the host.", lambda h: busy[h.name]["in"]),
        }
        for name, (message, value) in told.items():
            yield _gauge(f"host_{name}", message, ["host"], {(host.name,): float(value(host)) for host in hosts})


def _clock(step: Any) -> Iterator[Metric]:
    message = "How often the database's clock was set back or forward while servers ran."
    family = CounterMetricFamily("migrator_clock_steps", message)
    family.add_metric([], float(step.steps) if step is not None else 0.0)
    yield family
    size: dict[tuple[str, ...], float] = {(): float(step.step_s or 0.0) if step is not None else 0.0}
    yield _gauge("clock_last_step_seconds", "By how much it was set the last time; negative: back.", [], size)


def _capacity(found: CapacityCheckRow | None) -> Iterator[Metric]:
    """Nothing as long as no look has ended: a rule on the age notices that."""
    if found is None:
        return
    message = "Hosts whose loss would leave an instance without a place, or without the data of its local disks."
    values: dict[tuple[str, ...], float] = {("no_place",): found.no_place, ("local_disks",): found.local_disks}
    yield _gauge("capacity_hosts_at_risk", message, ["reason"], values)
    yield _gauge("capacity_age_seconds", "Since that was found.", [], {(): max(0.0, found.age_s)})
    yield _gauge("capacity_check_seconds", "How long that took.", [], {(): found.took_s})


def _up(host: Any, down_s: float) -> bool:
    return not host.forced_down and host.silent_s < down_s


def _operations(active: Sequence[Any]) -> Iterator[Metric]:
    told = {
        "active": ("number", "Operations under way, by kind and phase."),
        "waiting": ("waiting", "Operations that wait for a reason that their timeline names."),
        "queued": ("queued", "Operations that wait because others go first at their host."),
        "alarmed": (
            "alarmed",
            "Operations with the alarm SPLIT, LOST or TORN. Nothing is touched until an operator has looked.",
        ),
        "oldest_phase_seconds": ("oldest_s", "Since the one that is longest in its phase entered it."),
    }
    for name, (column, message) in told.items():
        values: dict[tuple[str, ...], float] = {(row.kind, row.phase): float(getattr(row, column)) for row in active}
        yield _gauge(f"operations_{name}", message, ["kind", "phase"], values)


def _by_kind(counted: Mapping[str, int]) -> dict[tuple[str, ...], float]:
    """Every kind that there is, so that a rule on one finds a 0 and not nothing."""
    return {(kind,): float(counted.get(kind, 0)) for kind in {*(known.value for known in AlarmKind), *counted}}


def _pairs(rows: Sequence[Any]) -> Iterator[tuple[tuple[str, ...], float]]:
    return (((row.vm_state,), float(row.number)) for row in rows)


def _gauge(name: str, message: str, labels: Sequence[str], values: Mapping[tuple[str, ...], float]) -> Metric:
    family = GaugeMetricFamily(f"migrator_{name}", message, labels=labels)
    for key, value in sorted(values.items()):
        family.add_metric(key, value)
    return family


def metrics(request: ApiRequest) -> Response:
    """In Prometheus' text format."""
    services = request.services
    registry = CollectorRegistry()
    registry.register(_Snapshot(services.db, services.settings))
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
