"""Every kind of operation meets mishaps at a moment of its own: no guest runs twice, no data is lost, and every
operation ends or says what it waits for.

The suite runs a sample, in which every kind meets every mishap, and every scenario some mishap; and the pairs that
failed once. The whole cross product of scenarios and mishaps is run by hand (``MIGRATOR_WORLD_MISHAPS=all``, a quarter
of an hour of processor time), from seed ``MIGRATOR_WORLD_SEED``; a failure prints what replays it.
"""

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import chain, cycle
from random import Random
from typing import Any

import pytest

from migrator.errors import MigratorError
from migrator.operations import Kind
from tests.world import moves
from tests.world.conftest import MakeWorld
from tests.world.disasters import DISTURBING
from tests.world.mishaps import MISHAPS, Strike, lease_s
from tests.world.replay import told
from tests.world.rules import broken, harm, stuck, unexplained
from tests.world.scenarios import SCENARIOS
from tests.world.world import NotAtRest, World

SEED = int(os.environ.get("MIGRATOR_WORLD_SEED", "1"))
ALL = os.environ.get("MIGRATOR_WORLD_MISHAPS") == "all"
AUDIT_S = 60.0  # after the end: what differs is found
LOOKED_AT_S = 150.0  # longer than a host that says nothing of a step may go without a reason
WAITS_S = 250.0  # where it may wait for ever, with a reason
# An agent that is gone for good keeps no promise: that is the watchdog's, which is not simulated.
_WITHOUT_LEASE = ("evacuated-paused-back", "evacuated-paused-not-dead", "evacuated-back-and-running")
_ticks: dict[tuple[str, float], int] = {}  # (scenario, lease) -> of a run in which nothing happens
DISAGREEMENT = "disagreement"

# Operation -> its scenarios; and what is done where record and hosts disagree.
KINDS: Mapping[str, str] = {
    "build": "build",
    "delete": "delete",
    "start": "start",
    "stop": "stop",
    "reboot": "reboot-.*",
    "suspend": "suspend",
    "resume": "resume",
    "pause": "pause",
    "unpause": "unpause",
    "live-migration": "live-.*",
    "migration": "(cold|stopped|suspended)-.*",
    "resize": "resize-.*",
    "evacuation": "evacuated-.*",
    "kept-disks-restore": "kept-restored",
    "kept-disks-drop": "kept-dropped",
    DISAGREEMENT: "(restored|vanished|renamed)-.*",
}
FAILED_ONCE = (
    ("cold-source-lost-in-verify", "lease-restored"),
    ("cold-destination-fenced-in-start", "lease-restored"),
    ("live-chosen-post-copy", "step-hangs"),
    ("cold-volume-mixed-reverted", "disk-full"),
)


def of_kind(kind: str, mishap: str = "") -> list[str]:
    """Its scenarios that may meet the mishap; in an order that keeps alike ones apart."""
    without = _WITHOUT_LEASE if lease_s(mishap) else ()
    names = [name for name in SCENARIOS if re.fullmatch(KINDS[kind], name) and name not in without]
    return Random(kind).sample(names, len(names))


def sample(kind: str) -> Iterator[tuple[str, str]]:
    """Each mishap with the kind's scenarios in turn, until each of both was met."""
    met = Counter[str]()
    for n, mishap in enumerate(cycle(MISHAPS)):
        if n >= len(MISHAPS) and len(met) == len(of_kind(kind)):
            return
        name = min(of_kind(kind, mishap), key=lambda name: met[name])
        met[name] += 1
        yield name, mishap


def pairs() -> list[tuple[str, str]]:
    """Each scenario and mishap that is run."""
    if ALL:
        return [(name, mishap) for kind in KINDS for mishap in MISHAPS for name in of_kind(kind, mishap)]
    return list(dict.fromkeys([*FAILED_ONCE, *chain.from_iterable(sample(kind) for kind in KINDS)]))


def run(world: World, scenario: str) -> bool:
    """Whether it came to the end that the scenario has in mind: mishaps may have it otherwise, but not unfinished."""
    try:
        SCENARIOS[scenario](world)
    except NotAtRest:
        raise
    except (AssertionError, MigratorError):
        return False
    return True


def moments(make_world: MakeWorld, scenario: str, lease: float) -> int:
    if (scenario, lease) not in _ticks:
        world = make_world(lease_s=lease)
        strike = Strike(world, lambda _world, _strike: None, None, Random(0))
        SCENARIOS[scenario](world)
        _ticks[scenario, lease] = strike.ticks
    return _ticks[scenario, lease]


def meet(make_world: MakeWorld, scenario: str, mishap: str, seed: int) -> list[str]:
    """What is found wrong."""
    chance, lease = Random(f"{scenario} {mishap} {seed}"), lease_s(mishap)
    at = chance.randint(1, moments(make_world, scenario, lease))
    world = make_world(lease_s=lease)
    if mishap in DISTURBING:
        world.longest_s = WAITS_S
    strike = Strike(world, MISHAPS[mishap], at, chance)
    try:
        ended = run(world, scenario)
        world.faults.armed = False
        for host in tuple(world.dead) if mishap in DISTURBING and not ended else ():
            world.bring_back(host)
        moves.pass_time(world, AUDIT_S if ended and mishap not in DISTURBING else LOOKED_AT_S)
        calm = ended and mishap not in DISTURBING
        found = broken(world) if calm else [*harm(world), *unexplained(world), *stuck(world)]
    except NotAtRest as error:
        found = [*([] if mishap in DISTURBING else [f"NotAtRest: {error}"]), *harm(world), *unexplained(world)]
    finally:
        strike.over()
    assert strike.struck, "the scenario was over before its moment came"
    return [f"{strike}: {one}" for one in found]


def test_every_scenario_is_of_one_kind() -> None:
    for name in SCENARIOS:
        assert len([kind for kind, pattern in KINDS.items() if re.fullmatch(pattern, name)]) == 1, name


def test_every_kind_of_operation_has_scenarios() -> None:
    assert set(KINDS) - {DISAGREEMENT} == set(Kind)


def test_every_kind_meets_every_mishap_and_every_scenario_some_mishap() -> None:
    met = set(pairs())
    kinds = {(kind, mishap) for kind in KINDS for name, mishap in met if re.fullmatch(KINDS[kind], name)}
    assert kinds == {(kind, mishap) for kind in KINDS for mishap in MISHAPS}
    assert {name for name, _ in met} == set(SCENARIOS)


@pytest.mark.parametrize(("scenario", "mishap"), pairs())
def test_every_kind_of_operation_meets_every_mishap(make_world: MakeWorld, scenario: str, mishap: str) -> None:
    found = meet(make_world, scenario, mishap, SEED)
    replay = f"MIGRATOR_WORLD_MISHAPS=all MIGRATOR_WORLD_SEED={SEED} pytest tests/world/test_mishaps.py"
    assert not found, "\n".join([*found, f"{replay} -k '[{scenario}-{mishap}]'"])


@pytest.mark.parametrize(("scenario", "mishap"), [("stop", "power-cut"), ("pause", "database-restored")])
def test_a_pair_and_a_seed_are_one_history(make_world: MakeWorld, scenario: str, mishap: str) -> None:
    worlds: list[World] = []

    def kept(**kwargs: Any) -> World:
        worlds.append(make_world(**kwargs))
        return worlds[-1]

    histories = []
    for _ in range(2):
        found = meet(kept, scenario, mishap, SEED)
        histories.append([*found, *told(worlds[-1])])
    assert len(histories[0]) > 5
    assert histories[0] == histories[1]
