"""One agent lies about everything while the others work: their operations end as they would beside an honest one."""

import shutil
from pathlib import Path

import pytest
from sqlalchemy import select

from migrator.compute.simulated.driver import SimulatedHypervisor
from migrator.db.tables import alarms, events
from migrator.scheduler.hosts import removal
from tests.world import disagreements, moves
from tests.world.clients import built
from tests.world.conftest import MakeWorld
from tests.world.evacuations import evacuate, to_the_end
from tests.world.hostile import LIAR, HostileWorld
from tests.world.rules import broken
from tests.world.scenarios import SCENARIOS, outcome
from tests.world.test_boundaries import ENDS
from tests.world.world import World

# These need a third host.
_THREE = {*disagreements.SCENARIOS, "evacuated-destination-dies", "evacuated-out-of-a-migration"}
# Local disks count as shared when any host says that it has the same storage: the one that is lost cannot be asked any
# more, and to take a true word for a lie would cost data.
_ANY_WORD_COUNTS = {"evacuated-local", "evacuated-volume-mixed", "evacuated-back-in-start"}
BETWEEN_TWO = [name for name in SCENARIOS if name not in _THREE | _ANY_WORD_COUNTS]
SEED = 1


@pytest.mark.parametrize("scenario", BETWEEN_TWO)
def test_every_kind_of_operation_ends_as_beside_an_honest_host(
    scenario: str, sqlite_template: Path, tmp_path: Path
) -> None:
    shutil.copy(sqlite_template, tmp_path / "world.db")
    world = HostileWorld(f"sqlite:///{tmp_path}/world.db", lies=SEED)
    SCENARIOS[scenario](world)
    assert (outcome(world), broken(world)) == (ENDS[scenario], [])
    assert world.liar.told > 5, "it said too little to show anything"
    assert world.simulation.hosts[LIAR].domains == {}
    assert alarmed(world) <= {LIAR}
    world.close()


def alarmed(world: World) -> set[str | None]:
    with world.db.read() as connection:
        return {row.host for row in connection.execute(select(alarms.c.host))}


def test_an_evacuation_that_a_false_claim_holds_up_names_who_claims_and_goes_on_once_that_host_is_removed(
    make_world: MakeWorld,
) -> None:
    world = make_world()
    uuid = built(world, "local")
    liar, true = world.agents[LIAR], SimulatedHypervisor("n1", world.simulation).host_report()
    world.silence(LIAR)
    claimed = SimulatedHypervisor(LIAR, world.simulation).host_report().model_copy(update={"storage": true.storage})
    world.server.register(LIAR, liar.journal.incarnation, claimed, liar.machine)
    world.lose("n1")
    moves.pass_time(world)
    moves.force_down(world, "n1")
    evacuate(world, uuid, "n2")
    world.run()
    refused = moves.newest_move(world, uuid)
    assert (refused.status, refused.error["checks"]["n2"][0]["code"]) == ("error", "storage")
    assert any("for n3 reports the same storage there" in line for line in lines_of(world, refused.id))

    removal.remove(world.db, LIAR, by="operator")
    evacuate(world, uuid, "n2")
    to_the_end(world, uuid)
    assert world.simulation.running_on(uuid) == ["n2"]


def lines_of(world: World, operation_id: int) -> list[str]:
    with world.db.read() as connection:
        return [
            line.message for line in connection.execute(select(events).where(events.c.operation_id == operation_id))
        ]
