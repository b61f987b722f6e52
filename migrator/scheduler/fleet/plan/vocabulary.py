"""The states of a drain and of its moves, and what a request for one says. Plain values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from migrator.scheduler.fleet.plan.model import Way

DRAIN, RESTORE, EVACUATION, REBALANCE = "drain", "restore", "evacuation", "rebalance"
FLEET = "*"  # in place of a host's name: the drain is about no single one
ATTEMPTS = 3  # of one move, before a person has to look


class DrainState(StrEnum):
    RUNNING = "running"
    PAUSED = "paused"  # nothing new begins
    BLOCKED = "blocked"  # what is left cannot go now; it goes on when that changes
    CANCELLING = "cancelling"
    COMPLETED = "completed"
    INCOMPLETE = "incomplete"  # the deadline passed
    CANCELLED = "cancelled"


OVER = frozenset({DrainState.COMPLETED, DrainState.INCOMPLETE, DrainState.CANCELLED})


class MoveState(StrEnum):
    WAITING = "waiting"
    MOVING = "moving"
    STUCK = "stuck"  # the plan has no place for it
    FAILED = "failed"  # after the last attempt
    DONE = "done"
    LEFT = "left"  # it stays, as the strategies allow
    GONE = "gone"  # deleted, or moved by another request


SETTLED = frozenset({MoveState.DONE, MoveState.LEFT, MoveState.GONE})


@dataclass(frozen=True, slots=True)
class DrainRequest:
    """``strategies``: the ways that are allowed, the preferred one first; ``to``: the only destinations, none named:
    every host; ``at_most``: moves at once, None: as the settings say; ``disable``: the host takes nothing in from now
    on; ``discard``: an evacuation may make anew what only the lost host has; ``by_policy``: the servers began it, and
    an instance whose ``ha_policy`` is no evacuation stays; ``policy``: the fleet's at the server that began it, ""
    where an earlier release did."""

    strategies: Sequence[Way]
    to: Sequence[str] = ()
    at_most: int | None = None
    reason: str = ""
    disable: bool = True
    discard: bool = False
    by_policy: bool = False
    policy: str = ""

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> "DrainRequest":
        ways = [Way(way) for way in raw["strategies"]]
        discard = raw.get("discard_local_disks", False)  # an earlier release wrote none
        by_policy = raw.get("by_policy", False)
        to, policy = tuple(raw["to"]), raw.get("ha_policy", "")
        return cls(ways, to, raw["at_most"], raw["reason"], raw["disable"], discard, by_policy, policy)

    @property
    def raw(self) -> dict[str, Any]:
        ways = [way.value for way in self.strategies]
        rest: dict[str, Any] = {"at_most": self.at_most, "reason": self.reason, "disable": self.disable}
        rest |= {"discard_local_disks": self.discard, "by_policy": self.by_policy}
        rest |= {"ha_policy": self.policy} if self.policy else {}
        return {"strategies": ways, "to": list(self.to), **rest}
