"""What a worker does with a journal that cannot be written: it stops what must be stopped, and begins nothing."""

import pytest

from migrator.compute.journal import JournalFull, MemoryMedium
from migrator.protocol import AbsentInputs, DomainState, Ensure, ShutOffInputs
from tests.unit.compute.agent.two_hosts import OTHER, SPEC, World, state


@pytest.fixture
def world() -> World:
    world = World()
    world.boot()
    return world


def no_space(*_: object) -> None:
    raise JournalFull("no space left")


LOOKING = {Ensure.OBSERVED, Ensure.MOVABLE, Ensure.COMPATIBLE, Ensure.DESCRIBED, Ensure.MEASURED}
ENDING = {Ensure.OBSERVED, Ensure.SHUT_OFF, Ensure.NOT_RUNNING, Ensure.NOT_MIGRATING}
STOPPING = {
    Ensure.SHUT_OFF: ShutOffInputs(soft=False),
    Ensure.NOT_RUNNING: ShutOffInputs(soft=False),
    Ensure.ABSENT: AbsentInputs(delete_pools=("local",), destroy_running=True),
    Ensure.SET_ASIDE: AbsentInputs(delete_pools=("local",), destroy_running=True),
}


@pytest.mark.parametrize("ensure", STOPPING)
def test_a_guest_is_stopped_without_a_journal_and_its_files_are_left_alone(
    world: World, monkeypatch: pytest.MonkeyPatch, ensure: Ensure
) -> None:
    inputs = STOPPING[ensure]
    with monkeypatch.context() as patch:
        patch.setattr(MemoryMedium, "append", no_space)
        fact = world.act("a", ensure, inputs, operation_id=OTHER, serial=9)
        assert state(fact) is DomainState.SHUT_OFF
        assert (SPEC.uuid, "vda") in world.simulation.storages["local-a"].disks
        if isinstance(inputs, AbsentInputs):
            assert fact.problem is not None
            assert "no space left" in fact.problem.message
    assert world.act("a", ensure, inputs, operation_id=OTHER, serial=9).problem is None


@pytest.mark.parametrize("ensure", [e for e in Ensure if e not in ENDING and e not in STOPPING])
def test_an_epoch_that_cannot_be_kept_is_not_acted_on_and_is_a_reason(
    world: World, monkeypatch: pytest.MonkeyPatch, ensure: Ensure
) -> None:
    monkeypatch.setattr(MemoryMedium, "append", no_space)
    world.calls.clear()
    fact = world.act("a", ensure, operation_id=OTHER, serial=9)
    assert fact.problem is not None
    assert "no space left" in fact.problem.message
    looks = {"migration_running", "job", "domain", "disks", "host_report", "migration_error", "kept_disks"}
    assert {call.removeprefix("a.") for call in world.calls} <= looks
    assert world.simulation.running_on(SPEC.uuid) == ["a"]


@pytest.mark.parametrize("ensure", Ensure)
def test_only_an_operation_that_was_asked_for_more_than_words_supersedes_older_ones(
    world: World, ensure: Ensure
) -> None:
    world.act("a", ensure, operation_id=OTHER, serial=9)
    world.restart("a")
    refused = world.act("a", Ensure.NOT_MIGRATING, serial=8).problem
    assert (refused.code if refused is not None else None) == (None if ensure in LOOKING else "operation_superseded")
