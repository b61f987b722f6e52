"""Disks that a lost host kept, and an operator's word about them: put back, or dropped."""

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import select

from migrator.db import hosts, surveys
from migrator.db.tables import events, operations
from migrator.operations import Kind
from migrator.protocol import Survey
from migrator.scheduler.requests import cold_migration, kept_disks
from tests.world import evacuations
from tests.world.clients import insist
from tests.world.moves import Scenario, confirm, stop
from tests.world.world import CALLER, World


def told(world: World) -> None:
    """Every agent's survey arrives."""
    with world.db.write() as connection:
        for name, agent in world.agents.items():
            survey = Survey(kept=tuple(agent.driver.kept_disks()))
            surveys.upsert(connection, name, survey.model_dump(mode="json", exclude_defaults=True))


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


def _without_faults(world: World, prepare: Callable[[World], tuple[str, str]]) -> tuple[str, str]:
    """The way there is no boundary: each has scenarios of its own."""
    planned, world.faults.planned = world.faults.planned, {}
    chance, world.faults.random = world.faults.random, None
    tick = world.tick
    vars(world).pop("tick", None)  # a mishap's
    found = prepare(world)
    world.faults.passed.clear()
    world.faults.planned, world.faults.random = planned, chance
    world.tick = tick  # type: ignore[method-assign]
    world.faults.armed = True
    return found


def restored(world: World) -> None:
    uuid, kept = _without_faults(world, brought_back)
    aside = world.simulation.storages["local-n1"].disks.aside
    old, new = aside[uuid, kept].files["vda"].version, version(world, uuid)
    assert old != new
    insist(world, lambda: kept_disks.restore(world.db, CALLER, uuid, kept))
    world.settle()
    assert version(world, uuid) == old
    world.simulation.settle_for(uuid, "n1")  # the operator gives up what is kept in its stead now
    assert [files.files["vda"].version for files in aside.values()] == [new]
    assert "completed" in ends(world, Kind.KEPT_RESTORE)  # one that was asked for twice finds nothing the second time


def dropped(world: World) -> None:
    uuid, kept = _without_faults(world, evacuated)
    world.treasures.clear()  # an operator gives it up
    insist(world, lambda: next(iter(kept_disks.delete(world.db, CALLER, uuid, kept)), None))
    world.settle()
    assert world.simulation.storages["local-n1"].disks.aside == {}
    assert world.simulation.running_on(uuid) == ["n2"]


def version(world: World, uuid: str) -> int:
    return world.simulation.storages["local-n1"].disks[uuid, "vda"].version


def ends(world: World, kind: Kind) -> list[str]:
    with world.db.read() as connection:
        query = select(operations.c.status).where(operations.c.kind == kind).order_by(operations.c.id)
        return list(connection.execute(query).scalars())


def said(world: World, uuid: str) -> list[Any]:
    """The lines that name what was kept."""
    with world.db.read() as connection:
        query = select(events).where(events.c.instance_uuid == uuid, events.c.name == "kept")
        return list(connection.execute(query).all())


SCENARIOS: Mapping[str, Scenario] = {"kept-restored": restored, "kept-dropped": dropped}
