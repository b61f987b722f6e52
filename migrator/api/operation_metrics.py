"""What has ended, counted for ``/metrics``: each operation once, in the order in which it ended.

The totals are kept in the database, so that every server tells the same and a scrape costs the same however many there
were. ``keep`` brings them up to date, portion by portion; a scrape adds what has ended since, and writes nothing.
"""

import bisect
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.utils import floatToGoString

from migrator.db import metrics as measures
from migrator.db.engine import Database
from migrator.operations import Kind

_MIB = 1024**2
_SECONDS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600)
_PAUSE = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2, 5, 10)
_SIZES = tuple(_MIB * 4**n for n in range(3, 11))

# Name -> (field of the outcome, what one of it is in the metric's unit, buckets, help)
_DISTRIBUTIONS: Mapping[str, tuple[str, float, Sequence[float], str]] = {
    "duration_seconds": ("elapsed_ms", 1e-3, _SECONDS, "How long the transfer took, as libvirt counts it."),
    "downtime_seconds": ("downtime_ms", 1e-3, _PAUSE, "How long the guest stood still, as libvirt counts it."),
    "setup_seconds": ("setup_ms", 1e-3, _PAUSE, "Of the transfer: how long its preparation took."),
    "iterations": ("iterations", 1, (1, 2, 3, 5, 10, 20, 50, 100), "Passes over the guest's memory."),
    "memory_bytes": ("memory_processed_bytes", 1, _SIZES, "Memory sent, and what was rewritten sent again."),
    "disk_bytes": ("disk_processed_bytes", 1, _SIZES, "Disks copied, by the size that the guest sees; 0: shared."),
}


class _Distribution:
    """A histogram's numbers: per bucket, and their sum."""

    def __init__(self, bounds: Sequence[float], kept: Mapping[str, Any]) -> None:
        self.bounds = bounds
        self.sum = float(kept.get("sum", 0.0))
        self.counts = list(kept.get("counts") or [0] * (len(bounds) + 1))

    def observe(self, value: float) -> None:
        self.counts[bisect.bisect_left(self.bounds, value)] += 1
        self.sum += value

    def buckets(self) -> list[tuple[str, float]]:
        names, total, found = [*map(floatToGoString, self.bounds), "+Inf"], 0, []
        for name, count in zip(names, self.counts, strict=True):
            total += count
            found.append((name, float(total)))
        return found

    def kept(self) -> dict[str, Any]:
        return {"sum": self.sum, "counts": self.counts}


class _Totals:
    """Read from what is kept in the database (JSON), and added to."""

    def __init__(self, kept: Mapping[str, Any]) -> None:
        statuses, live = kept.get("statuses", ()), kept.get("live", {})
        self._by_status: Counter[tuple[str, str]] = Counter({(kind, status): n for kind, status, n in statuses})
        self._live = {
            name: _Distribution(bounds, live.get(name, {})) for name, (_, _, bounds, _) in _DISTRIBUTIONS.items()
        }

    def add(self, row: Any) -> None:
        self._by_status[row.kind, row.status] += 1
        if row.kind != Kind.LIVE_MIGRATION or row.status != "completed":
            return
        for name, (field, unit, _, _) in _DISTRIBUTIONS.items():
            value = (row.outcome or {}).get(field)
            if value is not None:  # what the hypervisor did not measure is not counted as nothing
                self._live[name].observe(value * unit)

    def kept(self) -> dict[str, Any]:
        statuses = [[kind, status, number] for (kind, status), number in sorted(self._by_status.items())]
        return {"statuses": statuses, "live": {name: found.kept() for name, found in self._live.items()}}

    def metrics(self) -> list[Metric]:
        return [self._statuses(), *self._distributions()]

    def _statuses(self) -> Metric:
        message = "Operations that are over, by how they ended (os-migrations' statuses)."
        family = CounterMetricFamily("migrator_operations_ended", message, labels=["kind", "status"])
        for labels, number in sorted(self._by_status.items()):
            family.add_metric(labels, number)
        return family

    def _distributions(self) -> Iterator[Metric]:
        for name, (_, _, _, message) in _DISTRIBUTIONS.items():
            kept = self._live[name]
            family = HistogramMetricFamily(f"migrator_live_migration_{name}", f"Completed live migrations. {message}")
            family.add_metric([], kept.buckets(), kept.sum)
            yield family


def collect(db: Database) -> list[Metric]:
    """Operations that are over, counted since the first one. Where ``keep`` is far behind, as after an upgrade, those
    that it has not reached are not told yet: a counter may rise late, but never takes anything back."""
    with db.read() as connection:
        kept = measures.ended_totals(connection)
        rows = measures.ended(connection, (kept.finished_at, kept.operation_id))
    totals = _Totals(kept.totals)
    for row in rows:
        totals.add(row)
    return totals.metrics()


def store_totals(db: Database, stopping: Callable[[], bool] = lambda: False) -> None:
    """Add all that has ended to the totals that are kept. Any server may, also at the same moment."""
    while not stopping():
        with db.read() as connection:
            kept = measures.ended_totals(connection)
            rows = measures.ended(connection, (kept.finished_at, kept.operation_id))
        if not rows:
            return
        totals = _Totals(kept.totals)
        for row in rows:
            totals.add(row)
        with db.write() as connection:
            measures.keep_ended_totals(connection, kept, (rows[-1].finished_at, rows[-1].id), totals.kept())
