"""An operator says which copy is the right one while a host is silent that may run another: no second guest starts."""

from dataclasses import replace
from pathlib import Path

import pytest

from migrator.errors import Conflict
from migrator.protocol import DomainState
from tests.world import moves
from tests.world.conftest import MakeWorld
from tests.world.records import open_alarms, operation, pass_time, record, say
from tests.world.test_restored_silence import evacuating, moved_to_a_silent_host, start
from tests.world.world import World


def with_a_stopped_copy(make_world: MakeWorld, directory: Path, pool: str) -> tuple[World, str]:
    """The record says n1, which has nothing; n3 has a definition; it runs on n2, which is silent."""
    world, uuid = moved_to_a_silent_host(make_world, directory, pool, stopped=True)
    runs = world.simulation.hosts["n2"].domains[uuid]
    world.simulation.hosts["n3"].domains[uuid] = replace(runs, state=DomainState.SHUT_OFF)
    pass_time(world, 60)
    return world, uuid


@pytest.mark.parametrize("pool", ["volume", "shared", "local"])
def test_a_word_for_a_stopped_copy_waits_for_the_host_that_may_run_another(
    make_world: MakeWorld, tmp_path: Path, pool: str
) -> None:
    world, uuid = with_a_stopped_copy(make_world, tmp_path, pool)
    with pytest.raises(Conflict, match=r"does not run .*may run the instance: n2"):
        say(world, uuid, "n3")
    assert (record(world, uuid).host, world.simulation.running_on(uuid)) == ("n1", ["n2"])
    world.bring_back("n2")
    pass_time(world, 60)
    with pytest.raises(Conflict, match="runs on n2, too"):
        say(world, uuid, "n3")
    say(world, uuid, "n2")
    pass_time(world, 60)
    assert (record(world, uuid).host, world.simulation.running_on(uuid)) == ("n2", ["n2"])
    assert list(world.simulation.overlaps()) == []


def test_a_word_for_a_stopped_copy_is_taken_once_the_silent_host_is_fenced(
    make_world: MakeWorld, tmp_path: Path
) -> None:
    world, uuid = with_a_stopped_copy(make_world, tmp_path, "shared")
    world.lose("n2")
    moves.force_down(world, "n2")
    say(world, uuid, "n3")
    pass_time(world, 60)
    key = world.ask(lambda: start(world, uuid))
    pass_time(world, 60)
    assert (operation(world, key).status, world.simulation.running_on(uuid)) == ("completed", ["n3"])
    assert list(world.simulation.overlaps()) == []


@pytest.mark.parametrize("pool", ["volume", "shared"])
def test_a_word_cannot_give_up_a_silent_host_of_which_nothing_is_known(
    make_world: MakeWorld, tmp_path: Path, pool: str
) -> None:
    world, uuid, key = evacuating(make_world, tmp_path, pool)
    with pytest.raises(Conflict, match="nothing says that its guests do not run"):
        say(world, uuid, None, given_up={"n2"})
    say(world, uuid, None, given_up={"n1"})
    pass_time(world, 60)
    assert (operation(world, key).active, world.simulation.running_on(uuid)) == (True, ["n2"])
    assert ("guest-unseen", "n1", uuid) in open_alarms(world)
