"""Guests at four dirty rates under one limit: the way that is chosen, beside each way that could have been."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import select

from migrator.compute.simulated.state import MIB, Behaviour
from migrator.db import events
from migrator.db.tables import operations
from migrator.scheduler.requests import requests
from tests.world.conftest import MakeWorld
from tests.world.rules import broken
from tests.world.world import CALLER, World

LIMIT_MIB_S = 8
FIXED = ("pre-copy", "auto-converge", "post-copy")
ALLOWED: dict[str, Any] = {"live_migration_permit_auto_converge": True, "live_migration_permit_post_copy": True}
GENTLY: dict[str, Any] = ALLOWED | {"live_migration_permit_post_copy": False}
NEVER_MS = 10**9  # what an aborted transfer counts as
LOOK_MS = 600  # an agent looks a few times a second, and so may be late by that


@dataclass
class Moved:
    row: Any
    lines: list[str]

    @property
    def total_ms(self) -> int:
        return int(self.row.outcome["elapsed_ms"]) if self.row.status == "completed" else NEVER_MS

    @property
    def record(self) -> dict[str, Any]:
        return dict(self.row.context["strategy"])


def move(
    world: World, dirty_mib_s: float, during: Callable[[World, str], None] | None = None, **settings: Any
) -> Moved:
    changes = {"live_migration_bandwidth": LIMIT_MIB_S, "live_migration_completion_timeout": 60, **settings}
    world.settings = world.settings.model_copy(update=changes)
    world.restart_server()
    world.counters_s = 0.5
    world.tick()
    uuid = world.build("shared")
    assert uuid is not None
    world.run()
    world.simulation.behaviours[uuid] = Behaviour(dirty_bytes_per_s=dirty_mib_s * MIB)
    key = world.ask(lambda: requests.live_migrate(world.db, CALLER, uuid, host="n2", block=None))
    if during is not None:
        during(world, uuid)
    world.run()
    assert broken(world) == []
    with world.db.read() as connection:
        row = connection.execute(select(operations).where(operations.c.id == key)).one()
        lines = [line.message for line in events.of_operation(connection, key) if line.name == "strategy"]
    return Moved(row, lines)


@pytest.mark.parametrize("permits", [ALLOWED, GENTLY], ids=["all", "no-post-copy"])
@pytest.mark.parametrize("dirty_mib_s", [0.5, 3, 7, 30])
def test_auto_is_hardly_worse_than_the_best(make_world: MakeWorld, dirty_mib_s: float, permits: dict[str, Any]) -> None:
    means = [way for way in FIXED if way != "post-copy" or permits["live_migration_permit_post_copy"]]
    fixed = {way: move(make_world(), dirty_mib_s, live_migration_strategy=way, **permits) for way in means}
    auto = move(make_world(), dirty_mib_s, live_migration_strategy="auto", **permits)
    best = min(moved.total_ms for moved in fixed.values())
    assert auto.total_ms <= 1.1 * best, ({w: m.total_ms for w, m in fixed.items()}, auto.lines)
    assert auto.row.status == "completed"
    assert fixed["pre-copy"].row.status == ("completed" if dirty_mib_s < LIMIT_MIB_S else "cancelled")
    assert all(not moved.lines for moved in fixed.values())
    predicted = auto.record["predicted_total_ms"]
    assert abs(predicted - auto.total_ms) < 0.15 * auto.total_ms + LOOK_MS, (predicted, auto.total_ms)
    assert auto.lines[-1].startswith(f"{auto.record.get('changed_to', auto.record['chosen'])} took ")
    assert "predicted" in auto.lines[-1]


def test_a_guest_that_wakes_up_is_fetched_before_the_timeout(make_world: MakeWorld) -> None:
    """It is measured asleep."""

    def wake(world: World, uuid: str) -> None:
        world.run(lambda: uuid in world.simulation.transfers)
        world.simulation.behaviours[uuid] = Behaviour(dirty_bytes_per_s=30 * MIB)

    moved = move(make_world(), 0, wake, live_migration_strategy="auto", **ALLOWED)
    assert (moved.record["chosen"], moved.record["changed_to"]) == ("pre-copy", "post-copy")
    assert "auto-converge takes" in moved.record["changed_because"]
    assert moved.row.status == "completed"
    assert moved.total_ms < 12_000
    assert moved.lines[1].startswith("post-copy instead of pre-copy: ")


def test_without_other_means_the_timeout_has_its_turn(make_world: MakeWorld) -> None:
    moved = move(make_world(), 30, live_migration_strategy="auto")
    assert moved.record["chosen"] == "pre-copy"
    assert "nothing stronger is permitted" in moved.lines[0]
    assert (moved.row.status, moved.row.error["code"]) == ("cancelled", "completion_timeout")
