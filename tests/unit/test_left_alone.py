"""What a worker leaves alone: another operation's transfer, and files that a domain could still be using."""

import pytest

from migrator.compute.simulated import SimulatedHypervisor
from migrator.protocol import AbsentInputs, Ensure
from tests.unit.two_hosts import OTHER, SPEC, World


@pytest.fixture
def world() -> World:
    world = World()
    world.boot()
    return world


def test_no_transfer_is_begun_beside_another_one(world: World) -> None:
    world.prepare()
    world.transfer()
    written = list(world.journals["a"])
    world.calls.clear()
    fact = world.transfer(epoch=2)
    assert fact.problem is not None
    assert (fact.problem.final, fact.problem.message) == (True, "another job is active on the domain")
    assert {"a.stamp", "a.start_migration"}.isdisjoint(world.calls)  # the stamp stays that of the one which runs
    assert not any(b"begun" in line for line in world.journals["a"][len(written) :])
    world.clock.now += 60
    assert world.fabric.running_on(SPEC.uuid) == ["b"]


def test_files_stay_while_their_domain_is_still_defined(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SimulatedHypervisor, "undefine", lambda *_: None)
    everything = AbsentInputs(delete_pools=("local",), kill=True)
    fact = world.act("a", Ensure.ABSENT, everything, operation_id=OTHER)
    assert "a.remove_files" not in world.calls
    assert [disk.exists for disk in fact.disks] == [True]
