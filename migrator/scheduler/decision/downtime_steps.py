"""How long a guest may be paused, and how long a live migration may last. Pure arithmetic; acts on nothing.

``downtime_steps`` is what ``live_migration_downtime``, ``_steps`` and ``_delay`` mean: the pause that a guest may be
given at the switch-over grows step by step, so that a quiet guest gets a short one and a busy one arrives at all.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

GIB = 1024**3
Curve = Literal["exponential", "linear"]
_LEAST_GIB = 2.0  # each of RAM and copied disks counts as this much at least


@dataclass(frozen=True, slots=True)
class Schedule:
    """The operator's settings. ``delay_s``, ``completion_s``: per GiB of data; ``completion_s``, ``progress_s``: 0 is
    for ever."""

    max_downtime_ms: int = 500
    steps: int = 10
    delay_s: int = 75
    curve: Curve = "exponential"
    completion_s: int = 800
    progress_s: int = 150
    on_timeout: Literal["abort", "force_complete"] = "abort"


def data_gib(memory_mb: int, disks_bytes: Iterable[int]) -> float:
    """GiB that a transfer is counted with: RAM, and each disk that is copied, at least 2 GiB each.

    Nova counts so (``_live_migration_data_gb``).
    """
    return max(_LEAST_GIB, memory_mb / 1024) + sum(max(_LEAST_GIB, size / GIB) for size in disks_bytes)


def downtime_steps(
    max_downtime_ms: int, steps: int, delay_s: int, data_gib: float, curve: Curve = "exponential"
) -> Sequence[tuple[int, int]]:
    """[(seconds since the transfer began, ms)], ``steps`` + 1 of them, the last one ``max_downtime_ms``.

    ``exponential``: offset + base^i with offset = max / (steps + 1) and base = (max - offset)^(1 / steps), Nova's
    until 14.0. ``linear``: base + offset * i with base = max / steps and offset = (max - base) / steps, Nova's since
    15.0. Both with delay * data seconds between two steps, and both cut to whole milliseconds.
    """
    pause = int(delay_s * data_gib)
    if curve == "linear":
        base = max_downtime_ms / steps
        offset = (max_downtime_ms - base) / steps
        rising = [base + offset * i for i in range(steps)]
    else:
        offset = max_downtime_ms / (steps + 1)
        base = (max_downtime_ms - offset) ** (1 / steps)
        rising = [offset + base**i for i in range(steps)]
    # The last one is said outright: rounding must not take a millisecond from what was allowed.
    return [(pause * i, ms) for i, ms in enumerate([*map(int, rising), max_downtime_ms])]
