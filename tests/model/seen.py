"""What an abstract agent says, as a small hashable value, and the fact that it stands for."""

from functools import cache
from typing import NamedTuple

from migrator.protocol import (
    AttemptFact,
    AttemptState,
    CheckResult,
    DiskFact,
    DomainFact,
    DomainState,
    Fact,
    GuestDescription,
    JobFact,
    Problem,
)

_GUEST = GuestDescription()


class VisitedState(NamedTuple):
    """A fact. ``dom`` None: libvirt did not answer."""

    number: int
    epoch: int
    phase: str
    dom: str | None
    reason: str | None = None
    job: bool = False
    attempt: str | None = None
    disk: bool = False
    checks: bool = True
    problem: str | None = None
    arrived: bool = False  # the domain is persistent and bears the operation's stamp
    sums: tuple[tuple[str, int], ...] = ()  # target -> content


@cache
def fact_of(seen: VisitedState) -> Fact:
    problem = None
    if seen.problem is not None:
        problem = Problem(code="driver_error", message="it did not work", final=seen.problem == "final")
    return Fact(
        operation_id=str(seen.number),
        epoch=seen.epoch,
        phase=seen.phase,
        incarnation=1,
        sequence=1,
        domain=_domain(seen),
        job=JobFact(active=seen.job),
        attempt=AttemptFact(state=AttemptState(seen.attempt)) if seen.attempt else None,
        disks=_disks(seen),
        checks=(CheckResult(name="cpu", ok=seen.checks),) if seen.problem is None else (),
        guest=_GUEST if seen.dom is not None else None,
        problem=problem,
    )


def _domain(seen: VisitedState) -> DomainFact | None:
    if seen.dom is None:
        return None
    stamp = str(seen.number) if seen.arrived else None
    return DomainFact(state=DomainState(seen.dom), reason=seen.reason, stamp_operation=stamp, persistent=seen.arrived)


def _disks(seen: VisitedState) -> tuple[DiskFact, ...]:
    if seen.sums:
        return tuple(DiskFact(target=t, path=f"/{t}", pool="", exists=True, checksum=str(c)) for t, c in seen.sums)
    return (DiskFact(target="vda", path="/vda", pool="local", exists=seen.disk),)
