"""An image that the catalogue has lost while instances need it, met by every kind of move."""

from collections.abc import Callable, Sequence

import pytest
from sqlalchemy import delete, select

from migrator.db.tables import images, operations
from migrator.errors import Conflict
from migrator.scheduler.checks.finding import Status
from migrator.scheduler.placement import evacuation_preflight, preflight
from migrator.scheduler.requests import requests
from tests.world import evacuations
from tests.world import moves as world_moves
from tests.world.clients import built, insist
from tests.world.conftest import MakeWorld
from tests.world.faults import Fault
from tests.world.moves import LOST_S, force_down, pass_time
from tests.world.rules import broken
from tests.world.world import CALLER, World


def lose(world: World) -> None:
    """As by a registry that was set up anew: neither the row nor the bytes are there, on no host but those that made
    disks of it."""
    image = world.image["id"]
    with world.db.write() as connection:
        connection.execute(delete(images).where(images.c.id == image))
    world.lost_images.add(image)
    for host in world.simulation.hosts.values():
        host.fetched_images.clear()


def live(world: World, uuid: str) -> None:
    world.ask(lambda: requests.live_migrate(world.db, CALLER, uuid, host="n2", block=None))
    world.settle()


def cold(world: World, uuid: str) -> None:
    world_moves.migrate(world, uuid)
    world_moves.confirm(world, uuid)
    world.settle()


def resize(world: World, uuid: str) -> None:
    world_moves.resize(world, uuid)
    world_moves.confirm(world, uuid)
    world.settle()


def errors(world: World) -> Sequence[object]:
    with world.db.read() as connection:
        return [row.error for row in connection.execute(select(operations).where(operations.c.moves)) if row.error]


def judged(world: World, uuid: str) -> tuple[Status, str]:
    """What preflight says of the image at n2."""
    with world.db.read() as connection:
        found = preflight.of_instance(connection, uuid, {"n2"}, world.settings.service_down_time)
    finding = dict(found[0].hosts[0].findings)["image"]
    return finding.status, finding.message


@pytest.mark.parametrize("pool", ["local", "shared"])
@pytest.mark.parametrize("move", [live, cold, resize], ids=lambda move: move.__name__)
def test_a_move_gets_what_disks_lie_over_from_the_host_that_it_leaves(
    make_world: MakeWorld, move: Callable[[World, str], None], pool: str
) -> None:
    world = make_world()
    uuid = built(world, pool)
    lose(world)
    assert judged(world, uuid)[0] is Status.PASSED
    move(world, uuid)
    assert errors(world) == []
    assert broken(world) == []
    assert "n1" not in world.simulation.running_on(uuid)
    assert len(world.simulation.running_on(uuid)) == 1
    assert all(not host.lent_images for host in world.simulation.hosts.values())


@pytest.mark.parametrize("move", [live, cold], ids=lambda move: move.__name__)
def test_an_image_that_is_damaged_at_the_source_too_ends_the_move_by_name(
    make_world: MakeWorld, move: Callable[[World, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world()
    uuid = built(world, "local")
    lose(world)
    for agent in world.agents.values():
        monkeypatch.setattr(agent.driver, "_lent_image", lambda _uri, _path: "other content")
    move(world, uuid)
    assert [error["code"] for error in errors(world) if isinstance(error, dict)] == ["image_unavailable"]
    assert broken(world) == []
    assert world.simulation.running_on(uuid) == ["n1"]


@pytest.mark.parametrize("pool", ["local", "shared"])
def test_an_evacuation_needs_the_image_only_where_disks_are_lost(make_world: MakeWorld, pool: str) -> None:
    world = make_world()
    uuid = built(world, pool)
    lose(world)
    world.lose("n1")
    pass_time(world, LOST_S)
    force_down(world, "n1")
    with world.db.read() as connection:
        found = evacuation_preflight.of_host(connection, "n1", {"n2"}, world.settings)
    if pool == "local":
        assert world.image["id"] in found[0].refusal
        with pytest.raises(Conflict, match=world.image["id"]):
            evacuations.ask(world, uuid)
        assert world.simulation.running_on(uuid) == []
    else:
        assert found[0].refusal == ""
        evacuations.ask(world, uuid)
        evacuations.to_the_end(world, uuid)
        world.bring_back("n1")
        world.settle()
        assert len(world.simulation.running_on(uuid)) == 1
        assert broken(world) == []


def test_an_evacuation_whose_image_is_lost_meanwhile_ends_by_name(make_world: MakeWorld) -> None:
    world = make_world()
    uuid = built(world, "local")
    world.lose("n1")
    pass_time(world, LOST_S)
    force_down(world, "n1")
    evacuations.ask(world, uuid)
    lose(world)
    world.run(lambda: evacuations.is_over(world, uuid))
    found = [str(error) for error in errors(world)]
    assert len(found) == 1, found
    assert f"no host has the image {world.image['id']} any more" in found[0]
    assert world.simulation.running_on(uuid) == []
    assert all(not s.disks for name, s in world.simulation.storages.items() if name in ("local-n2", "local-n3"))


@pytest.mark.parametrize("move", [live, cold], ids=lambda move: move.__name__)
@pytest.mark.parametrize("fault", [Fault.KILL_BEFORE, Fault.KILL_AFTER])
def test_no_fault_while_the_image_is_fetched_loses_anything(
    make_world: MakeWorld, move: Callable[[World, str], None], fault: Fault
) -> None:
    def passed(planned: dict[int, Fault]) -> World:
        world = make_world(planned=planned)
        uuid = built(world, "local")
        lose(world)
        world.faults.armed = True
        if move is live:
            insist(world, lambda: requests.live_migrate(world.db, CALLER, uuid, host="n2", block=None))
        else:
            world_moves.migrate(world, uuid)
            world_moves.confirm(world, uuid)
        world.settle()
        return world

    boundaries = passed({}).faults.passed
    cases = [n for n, boundary in enumerate(boundaries) if fault in boundary.faults]
    for number in cases[:: max(1, len(cases) // 12)]:
        world = passed({number: fault})
        assert broken(world) == [], number
        assert len([h for h in world.simulation.hosts if world.simulation.running_on(h)]) <= 1
