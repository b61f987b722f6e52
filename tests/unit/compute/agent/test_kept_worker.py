"""One step at a time: disks that are kept aside change places with those of an instance that has no process."""

import pytest

from migrator.compute.simulated.driver import SimulatedHypervisor
from migrator.protocol import Ensure, Fact, KeptInputs
from tests.unit.compute.agent.two_hosts import OTHER, SPEC, World

LOST = "op-lost"  # set the disks aside
KEPT = KeptInputs(kept=LOST)


class Host:
    """``a``, where the instance is stopped: its first disk is kept aside, and it has a second one in its place."""

    def __init__(self, world: World) -> None:
        self.world, self.storage = world, world.simulation.storages["local-a"]
        self.driver = SimulatedHypervisor("a", world.simulation)
        self.driver.destroy(SPEC.uuid)
        self.first = self.disk
        self.driver.set_aside(SPEC, LOST, ["local"])
        self.driver.make_disks(SPEC, {})
        self.second = self.disk
        assert self.first is not self.second

    @property
    def disk(self) -> object:
        return self.storage.disks[SPEC.uuid, "vda"]

    def act(self, ensure: Ensure, kept: KeptInputs = KEPT) -> Fact:
        return self.world.act("a", ensure, kept, kind="kept-restore", operation_id=OTHER)


@pytest.fixture
def host(world: World) -> Host:
    return Host(world)


def test_kept_disks_are_put_back_once_and_taken_away_again(host: Host) -> None:
    for _ in range(2):  # a fact may be lost
        assert host.act(Ensure.KEPT_RESTORED).problem is None
        assert host.disk is host.first
    for _ in range(2):
        assert host.act(Ensure.KEPT_UNRESTORED).problem is None
        assert host.disk is host.second


def test_no_disk_is_taken_from_under_a_guest_that_runs(host: Host) -> None:
    host.driver.define_and_start(SPEC, "by-hand", 1)
    refused = host.act(Ensure.KEPT_RESTORED).problem
    assert refused is not None
    assert (refused.code, "its disks are left alone" in refused.message) == ("conflict", True)
    assert host.disk is host.second
    assert host.act(Ensure.KEPT_UNRESTORED).problem is None, "nothing was put back: it runs from its own"

    host.driver.destroy(SPEC.uuid)
    host.act(Ensure.KEPT_RESTORED)
    host.driver.define_and_start(SPEC, "by-hand", 1)
    refused = host.act(Ensure.KEPT_UNRESTORED).problem
    assert refused is not None
    assert refused.code == "conflict"
    assert host.disk is host.first


def test_what_is_not_kept_is_not_put_back(host: Host) -> None:
    problem = host.act(Ensure.KEPT_RESTORED, KeptInputs(kept="op-unknown")).problem
    assert problem is not None
    assert "nothing is kept here" in problem.message
    assert host.disk is host.second
