"""The invariants about agents, storage and waiting must fire: bugs planted in the product, and what is said of each."""

import pytest

from migrator.compute.line_journal import LineJournal
from migrator.operations import Record
from migrator.protocol import Fact
from migrator.scheduler.decision import context_update, decide, views
from migrator.scheduler.decision.snapshot import Plan, Snapshot
from migrator.scheduler.requests import requests
from tests.world import moves
from tests.world.clients import built
from tests.world.conftest import MakeWorld
from tests.world.disasters import twin
from tests.world.rules import believed, harm, unexplained
from tests.world.world import CALLER, World


def test_an_agent_that_forgets_what_it_served_is_reported(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world()
    uuid = built(world, "local")
    assert harm(world) == []
    monkeypatch.setattr(LineJournal, "served", lambda *_: 0)
    moves.stop(world, uuid)
    assert any("served 0" in line for line in harm(world))


def test_two_machines_that_act_under_one_name_are_reported(make_world: MakeWorld) -> None:
    """As if what tells them apart had been cloned with the disk."""
    world = make_world()
    world.tick()
    twin(world, "n1").machine = world.agents["n1"].machine
    world.build("local")
    moves.pass_time(world, 10)
    assert any("2 machines act as n1" in line for line in harm(world))


def test_a_marker_that_is_believed_without_a_proof_is_reported(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    def by_the_marker(snapshot: Snapshot, _fact: Fact) -> dict[str, object]:
        return {"shared": {snapshot.operation.destination or "": sorted(views.shared_by_both(snapshot))}}

    world = make_world()
    uuid = built(world, "local")
    world.simulation.hosts["n2"].pools["local"].identity = world.simulation.hosts["n1"].pools["local"].identity
    world.agents["n2"].registered = False
    moves.pass_time(world, 20)
    monkeypatch.setitem(context_update._UPDATES, Record.SHARED_POOLS, by_the_marker)
    world.ask(lambda: requests.live_migrate(world.db, CALLER, uuid, host="n2", block=None))
    moves.pass_time(world, 60)
    assert believed(world) == ["live-migration takes local of n1 and n2 for one storage"]


def unheard(world: World) -> list[str]:
    """What an agent says of its step never arrives."""
    uuid = built(world, "local")
    world.facts = lambda *_: None  # type: ignore[method-assign]
    world.ask(lambda: requests.stop(world.db, CALLER, uuid))
    moves.pass_time(world, 150)
    return unexplained(world)


def test_an_operation_that_waits_without_a_reason_is_reported(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silently(_snapshot: Snapshot, plan: Plan) -> Plan:
        return plan

    assert unheard(make_world()) == []
    monkeypatch.setattr(decide, "named", silently)
    assert unheard(make_world()) == ["stop in stop"]
