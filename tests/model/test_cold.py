"""Moves of stopped instances: every interleaving of what can go wrong within a budget of faults."""

from typing import Any

import pytest

from migrator.operations import Effect, Kind
from migrator.protocol import AbsentInputs, Ensure, TargetPowerState
from migrator.scheduler.decision import assignments, backward, forward, phase_judgement, source_proof, views
from migrator.scheduler.decision import decide as decisions
from migrator.scheduler.decision.completion import DONE, judge_copy
from migrator.scheduler.decision.next_phase import next_phase
from migrator.scheduler.decision.previous_phase import leave_phase
from tests.model import server
from tests.model.cold_state import Host, Record, State, Store, on
from tests.model.cold_world import World
from tests.model.search import Found, explore, milestones

LIMIT = 4_000  # states a world

_STATES = {"running": ("active", True), "shut_off": ("stopped", False), "saved": ("suspended", False)}


def world(
    kind: Kind,
    *,
    was: str = "running",
    shared: bool = False,
    in_place: bool = False,
    hosts: int = 2,
    faults: int = 1,
    lost: dict[str, Any] | None = None,
    **may: Any,
) -> World:
    """``was``: the instance's domain at first. ``lost``: what has become of its host before the operation began."""
    files = Store(disk=1, memory=1 if was == "saved" else None)
    first = Host(dom="shut_off" if was == "saved" else was, flavor="old", store=Store() if shared else files)
    requested = 0 if in_place else 1 if hosts == 2 else None
    op = server.new(kind, 1, 0, requested)._replace(shared=shared)
    if kind is Kind.EVACUATION:
        op = op._replace(learnt=frozenset({"guest"}), power=was)
    return World(
        State(
            op=op,
            hosts=(first._replace(**(lost or {})), *(Host() for _ in range(hosts - 1))),
            facts=(None,) * hosts,
            shared=files if shared else Store(),
            record=Record(0, "old", *_STATES[was]),
            claims=frozenset({(0, "old")}),
            disturbed=bool(lost),
            faults=faults,
        ),
        **may,
    )


def at_verify(world: World, host: int = 1, **lost: Any) -> World:
    """The world from there on where an operator is waited for, with what has become of ``host``."""
    state = next(state for state in milestones(world, world.calms()[0]) if state.op.phase == "verify")
    return world._replace(start=on(state, host, **lost)._replace(disturbed=True))


M, R, E = Kind.MIGRATION, Kind.RESIZE, Kind.EVACUATION
DEAD: dict[str, Any] = {"power": False, "silent": True, "declared": True, "dom": "shut_off", "held": None, "fact": None}
SEEMS: dict[str, Any] = {"silent": True, "declared": True}
WORLDS = {
    "migration, confirmed": world(M),
    "migration, reverted": world(M, reverts=True),
    "migration, two faults": world(M, faults=2),
    "migration, stopped": world(M, was="shut_off"),
    "migration, another host": world(M, hosts=3),
    "migration, shared": world(M, shared=True),
    "migration, shared, reverted": world(M, shared=True, reverts=True, faults=2),
    "migration, suspended": world(M, was="saved"),
    "migration, suspended, reverted": world(M, was="saved", reverts=True),
    "migration, suspended, shared": world(M, was="saved", shared=True, reverts=True),
    "resize": world(R, faults=2),
    "resize, reverted": world(R, reverts=True),
    "resize in place": world(R, in_place=True, hosts=1, faults=3),
    "resize in place, reverted": world(R, in_place=True, hosts=1, faults=3, reverts=True),
    "resize in place, suspended": world(R, was="saved", in_place=True, hosts=1, faults=2),
    "migration, shared, a host only seems dead": world(M, shared=True, vouches="silent"),
    "migration, shared, reverted, its new host only seems dead": at_verify(
        world(M, shared=True, vouches="silent", reverts=True), **SEEMS
    ),
    "migration, reverted, its new host is dead": at_verify(world(M, reverts=True), **DEAD),
    "migration, its old host is dead": at_verify(world(M), 0, **DEAD),
    "migration, reverted, its old host is dead": at_verify(world(M, reverts=True), 0, **DEAD),
    "migration, reverted, its old host is silent": at_verify(world(M, reverts=True, vouches="-"), 0, silent=True),
    "migration, reverted, its old host's disk is gone": at_verify(world(M, reverts=True), 0, store=Store()),
    "migration, reverted, its old host is dead, its disk gone": at_verify(
        world(M, reverts=True), 0, **DEAD, store=Store()
    ),
    "migration, reverted, its new host's disk is gone": at_verify(
        world(M, reverts=True), 1, dom="shut_off", store=Store()
    ),
    "migration, its hosts have leases": world(M, faults=2, vouches="lease"),
    "suspend": world(Kind.SUSPEND, hosts=1, faults=3),
    "resume": world(Kind.RESUME, was="saved", hosts=1, faults=3),
    "evacuation": world(E, lost=DEAD),
    "evacuation, stopped": world(E, was="shut_off", lost=DEAD),
    "evacuation, another host": world(E, hosts=3, lost=DEAD),
    "evacuation, its hosts have leases": world(E, lost={"silent": True}, faults=2, vouches="lease"),
    "evacuation, nobody vouches": world(E, lost={"silent": True}, vouches="-"),
    "evacuation, shared": world(E, shared=True, lost=DEAD, faults=2),
    "evacuation, shared, suspended": world(E, was="saved", shared=True, lost=DEAD),
    "evacuation of a host that only seems dead": world(E, shared=True, lost=SEEMS, vouches="silent"),
    "evacuation, another host seems dead too": world(E, shared=True, hosts=3, lost=SEEMS, faults=2, vouches="silent"),
}


