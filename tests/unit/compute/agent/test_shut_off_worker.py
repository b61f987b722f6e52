"""One step at a time: a guest is asked to stop, and its power is cut when the time is up."""

from migrator.compute.simulated.state import Behaviour
from migrator.protocol import DomainState, Ensure, ShutOffInputs
from tests.unit.compute.agent.two_hosts import OTHER, SPEC, World, state


def test_shut_off_asks_again_until_the_guest_hears(world: World) -> None:
    world.simulation.behaviours[SPEC.uuid] = Behaviour(boot_s=5)
    for _ in range(8):
        world.act("a", Ensure.SHUT_OFF, ShutOffInputs(timeout_s=60), kind="stop", operation_id=OTHER)
        world.clock.now += 1
    fact = world.act("a", Ensure.SHUT_OFF, ShutOffInputs(timeout_s=60), kind="stop", operation_id=OTHER)
    assert state(fact) is DomainState.SHUT_OFF
    assert "a.destroy" not in world.calls
    assert world.calls.count("a.shut_down") == 3


def test_shut_off_cuts_the_power_when_the_time_is_up(world: World) -> None:
    world.simulation.behaviours[SPEC.uuid] = Behaviour(ignores_shutdown=True)
    inputs = ShutOffInputs(timeout_s=10)
    assert state(world.act("a", Ensure.SHUT_OFF, inputs, operation_id=OTHER)) is DomainState.RUNNING
    world.clock.now += 10
    fact = world.act("a", Ensure.SHUT_OFF, inputs, operation_id=OTHER)
    assert state(fact) is DomainState.SHUT_OFF
    assert fact.note is not None
