"""A restored database has an evacuation under way that went on after the backup: it waits from the first moment on,
until every host has said which guests it has."""

from pathlib import Path
from random import Random

import pytest

from migrator.errors import Conflict
from tests.world import evacuations, moves
from tests.world.backups import backup, restore
from tests.world.clients import built
from tests.world.conftest import MakeWorld
from tests.world.records import operation, pass_time
from tests.world.world import World

SEEDS = range(12)
POOLS = ["local", "shared", "volume"]


def lost(world: World, uuid: str, host: str) -> None:
    """The host has no power, and an operator says so."""
    world.lose(host)
    pass_time(world, 90)
    moves.force_down(world, host)
    world.simulation.settle_for(uuid, None)


def evacuated_past_the_backup(
    make_world: MakeWorld, directory: Path, pool: str, seed: int, host: str | None
) -> tuple[World, str, int, str]:
    """An evacuation that a backup of any moment has under way, and where it came to, which is silent."""
    world, chance = make_world(seed=seed), Random(seed)
    uuid = built(world, pool)
    lost(world, uuid, "n1")
    key = evacuations.ask(world, uuid, host)
    backup(world, directory / "backup.db")
    world.server.reconciler.reconcile(key)
    for _ in range(chance.choice((0, 1, 3, 6, 12))):
        if operation(world, key).locks_instance:
            backup(world, directory / "backup.db")
            world.tick()
    evacuations.to_the_end(world, uuid)
    (there,) = world.simulation.running_on(uuid)
    pass_time(world, chance.choice((0, 30, 200)))
    if chance.random() < 0.5:
        world.bring_back("n1")
        pass_time(world, 30)
    world.silence(there)
    pass_time(world, chance.choice((30, 120)))
    restore(world, directory / "backup.db")
    assert operation(world, key).locks_instance
    return world, uuid, key, there


@pytest.mark.parametrize(("seed", "pool", "host"), [(n, POOLS[n % 3], (None, "n2")[n % 2]) for n in SEEDS])
def test_an_evacuation_that_ended_after_the_backup_is_not_done_again_beside_a_silent_host(
    make_world: MakeWorld, tmp_path: Path, seed: int, pool: str, host: str | None
) -> None:
    world, uuid, key, there = evacuated_past_the_backup(make_world, tmp_path, pool, seed, host)
    for later_s in (0, 2, 100):  # at once, before the first sweep, and after many
        pass_time(world, later_s)
        world.server.reconciler.reconcile(key)
        if "n1" in world.dead:
            moves.force_down(world, "n1")
        assert world.simulation.running_on(uuid) == [there]
    assert operation(world, key).wait_reason
    world.bring_back(there)
    pass_time(world, 60)
    assert world.simulation.running_on(uuid) == [there]
    assert list(world.simulation.overlaps()) == []
    assert world.lost == []


def test_an_evacuation_that_a_dead_third_host_holds_says_that_its_word_is_to_be_given_again(
    make_world: MakeWorld,
) -> None:
    world = make_world()
    uuid = built(world, "shared")
    lost(world, uuid, "n1")
    world.lose("n3")
    moves.force_down(world, "n3")
    key = evacuations.ask(world, uuid, "n2")
    world.without_server(60)
    moves.force_down(world, "n1")
    pass_time(world, 90)
    bring_back = "bring it back or, if it is lost, `migrator service-force-down n3`"
    again = "(again: it was forced down before the servers were last away)"
    assert operation(world, key).wait_reason == (
        f"waiting for host n3, which is silent; the instance may run there: {bring_back} {again}"
    )
    moves.force_down(world, "n3")
    evacuations.to_the_end(world, uuid)
    assert world.simulation.running_on(uuid) == ["n2"]
    assert list(world.simulation.overlaps()) == []


@pytest.mark.parametrize(("pool", "asked"), [("local", True), ("local", False), ("volume", False)])
@pytest.mark.parametrize("seed", range(2))
def test_a_host_that_was_forced_down_at_the_backup_and_is_healthy_since_is_not_evacuated_on_that_word(
    make_world: MakeWorld, tmp_path: Path, seed: int, pool: str, asked: bool
) -> None:
    world, chance = make_world(seed=seed), Random(seed)
    uuid = built(world, pool)
    world.silence("n1")  # its network is away
    pass_time(world, 90)
    moves.force_down(world, "n1")
    pass_time(world, chance.choice((1, 60)))
    key = evacuations.ask(world, uuid) if asked else 0
    backup(world, tmp_path / "backup.db")
    world.bring_back("n1")
    pass_time(world, chance.choice((60, 300)))
    world.silence("n1")
    pass_time(world, chance.choice((20, 90)))
    restore(world, tmp_path / "backup.db")
    pass_time(world, chance.choice((1, 100)))
    if asked:
        world.server.reconciler.reconcile(key)
    else:
        with pytest.raises(Conflict, match=r"set\s+forced_down"):
            evacuations.ask(world, uuid)
    pass_time(world, 100)
    assert world.simulation.running_on(uuid) == ["n1"]
    assert list(world.simulation.overlaps()) == []
    world.lose("n1")
    moves.force_down(world, "n1")  # asked anew
    world.simulation.settle_for(uuid, None)
    if not asked:
        evacuations.ask(world, uuid)
    evacuations.to_the_end(world, uuid)
    assert world.simulation.running_on(uuid) not in ([], ["n1"])
    assert list(world.simulation.overlaps()) == []
