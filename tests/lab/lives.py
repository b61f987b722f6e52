"""What a guest felt of a move beside what libvirt counted: kept with the test's result, and summed up at the end.

``conftest.py`` prints it; ``--junitxml`` has it as a property of the test.
"""

from collections.abc import Callable, Mapping
from typing import Any

from migrator.lab.ticks import TICK_MS, TickFollower

PROPERTY = "life"
Tell = Callable[[str, object], None]  # pytest's record_property


def tell(record: Tell, operation: Mapping[str, Any], ticks: TickFollower, began: float) -> None:
    """Of a move that began at ``began`` (monotonic seconds) and is over. Fails where the guest stood still for less
    than libvirt says: one of both would be wrong."""
    outcome = operation["outcome"] or {}
    gap_ms, downtime_ms = ticks.max_gap_ms(began), outcome.get("downtime_ms")
    counted = "none counted" if downtime_ms is None else f"{downtime_ms} ms"
    lasted = f", {outcome['elapsed_ms'] / 1000:.1f} s" if "elapsed_ms" in outcome else ""
    record(
        PROPERTY, f"{operation['status']}{lasted}; downtime by libvirt {counted}; guest's longest gap {gap_ms:.0f} ms"
    )
    if operation["status"] == "completed" and downtime_ms is not None:
        assert gap_ms > downtime_ms - TICK_MS
