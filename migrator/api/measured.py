"""What has ended, counted for ``/metrics`` as it is read from the database: once, in the order in which it ended.

A process that starts counts from the first operation on, so that every server tells the same.
"""

import bisect
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.utils import floatToGoString

from migrator.db import measures
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

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds, self.sum = bounds, 0.0
        self.counts = [0] * (len(bounds) + 1)

    def observe(self, value: float) -> None:
        self.counts[bisect.bisect_left(self.bounds, value)] += 1
        self.sum += value

    def buckets(self) -> list[tuple[str, float]]:
        names, total, found = [*map(floatToGoString, self.bounds), "+Inf"], 0, []
        for name, count in zip(names, self.counts, strict=True):
            total += count
            found.append((name, float(total)))
        return found


class Ended:
    """Operations that are over, counted since the first one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._after = (0.0, 0)
        self._by_status: Counter[tuple[str, str]] = Counter()
        self._live = {name: _Distribution(bounds) for name, (_, _, bounds, _) in _DISTRIBUTIONS.items()}

    def collect(self, db: Database) -> list[Metric]:
        with self._lock:
            while rows := self._unread(db):
                for row in rows:
                    self._take(row)
                self._after = (rows[-1].finished_at, rows[-1].id)
            return [self._statuses(), *self._distributions()]

    def _unread(self, db: Database) -> Sequence[Any]:
        with db.read() as connection:
            return measures.ended(connection, self._after)

    def _take(self, row: Any) -> None:
        self._by_status[row.kind, row.status] += 1
        if row.kind != Kind.LIVE_MIGRATION or row.status != "completed":
            return
        for name, (field, unit, _, _) in _DISTRIBUTIONS.items():
            value = (row.outcome or {}).get(field)
            if value is not None:  # what the hypervisor did not measure is not counted as nothing
                self._live[name].observe(value * unit)

    def _statuses(self) -> Metric:
        words = "Operations that are over, by how they ended (os-migrations' statuses)."
        family = CounterMetricFamily("migrator_operations_ended", words, labels=["kind", "status"])
        for labels, number in sorted(self._by_status.items()):
            family.add_metric(labels, number)
        return family

    def _distributions(self) -> Iterator[Metric]:
        for name, (_, _, _, words) in _DISTRIBUTIONS.items():
            kept = self._live[name]
            family = HistogramMetricFamily(f"migrator_live_migration_{name}", f"Completed live migrations. {words}")
            family.add_metric([], kept.buckets(), kept.sum)
            yield family
