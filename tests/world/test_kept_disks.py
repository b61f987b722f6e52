"""What a lost host had is kept when it returns, and put back or dropped by an operator's word, whatever is killed."""

import os
from collections.abc import Callable

import pytest
from sqlalchemy import select

from migrator.db import hosts, surveys
from migrator.db.tables import operations
from migrator.errors import Conflict, NotFound
from migrator.operations import Kind
from migrator.protocol import Survey
from migrator.scheduler.requests import cold_migration, kept_disks
from tests.world import evacuations
from tests.world.clients import insist
from tests.world.conftest import MakeWorld
from tests.world.faults import Fault
from tests.world.moves import confirm, stop
from tests.world.rules import broken
from tests.world.world import CALLER, World

STRIDE = int(os.environ.get("MIGRATOR_WORLD_STRIDE", "30"))


def told(world: World) -> None:
    """Every agent's survey arrives."""
    with world.db.write() as connection:
        for name, agent in world.agents.items():
            survey = Survey(kept=tuple(agent.driver.kept_disks()))
            surveys.keep(connection, name, survey.model_dump(mode="json", exclude_defaults=True))


def evacuated(world: World) -> tuple[str, str]:
    """An instance that was evacuated from n1, which is back; (instance, operation that kept its disk)."""
    evacuations.evacuation("local", evacuations.to_the_end)(world)
    world.faults.armed = False
    told(world)
    with world.db.read() as connection:
        (kept,) = kept_disks.listed(connection)
    assert (kept.host, kept.disks.files) == ("n1", ("sda", "vda"))
    return kept.disks.instance, kept.disks.operation


def brought_back(world: World) -> tuple[str, str]:
    """The same; it was moved to n1 again, and is stopped."""
    uuid, kept = evacuated(world)
    with world.db.write() as connection:
        hosts.change(connection, "n1", {"forced_down": False})
    insist(world, lambda: cold_migration.migrate(world.db, CALLER, uuid, host="n1"))
    confirm(world, uuid)
    world.run()
    stop(world, uuid)
    return uuid, kept


def arm(world: World, planned: dict[int, Fault]) -> None:
    world.faults.passed.clear()
    world.faults.planned = planned
    world.faults.armed = True


def version(world: World, uuid: str) -> int:
    return world.fabric.storages["local-n1"].disks[uuid, "vda"].version


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


def restore(world: World, planned: dict[int, Fault]) -> None:
    uuid, kept = brought_back(world)
    aside = world.fabric.storages["local-n1"].disks.aside
    old, new = aside[uuid, kept].files["vda"].version, version(world, uuid)
    assert old != new
    arm(world, planned)
    insist(world, lambda: kept_disks.restore(world.db, CALLER, uuid, kept))
    world.settle()
    assert version(world, uuid) == old
    world.fabric.settle_for(uuid, "n1")
    assert [files.files["vda"].version for files in aside.values()] == [new]
    with world.db.read() as connection:
        ended = connection.execute(select(operations.c.status).where(operations.c.kind == Kind.KEPT_RESTORE)).scalars()
        assert "completed" in set(ended)  # one that was asked for twice finds nothing the second time
    assert broken(world) == []


def drop(world: World, planned: dict[int, Fault]) -> None:
    uuid, kept = evacuated(world)
    world.treasures.clear()  # an operator gives it up
    arm(world, planned)

    def ask() -> int | None:
        return next(iter(kept_disks.drop(world.db, CALLER, uuid, kept)), None)

    insist(world, ask)
    world.settle()
    assert world.fabric.storages["local-n1"].disks.aside == {}
    assert world.fabric.running_on(uuid) == ["n2"]
    assert broken(world) == []


@pytest.mark.timeout(600)
@pytest.mark.parametrize("scenario", [restore, drop])
def test_every_boundary_of_an_operators_word(
    scenario: Callable[[World, dict[int, Fault]], None], make_world: MakeWorld
) -> None:
    world = make_world()
    scenario(world, {})
    for number, boundary in enumerate(list(world.faults.passed)):
        for place, fault in enumerate(boundary.faults):
            if (number + place) % STRIDE == 0:
                scenario(make_world(), {number: fault})