@pytest.mark.parametrize("name", WORLDS)
def test_no_interleaving_breaks_a_rule(name: str) -> None:
    states = explore(WORLDS[name], LIMIT)
    print(f"{name}: {states} states")
    assert states > 100


# --- planted bugs ---------------------------------------------------------------------------------------------------


def _any_fact(snapshot: Any, host: Any) -> Any:
    return snapshot.facts.get(host)


def _any_epoch(snapshot: Any, host: Any) -> Any:
    fact = snapshot.facts.get(host)
    this = fact is not None and fact.phase == snapshot.operation.phase
    return fact if this and views.heard(snapshot, host) else None


def _always_owed(snapshot: Any, table: Any, phase: Any, host: Any) -> Any:
    gone = snapshot.operation.locks_instance and not views.heard(snapshot, host)
    return leave_phase(snapshot, table, phase, owing=phase.name) if gone else UNHEARD(snapshot, table, phase, host)


def _no_checksums(offered: Any, copied: Any, targets: Any) -> Any:
    return DONE if copied.domain is not None else judge_copy(offered, copied, targets)


def _never_recorded(snapshot: Any, table: Any, phase: Any, effect: Any = None, owing: Any = None) -> Any:
    return leave_phase(snapshot, table, phase, None if effect is Effect.RECORD_RETURNED else effect, owing)


def _deletes_everything(ask: Any) -> AbsentInputs:
    return AbsentInputs(delete_pools=("local", "shared"), destroy_running=ABSENT(ask).destroy_running)


def _disks_alone(snapshot: Any) -> tuple[str, ...]:
    return tuple(d.target for d in snapshot.instance.disks if d.pool not in views.shared_by_both(snapshot))


def _nothing_is_set_aside(operation: Any) -> Any:
    found = ASKED(operation).items()
    return {host: (end, Ensure.ABSENT if what is Ensure.SET_ASIDE else what) for host, (end, what) in found}


ASKED = assignments.asked
UNHEARD = backward._unheard
ABSENT: Any = assignments._absent
ONE, BACK, SAVED, SHARED = "migration, confirmed", "migration, reverted", "migration, suspended", "migration, shared"
SEEMED = "migration, shared, reverted, its new host only seems dead"
PLANTED: dict[str, tuple[str, Any, str, Any]] = {
    "silence is evidence": (
        "evacuation, nobody vouches",
        forward,
        "_fence",
        lambda s, t, p, _: next_phase(s, t, p),
    ),
    "silence is fencing": (ONE, views, "fenced", lambda s, host: not views.heard(s, host)),
    "checksums are not compared": (
        ONE,
        phase_judgement,
        "judge_copy",
        _no_checksums,
    ),
    "the copy's own checksum is enough": (ONE, phase_judgement, "judge_copy", lambda _, c, t: judge_copy(c, c, t)),
    "facts of other epochs and phases count": (ONE, views, "fresh", _any_fact),
    "facts of other epochs count": (ONE, views, "fresh", _any_epoch),
    "an undo does not wait for its host": (ONE, decisions, "rollback", lambda s, t, p: leave_phase(s, t, p)),
    "whatever a silent host did may be owed": (BACK, backward, "_unheard", _always_owed),
    "nobody has to confirm": (ONE, forward, "_verify", lambda s, t, p: next_phase(s, t, p)),
    "the record does not return": (BACK, backward, "leave_phase", _never_recorded),
    "a revert asks for no proof": (
        "migration, reverted, its old host's disk is gone",
        backward,
        "prove_source",
        lambda s, t, p: leave_phase(s, t, p),
    ),
    "a silent source has proven its disks": (
        "migration, reverted, its old host is dead, its disk gone",
        source_proof,
        "_keeper_unheard",
        lambda s, t, p, _: leave_phase(s, t, p),
    ),
    "a confirmation asks for no proof": (
        "migration, reverted, its new host's disk is gone",
        forward,
        "_attest",
        lambda s, t, p: next_phase(s, t, p),
    ),
    "what is owed is forgotten": (
        BACK,
        backward,
        "leave_phase",
        lambda s, t, p, effect=None, **_: leave_phase(s, t, p, effect),
    ),
    "a claim goes while its host owes": (
        BACK,
        backward,
        "_undo_effect",
        lambda s, t, p, e: leave_phase(s, t, p, effect=e),
    ),
    "who comes back from the dead is not asked": (SEEMED, backward, "_back_from_the_dead", lambda *_: None),
    "shared disks are deleted": (
        SHARED,
        assignments,
        "_INPUTS",
        {**assignments._INPUTS, Ensure.ABSENT: _deletes_everything},
    ),
    "a returning host's disk is deleted": ("evacuation", assignments, "asked", _nothing_is_set_aside),
    "the saved memory stays behind": (SAVED, views, "moved_targets", _disks_alone),
    "the saved memory is not resumed": (SAVED, views, "power_asked", views.power_wanted),
    "it is left running, however it was": (
        SAVED + ", reverted",
        views,
        "power_wanted",
        lambda _: TargetPowerState.RUNNING,
    ),
    "the saved memory is used up": (SAVED + ", shared", views, "memory_is_shared", lambda _: False),
}


@pytest.mark.parametrize("name", PLANTED)
def test_the_search_finds_a_planted_bug(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    where, module, part, planted = PLANTED[name]
    monkeypatch.setattr(module, part, planted)
    with pytest.raises(Found) as found:
        explore(WORLDS[where], LIMIT)
    print(f"{name}: {found.value.rule}")
