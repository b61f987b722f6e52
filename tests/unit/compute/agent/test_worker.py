"""One step at a time: which assignments a worker refuses, and what it says when it cannot act."""

import errno

import pytest

from migrator.compute.simulated.driver import SimulatedHypervisor
from migrator.errors import HypervisorUnavailable
from migrator.protocol import HARMLESS, DomainState, Ensure, ShutOffInputs
from tests.unit.compute.agent.two_hosts import OTHER, World, state


def test_refuses_an_older_epoch_even_after_a_restart(world: World) -> None:
    world.act("a", Ensure.OBSERVED, epoch=3)
    world.restart("a")
    world.calls.clear()
    fact = world.act("a", Ensure.OBSERVED, epoch=2)
    assert fact.problem is not None
    assert (fact.problem.code, fact.problem.final, fact.domain) == ("stale_epoch", False, None)
    assert "knows epoch 3" in fact.problem.message
    assert world.calls == []


def test_acts_on_a_generation_that_went_back_for_a_database_may_lose_its_last_commits(world: World) -> None:
    world.act("a", Ensure.OBSERVED, generation=5)
    assert state(world.act("a", Ensure.OBSERVED, generation=4)) is DomainState.RUNNING


@pytest.mark.parametrize("ensure", [e for e in Ensure if e not in HARMLESS])
@pytest.mark.parametrize("restarted", [False, True])
def test_refuses_an_operation_older_than_the_newest_it_has_served(
    world: World, ensure: Ensure, restarted: bool
) -> None:
    assert world.act("a", Ensure.NOT_MIGRATING, operation_id=OTHER, serial=8).problem is None
    if restarted:
        world.restart("a")
    world.calls.clear()
    fact = world.act("a", ensure, serial=7)
    assert fact.problem is not None
    assert (fact.problem.code, fact.problem.final, fact.domain, fact.served) == ("operation_superseded", False, None, 8)
    assert world.calls == []
    assert state(world.act("a", Ensure.NOT_MIGRATING, serial=9)) is DomainState.RUNNING


@pytest.mark.parametrize("ensure", sorted(HARMLESS))
def test_an_operation_that_was_only_asked_for_words_supersedes_none(world: World, ensure: Ensure) -> None:
    world.act("a", ensure, operation_id=OTHER, serial=8)
    assert world.act("a", Ensure.NOT_MIGRATING, serial=7).problem is None


def test_facts_are_numbered_within_an_incarnation(world: World) -> None:
    first, second = world.act("a", Ensure.OBSERVED), world.act("a", Ensure.OBSERVED)
    assert (second.incarnation, second.sequence) == (first.incarnation, first.sequence + 1)
    world.restart("a")
    assert world.act("a", Ensure.OBSERVED).incarnation == first.incarnation + 1


def test_a_missing_disk_is_never_made_anew_for_a_start(world: World) -> None:
    world.act("a", Ensure.SHUT_OFF, ShutOffInputs(soft=False), operation_id=OTHER)
    world.simulation.storages["local-a"].disks.clear()
    fact = world.act("a", Ensure.RUNNING, kind="start", operation_id="op-start")
    assert state(fact) is DomainState.SHUT_OFF
    assert fact.problem is not None
    assert fact.problem.final
    assert fact.problem.code == "storage_error"
    assert world.simulation.storages["local-a"].disks == {}


def test_an_unreachable_hypervisor_is_not_final(world: World) -> None:
    def down(_host: str, _method: str, _when: str) -> None:
        raise HypervisorUnavailable("no answer")

    world.simulation.fault = down
    fact = world.act("a", Ensure.RUNNING, kind="start", operation_id="op-start")
    assert fact.domain is None
    assert fact.problem is not None
    assert not fact.problem.final


def test_a_disk_that_fails_where_nobody_expected_it_is_a_reason_and_not_silence(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOTCONN, "the mount is gone")

    monkeypatch.setattr(SimulatedHypervisor, "disks", fail)
    fact = world.act("a", Ensure.RUNNING)
    assert fact.problem is not None
    assert (fact.problem.code, fact.domain) == ("storage_error", None)
    assert "the mount is gone" in fact.problem.message
