"""What a client of the world does: it has an instance built, and asks again when its request was cut off."""

from collections.abc import Callable
from itertools import count

from migrator.errors import Conflict, InstanceBusy
from tests.world.processes import RETRY_S
from tests.world.world import World


def built(world: World, pool: str) -> str:
    """A running instance on n1."""
    world.tick()  # the agents register
    uuid = world.build(pool)
    world.run()
    assert uuid is not None
    assert world.simulation.running_on(uuid) == ["n1"]
    world.handed_over.add(uuid)
    return uuid


def insist(world: World, request: Callable[[], int | None]) -> None:
    """Asked until no fault came between. 'Busy' tells a client whose request was cut off that it was heard."""
    for attempt in count():
        before = len(world.faults.struck)
        try:
            answer = world.ask(request)
        except (Conflict, InstanceBusy):
            if not attempt:
                raise
            return
        if answer is not None or len(world.faults.struck) == before:
            return
        world.time += RETRY_S


def insist_on(world: World, operation_id: int, request: Callable[[], object]) -> None:
    """Of an operation under way: asked until no fault came between, and at least twice, for that changes nothing.
    Refused: it is over, or too late."""
    for attempt in count():
        before = len(world.faults.struck)
        try:
            world.guarded(request)
        except Conflict:
            return
        world.guarded(lambda: world.server.reconciler.reconcile(operation_id))
        if attempt and len(world.faults.struck) == before:
            return
