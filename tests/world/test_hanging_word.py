"""An operator's word waits for a step that began before the dispute: it would have its effect after the word."""

import pytest

from migrator.errors import Conflict
from migrator.scheduler.requests import requests
from tests.world import moves
from tests.world.clients import built
from tests.world.conftest import MakeWorld
from tests.world.records import live_migrate, open_alarms, pass_time, record, say
from tests.world.world import CALLER, World

HANGS_S = 200.0


def started_by_hand_beside_a_hanging_start(make_world: MakeWorld) -> tuple[World, str]:
    """The start on n1 hangs; until it returns, an operator starts the guest on n2, from the same disk."""
    world = make_world()
    uuid = built(world, "shared")
    for host in ("n2", "n1"):  # so that both are believed about it
        live_migrate(world, uuid, host)
    moves.stop(world, uuid)
    pass_time(world, 30)
    world.hangs_s["n1"] = HANGS_S
    world.ask(lambda: requests.start(world.db, CALLER, uuid))
    pass_time(world, 10)
    world.agents["n2"].driver.define_and_start(world.simulation.hosts["n1"].domains[uuid].spec, "virsh", 1)
    world.run(lambda: ("copy-elsewhere", "n2", uuid) in open_alarms(world))
    return world, uuid


@pytest.mark.parametrize("after_s", [0, 30, 100])
def test_a_word_waits_for_a_step_that_hangs_since_before_the_dispute(make_world: MakeWorld, after_s: float) -> None:
    world, uuid = started_by_hand_beside_a_hanging_start(make_world)
    pass_time(world, after_s)
    with pytest.raises(Conflict, match="may still be under way on n1"):
        say(world, uuid, "n2")
    assert record(world, uuid).host == "n1"
    pass_time(world, HANGS_S)
    say(world, uuid, "n2")
    pass_time(world, 30)
    assert (record(world, uuid).host, world.simulation.running_on(uuid)) == ("n2", ["n2"])
    assert open_alarms(world) == []


def test_a_word_waits_until_every_host_has_said_that_it_is_at_rest(make_world: MakeWorld) -> None:
    """A poll of before the dispute may have been answered with an assignment."""
    world, uuid = started_by_hand_beside_a_hanging_start(make_world)
    pass_time(world, HANGS_S)
    world.silence("n1")
    with world.db.write() as connection:
        connection.exec_driver_sql("UPDATE hosts SET working = '[]', working_at = working_at - 1000 WHERE name = 'n1'")
    with pytest.raises(Conflict, match="may still be under way on n1"):
        say(world, uuid, "n2")
    world.bring_back("n1")
    pass_time(world, 15)
    say(world, uuid, "n2")
    assert record(world, uuid).host == "n2"
