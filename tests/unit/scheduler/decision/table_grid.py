"""Every phase of a kind against what its hosts may say and be: what ``decide`` and ``assignments`` answer to each."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

from migrator.db.partial_rows import UnderWayRow
from migrator.operations import OPERATIONS, Actor, Kind
from migrator.protocol import DiskFact, DiskSpec, Fact, GuestDescription, KeptDisks, Measurement, Problem
from migrator.scheduler.decision.assignments import assignments
from migrator.scheduler.decision.decide import decide
from migrator.scheduler.decision.snapshot import MigrationOptions, Placement, Plan, QueuePosition, Snapshot
from migrator.scheduler.decision.transition import after, task_state
from migrator.scheduler.hosts.expected_guests import explains
from tests.model import server
from tests.model.server import View, VisitedState
from tests.unit.scheduler.decision.deciding import BACK, GONE, OFF, RUNS, SAVED, op

_SUMS = (("vda", 7),)
_MEASURED = Measurement(dirty_mib_s=1.0, memory_mib=64.0, link_mib_s=100.0)
_KEPT = KeptDisks(instance="i", operation="1", pool="local", path="/aside", files=("disk",))
_MOVED: dict[str, Any] = {"dom": "shut_off", "reason": "migrated", "attempt": "ended"}
_JOB: dict[str, Any] = {"dom": "running", "job": True, "attempt": "running"}
_HALF: dict[str, Any] = {"dom": "paused", "reason": "postcopy-failed", "disk": True}
_ARRIVED: dict[str, Any] = {"dom": "shut_off", "arrived": True}
ANSWERS: Sequence[Any] = (
    None,
    {"problem": "transient"},
    GONE | {"attempt": "ended"},
    GONE | {"disk": True},
    OFF | {"disk": True},
    OFF | {"sums": _SUMS},
    {"dom": "crashed", "reason": "crashed"},
    SAVED,
    {"dom": "paused", "reason": "user"},
    RUNS | {"disk": True},
    RUNS | {"attempt": "ended"},
    OFF | {"problem": "final"},
    OFF | {"checks": False},
    {"dom": "incoming"},
    *(_MOVED, _JOB, _HALF, _ARRIVED),
)
# What stands beside an answer: the peer's.
PEERS: Sequence[Any] = (None, GONE, OFF | {"sums": _SUMS}, RUNS, {"dom": "incoming"}, _HALF)
VIEWS: Sequence[View] = (True, False, "fenced", "unfenced", "back", "awaited")
_FLAVORS = {"vcpus": 1, "memory_mb": 64, "disk_gb": 1}


def snapshots(kind: Kind, phase: str, *, every: int = 1) -> Iterator[Snapshot]:
    """Those of one phase, first as they are, then each ``every``-th of them with one thing more."""
    ways = (True, False) if OPERATIONS[kind].reversible(phase) else (True,)
    bare = [found for forward in ways for found in _bare(kind, phase, forward)]
    yield from bare
    for found in bare[::every]:
        yield from _varied(found)


def _bare(kind: Kind, phase: str, forward: bool) -> Iterator[Snapshot]:
    direction = {} if forward else BACK | {"error": (("message", "no"), ("phase", phase), ("status", "error"))}
    now = op(kind, phase, **direction)
    there = OPERATIONS[kind].phase(phase).actor is Actor.DESTINATION
    answered = [(b, a) if there else (a, b) for a, b in product(ANSWERS, PEERS)]
    for source, destination in answered:
        yield server.snapshot_of(now, _facts(now, source, destination), (True, True))
    for here, away in product(VIEWS, VIEWS):
        if (here, away) != (True, True):
            for source, destination in ((None, None), (OFF | {"disk": True}, RUNS | {"disk": True})):
                yield server.snapshot_of(now, _facts(now, source, destination), (here, away))


def _facts(now: server.Op, source: Any, destination: Any) -> tuple[VisitedState | None, ...]:
    return tuple(
        None
        if parts is None
        else VisitedState(**{"number": 1, "epoch": now.epoch, "phase": now.phase, "dom": None} | parts)
        for parts in (source, destination)
    )


def _varied(found: Snapshot) -> Iterator[Snapshot]:
    """The same with one thing more."""
    operation = found.operation
    for changes in _row_changes(found):
        yield replace(found, operation=replace(operation, **changes))
    for context in _contexts(found):
        yield replace(found, operation=replace(operation, context=operation.context.updated(context)))
    yield replace(found, record_host=operation.destination)
    yield replace(found, deleting=True)
    yield replace(found, deleting=True, operation=replace(operation, confirm_requested=True))
    yield replace(found, operation=replace(operation, phase_age_s=900.0))
    yield replace(found, copies=(("c", "running"),), confirm_window_s=0.1)
    yield replace(found, disputed="two records")
    yield replace(found, hosts={name: replace(view, listed=False) for name, view in found.hosts.items()})
    yield replace(found, placement=Placement("b"))
    yield replace(found, inbound=QueuePosition(5, foremost=False), inbound_limit=1, ahead=5, outbound_limit=1)
    yield replace(found, placement=Placement(refusals={"b": ["full"]}))
    yield replace(found, migration_options=MigrationOptions(strategy="auto", post_copy=True), reached_mib_s=50.0)
    yield replace(found, instance=server.SPECS[True])
    saved = operation.context.updated({"power": "saved", "shared": {operation.destination or "": ["shared"]}})
    yield replace(found, instance=server.SPECS[True], operation=replace(operation, context=saved))
    yield _richer(found)
    yield replace(_richer(found), instance=_with_config_drive(found))
    yield replace(_richer(found), instance=_with_config_drive(found), deleting=True)


def _row_changes(found: Snapshot) -> Iterator[dict[str, Any]]:
    operation = found.operation
    error = dict(operation.error or {})
    yield {"cancel_requested": True}
    yield {"confirm_requested": True}
    yield {"locks_instance": False}
    yield {"requested_host": "b"}
    yield {"destination": operation.source}
    yield {"destination": None}
    yield {"params": operation.params.updated({"soft": False, "surviving": {"shared": "G"}})}
    yield {"wait_reason": "for something"}
    for phase in OPERATIONS[operation.kind].phases if not operation.forward else ():
        yield {"error": error | {"phase": phase.name}}
        yield {"error": error | {"phase": phase.name}, "requested_host": None}
        yield {"error": error | {"phase": phase.name, "status": "reverted"}}
        yield {"context": operation.context.updated({"owed": [phase.name]})}
        yield {"context": operation.context.updated({"owed": [phase.name, operation.phase]}), "locks_instance": False}


def _contexts(found: Snapshot) -> Iterator[dict[str, Any]]:
    yield {"shared": {found.operation.destination or "": []}}
    yield {"shared": {found.operation.destination or "": ["local"]}}
    yield {"copied": {"vda": "7"}}
    yield {"torn": True}
    yield {"undoing": True, "copied": {"vda": "8"}}
    yield from ({"power": power} for power in ("shut_off", "saved", "paused"))
    yield {"strategy": {"chosen": "pre-copy", "predicted_total_ms": None}}


def _richer(found: Snapshot) -> Snapshot:
    """With all that a fact can have beside it."""
    disk = DiskFact(target="vda", path="/vda", pool="local", exists=True, virtual_bytes=9, checksum="7")
    lost = disk.model_copy(update={"backing_image_id": "vda"})  # an image of that name, which the catalogue has lost
    more: dict[str, Any] = {"measurement": _MEASURED, "kept": (_KEPT,), "proven": ("shared",), "unproven": ("shared",)}
    more["guest"] = GuestDescription(disks=(disk,), storage={"local": "a", "shared": server.SHARED})
    facts: dict[str, Fact] = {host: fact.model_copy(update=more) for host, fact in found.facts.items()}
    refused = Problem(code="unknown_assignment", message="?", final=False)
    facts = {h: f.model_copy(update={"problem": refused}) if f.problem is not None else f for h, f in facts.items()}
    operation, guest = found.operation, GuestDescription(disks=(lost,), storage={"local": "a"})
    params = operation.params.updated({"surviving": {"shared": "G"}, "lost_images": ["vda"]})
    context = operation.context.updated({"guest": guest.model_dump(mode="json")})
    return replace(found, facts=facts, operation=replace(operation, params=params, context=context))


def _with_config_drive(found: Snapshot) -> Any:
    drive = DiskSpec(target="hdd", pool="local", size_gb=1, config_drive=True)
    return found.instance.model_copy(update={"disks": (*found.instance.disks, drive)})


def answer(snapshot: Snapshot) -> tuple[str | None, ...]:
    """All that the table decides about it; None where a question has no answer."""
    return tuple(_said(question, snapshot) for question in (_decided, assignments, _expected))


def differ(one: tuple[str | None, ...], other: tuple[str | None, ...]) -> bool:
    """Whether both answer a question, and not alike. A table that lets ``decide`` break down has decided nothing else:
    that is no sign that anything reads the cell."""
    return any(a != b for a, b in zip(one, other, strict=True) if a is not None and b is not None)


def _decided(snapshot: Snapshot) -> tuple[Plan, str, str | None]:
    """The plan, and what clients are shown: the operation's status after it, and the instance's task_state."""
    plan = decide(snapshot)
    return plan, after(snapshot.operation, plan).status, task_state(snapshot.operation)


def _expected(snapshot: Snapshot) -> list[bool]:
    """Whether the operation explains a guest that runs at its source, and one at its destination."""
    o = snapshot.operation
    row = UnderWayRow(o.instance_uuid, o.kind, o.phase, o.source, o.destination, o.locks_instance)
    return [explains(row, host) for host in ("a", "b")]


def _said(question: Any, snapshot: Snapshot) -> str | None:
    try:
        return repr(question(snapshot))
    except (AssertionError, LookupError, TypeError, ValueError):
        return None
