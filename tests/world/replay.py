"""The whole history of a seed's run, as text, and a process that writes it: ``python -m tests.world.replay DATABASE
FOLDER SEED...``, with DATABASE an empty one at the newest revision.

Owns what belongs to a history. Compares nothing.
"""

import shutil
import sys
import tempfile
from pathlib import Path
from random import Random

from sqlalchemy import select

from migrator.db.tables import alarms, copies, events, facts, instances, operations
from tests.world.faults import Fault
from tests.world.identities import identities
from tests.world.rules import broken
from tests.world.scenarios import SCENARIOS
from tests.world.world import World

_TOLD = (operations, instances, copies, facts, events, alarms)
RATE = 0.06  # of faults, at each boundary


def scenario_of(seed: int) -> str:
    return Random(seed).choice(list(SCENARIOS))


def history(world: World, scenario: str) -> list[str]:
    """Every boundary with its moment and fault, what the rules say, and every row that tells what happened."""
    lines = [scenario]
    arrive = world.faults.arrive

    def arriving(component: str, name: str, *, message: bool = False) -> Fault | None:
        fault = arrive(component, name, message=message)
        lines.append(f"{world.time!r} {component} {name} {fault}")
        return fault

    world.faults.arrive = arriving  # type: ignore[method-assign]
    try:
        SCENARIOS[scenario](world)
        lines += broken(world)
    except AssertionError as error:
        lines.append(f"{type(error).__name__}: {error}")
    return [*lines, *told(world)]


def told(world: World) -> list[str]:
    """Every row that tells what happened."""
    lines: list[str] = []
    with world.db.read() as connection:
        for table in _TOLD:
            rows = connection.execute(select(table).order_by(*table.primary_key.columns))
            lines += [f"{table.name} {tuple(row)!r}" for row in rows]
    return lines


def main(template: str, folder: str, *seeds: str) -> None:
    with tempfile.TemporaryDirectory(prefix="migrator-world-") as directory, identities() as source:
        for seed in map(int, seeds):
            path = Path(directory) / f"{seed}.db"
            shutil.copy(template, path)
            source.seed(seed)
            world = World(f"sqlite:///{path}", seed=seed, rate=RATE)
            (Path(folder) / str(seed)).write_text("\n".join(history(world, scenario_of(seed))))
            world.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
