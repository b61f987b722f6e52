"""Numbered I/O boundaries and the faults that may strike at them. Knows nothing of what is being done."""

from dataclasses import dataclass, field
from enum import StrEnum
from random import Random


class Fault(StrEnum):
    KILL_BEFORE = "kill-before"  # the process that performs the I/O loses its memory before it
    KILL_AFTER = "kill-after"  # ... after it, not knowing that it happened
    DROP = "drop"
    DUPLICATE = "duplicate"
    DELAY = "delay"  # the message arrives after later ones


MESSAGE_FAULTS = (Fault.DROP, Fault.DUPLICATE, Fault.DELAY)


class Killed(BaseException):
    """The process that ran this code is gone: nothing of it may catch this but the world."""

    def __init__(self, component: str) -> None:
        super().__init__(component)
        self.component = component


@dataclass(frozen=True, slots=True)
class Boundary:
    component: str  # "server" or a host
    name: str
    message: bool

    @property
    def faults(self) -> tuple[Fault, ...]:
        kills = (Fault.KILL_BEFORE, Fault.KILL_AFTER)
        return (*kills, *MESSAGE_FAULTS) if self.message else kills


@dataclass
class Faults:
    """``planned``: boundary number -> fault. ``rate``: chance of a random fault at each boundary."""

    planned: dict[int, Fault] = field(default_factory=dict)
    random: Random | None = None
    rate: float = 0.0
    most: int = 6  # random faults in one run
    armed: bool = False
    passed: list[Boundary] = field(default_factory=list)
    struck: list[str] = field(default_factory=list)

    def arrive(self, component: str, name: str, *, message: bool = False) -> Fault | None:
        """Count one boundary; the fault that strikes here."""
        if not self.armed:
            return None
        number, boundary = len(self.passed), Boundary(component, name, message)
        self.passed.append(boundary)
        fault = self.planned.get(number)
        if fault is None and self.random is not None and len(self.struck) < self.most:
            fault = self.random.choice(boundary.faults) if self.random.random() < self.rate else None
        if fault is not None:
            self.struck.append(f"{fault} at {number} ({component} {name})")
        return fault
