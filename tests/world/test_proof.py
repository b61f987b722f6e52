"""A copy is given up only after the other one was proven: reverts and confirmations whose other host is silent or not
whole, and how each of them still comes to an end."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from migrator.db.tables import events
from migrator.scheduler.requests import cold_migration as asked
from migrator.scheduler.requests import requests
from tests.world import moves
from tests.world.clients import insist
from tests.world.conftest import MakeWorld
from tests.world.rules import broken
from tests.world.test_verify import record, waiting_move
from tests.world.world import CALLER, World


def disks(world: World, uuid: str) -> list[str]:
    return sorted(s.identity for s in world.simulation.storages.values() if (uuid, "vda") in s.disks)


def wipe(world: World, host: str) -> None:
    world.simulation.storages[f"local-{host}"].disks.clear()


def revert(world: World, uuid: str) -> None:
    insist(world, lambda: asked.revert(world.db, CALLER, uuid))


def confirm(world: World, uuid: str) -> None:
    insist(world, lambda: asked.confirm(world.db, CALLER, uuid))


def move(world: World, uuid: str) -> Any:
    return moves.newest_move(world, uuid)


def confirmed_after_all(world: World, uuid: str) -> None:
    confirm(world, uuid)
    world.settle()
    assert (move(world, uuid).status, record(world, uuid)) == ("confirmed", ("active", 1, "n2"))
    assert broken(world) == []


def test_a_revert_whose_source_is_silent_leaves_the_guest_alone_until_somebody_confirms(make_world: MakeWorld) -> None:
    world, uuid = waiting_move(make_world)
    world.lose("n1")
    moves.pass_time(world)
    revert(world, uuid)
    moves.pass_time(world, 300)
    assert world.simulation.running_on(uuid) == ["n2"]
    assert "confirm" in move(world, uuid).wait_reason
    confirm(world, uuid)
    world.run(lambda: not move(world, uuid).locks_instance)
    world.bring_back("n1")
    world.settle()
    assert record(world, uuid) == ("active", 1, "n2")
    assert broken(world) == []


def damage(world: World, uuid: str, host: str, kind: str) -> None:
    """What became of the local disk that the host keeps."""
    storage = world.simulation.storages[f"local-{host}"]
    file = storage.disks[uuid, "vda"]
    if kind == "gone":
        wipe(world, host)
    elif kind == "cut":
        file.cut = True
    elif kind == "image gone":
        assert file.backing_image_id is not None
        storage.lost_images.add(file.backing_image_id)
    else:
        file.damage = "-flipped"


@pytest.mark.parametrize("kind", ["gone", "changed", "cut", "image gone"])
def test_a_revert_whose_source_is_not_whole_ends_where_the_instance_is_and_says_why(
    make_world: MakeWorld, kind: str
) -> None:
    world, uuid = waiting_move(make_world)
    damage(world, uuid, "n1", kind)
    revert(world, uuid)
    moves.pass_time(world, 30)
    assert (move(world, uuid).phase, world.simulation.running_on(uuid)) == ("verify", ["n2"])
    with world.db.read() as connection:
        said = connection.execute(select(events.c.message).where(events.c.name == "reverse")).scalars().all()
    assert any("n1 has not what it should have: " in line and "vda" in line for line in said), said
    confirmed_after_all(world, uuid)


def test_an_instance_whose_revert_cannot_be_done_can_be_deleted(make_world: MakeWorld) -> None:
    world, uuid = waiting_move(make_world)
    world.lose("n1")
    moves.pass_time(world)
    revert(world, uuid)
    insist(world, lambda: requests.delete_instance(world.db, CALLER, uuid))
    world.run(lambda: "local-n2" not in disks(world, uuid))
    world.bring_back("n1")
    world.settle()
    assert disks(world, uuid) == []
    assert broken(world) == []


def test_a_confirmation_waits_for_the_destination_and_can_be_turned_into_a_revert(make_world: MakeWorld) -> None:
    world, uuid = waiting_move(make_world)
    world.lose("n2")
    moves.pass_time(world)
    confirm(world, uuid)
    moves.pass_time(world, 300)
    assert "local-n1" in disks(world, uuid)
    assert "revert" in move(world, uuid).wait_reason
    world.simulation.settle_for(uuid, "n1")
    revert(world, uuid)
    world.bring_back("n2")
    world.settle()
    assert (move(world, uuid).status, record(world, uuid)) == ("reverted", ("active", 1, "n1"))
    assert broken(world) == []


@pytest.mark.parametrize("kind", ["gone", "cut", "image gone"])
def test_a_confirmation_is_refused_where_the_destinations_disk_is_not_whole(make_world: MakeWorld, kind: str) -> None:
    world, uuid = waiting_move(make_world)
    world.agents["n2"].driver.destroy(uuid)
    damage(world, uuid, "n2", kind)
    confirm(world, uuid)
    moves.pass_time(world, 30)
    assert move(world, uuid).phase == "verify"
    assert "local-n1" in disks(world, uuid)
    world.simulation.settle_for(uuid, "n1")
    revert(world, uuid)
    world.settle()
    assert (move(world, uuid).status, record(world, uuid)) == ("reverted", ("active", 1, "n1"))


def test_a_revert_waits_for_a_source_that_has_no_room_to_note_what_it_is_asked(make_world: MakeWorld) -> None:
    """It has said nothing of its disks."""
    world, uuid = waiting_move(make_world)
    world.full_disks.add("n1")
    world.simulation.settle_for(uuid, "n1")
    revert(world, uuid)
    moves.pass_time(world, 30)
    assert "no space left on device" in move(world, uuid).wait_reason
    assert disks(world, uuid) == ["local-n1", "local-n2"]
    world.full_disks.clear()
    world.settle()
    assert (move(world, uuid).status, record(world, uuid)) == ("reverted", ("active", 1, "n1"))
    assert broken(world) == []


def mend(world: World, uuid: str, host: str) -> None:
    storage = world.simulation.storages[f"local-{host}"]
    storage.lost_images.clear()
    storage.disks[uuid, "vda"].cut = False


@pytest.mark.parametrize("kind", ["cut", "image gone"])
@pytest.mark.parametrize("ask", [confirm, revert])
def test_what_was_refused_for_a_damaged_disk_is_done_when_the_disk_is_mended(
    make_world: MakeWorld, ask: Callable[[World, str], None], kind: str
) -> None:
    """What a host said of its disk before does not answer the second time."""
    damaged, gone, home = ("n2", "local-n1", "n2") if ask is confirm else ("n1", "local-n2", "n1")
    world, uuid = waiting_move(make_world)
    damage(world, uuid, damaged, kind)
    ask(world, uuid)
    moves.pass_time(world, 30)
    assert move(world, uuid).phase == "verify"
    assert disks(world, uuid) == ["local-n1", "local-n2"]
    mend(world, uuid, damaged)
    if ask is revert:
        world.simulation.settle_for(uuid, "n1")
    ask(world, uuid)
    moves.pass_time(world, 30)
    assert not move(world, uuid).active, "it is asked once"
    assert gone not in disks(world, uuid)
    assert record(world, uuid) == ("active", 1, home)
    assert broken(world) == []


def test_the_window_confirms_only_what_the_destination_has_shown(make_world: MakeWorld) -> None:
    world, uuid = waiting_move(make_world)
    world.settings = world.settings.model_copy(update={"resize_confirm_window": 300})
    world.restart_server()
    moves.pass_time(world, 100)
    world.lose("n2")
    moves.pass_time(world, 900)
    assert move(world, uuid).phase == "verify"
    assert "local-n1" in disks(world, uuid)
    world.bring_back("n2")
    world.settle()
    assert move(world, uuid).status == "confirmed"
    assert disks(world, uuid) == ["local-n2"]


def test_a_start_that_fails_while_the_source_is_silent_deletes_nothing(make_world: MakeWorld) -> None:
    world, uuid = waiting_move(make_world)
    confirmed_after_all(world, uuid)
    insist(world, lambda: asked.migrate(world.db, CALLER, uuid, host="n1"))
    moves.in_phase(world, uuid, "start")
    world.lose("n2")
    requests.cancel(world.db, CALLER, move(world, uuid).id)
    moves.pass_time(world, 300)
    assert disks(world, uuid) == ["local-n1", "local-n2"]
    assert move(world, uuid).wait_reason.startswith("waiting for host n2")
    world.bring_back("n2")
    world.settle()
    assert record(world, uuid)[2] == "n2"
