"""The real ``decide`` and ``assignments`` behind small hashable values, remembered so that a search is quick."""

from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

from migrator.operations import OPERATIONS, Kind
from migrator.protocol import (
    DiskSpec,
    Ensure,
    HostReport,
    InstanceSpec,
    Role,
    StoragePool,
)
from migrator.scheduler.decision import decide as decisions
from migrator.scheduler.decision.assignments import assignments
from migrator.scheduler.decision.operation_data import Context, Params
from migrator.scheduler.decision.proof import COPIED, STAYED, UNDOING
from migrator.scheduler.decision.snapshot import HostView, Liveness, OperationView, Placement, Plan, Snapshot
from migrator.scheduler.decision.transition import after
from tests.model.seen import VisitedState, fact_of

__all__ = ["Op", "Order", "View", "VisitedState", "fact_of"]

NAMES = ("a", "b", "c")
COLD = (Kind.MIGRATION, Kind.RESIZE)
SHARED = "G"  # storage identity of the pool that every host has


def _spec(pool: str) -> InstanceSpec:
    return InstanceSpec(
        uuid="i", name="i", vcpus=1, memory_mb=64, disks=(DiskSpec(target="vda", pool=pool, size_gb=1),)
    )


SPECS = {False: _spec("local"), True: _spec("shared")}
FLAVORS = {"old": {"vcpus": 1, "memory_mb": 64, "disk_gb": 1}, "new": {"vcpus": 2, "memory_mb": 64, "disk_gb": 1}}


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
    wait_reason: str | None
    error: tuple[tuple[str, str], ...]
    learnt: frozenset[str]
    refused: tuple[str, ...]
    active: bool
    end: str | None
    confirm: bool = False
    locks_instance: bool = True
    power: str | None = None  # how the instance was found
    owed: tuple[str, ...] = ()
    shared: bool = False  # its disk lies where every host reaches it
    copied: tuple[tuple[str, int], ...] = ()  # target -> content, when the copy was complete

    @property
    def new_flavor(self) -> str:
        return "new" if self.kind is Kind.RESIZE else "old"


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
    spares: bool = False  # what is shared is named as a thing to keep
    flavor: str = "old"
    power: str | None = None
    copies: tuple[str, ...] = ()
    finds: bool = False  # the disk must be there, and is not made anew
    paused: bool = False  # by a user, before it is moved


def new(kind: Kind, number: int, source: int | None, requested: int | None = None) -> Op:
    first = OPERATIONS[kind].phases[0].name
    return Op(kind, number, first, True, 1, 1, source, None, requested, False, None, (), frozenset(), (), True, None)


def _report(name: str) -> HostReport:
    pools = {p: StoragePool(identity=i, path="/", total_gb=9, free_gb=9) for p, i in _storage(name).items()}
    return HostReport(vcpus=4, memory_mb=4096, storage=pools, address=name, live_migration_uri=f"simulated://{name}")


def _storage(name: str) -> dict[str, str]:
    return {"local": name, "shared": SHARED}


REPORTS = {name: _report(name) for name in NAMES}
View = bool | str
_UP: tuple[View, ...] = (True,) * len(NAMES)
# True: up, False: silent, and in words whatever is more than that
_VIEWS: dict[View, dict[str, Any]] = {
    True: {"silent_s": 0, "liveness": Liveness.HEARD},
    False: {"silent_s": 99, "liveness": Liveness.SILENT},
    "fenced": {
        "silent_s": 99,
        "liveness": Liveness.SILENT,
        "forced_down": True,
        "evidence": "forced down by an operator",
    },
    "awaited": {
        "silent_s": 99,
        "liveness": Liveness.AWAITED,
        "forced_down": True,
        "evidence": "forced down by an operator",
    },
    "unlisted": {"silent_s": 99, "liveness": Liveness.SILENT, "listed": False},
    "unfenced": {"silent_s": 99, "liveness": Liveness.SILENT, "fence_failed": "no answer"},
    "back": {"silent_s": 0, "liveness": Liveness.HEARD, "forced_down": True, "evidence": "forced down by an operator"},
}


def _name(index: int | None) -> str | None:
    return None if index is None else NAMES[index]


def _params(op: Op) -> Params:
    flavors = {"old_flavor": FLAVORS["old"], "new_flavor": FLAVORS[op.new_flavor]}
    return Params.parse(flavors if op.kind in COLD else {})


