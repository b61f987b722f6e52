"""The rules must fire: bugs planted in the product, one at a time, and what the rules say of each."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from migrator.compute.simulated.driver import SimulatedHypervisor
from migrator.db import claims
from migrator.db.tables import instances
from migrator.operations import Effect
from migrator.protocol import AbsentInputs, Ensure, Fact, InstanceSpec
from migrator.scheduler.decision import assignments, backward, completion, phase_judgement
from migrator.scheduler.decision.previous_phase import leave_phase
from migrator.scheduler.state import effects
from tests.world import evacuations
from tests.world.conftest import MakeWorld
from tests.world.rules import broken
from tests.world.scenarios import SCENARIOS
from tests.world.world import NotAtRest, World


def forget_the_move(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(effects.EFFECTS, Effect.MOVE_RECORD, lambda *_: None)


def keep_every_claim(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(claims, "release", lambda *_: None)


def delete_shared_disks_too(patch: pytest.MonkeyPatch) -> None:
    def everything(ask: Any) -> AbsentInputs:
        return AbsentInputs(delete_pools=tuple(disk.pool for disk in ask.snapshot.instance.disks))

    patch.setitem(assignments._INPUTS, Ensure.ABSENT, everything)


def leave_local_disks_behind(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(assignments._INPUTS, Ensure.ABSENT, lambda *_: AbsentInputs())


def trust_every_copy(patch: pytest.MonkeyPatch) -> None:
    def written(_offered: Any, copied: Fact, targets: Sequence[str]) -> completion.ConditionStatus:
        known = {disk.target for disk in copied.disks if disk.checksum}
        return completion.DONE if known >= set(targets) else completion.PENDING

    patch.setattr(phase_judgement, "judge_copy", written)


def offer_for_ever(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(SimulatedHypervisor, "withdraw", lambda *_: None)


def forget_the_return(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(effects.EFFECTS, Effect.RECORD_RETURNED, lambda *_: None)


def start_over_the_memory(patch: pytest.MonkeyPatch) -> None:
    def boot(driver: SimulatedHypervisor, spec: InstanceSpec, operation_id: str, epoch: int, seal: str) -> None:
        driver.define_and_start(spec, operation_id, epoch, seal=seal)

    patch.setattr(SimulatedHypervisor, "restore_memory", boot)


def delete_what_a_lost_host_had(patch: pytest.MonkeyPatch) -> None:
    def deleting(operation: Any) -> Any:
        found = asked(operation).items()
        return {host: (end, Ensure.ABSENT if what is Ensure.SET_ASIDE else what) for host, (end, what) in found}

    asked = assignments.asked
    patch.setattr(assignments, "asked", deleting)


def revert_without_a_proof(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(backward, "prove_source", leave_phase)


PLANTED = [
    ("cold-source-wiped-in-verify", revert_without_a_proof),
    ("cold-copy-damaged", trust_every_copy),
    ("cold-local-confirmed", offer_for_ever),
    ("cold-local-reverted", forget_the_return),
    ("suspended-local-confirmed", start_over_the_memory),
    ("live-shared", forget_the_move),
    ("live-shared", keep_every_claim),
    ("live-shared", delete_shared_disks_too),
    ("live-block", leave_local_disks_behind),
    ("evacuated-local", delete_what_a_lost_host_had),
]


@pytest.mark.parametrize(("scenario", "plant"), PLANTED, ids=lambda value: getattr(value, "__name__", value))
def test_a_planted_bug_is_reported(
    scenario: str, plant: Callable[[pytest.MonkeyPatch], None], make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world()
    plant(monkeypatch)
    try:
        SCENARIOS[scenario](world)
    except NotAtRest:
        assert world.lost, "it does not even end, and nobody says that data is lost"
    assert broken(world) != []


def test_a_second_runner_is_reported(make_world: MakeWorld) -> None:
    world = make_world()
    SCENARIOS["live-block"](world)  # on shared storage the image's lock would forbid it
    assert broken(world) == []
    with world.db.read() as connection:
        (row,) = connection.execute(select(instances.c.spec)).scalars().all()
    spec, driver = InstanceSpec.model_validate(row), world.agents["n1"].driver
    driver.make_disks(spec, {image.id: Path(image.id) for image in spec.images})
    driver.define_and_start(spec, "nobody", 1)
    world.time += 1.0
    assert any("n1" in line and "n2" in line for line in broken(world)), broken(world)


def test_evidence_that_was_false_is_reported(make_world: MakeWorld) -> None:
    """On local storage nothing stops the second copy: the rules must see it."""
    world = make_world()
    evacuations.evacuation("local", evacuations.to_the_end, fail=World.silence)(world)
    assert any("ran twice" in line for line in broken(world)), broken(world)
