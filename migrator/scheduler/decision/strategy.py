"""By which means a live migration's memory gets across: how long each would take, and the choice. Pure arithmetic.

The model is the usual one of iterative pre-copy (Clark et al., "Live Migration of Virtual Machines", NSDI 2005; Akoush
et al., "Predicting the Performance of Virtual Machine Migration", MASCOTS 2010): a round sends what the round before
left dirty, so with a dirty rate d against a bandwidth b the rounds shrink by d/b, down to what may be sent while the
guest is paused, and never if d is not below b. A round leaves no more dirty than the guest has memory. Post-copy (Hines
and Gopalan, VEE 2009) sends every page once more at the most, and pauses the guest for little more than its devices.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

WORTH = 1.10  # gentler means may take so many times as long as the quickest ones
# QEMU's defaults (its QAPI reference: cpu-throttle-initial, cpu-throttle-increment, max-cpu-throttle,
# throttle-trigger-threshold): the vCPUs are slowed when a second period leaves more than half of what was sent dirty.
THROTTLE_INITIAL, THROTTLE_INCREMENT, THROTTLE_MAX = 20, 10, 99
_TRIGGER = 0.5
_PERIOD_S = 1.0  # the least between two of QEMU's looks at the dirty rate
_BOLDEST_INITIAL = 90
_SWITCH_S = 0.05  # a pause's part that is not memory: devices, and the destination's start
_SHORTEST_ROUND_S = 0.02
_MAX_ROUNDS = 500

Steps = Sequence[tuple[int, int]]  # (seconds since the transfer began, ms), as ``downtime_steps`` has them


class Strategy(StrEnum):
    PRE_COPY = "pre-copy"
    AUTO_CONVERGE = "auto-converge"
    POST_COPY = "post-copy"


@dataclass(frozen=True, slots=True)
class TransferEstimateInput:
    """What has to be sent, how fast it is written again, and how fast it is sent (MiB, MiB/s). ``network_mib_s``: what
    is sent without a limit, as the rest of a post-copy is; None: no more than with it."""

    memory_mib: float
    disk_mib: float
    dirty_mib_s: float
    bandwidth_mib_s: float
    network_mib_s: float | None = None

    def left_dirty(self, lasted_s: float, slowed_percent: float = 0) -> float:
        return min(self.memory_mib, self.dirty_mib_s * (1 - slowed_percent / 100) * lasted_s)


@dataclass(frozen=True, slots=True)
class AllowedStrategies:
    """``steps`` ends with the longest pause that is allowed at all; ``deadline_s`` 0: none."""

    steps: Steps
    auto_converge: bool = False
    post_copy: bool = False
    deadline_s: float = 0.0

    @property
    def means(self) -> tuple[Strategy, ...]:
        """The gentlest first."""
        others = ((Strategy.AUTO_CONVERGE, self.auto_converge), (Strategy.POST_COPY, self.post_copy))
        return (Strategy.PRE_COPY, *(means for means, allowed in others if allowed))


@dataclass(frozen=True, slots=True)
class Forecast:
    """``total_s``: from the transfer's first byte on; None: never. ``initial_percent``: by how much the guest is slowed
    down first, should it be."""

    strategy: Strategy
    total_s: float | None
    downtime_ms: int | None
    initial_percent: int = 0


@dataclass(frozen=True, slots=True)
class Choice:
    forecast: Forecast
    reason: str


@dataclass(frozen=True, slots=True)
class TransferProgress:
    """A transfer under way. ``load``: what the guest writes when it is not slowed down."""

    elapsed_s: float
    left_mib: float
    load: TransferEstimateInput
    slowed_percent: int = 0


def pre_copy(
    load: TransferEstimateInput, permitted: AllowedStrategies, standing: TransferProgress | None = None
) -> Forecast:
    return _rounds(Strategy.PRE_COPY, load, permitted, standing)


def auto_converge(
    load: TransferEstimateInput, permitted: AllowedStrategies, standing: TransferProgress | None = None
) -> Forecast:
    """Slowed down at once by as much as makes the rounds halve, where QEMU itself would come to it step by step."""
    wanted = 100 * (1 - _TRIGGER * load.bandwidth_mib_s / load.dirty_mib_s) if load.dirty_mib_s else 0.0
    initial = min(_BOLDEST_INITIAL, max(THROTTLE_INITIAL, -int(-wanted // 5) * 5))
    return _rounds(Strategy.AUTO_CONVERGE, load, permitted, standing, initial)


def post_copy(
    load: TransferEstimateInput, _permitted: AllowedStrategies, standing: TransferProgress | None = None
) -> Forecast:
    """One pass, then the rest, with the guest at the destination. What is under way needs no further pass."""
    rate = load.network_mib_s or load.bandwidth_mib_s
    if standing is not None:
        left_s, before_s = standing.left_mib / rate, standing.elapsed_s
    else:
        before_s = (load.disk_mib + load.memory_mib) / load.bandwidth_mib_s
        left_s = load.left_dirty(before_s) / rate
    return Forecast(Strategy.POST_COPY, before_s + left_s + _SWITCH_S, round(_SWITCH_S * 1000))


FORECASTS: Mapping[Strategy, Callable[[TransferEstimateInput, AllowedStrategies], Forecast]] = {
    Strategy.PRE_COPY: pre_copy,
    Strategy.AUTO_CONVERGE: auto_converge,
    Strategy.POST_COPY: post_copy,
}


def _rounds(
    strategy: Strategy,
    load: TransferEstimateInput,
    permitted: AllowedStrategies,
    standing: TransferProgress | None,
    initial_percent: int = 0,
) -> Forecast:
    """Round by round until what is left fits into the pause of the moment. ``initial_percent`` 0: never slowed down."""
    at_s = load.disk_mib / load.bandwidth_mib_s if standing is None else standing.elapsed_s
    left = load.memory_mib if standing is None else standing.left_mib
    slowed, strikes, since_look_s = (standing.slowed_percent if standing is not None else 0), 0, 0.0
    stuck = False
    for _ in range(_MAX_ROUNDS):
        pause_s = left / load.bandwidth_mib_s
        if pause_s * 1000 <= allowed_ms(permitted.steps, at_s):
            downtime_ms = round((pause_s + _SWITCH_S) * 1000)
            return Forecast(strategy, at_s + pause_s + _SWITCH_S, downtime_ms, initial_percent)
        if stuck:
            break
        lasted_s = max(_SHORTEST_ROUND_S, left / load.bandwidth_mib_s)
        at_s += lasted_s
        before, left = left, load.left_dirty(lasted_s, slowed)
        since_look_s += lasted_s
        if initial_percent and since_look_s >= _PERIOD_S:
            since_look_s = 0.0
            strikes += left > _TRIGGER * before
            if strikes == 2:
                slowed, strikes = _slower(slowed, initial_percent), 0
        # It neither shrinks, nor will a longer pause ever be allowed.
        stuck = not initial_percent and left >= before and at_s >= permitted.steps[-1][0]
    return Forecast(strategy, None, None, initial_percent)


def _slower(percent: int, initial: int) -> int:
    return min(THROTTLE_MAX, percent + THROTTLE_INCREMENT if percent else initial)


def allowed_ms(steps: Steps, at_s: float) -> int:
    """The pause that is allowed so long after the transfer began."""
    return next((ms for after_s, ms in reversed(steps) if after_s <= at_s), steps[0][1])


def choose(load: TransferEstimateInput, permitted: AllowedStrategies, least_mib_s: float | None = None) -> Choice:
    """The gentlest means that take hardly longer than the quickest; where none ends in time, the strongest.

    ``least_mib_s``: what the guest writes if it wrote by chance to more of the sampled pages than of others. Stronger
    means must be worth it then, too: they can follow gentle ones, and are not taken back.
    """
    choice = _worth_it(load, permitted)
    if least_mib_s is None:
        return choice
    surely = _worth_it(replace(load, dirty_mib_s=least_mib_s), permitted).forecast.strategy
    if permitted.means.index(surely) >= permitted.means.index(choice.forecast.strategy):
        return choice
    doubt = f"{choice.reason}; of so small a sample it may be no more than {least_mib_s:.1f} MiB/s"
    return Choice(FORECASTS[surely](load, permitted), doubt)


def _worth_it(load: TransferEstimateInput, permitted: AllowedStrategies) -> Choice:
    forecasts = [FORECASTS[means](load, permitted) for means in permitted.means]
    told = _describe_forecasts(load, forecasts)
    ends = [(f, f.total_s) for f in forecasts if f.total_s is not None and _in_time(f.total_s, permitted)]
    if not ends:
        return Choice(forecasts[-1], f"{told}; none in time, and nothing stronger is permitted")
    quickest = min(total_s for _, total_s in ends)
    chosen = next(f for f, total_s in ends if total_s <= WORTH * quickest)
    return Choice(chosen, told)


def _in_time(total_s: float, permitted: AllowedStrategies) -> bool:
    return not permitted.deadline_s or total_s <= permitted.deadline_s


def _describe_forecasts(load: TransferEstimateInput, forecasts: Sequence[Forecast]) -> str:
    each = ", ".join(f"{f.strategy} {'never ends' if f.total_s is None else f'{f.total_s:.1f} s'}" for f in forecasts)
    return (
        f"the guest writes {load.dirty_mib_s:.0f} MiB/s, {load.bandwidth_mib_s:.0f} MiB/s get through, "
        f"{load.memory_mib + load.disk_mib:.0f} MiB to send: {each}"
    )


def needs_post_copy(standing: TransferProgress, permitted: AllowedStrategies, *, slows_down: bool) -> str | None:
    """Why a transfer under way should go on by post-copy; None: it ends about as soon by what it does already."""
    rounds = auto_converge if slows_down else pre_copy
    going_on, otherwise = rounds(standing.load, permitted, standing), post_copy(standing.load, permitted, standing)
    assert otherwise.total_s is not None
    if going_on.total_s is not None and going_on.total_s <= WORTH * otherwise.total_s:
        return None
    ends = "never ends" if going_on.total_s is None else f"takes {going_on.total_s:.1f} s"
    return (
        f"{standing.left_mib:.0f} MiB left, written at {standing.load.dirty_mib_s:.0f} MiB/s against "
        f"{standing.load.bandwidth_mib_s:.0f} MiB/s: {going_on.strategy} {ends}, post-copy {otherwise.total_s:.1f} s"
    )
