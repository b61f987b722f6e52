"""A host that is rebooted: what ran there stays off, or is started again where that is set; never what is elsewhere."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from migrator.db.tables import events, instances, operations
from migrator.protocol import DomainState
from migrator.scheduler.requests import requests
from tests.world import evacuations, moves
from tests.world.clients import built
from tests.world.conftest import MakeWorld
from tests.world.rules import broken
from tests.world.scenarios import SCENARIOS
from tests.world.world import CALLER, World

OFF_S = 4.0
UNDER_WAY = (
    *("build", "delete", "start", "stop", "reboot-soft", "suspend", "resume", "pause", "unpause", "live-shared"),
    *("live-block", "cold-local-confirmed", "cold-local-reverted", "cold-shared-confirmed", "resize-shared-confirmed"),
)


def resuming(world: World, on: bool = True) -> World:
    world.settings = world.settings.model_copy(update={"resume_guests_state_on_host_boot": on})
    world.restart_server()
    return world


def reboot(world: World, name: str = "n1") -> None:
    world.lose(name)
    world.at(OFF_S, lambda: world.bring_back(name))


def reboot_under_way(world: World, name: str, after_s: float) -> None:
    """So long after the operation that the scenario is about was asked for."""
    ask = world.ask

    def then(request: Callable[[], Any]) -> Any:
        if world.faults.armed:
            world.ask = ask  # type: ignore[method-assign]
            world.at(after_s, lambda: reboot(world, name))
        return ask(request)

    world.ask = then  # type: ignore[method-assign]


def vm_state(world: World, uuid: str) -> str:
    with world.db.read() as connection:
        return str(connection.execute(select(instances.c.vm_state).where(instances.c.uuid == uuid)).scalar_one())


def starts(world: World) -> list[str]:
    with world.db.read() as connection:
        query = select(operations.c.user_id).where(operations.c.kind == "start").order_by(operations.c.id)
        return list(connection.execute(query).scalars())


@pytest.mark.parametrize(("on", "state"), [(True, "active"), (False, "stopped")])
def test_what_ran_is_started_again_if_that_is_set(make_world: MakeWorld, on: bool, state: str) -> None:
    world = resuming(make_world(), on)
    uuid = built(world, "local")
    moves.pass_time(world, 20)
    reboot(world)
    moves.pass_time(world, 60)
    world.run()
    assert vm_state(world, uuid) == state
    assert world.simulation.running_on(uuid) == (["n1"] if on else [])
    assert starts(world) == (["resume_guests_state_on_host_boot"] if on else [])
    assert broken(world) == []


def test_what_was_stopped_before_and_what_stops_later_stays_off(make_world: MakeWorld) -> None:
    world = resuming(make_world())
    uuid = built(world, "local")
    world.ask(lambda: requests.stop(world.db, CALLER, uuid))
    world.run()
    reboot(world)
    moves.pass_time(world, 60)
    assert starts(world) == []
    world.ask(lambda: requests.start(world.db, CALLER, uuid))
    world.run()
    moves.pass_time(world, 700)
    world.simulation.set_state("n1", uuid, DomainState.SHUT_OFF, "shutdown", world.time)
    moves.pass_time(world, 60)
    assert (vm_state(world, uuid), starts(world)) == ("stopped", ["user"])


def test_an_agent_or_a_daemon_that_is_restarted_is_no_reboot(make_world: MakeWorld) -> None:
    world = resuming(make_world())
    uuid = built(world, "local")
    moves.pass_time(world, 20)
    world.killed("n1")
    moves.pass_time(world, 20)
    world.simulation.set_state("n1", uuid, DomainState.SHUT_OFF, "shutdown", world.time)
    moves.pass_time(world, 60)
    assert (vm_state(world, uuid), starts(world)) == ("stopped", [])


def test_what_was_evacuated_is_not_started_where_it_was(make_world: MakeWorld) -> None:
    world = resuming(make_world())
    uuid = built(world, "shared")
    moves.pass_time(world, 20)
    world.lose("n1")
    moves.pass_time(world, 120)
    moves.force_down(world, "n1")
    evacuations.ask(world, uuid)
    moves.pass_time(world, 60)
    world.bring_back("n1")
    moves.pass_time(world, 60)
    world.run()
    assert starts(world) == []
    assert world.simulation.running_on(uuid) == ["n2"]
    assert broken(world) == []


@pytest.mark.parametrize("after_s", [0.2, 3.0])
@pytest.mark.parametrize("name", UNDER_WAY)
def test_a_reboot_meets_every_kind_of_operation(make_world: MakeWorld, name: str, after_s: float) -> None:
    for host in ("n1", "n2"):
        world = resuming(make_world())
        reboot_under_way(world, host, after_s)
        SCENARIOS[name](world)
        moves.pass_time(world, 90)
        world.run()
        assert world.simulation.overlaps() == []
        assert broken(world) == []
        with world.db.read() as connection:
            rows = connection.execute(select(instances).where(instances.c.deleted.is_(False))).all()
            said = connection.execute(select(events.c.message)).scalars().all()
        for row in rows:
            runs = world.simulation.running_on(row.uuid)
            assert runs == ([row.host] if row.vm_state in ("active", "resized") and row.power_state == 1 else []), said
