"""A host that was forced down and speaks on: that word is no evidence of what it runs when it falls silent later."""

import pytest

from migrator.errors import Conflict
from tests.world import evacuations, moves
from tests.world.clients import built
from tests.world.conftest import MakeWorld
from tests.world.records import newest, pass_time
from tests.world.rules import broken
from tests.world.test_proof import revert
from tests.world.test_verify import waiting_move

AWAY_S = 20.0  # of an agent that is restarted: longer than one whose host is forced down gets to speak


@pytest.mark.parametrize("pool", ["local", "volume"])
def test_a_guest_is_not_evacuated_on_a_word_of_before_its_host_was_heard(make_world: MakeWorld, pool: str) -> None:
    world = make_world()
    uuid = built(world, pool)
    moves.force_down(world, "n1")  # by mistake
    pass_time(world, 120)
    world.silence("n1")
    pass_time(world, AWAY_S)
    with pytest.raises(Conflict, match="heard after it was forced down"):
        evacuations.ask(world, uuid, "n2")
    pass_time(world, 60)
    assert world.simulation.running_on(uuid) == ["n1"]
    world.lose("n1")
    moves.force_down(world, "n1")  # said anew
    world.treasure(uuid)
    world.simulation.settle_for(uuid, None)
    evacuations.ask(world, uuid, "n2")
    evacuations.to_the_end(world, uuid)
    assert world.simulation.running_on(uuid) == ["n2"]
    assert list(world.simulation.overlaps()) == []


def test_a_revert_does_not_take_an_old_word_for_the_end_of_the_destinations_guest(make_world: MakeWorld) -> None:
    world, uuid = waiting_move(make_world)
    moves.force_down(world, "n2")
    pass_time(world, 120)
    world.silence("n2")
    pass_time(world, AWAY_S)
    revert(world, uuid)
    pass_time(world, 60)
    assert "n2, which is silent" in newest(world, uuid).wait_reason
    assert world.simulation.running_on(uuid) == ["n2"]


def test_a_host_that_answers_stops_its_guest_itself_and_one_that_falls_silent_first_is_waited_for(
    make_world: MakeWorld,
) -> None:
    """On shared storage: what counts is what its agent says, not the word that it is down."""
    world = make_world()
    uuid = built(world, "shared")
    moves.force_down(world, "n1")
    pass_time(world, 120)
    evacuations.ask(world, uuid, "n2")
    world.silence("n1")
    pass_time(world, 60)
    again = "it was forced down too long ago for that: say so again"
    assert newest(world, uuid).wait_reason == f"waiting for evidence that n1, which is silent, runs nothing; {again}"
    assert world.simulation.running_on(uuid) == ["n1"]
    world.bring_back("n1")
    evacuations.to_the_end(world, uuid)
    assert world.simulation.running_on(uuid) == ["n2"]
    assert list(world.simulation.overlaps()) == []
    world.settle()
    assert broken(world) == []
