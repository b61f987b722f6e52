"""The real ``decide`` and ``assignments`` behind small hashable values, remembered so that a search is quick."""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from migrator.operations import OPERATIONS, Kind
from migrator.protocol import (
    AttemptFact,
    AttemptState,
    CheckResult,
    DiskFact,
    DiskSpec,
    DomainFact,
    DomainState,
    Ensure,
    Fact,
    GuestDescription,
    HostReport,
    InstanceSpec,
    JobFact,
    Problem,
    Role,
    StoragePool,
)
from migrator.scheduler import decide as decisions
from migrator.scheduler.assign import TransferLimits, assignments
from migrator.scheduler.backward import refused
from migrator.scheduler.snapshot import HostView, OperationView, Plan, Snapshot

NAMES = ("a", "b", "c")
SPEC = InstanceSpec(uuid="i", name="i", vcpus=1, memory_mb=64, disks=(DiskSpec(target="vda", pool="local", size_gb=1),))


class Op(NamedTuple):
    kind: Kind
    number: int
    phase: str
    forward: bool
    epoch: int
    generation: int
    source: int | None
    destination: int | None
    requested: int | None
    cancel: bool
    waiting: str | None
    error: tuple[tuple[str, str], ...]
    learnt: frozenset[str]
    refused: tuple[str, ...]
    active: bool
    end: str | None


class Order(NamedTuple):
    """An assignment, as far as an abstract agent cares."""

    kind: Kind
    number: int
    epoch: int
    generation: int
    phase: str
    forward: bool
    source: bool
    ensure: Ensure
    destination: int | None
    deletes: bool
    kill: bool


class Seen(NamedTuple):
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


def new(kind: Kind, number: int, source: int | None, requested: int | None = None) -> Op:
    first = OPERATIONS[kind].phases[0].name
    return Op(kind, number, first, True, 1, 1, source, None, requested, False, None, (), frozenset(), (), True, None)


def _report(name: str) -> HostReport:
    pool = StoragePool(identity=name, path="/", total_gb=9, free_gb=9)
    return HostReport(vcpus=4, memory_mb=4096, storage={"local": pool}, address=name, live_migration_uri=name)


REPORTS = {name: _report(name) for name in NAMES}
_GUEST = GuestDescription()


@cache
def fact_of(seen: Seen) -> Fact:
    problem = None
    if seen.problem is not None:
        problem = Problem(code="driver_error", message="it did not work", final=seen.problem == "final")
    return Fact(
        operation_id=str(seen.number),
        epoch=seen.epoch,
        phase=seen.phase,
        incarnation=1,
        sequence=1,
        domain=DomainFact(state=DomainState(seen.dom), reason=seen.reason) if seen.dom else None,
        job=JobFact(active=seen.job),
        attempt=AttemptFact(state=AttemptState(seen.attempt)) if seen.attempt else None,
        disks=(DiskFact(target="vda", path="/vda", pool="local", exists=seen.disk),),
        checks=(CheckResult(name="cpu", ok=seen.checks),),
        guest=_GUEST if seen.dom is not None else None,
        problem=problem,
    )


def _name(index: int | None) -> str | None:
    return None if index is None else NAMES[index]


def snapshot_of(op: Op, facts: tuple[Seen | None, ...], ups: tuple[bool, ...]) -> Snapshot:
    context: dict[str, Any] = {"guest": {}} if "guest" in op.learnt else {}
    if op.refused:
        context["refused"] = {name: ["no"] for name in op.refused}
    view = OperationView(
        id=op.number,
        uuid=str(op.number),
        kind=op.kind,
        instance_uuid="i",
        phase=op.phase,
        forward=op.forward,
        epoch=op.epoch,
        generation=op.generation,
        source=_name(op.source),
        destination=_name(op.destination),
        requested_host=_name(op.requested),
        context=context,
        cancel_requested=op.cancel,
        waiting=op.waiting,
        error=dict(op.error),
        active=op.active,
    )
    involved = [i for i in (op.source, op.destination) if i is not None]
    hosts = {
        NAMES[i]: HostView(name=NAMES[i], report=REPORTS[NAMES[i]], silent_s=0 if ups[i] else 99, up=ups[i])
        for i in involved
    }
    kept = {NAMES[i]: fact_of(f) for i, f in enumerate(facts) if f is not None}
    return Snapshot(view, SPEC, hosts, kept)


Decide = Callable[[Snapshot], Plan]
_plans: dict[Any, Plan] = {}


def forget() -> None:
    """Plans are remembered for one ``decide``; call this after replacing a part of it."""
    _plans.clear()


def plan_of(op: Op, facts: tuple[Seen | None, ...], ups: tuple[bool, ...]) -> Plan:
    key = (op, facts, ups)
    plan = _plans.get(key)
    if plan is None:
        plan = _plans[key] = decisions.decide(snapshot_of(op, facts, ups))
    return plan


def refused_plan(op: Op, facts: tuple[Seen | None, ...], ups: tuple[bool, ...]) -> Plan:
    return refused(snapshot_of(op, facts, ups), {"b": ["full"]})


def place(op: Op, ups: list[bool]) -> int | None:
    if op.requested is not None:
        return op.requested if ups[op.requested] else None
    fit = (i for i, up in enumerate(ups) if up and i != op.source and NAMES[i] not in op.refused)
    return next(fit, None)


def applied(op: Op, plan: Plan, placed: int | None) -> Op:
    """What ``reconciler.apply`` writes into the operation's row."""
    destination = placed if placed is not None else None if plan.clear_destination else op.destination
    error = op.error
    if plan.error is not None:
        # The words do not steer anything: without them there are fewer states.
        error = tuple(sorted((k, v) for k, v in plan.error.items() if k in ("phase", "status")))
    return op._replace(
        phase=plan.phase or op.phase,
        forward=op.forward if plan.forward is None else plan.forward,
        epoch=op.epoch + plan.raise_epoch,
        generation=op.generation + 1,
        destination=destination,
        waiting=op.waiting if plan.waiting is None else plan.waiting or None,
        error=error,
        learnt=op.learnt | (plan.context.keys() - {"refused"}),
        refused=tuple(sorted(plan.context["refused"])) if "refused" in plan.context else op.refused,
        active=plan.end is None,
        end=plan.end or op.end,
    )


@cache
def _orders(op: Op) -> dict[str, Order]:
    snapshot = snapshot_of(op, (None,) * len(NAMES), (True,) * len(NAMES))
    return {
        host: Order(
            op.kind,
            op.number,
            a.epoch,
            a.generation,
            a.phase,
            a.forward,
            a.role is Role.SOURCE,
            a.ensure,
            op.destination,
            bool(a.inputs.get("delete_pools")),
            bool(a.inputs.get("kill")),
        )
        for host, a in assignments(snapshot, TransferLimits()).items()
    }


def order_for(op: Op, host: int) -> Order | None:
    return _orders(op).get(NAMES[host]) if op.active else None
