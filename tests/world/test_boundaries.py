"""Every operation, every numbered boundary, every fault there: run to rest, then the safety rules.

``MIGRATOR_WORLD_STRIDE`` (default 45): each boundary number n meets the faults f with (n + f) % stride == 0, so that
every stretch of an operation meets every kind; 1 is the full set. ``MIGRATOR_WORLD_ONLY=17:drop`` replays one.
"""

import os

import pytest

from tests.world.conftest import MakeWorld
from tests.world.faults import Fault
from tests.world.rules import broken
from tests.world.scenarios import SCENARIOS, outcome

STRIDE = int(os.environ.get("MIGRATOR_WORLD_STRIDE", "45"))
ONLY = os.environ.get("MIGRATOR_WORLD_ONLY", "")
ENDS = {
    "build": ("active", "n1", ["completed"]),
    "delete": ("deleted", "n1", ["completed"] * 2),
    "start": ("active", "n1", ["completed"] * 3),
    "stop": ("stopped", "n1", ["completed"] * 2),
    "reboot-soft": ("active", "n1", ["completed"] * 2),
    "reboot-hard": ("active", "n1", ["completed"] * 2),
    "pause": ("paused", "n1", ["completed"] * 2),
    "unpause": ("active", "n1", ["completed"] * 3),
    "live-paused": ("paused", "n2", ["completed"] * 3),
    "live-paused-block": ("paused", "n2", ["completed"] * 3),
    "live-paused-cancelled": ("paused", "n1", ["completed", "completed", "cancelled"]),
    "live-paused-source-daemon-dies": ("paused", "n1", ["completed", "completed", "failed"]),
    "live-paused-destination-daemon-dies": ("paused", "n1", ["completed", "completed", "failed"]),
    "live-shared": ("active", "n2", ["completed"] * 2),
    "live-block": ("active", "n2", ["completed"] * 2),
    "live-volume": ("active", "n2", ["completed"] * 2),
    "live-volume-mixed": ("active", "n2", ["completed"] * 2),
    "cold-volume-confirmed": ("active", "n2", ["completed", "confirmed"]),
    "cold-volume-mixed-reverted": ("active", "n1", ["completed", "reverted"]),
    "resize-volume-confirmed": ("active", "n2", ["completed", "confirmed"]),
    "suspended-volume-confirmed": ("active", "n2", ["completed", "completed", "confirmed"]),
    "evacuated-volume": ("active", "n2", ["completed", "completed"]),
    "evacuated-volume-mixed": ("active", "n2", ["completed", "completed"]),
    "live-cancelled": ("active", "n1", ["completed", "cancelled"]),
    "live-block-cancelled": ("active", "n1", ["completed", "cancelled"]),
    "live-deleted-at-once": ("deleted", "n1", ["completed", "cancelled", "completed"]),
    "live-deleted": ("deleted", "n1", ["completed", "cancelled", "completed"]),
    "live-block-deleted": ("deleted", "n1", ["completed", "cancelled", "completed"]),
    "live-post-copy-deleted": ("deleted", "n2", ["completed", "completed", "completed"]),
    "live-back-cancelled": ("active", "n2", ["completed", "completed", "cancelled"]),
    "live-destination-daemon-dies": ("active", "n1", ["completed", "failed"]),
    "live-source-daemon-dies": ("active", "n1", ["completed", "failed"]),
    "live-forced": ("active", "n2", ["completed"] * 2),
    "live-block-forced": ("active", "n2", ["completed"] * 2),
    "live-forced-cancelled": ("active", "n1", ["completed", "cancelled"]),
    "live-chosen-pre-copy": ("active", "n2", ["completed"] * 2),
    "live-chosen-post-copy": ("active", "n2", ["completed"] * 2),
    "live-block-post-copy": ("active", "n2", ["completed"] * 2),
    "live-post-copy": ("active", "n2", ["completed"] * 2),
    "cold-local-confirmed": ("active", "n2", ["completed", "confirmed"]),
    "cold-local-reverted": ("active", "n1", ["completed", "reverted"]),
    "cold-shared-confirmed": ("active", "n2", ["completed", "confirmed"]),
    "cold-shared-reverted": ("active", "n1", ["completed", "reverted"]),
    "cold-mixed-confirmed": ("active", "n2", ["completed", "confirmed"]),
    "cold-mixed-reverted": ("active", "n1", ["completed", "reverted"]),
    "cold-cancelled": ("active", "n1", ["completed", "cancelled"]),
    "cold-deleted": ("deleted", "n2", ["completed", "confirmed", "completed"]),
    "resize-local-confirmed": ("active", "n2", ["completed", "confirmed"]),
    "resize-shared-confirmed": ("active", "n2", ["completed", "confirmed"]),
    "resize-local-reverted": ("active", "n1", ["completed", "reverted"]),
    "stopped-local-confirmed": ("stopped", "n2", ["completed", "completed", "confirmed"]),
    "stopped-local-reverted": ("stopped", "n1", ["completed", "completed", "reverted"]),
    "suspended-local-confirmed": ("active", "n2", ["completed", "completed", "confirmed"]),
    "suspended-local-reverted": ("suspended", "n1", ["completed", "completed", "reverted"]),
    "suspended-shared-confirmed": ("active", "n2", ["completed", "completed", "confirmed"]),
    "suspended-shared-reverted": ("suspended", "n1", ["completed", "completed", "reverted"]),
    "cold-destination-dies": ("active", "n1", ["completed", "error"]),
    "cold-disk-fills-up": ("active", "n1", ["completed", "error"]),
    "cold-copy-damaged": ("active", "n1", ["completed", "error"]),
    "cold-source-dies": ("active", "n2", ["completed", "confirmed"]),
    "evacuated-shared": ("active", "n2", ["completed", "completed"]),
    "evacuated-local": ("active", "n2", ["completed", "completed"]),
    "evacuated-back-at-once": ("active", "n2", ["completed", "completed"]),
    "evacuated-back-in-rebuild": ("active", "n2", ["completed", "completed"]),
    "evacuated-back-in-start": ("active", "n2", ["completed", "completed"]),
    "evacuated-stopped": ("stopped", "n2", ["completed", "completed", "completed"]),
    "evacuated-suspended": ("suspended", "n2", ["completed", "completed", "completed"]),
    "evacuated-paused": ("active", "n2", ["completed"] * 3),
    "evacuated-paused-back": ("paused", "n1", ["completed", "completed", "error"]),
    "evacuated-paused-not-dead": ("paused", "n1", ["completed", "completed", "error"]),
    "evacuated-destination-dies": ("active", "n3", ["completed", "error", "completed"]),
    "cold-source-daemon-dies": ("active", "n2", ["completed", "confirmed"]),
    "cold-link-cut": ("active", "n2", ["completed", "confirmed"]),
    "cold-source-lost-in-verify": ("active", "n1", ["completed", "reverted"]),
    "cold-source-wiped-in-verify": ("active", "n2", ["completed", "confirmed"]),
    "resize-here-confirmed": ("active", "n1", ["completed", "confirmed"]),
    "resize-here-reverted": ("active", "n1", ["completed", "reverted"]),
    "suspend": ("suspended", "n1", ["completed", "completed"]),
    "resume": ("active", "n1", ["completed", "completed", "completed"]),
    "cold-destination-fenced-in-start": ("active", "n1", ["completed", "error"]),
    "cold-destination-fenced-in-verify": ("active", "n1", ["completed", "reverted"]),
    "evacuated-out-of-a-migration": ("active", "n3", ["completed", "error", "completed"]),
    "evacuated-back-and-running": ("active", "n1", ["completed", "error"]),
    "restored-stopped": ("stopped", "n3", ["completed"] * 3),
    "restored-deleted": ("deleted", "n3", ["completed"] * 3),
    "restored-shared-paused": ("paused", "n3", ["completed"] * 3),
    "vanished-started": ("active", "n1", ["completed"] * 2),
    "renamed-reconciled": ("stopped", "n3", ["completed"] * 2),
    "kept-restored": ("stopped", "n1", ["completed", "completed", "confirmed", "completed", "completed"]),
    "kept-dropped": ("active", "n2", ["completed"] * 3),
    "evacuated-not-dead": ("active", "n1", ["completed", "error"]),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_without_faults_it_ends_as_it_should(name: str, make_world: MakeWorld) -> None:
    world = make_world()
    SCENARIOS[name](world)
    assert broken(world) == []
    assert outcome(world) == ENDS[name]


def attempt(name: str, make_world: MakeWorld, planned: dict[int, Fault]) -> list[str]:
    world = make_world(planned=planned)
    try:
        SCENARIOS[name](world)
    except AssertionError as error:
        return [f"{type(error).__name__}: {error}"]
    if len(world.faults.struck) != len(planned):
        return [f"only these faults struck: {world.faults.struck}"]
    return broken(world)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", SCENARIOS)
def test_one_fault_at_every_boundary(name: str, make_world: MakeWorld) -> None:
    clean = make_world()
    SCENARIOS[name](clean)
    cases = [(n, f) for n, boundary in enumerate(clean.faults.passed) for f in boundary.faults]
    order = list(Fault)
    cases = [(n, f) for n, f in cases if (n + order.index(f)) % STRIDE == 0]
    if ONLY:
        one, _, kind = ONLY.partition(":")
        cases = [(int(one), Fault(kind))]
    failures = []
    for number, fault in cases:
        found = attempt(name, make_world, {number: fault})
        if found:
            where = clean.faults.passed[number]
            replay = f"MIGRATOR_WORLD_ONLY={number}:{fault} pytest tests/world/test_boundaries.py -k '{name}]'"
            failures.append(f"{fault} at {number} ({where.component} {where.name}): {found}\n    {replay}")
    assert not failures, f"{len(failures)} of {len(cases)}\n" + "\n".join(failures)
