"""What a client of the world does: it has an instance built, and asks again when its request was cut off."""

from collections.abc import Callable

from migrator.errors import Conflict, InstanceBusy
from tests.world.processes import RETRY_S
from tests.world.world import World


def built(world: World, pool: str) -> str:
    """A running instance on n1."""
    world.tick()  # the agents register
    uuid = world.build(pool)
    world.run()
    assert uuid is not None
    assert world.fabric.running_on(uuid) == ["n1"]
    return uuid


def insist(world: World, request: Callable[[], int | None]) -> None:
    """'Busy' tells a client whose request was cut off that it was heard."""
    if world.ask(request) is None and world.faults.struck:
        world.time += RETRY_S
        try:
            world.ask(request)
        except (Conflict, InstanceBusy):
            return
