"""How an agent steers a transfer: by the job's own clock, only what changed, and never at the transfer's cost."""

from typing import Any

import pytest

from migrator.compute.migration_parameters import steering
from migrator.compute.simulated.driver import SimulatedHypervisor
from migrator.compute.simulated.live_migration import SETUP_S
from migrator.compute.simulated.state import MIB, Behaviour
from migrator.errors import DriverError, HypervisorUnavailable
from migrator.protocol import AttemptState, DomainState, Ensure, Fact, JobFact, MigratingInputs, Role
from tests.unit.compute.agent.two_hosts import SPEC, World, attempt, state

STEPS = ((0, 10), (20, 50), (40, 400))
BUSY = 10**9  # dirtied bytes a second: it never arrives by pre-copy alone


@pytest.mark.parametrize(
    ("elapsed_ms", "expected"), [(0, 10), (19_999, 10), (20_000, 50), (39_999, 50), (40_000, 400), (10**6, 400)]
)
def test_the_step_of_the_moment(elapsed_ms: int, expected: int) -> None:
    inputs = MigratingInputs(destination_host="b", destination_address="b", uri="u", downtime_steps=STEPS)
    assert steering(inputs, JobFact(active=True, elapsed_ms=elapsed_ms)).max_downtime_ms == expected
    assert steering(inputs, None).max_downtime_ms == 10


class Busy(World):
    """With a guest that writes faster than it can be sent."""

    def transfer(self, epoch: int = 1, **wanted: Any) -> Fact:
        return super().transfer(epoch, downtime_steps=STEPS, **wanted)


@pytest.fixture
def world() -> World:
    world = Busy()
    world.boot()
    world.simulation.behaviours[SPEC.uuid] = Behaviour(dirty_bytes_per_s=BUSY)
    world.prepare()
    return world


@pytest.fixture
def set_on(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What was asked of the source's hypervisor while the transfer went on."""
    asked: list[tuple[Any, ...]] = []
    steer, force = SimulatedHypervisor.steer, SimulatedHypervisor.force_completion

    def note_steer(me: SimulatedHypervisor, *what: Any) -> None:
        asked.append(what[1:])
        steer(me, *what)

    def note_force(me: SimulatedHypervisor, uuid: str, **how: Any) -> None:
        asked.append((how,))
        force(me, uuid, **how)

    monkeypatch.setattr(SimulatedHypervisor, "steer", note_steer)
    monkeypatch.setattr(SimulatedHypervisor, "force_completion", note_force)
    return asked


def test_each_step_is_set_once(world: World, set_on: list[tuple[Any, ...]]) -> None:
    world.transfer()
    for _ in range(60):
        world.clock.now += 1
        world.transfer()
    assert set_on == [(50, 0), (400, 0)]


def test_a_restarted_agent_goes_on_with_the_step_that_is_due(world: World, set_on: list[tuple[Any, ...]]) -> None:
    world.transfer()
    world.clock.now += 25
    world.restart("a")
    for _ in range(20):
        world.clock.now += 1
        world.transfer()
    assert set_on == [(50, 0), (400, 0)]


def test_a_wish_is_carried_out_at_the_next_look(world: World, set_on: list[tuple[Any, ...]]) -> None:
    world.transfer()
    world.clock.now += 1
    world.transfer()
    world.transfer(bandwidth_mib_s=3)
    world.transfer(bandwidth_mib_s=3)
    assert set_on == [(10, 3)]


def test_a_wish_of_before_the_first_byte_is_carried_out_once_memory_is_sent(
    world: World, set_on: list[tuple[Any, ...]]
) -> None:
    world.transfer()
    world.clock.now += SETUP_S / 4
    world.transfer()
    world.clock.now += SETUP_S / 4
    world.transfer(bandwidth_mib_s=3)
    assert world.simulation.transfers[SPEC.uuid].stage == "setup"
    world.clock.now += 1
    for _ in range(3):
        world.transfer(bandwidth_mib_s=3)
    assert set_on == [(10, 3), (10, 3)]
    assert world.simulation.transfers[SPEC.uuid].limit_bytes_per_s == 3 * MIB


def test_forced_it_is_paused_once_and_arrives_running(world: World, set_on: list[tuple[Any, ...]]) -> None:
    world.transfer()
    world.clock.now += 1
    world.transfer()
    paused = world.transfer(force=True)
    assert (state(paused), attempt(paused)) == (DomainState.PAUSED, AttemptState.RUNNING)
    world.clock.now += 30
    gone = world.transfer(force=True)
    assert (state(gone), attempt(gone)) == (DomainState.ABSENT, AttemptState.ENDED)
    assert state(world.act("b", Ensure.OBSERVED, role=Role.DESTINATION)) is DomainState.RUNNING
    assert set_on == [({"post_copy": False},)]
    assert world.simulation.overlaps() == []


def test_one_that_was_forced_before_it_had_begun_is_forced_when_it_has(
    world: World, set_on: list[tuple[Any, ...]]
) -> None:
    world.transfer(force=True)
    assert set_on == []
    world.clock.now += 1
    world.transfer(force=True)
    world.transfer(force=True)
    assert set_on == [({"post_copy": False},)]


def test_forced_by_post_copy_it_runs_there_at_once(world: World) -> None:
    world.transfer(post_copy=True)
    world.clock.now += 1
    world.transfer(post_copy=True)
    fact = world.transfer(post_copy=True, force=True)
    assert (state(fact), fact.domain and fact.domain.reason) == (DomainState.PAUSED, "postcopy")
    assert world.simulation.running_on(SPEC.uuid) == ["b"]
    world.clock.now += 30
    assert state(world.transfer(post_copy=True, force=True)) is DomainState.ABSENT
    assert world.simulation.overlaps() == []


def test_what_is_refused_is_told_and_tried_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.transfer()
    world.clock.now += 1
    world.transfer()

    def refuse(*_: Any) -> None:
        raise DriverError("not now")

    with monkeypatch.context() as patched:
        patched.setattr(SimulatedHypervisor, "steer", refuse)
        fact = world.transfer(bandwidth_mib_s=3)
        assert (attempt(fact), fact.problem) == (AttemptState.RUNNING, None)
        assert fact.note == "the transfer could not be steered: not now"
    assert world.transfer(bandwidth_mib_s=3).note is None


def test_a_hypervisor_that_is_away_is_no_refusal(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.transfer()
    world.clock.now += 1
    world.transfer()

    def away(*_: Any) -> None:
        raise HypervisorUnavailable("gone")

    monkeypatch.setattr(SimulatedHypervisor, "steer", away)
    problem = world.transfer(bandwidth_mib_s=3).problem
    assert problem is not None
    assert not problem.final
