"""One step at a time: describing, offering, copying and rebuilding an instance that does not run."""

import pytest

from migrator.compute.simulated.driver import SimulatedHypervisor
from migrator.errors import DiskBeingRead
from migrator.protocol import (
    MEMORY,
    CopiedInputs,
    DiskSpec,
    DisksWholeInputs,
    DomainState,
    Ensure,
    GuestDescription,
    InstanceSpec,
    RebuiltInputs,
    Role,
)
from tests.unit.compute.agent.cold_steps import copied, copy, described, offer, stop, sums, suspend
from tests.unit.compute.agent.two_hosts import SPEC, World, state

SHARED = SPEC.model_copy(update={"disks": (DiskSpec(target="vda", pool="shared", size_gb=1),)})


# --- described ------------------------------------------------------------------------------------------------------


def test_a_cpu_is_described_only_where_the_memory_travels_too(world: World) -> None:
    assert described(world).cpu_xml is None
    suspend(world)
    saved = described(world)
    assert saved.cpu_xml is not None
    assert [disk.target for disk in saved.disks] == ["vda", MEMORY]


def test_what_is_not_there_is_not_described(world: World) -> None:
    fact = world.act("b", Ensure.DESCRIBED)
    assert fact.guest is None
    assert [check.name for check in fact.checks if not check.ok] == ["domain"]


# --- offered and copied ---------------------------------------------------------------------------------------------


def test_disks_in_use_are_neither_offered_nor_overwritten(world: World) -> None:
    fact = offer(world, "vda")
    assert fact.problem is not None
    assert fact.problem.final
    assert "a.offer" not in world.calls
    here = CopiedInputs(guest=GuestDescription(), source_uri="simulated://b", copy_disks=("vda",))
    fact = world.act("a", Ensure.COPIED, here)
    assert fact.problem is not None
    assert "a.start_copy" not in world.calls


def test_nothing_to_copy_is_nothing_to_do(world: World) -> None:
    stop(world)
    world.calls.clear()
    assert offer(world).problem is None
    assert copy(world).problem is None
    assert world.calls.count("a.offer") + world.calls.count("b.start_copy") == 0


def test_both_ends_tell_the_same_checksums(world: World) -> None:
    stop(world)
    offer(world, "vda")
    first = copy(world, "vda")
    assert first.job is not None
    assert first.job.active
    assert sums(first) == {}
    there = copied(world, "vda")
    assert there.job is not None
    assert there.job.disk_processed_bytes == there.job.disk_total_bytes > 0
    assert sums(there) == sums(offer(world, "vda")) != {}
    assert state(there) is DomainState.ABSENT
    assert world.calls.count("b.start_copy") == 1


def test_a_source_out_of_reach_is_tried_again(world: World) -> None:
    stop(world)
    offer(world, "vda")
    copy(world, "vda")
    world.simulation.kill_daemon("a")
    failed = copy(world, "vda")
    assert failed.problem is not None
    assert not failed.problem.final
    world.simulation.start_daemon("a")
    assert sums(copied(world, "vda")) != {}
    assert world.calls.count("b.start_copy") == 2


def test_a_full_disk_is_final_and_said_again(world: World) -> None:
    stop(world)
    pool = world.simulation.hosts["b"].pools["local"]
    offer(world, "vda")
    copy(world, "vda")
    pool.taken_bytes = pool.free_bytes
    world.clock.now += 60
    for _ in range(2):
        fact = copy(world, "vda")
        assert fact.problem is not None
        assert fact.problem.code == "storage_error"
        assert fact.problem.final
    pool.taken_bytes = 0
    again = copy(world, "vda", epoch=2)  # another attempt is another epoch
    assert again.problem is None
    assert again.job is not None
    assert again.job.active


def test_memory_that_is_not_summed_yet_is_not_said_to_be_missing(world: World) -> None:
    """A restarted agent sums anew: until then the server must not conclude that there is nothing to go back to."""
    suspend(world)
    inputs = DisksWholeInputs(checksums=("vda", MEMORY))
    first = world.act("a", Ensure.DISKS_WHOLE, inputs)
    assert [(disk.target, disk.exists, disk.checksum) for disk in first.disks] == [("vda", True, None)]
    for _ in range(100):
        world.clock.now += 0.2
        shown = world.act("a", Ensure.DISKS_WHOLE, inputs)
        if sums(shown):
            break
    assert [(disk.target, disk.exists, disk.checksum is not None) for disk in shown.disks] == [
        ("vda", True, True),
        (MEMORY, True, True),
    ]


def test_a_restarted_agent_copies_what_is_missing(world: World) -> None:
    stop(world)
    offer(world, "vda")
    copy(world, "vda")
    world.clock.now += 0.05
    world.restart("b")
    assert world.simulation.copies == {}
    assert sums(copied(world, "vda")) == sums(offer(world, "vda"))


# --- rebuilt --------------------------------------------------------------------------------------------------------


def test_a_disk_missing_on_shared_storage_is_never_made_anew(world: World) -> None:
    fact = world.act("b", Ensure.REBUILT, RebuiltInputs(shared=("vda",)), instance=SHARED, role=Role.DESTINATION)
    assert fact.problem is not None
    assert fact.problem.final
    assert "disk missing on shared storage" in fact.problem.message
    assert "b.make_disks" not in world.calls


def test_the_password_goes_into_a_config_drive_that_is_made_anew(world: World) -> None:
    drive = DiskSpec(target="sda", pool="local", format="raw", size_gb=0, config_drive=True)
    spec = SPEC.model_copy(update={"disks": (*SPEC.disks, drive)})
    inputs = RebuiltInputs(admin_pass="secret")
    fact = world.act("b", Ensure.REBUILT, inputs, instance=spec, role=Role.DESTINATION)
    assert [disk.exists for disk in fact.disks] == [True, True]
    assert world.simulation.storages["local-b"].disks[SPEC.uuid, "sda"].admin_pass == "secret"


def test_a_disk_of_which_it_is_not_known_yet_whether_it_is_whole_is_waited_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(_driver: SimulatedHypervisor, _spec: InstanceSpec) -> None:
        raise DiskBeingRead("vda is large: its tables are being read, and 40 % of them are")

    stop(world)
    monkeypatch.setattr(SimulatedHypervisor, "refuse_damaged", read)
    fact = world.act("a", Ensure.DISKS_WHOLE, DisksWholeInputs())
    assert fact.problem is not None
    assert not fact.problem.final
    assert "40 % of them are" in fact.problem.message
