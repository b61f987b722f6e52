"""Evacuations in the world: a host loses its power, or only its agent, and comes back: at the end, or in the middle."""

from collections.abc import Callable, Mapping

from migrator.scheduler.requests import evacuation as evacuations
from tests.world.clients import built, insist
from tests.world.moves import (
    Scenario,
    Step,
    as_it_is,
    confirm,
    copying,
    force_down,
    migrate,
    newest_move,
    pass_time,
    pause,
    stop,
    suspend,
)
from tests.world.world import CALLER, World


def ask(world: World, uuid: str, host: str | None = None) -> int:
    """The request, once; the operation's id."""
    request = evacuations.EvacuationRequest(host=host)
    begun = evacuations.evacuate(world.db, CALLER, uuid, world.settings, request)
    return begun.operation_id


def evacuate(world: World, uuid: str, host: str | None) -> None:
    insist(world, lambda: ask(world, uuid, host))


def is_over(world: World, uuid: str) -> bool:
    """As far as the instance is concerned."""
    row = newest_move(world, uuid)
    return row is not None and (not row.active or not row.locks_instance)


def to_the_end(world: World, uuid: str) -> None:
    world.run(lambda: is_over(world, uuid))
    row = newest_move(world, uuid)
    if row.active:
        assert row.wait_reason or row.phase == "cleanup"


def _in(phase: str) -> Step:
    """Until the evacuation is in this phase, or past it."""

    def wait(world: World, uuid: str) -> None:
        world.run(lambda: newest_move(world, uuid).phase == phase or is_over(world, uuid))

    return wait


def destination_dies(world: World, uuid: str) -> None:
    """Before the instance is started there: it may be evacuated again, and this host cleans up when it is back."""
    _in("rebuild")(world, uuid)
    destination = newest_move(world, uuid).destination
    world.lose(destination)
    pass_time(world)
    world.run(lambda: is_over(world, uuid))
    if newest_move(world, uuid).status == "error":
        evacuate(world, uuid, None)
        world.run(lambda: is_over(world, uuid))
    world.bring_back(destination)


def fenced_while_copying(world: World) -> None:
    """A cold migration loses its source for good: it turns back, and the instance is evacuated."""
    uuid = built(world, "local")
    world.faults.armed = True
    migrate(world, uuid)
    world.run(lambda: copying(world, uuid))
    if newest_move(world, uuid).phase == "verify":
        world.faults.armed = False  # too late: it has arrived
        confirm(world, uuid)
        world.settle()
        return
    world.lose("n1")
    pass_time(world)
    force_down(world, "n1")
    world.treasure(uuid)
    world.simulation.settle_for(uuid, None)
    world.run(lambda: is_over(world, uuid))
    evacuate(world, uuid, "n3")
    world.run(lambda: is_over(world, uuid))
    world.bring_back("n1")
    world.settle()


def evacuation(
    pool: str,
    returns: Step,
    before: Step = as_it_is,
    fail: Callable[[World, str], None] = World.lose,
    host: str | None = "n2",
) -> Scenario:
    def scenario(world: World) -> None:
        uuid = built(world, pool)
        before(world, uuid)
        fail(world, "n1")
        pass_time(world)
        force_down(world, "n1")
        if pool in ("local", "volume-mixed") and fail is World.lose:
            world.treasure(uuid)
            world.simulation.settle_for(
                uuid, None
            )  # what only the lost host had is not where the instance is brought back
        world.faults.armed = True
        evacuate(world, uuid, host)
        returns(world, uuid)
        world.bring_back("n1")
        world.settle()

    return scenario


SCENARIOS: Mapping[str, Scenario] = {
    "evacuated-shared": evacuation("shared", to_the_end),
    "evacuated-local": evacuation("local", to_the_end),
    "evacuated-volume": evacuation("volume", to_the_end),
    "evacuated-volume-mixed": evacuation("volume-mixed", to_the_end),
    "evacuated-stopped": evacuation("shared", to_the_end, stop),
    "evacuated-suspended": evacuation("shared", to_the_end, suspend),
    "evacuated-paused": evacuation("shared", to_the_end, pause),
    "evacuated-paused-back": evacuation("shared", _in("rebuild"), pause, World.silence),
    "evacuated-paused-not-dead": evacuation("shared", to_the_end, pause, World.silence),
    "evacuated-back-at-once": evacuation("shared", as_it_is),
    "evacuated-back-in-rebuild": evacuation("shared", _in("rebuild")),
    "evacuated-back-in-start": evacuation("local", _in("start")),
    "evacuated-destination-dies": evacuation("shared", destination_dies, host=None),
    "evacuated-out-of-a-migration": fenced_while_copying,
    "evacuated-back-and-running": evacuation("shared", _in("rebuild"), fail=World.silence),
    "evacuated-not-dead": evacuation("shared", to_the_end, as_it_is, World.silence),
}
