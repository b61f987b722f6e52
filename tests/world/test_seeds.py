"""Several faults in one run, chosen by seed. ``MIGRATOR_WORLD_RUNS`` runs from ``MIGRATOR_WORLD_SEED`` on; a failure
prints the command that replays it, to the last identifier (``test_replay.py``)."""

import os

import pytest

from tests.world.conftest import MakeWorld
from tests.world.replay import RATE, scenario_of
from tests.world.rules import broken
from tests.world.scenarios import SCENARIOS

SEED = int(os.environ.get("MIGRATOR_WORLD_SEED", "1"))
RUNS = int(os.environ.get("MIGRATOR_WORLD_RUNS", "150"))


@pytest.mark.timeout(1800)
def test_many_faults_by_seed(make_world: MakeWorld) -> None:
    failures = []
    for seed in range(SEED, SEED + RUNS):
        name = scenario_of(seed)
        world = make_world(seed=seed, rate=RATE)
        try:
            SCENARIOS[name](world)
            found = broken(world)
        except AssertionError as error:
            found = [f"{type(error).__name__}: {error}"]
        if found:
            replay = f"MIGRATOR_WORLD_SEED={seed} MIGRATOR_WORLD_RUNS=1 pytest tests/world/test_seeds.py"
            failures.append(f"seed {seed} ({name}) {world.faults.struck}: {found}\n    {replay}")
    assert not failures, f"{len(failures)} of {RUNS}\n" + "\n".join(failures)
