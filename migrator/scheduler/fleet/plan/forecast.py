"""How long a move takes and for how long its guest is away: a first estimate, before anything is measured. Pure.

It knows sizes and bandwidths only. How fast a guest writes its memory is measured when it moves; therefore the doubt.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from migrator.scheduler.fleet.plan.model import Way

BANDWIDTH_MIB_S = 100.0  # where no limit is set: a link of 1 Gbit/s
DOUBT = 1.0  # it may take twice as long
_SETUP_S = 2.0
_POWER_S = 5.0  # a guest that shuts down, or starts
_MIB_OF_GIB = 1024


@dataclass(frozen=True, slots=True)
class MoveSize:
    """``copied_gb``: of disks that no other host shares; ``runs``: whether its guest would be away in a cold move."""

    memory_mb: int
    copied_gb: int
    bandwidth_mib_s: float
    pause_s: float
    runs: bool


def _live(load: MoveSize) -> tuple[float, float]:
    return _SETUP_S + (load.memory_mb + load.copied_gb * _MIB_OF_GIB) / load.bandwidth_mib_s, load.pause_s


def _cold(load: MoveSize) -> tuple[float, float]:
    power_s = 2 * _POWER_S if load.runs else 0.0
    lasts_s = _SETUP_S + power_s + load.copied_gb * _MIB_OF_GIB / load.bandwidth_mib_s
    return lasts_s, lasts_s if load.runs else 0.0


def _evacuated(load: MoveSize) -> tuple[float, float]:
    """From its beginning on: for how long the guest has been away already is not the plan's."""
    lasts_s = _SETUP_S + (_POWER_S if load.runs else 0.0)
    return lasts_s, lasts_s if load.runs else 0.0


FORECASTS: Mapping[Way, Callable[[MoveSize], tuple[float, float]]] = {  # -> duration and downtime in seconds
    Way.LIVE: _live,
    Way.COLD: _cold,
    Way.STOP: lambda load: (_POWER_S if load.runs else 0.0, 0.0),  # it stays away: no downtime that ends
    Way.START: lambda _load: (_POWER_S, 0.0),
    Way.EVACUATE: _evacuated,
    Way.LEAVE: lambda _load: (0.0, 0.0),
}