def _context(op: Op) -> Context:
    context: dict[str, Any] = {}
    if "guest" in op.learnt:
        context["guest"] = {"storage": _storage(NAMES[op.source])} if op.source is not None else {}
    if op.refused:
        context["refused"] = {name: ["no"] for name in op.refused}
    if op.power is not None:
        context["power"] = op.power
    if op.owed:
        context["owed"] = list(op.owed)
    context |= {name: True for name in (STAYED, UNDOING) if name in op.learnt}
    if op.copied:
        context[COPIED] = {target: str(content) for target, content in op.copied}
    return Context.parse(context)


def view_of(op: Op) -> OperationView:
    return OperationView(
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
        params=_params(op),
        context=_context(op),
        cancel_requested=op.cancel,
        confirm_requested=op.confirm,
        wait_reason=op.wait_reason,
        error=dict(op.error),
        active=op.active,
        locks_instance=op.locks_instance,
    )


def snapshot_of(op: Op, facts: tuple[VisitedState | None, ...], views: tuple[View, ...]) -> Snapshot:
    involved = [i for i in (op.source, op.destination) if i is not None]
    hosts = {NAMES[i]: HostView(name=NAMES[i], report=REPORTS[NAMES[i]], **_VIEWS[views[i]]) for i in involved}
    kept = {NAMES[i]: fact_of(f) for i, f in enumerate(facts) if f is not None}
    home = _name(op.destination if op.forward and not op.locks_instance else op.source)
    return Snapshot(view_of(op), SPECS[op.shared], hosts, kept, record_host=home, destination_checks=())


_plans: dict[Any, Plan] = {}


def forget() -> None:
    """Plans are remembered for one ``decide``; call this after replacing a part of it."""
    _plans.clear()
    _orders.cache_clear()


def plan_of(op: Op, facts: tuple[VisitedState | None, ...], views: tuple[View, ...]) -> Plan:
    key = (op, facts, views)
    plan = _plans.get(key)
    if plan is None:
        plan = _plans[key] = decisions.decide(snapshot_of(op, facts, views))
    return plan


def placed_plan(op: Op, facts: tuple[VisitedState | None, ...], views: tuple[View, ...], host: int | None) -> Plan:
    """What is decided once it is known which host takes the operation in; None: none does."""
    found = Placement(refusals={"b": ["full"]}) if host is None else Placement(NAMES[host])
    return decisions.decide(replace(snapshot_of(op, facts, views), placement=found))


def place(op: Op, ups: list[bool]) -> int | None:
    if op.requested is not None:
        return op.requested if ups[op.requested] else None
    fit = (i for i, up in enumerate(ups) if up and i != op.source and NAMES[i] not in op.refused)
    return next(fit, None)


_TOLD = {"refused", "owed", "power", "evidence", "shared"}  # kept elsewhere, or follows from the rest


def applied(op: Op, plan: Plan) -> Op:
    """What ``transition.after`` makes of the operation, as far as it steers anything."""
    found = after(view_of(op), plan)
    # The words of an error do not steer anything: without them there are fewer states.
    error = ((k, str(v)) for k, v in (found.error or {}).items() if k in ("phase", "status"))
    over = {name for name, value in found.context.raw.items() if value is False}
    return op._replace(
        phase=found.phase,
        forward=found.forward,
        epoch=found.epoch,
        generation=found.generation,
        destination=None if found.destination is None else NAMES.index(found.destination),
        wait_reason=found.wait_reason,
        error=tuple(sorted(error)),
        learnt=(op.learnt | (found.context.raw.keys() - _TOLD)) - over,
        refused=tuple(sorted(found.context.refused)),
        active=found.active,
        end=plan.final_status or op.end,
        locks_instance=found.locks_instance,
        power=found.context.power and found.context.power.value,
        owed=tuple(found.context.deferred_undos),
        cancel=found.cancel_requested,
        confirm=found.confirm_requested,
        copied=tuple((target, int(content)) for target, content in found.context.copied.items()),
    )


@cache
def _orders(op: Op, views: tuple[View, ...]) -> dict[str, Order]:
    snapshot = snapshot_of(op, (None,) * len(views), views)
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
            SHARED in a.inputs.get("keep", ()),
            "new" if a.instance.vcpus == FLAVORS["new"]["vcpus"] else "old",
            a.inputs.get("power"),
            tuple(a.inputs.get("copy_disks", a.inputs.get("checksums", ()))),
            bool(a.inputs.get("shared")),
            bool(a.inputs.get("paused")),
        )
        for host, a in assignments(snapshot).items()
    }


def order_for(op: Op, host: int, views: tuple[View, ...] = _UP) -> Order | None:
    return _orders(op, views).get(NAMES[host]) if op.active else None
