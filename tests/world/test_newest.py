"""The world's rule about the newest data must fire: a driver and decisions that delete too early, and what it says."""

from collections.abc import Callable, Sequence
from contextlib import suppress

import pytest

from migrator.compute.simulated.connection import call
from migrator.compute.simulated.disks import SimulatedDisks
from migrator.compute.simulated.driver import SimulatedHypervisor
from migrator.protocol import InstanceSpec
from migrator.scheduler.decision import backward, forward
from migrator.scheduler.decision.next_phase import next_phase
from migrator.scheduler.decision.previous_phase import leave_phase
from tests.world import moves
from tests.world.clients import built
from tests.world.conftest import MakeWorld
from tests.world.scenarios import SCENARIOS
from tests.world.test_proof import confirm, wipe
from tests.world.test_verify import waiting_move
from tests.world.world import World


def confirmed_without_the_destinations_disks(world: World) -> None:
    uuid = built(world, "local")
    moves.migrate(world, uuid)
    assert moves.verified(world, uuid)
    world.agents["n2"].driver.destroy(uuid)
    wipe(world, "n2")
    confirm(world, uuid)
    world.settle()


def delete_the_source_as_its_transfer_is_aborted(patch: pytest.MonkeyPatch) -> None:
    def abort(driver: SimulatedHypervisor, uuid: str) -> None:
        aborted(driver, uuid)
        remove(driver, uuid)

    @call
    def remove(driver: SimulatedHypervisor, uuid: str) -> None:
        driver.host.pools["local"].remove(uuid)

    aborted = SimulatedHypervisor.abort_job
    patch.setattr(SimulatedHypervisor, "abort_job", abort)


def delete_in_every_pool(patch: pytest.MonkeyPatch) -> None:
    def everything(driver: SimulatedDisks, spec: InstanceSpec, *_: Sequence[str]) -> None:
        for pool in driver.host.pools.values():
            pool.remove(spec.uuid)

    patch.setattr(SimulatedDisks, "remove_files", call(everything))


def revert_without_a_proof(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(backward, "prove_source", leave_phase)


def confirm_without_a_proof(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(forward, "_attest", next_phase)


Scenario = Callable[[World], None]
PLANTED: list[tuple[Scenario, Callable[[pytest.MonkeyPatch], None]]] = [
    (SCENARIOS["live-block-cancelled"], delete_the_source_as_its_transfer_is_aborted),
    (SCENARIOS["live-shared"], delete_in_every_pool),
    (SCENARIOS["cold-shared-confirmed"], delete_in_every_pool),
    (SCENARIOS["cold-source-wiped-in-verify"], revert_without_a_proof),
    (confirmed_without_the_destinations_disks, confirm_without_a_proof),
]


@pytest.mark.parametrize(("scenario", "plant"), PLANTED)
def test_a_copy_that_is_deleted_too_early_is_reported_at_once(
    scenario: Scenario,
    plant: Callable[[pytest.MonkeyPatch], None],
    make_world: MakeWorld,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = make_world()
    plant(monkeypatch)
    with suppress(AssertionError):  # it may not even end
        scenario(world)
    assert any("destroyed version" in line for line in world.lost), world.lost


def test_a_copy_that_the_newest_data_is_copied_over_from_an_older_one_is_reported(make_world: MakeWorld) -> None:
    world, uuid = waiting_move(make_world)
    with world.newest.during("something"):
        world.simulation.storages["local-n2"].disks[uuid, "vda"].version -= 1
    assert len(world.lost) == 1
    assert "local-n2" in world.lost[0]


def test_a_copy_that_is_kept_aside_or_given_up_is_none_that_is_lost(make_world: MakeWorld) -> None:
    world, uuid = waiting_move(make_world)
    storage = world.simulation.storages["local-n2"]
    with world.newest.during("something"):
        storage.set_aside(uuid, "operation", 0.0)
    world.simulation.settle_for(uuid, "n1")
    with world.newest.during("something"):
        storage.disks.clear()
    assert world.lost == []
    with world.newest.during("something"):
        wipe(world, "n1")
    assert len(world.lost) == 1
