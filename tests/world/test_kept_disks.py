"""What a lost host had is kept when it returns: put back or dropped by an operator's word, or when its time is up."""

import pytest

from migrator.errors import Conflict, NotFound
from migrator.scheduler.requests import kept_disks
from tests.world import evacuations
from tests.world.conftest import MakeWorld
from tests.world.kept import evacuated, said
from tests.world.moves import stop
from tests.world.rules import broken
from tests.world.scenarios import SCENARIOS
from tests.world.world import CALLER


def test_kept_disks_are_not_put_back_under_an_instance_elsewhere_or_one_that_runs(make_world: MakeWorld) -> None:
    world = make_world()
    uuid, kept = evacuated(world)
    with pytest.raises(Conflict, match="vm_state active"):
        kept_disks.restore(world.db, CALLER, uuid, kept)
    stop(world, uuid)
    with pytest.raises(Conflict, match="they are on n1, and the instance is on n2"):
        kept_disks.restore(world.db, CALLER, uuid, kept)
    with pytest.raises(NotFound):
        kept_disks.restore(world.db, CALLER, uuid, uuid)
    assert broken(world) == []


def test_the_timeline_names_what_the_host_that_returned_has_put_aside(make_world: MakeWorld) -> None:
    world = make_world()
    uuid, kept = evacuated(world)
    storage = world.simulation.storages["local-n1"]
    assert {target for owner, target in storage.disks if owner == uuid} == set()
    assert storage.disks.aside[uuid, kept].files.keys() == {"vda", "sda"}
    (line,) = said(world, uuid)
    assert line.message.startswith("kept aside: sda, vda")
    assert [(one["operation"], one["files"]) for one in line.details["kept"]] == [(kept, ["sda", "vda"])]


@pytest.mark.parametrize("name", ["evacuated-shared", "live-block", "cold-local-confirmed"])
def test_nothing_is_put_aside_where_no_disk_was_left_on_a_lost_host(make_world: MakeWorld, name: str) -> None:
    world = make_world()
    SCENARIOS[name](world)
    assert [
        one for storage in world.simulation.storages.values() for one in storage.disks.aside.values() if one.files
    ] == []


def test_kept_disks_go_when_their_time_is_up_and_not_before(make_world: MakeWorld) -> None:
    world = make_world()
    uuid, kept = evacuated(world)
    world.treasures.clear()  # the setting says that they may go then
    driver, storage = world.agents["n1"].driver, world.simulation.storages["local-n1"]
    kept_s = world.simulation.kept_retention_s
    assert driver.tend_kept() == []
    world.time = storage.disks.aside[uuid, kept].since + kept_s - 1
    assert driver.tend_kept() == []
    (left,) = driver.kept_disks(uuid)
    assert left.left_s == pytest.approx(1)
    world.time += 2
    assert [(one.instance, one.operation) for one in driver.tend_kept()] == [(uuid, kept)]
    assert driver.kept_disks() == []
    assert world.simulation.running_on(uuid) == ["n2"]
    world.settle()
    assert broken(world) == []


def test_one_host_never_tends_what_another_keeps(make_world: MakeWorld) -> None:
    world = make_world()
    evacuations.evacuation("local", evacuations.to_the_end)(world)
    world.simulation.kept_retention_s = 0.0
    for name in ("n2", "n3"):
        assert world.agents[name].driver.tend_kept() == []
    assert world.simulation.storages["local-n1"].disks.aside != {}
