"""Hands on virsh, a host that was renamed, and a host that lies: what they do is noticed, named and mended."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from migrator.compute.simulated.state import Domain
from migrator.db import instances
from migrator.errors import Conflict
from migrator.protocol import DomainState
from migrator.scheduler.requests import requests
from tests.world import evacuations, moves
from tests.world.clients import built
from tests.world.conftest import MakeWorld
from tests.world.records import live_migrate, newest, open_alarms, operation, pass_time, record, say
from tests.world.rules import broken
from tests.world.world import CALLER, World


def vanish(world: World, uuid: str, host: str = "n1") -> None:
    """virsh destroy and undefine, or the host set up anew under its name."""
    driver = world.agents[host].driver
    driver.destroy(uuid)
    driver.undefine(uuid)


def appear(world: World, uuid: str, host: str, state: DomainState, *, sealed: bool = True) -> None:
    """A copy of the domain, made by hand or a restored host; it executes nothing here, for rules to see one runner."""
    known = next(h.domains[uuid] for h in world.simulation.hosts.values() if uuid in h.domains)
    world.simulation.hosts[host].domains[uuid] = replace(known, state=state, reason="user")
    if not sealed:
        world.simulation.hosts[host].domains[uuid].seal = ""


@pytest.mark.parametrize("before", [moves.as_it_is, moves.stop, moves.pause, moves.suspend])
def test_a_domain_that_vanished_is_noticed_and_can_be_started_from_its_disks(
    make_world: MakeWorld, before: Callable[[World, str], None]
) -> None:
    world = make_world()
    uuid = built(world, "local")
    before(world, uuid)
    vanish(world, uuid)
    pass_time(world, 60)
    assert open_alarms(world) == [("domain-gone", "n1", uuid)]
    assert (record(world, uuid).vm_state, record(world, uuid).power_state) == ("stopped", 0)
    world.ask(lambda: requests.start(world.db, CALLER, uuid))
    pass_time(world, 60)
    assert open_alarms(world) == []
    assert (record(world, uuid).vm_state, record(world, uuid).power_state) == ("active", 1)


def test_a_domain_that_vanished_while_its_disks_are_offered_is_named_and_a_cancelled_move_starts_it_again(
    make_world: MakeWorld,
) -> None:
    world = make_world()
    uuid = built(world, "local")
    moves.migrate(world, uuid)
    world.run(lambda: newest(world, uuid).phase == "offer")
    vanish(world, uuid)
    pass_time(world, 30)
    assert "n1: its domain there is absent" in newest(world, uuid).wait_reason
    world.ask(lambda: requests.cancel(world.db, CALLER, newest(world, uuid).id))
    world.settle()
    assert world.simulation.running_on(uuid) == ["n1"]
    assert broken(world) == []


def test_a_vanished_domain_can_be_deleted(make_world: MakeWorld) -> None:
    world = make_world()
    uuid = built(world, "local")
    vanish(world, uuid)
    pass_time(world, 60)
    world.ask(lambda: requests.delete_instance(world.db, CALLER, uuid))
    pass_time(world, 60)
    assert record(world, uuid).deleted
    assert open_alarms(world) == []


def test_an_instance_in_error_whose_domain_vanished_is_an_alarm_too(make_world: MakeWorld) -> None:
    world = make_world()
    uuid = built(world, "local")
    vanish(world, uuid)
    with world.db.write() as connection:
        instances.change(connection, uuid, {"vm_state": "error"})
    pass_time(world, 60)
    assert open_alarms(world) == [("domain-gone", "n1", uuid)]
    assert (record(world, uuid).vm_state, record(world, uuid).power_state) == ("error", 0)


@pytest.mark.parametrize("state", [DomainState.RUNNING, DomainState.PAUSED, DomainState.INCOMING])
def test_a_live_copy_elsewhere_makes_every_operation_wait_until_it_is_stopped(
    make_world: MakeWorld, state: DomainState
) -> None:
    world = make_world()
    uuid = built(world, "local")
    live_migrate(world, uuid, "n2")
    appear(world, uuid, "n1", state)
    pass_time(world, 60)
    assert open_alarms(world) == [("copy-elsewhere", "n1", uuid)]
    key = requests.stop(world.db, CALLER, uuid)
    world.server.reconciler.reconcile(key)
    pass_time(world, 30)
    assert (operation(world, key).active, "n1" in operation(world, key).wait_reason) == (True, True)
    assert world.simulation.running_on(uuid) == ["n2"]
    with pytest.raises(Conflict, match="with this word there would be two"):
        say(world, uuid, "n2")
    del world.simulation.hosts["n1"].domains[uuid]
    pass_time(world, 30)
    assert operation(world, key).status == "completed"
    assert open_alarms(world) == []


@pytest.mark.parametrize("state", [DomainState.RUNNING, DomainState.PAUSED])
def test_a_live_copy_elsewhere_forbids_starts(make_world: MakeWorld, state: DomainState) -> None:
    world = make_world()
    uuid = built(world, "local")
    moves.stop(world, uuid)
    appear(world, uuid, "n3", state)
    pass_time(world, 60)
    with pytest.raises(Conflict, match=r"a copy of it (runs|is paused) on n3, but its record says n1"):
        requests.start(world.db, CALLER, uuid)


def test_a_deletion_does_not_end_while_a_host_reports_a_stopped_copy(make_world: MakeWorld) -> None:
    world = make_world()
    uuid = built(world, "local")
    live_migrate(world, uuid, "n2")
    pass_time(world, 60)
    appear(world, uuid, "n1", DomainState.SHUT_OFF)
    pass_time(world, 20)
    world.ask(lambda: requests.delete_instance(world.db, CALLER, uuid))
    pass_time(world, 60)
    waiting = newest(world, uuid)
    assert (waiting.active, waiting.phase) == (True, "elsewhere")
    assert "n1 (shut_off)" in waiting.wait_reason
    assert not record(world, uuid).deleted
    del world.simulation.hosts["n1"].domains[uuid]
    pass_time(world, 30)
    assert record(world, uuid).deleted
    assert broken(world) == []


def test_a_deleted_instance_whose_guest_runs_is_an_alarm(make_world: MakeWorld) -> None:
    """It was brought back by hand: its disk from a backup, its definition from a file."""
    world = make_world()
    uuid = built(world, "local")
    definition = world.simulation.hosts["n1"].domains[uuid]
    world.ask(lambda: requests.delete_instance(world.db, CALLER, uuid))
    world.run()
    world.simulation.hosts["n1"].domains[uuid] = Domain(definition.spec, DomainState.RUNNING)  # its stamp is lost
    pass_time(world, 60)
    assert open_alarms(world) == [("no-record", "n1", uuid)]


def test_a_renamed_host_is_an_alarm_and_a_word_moves_the_record(make_world: MakeWorld) -> None:
    """n1 is n3 from now on: its guest, paused or not, shows up there with the seal that was made for n1."""
    world = make_world()
    uuid = built(world, "local")
    world.simulation.hosts["n3"].domains[uuid] = world.simulation.hosts["n1"].domains.pop(uuid)
    world.lose("n1")
    pass_time(world, 100)
    assert open_alarms(world) == [("copy-elsewhere", "n3", uuid)]
    with pytest.raises(Conflict, match="n1 is silent, and may have a copy"):
        say(world, uuid, "n3")
    with pytest.raises(Conflict, match="nothing says that its guests do not run"):
        say(world, uuid, "n3", given_up=["n1"])
    moves.force_down(world, "n1")
    with pytest.raises(Conflict, match="a copy of it runs on n3"):
        evacuations.ask(world, uuid, "n2")
    say(world, uuid, "n3", given_up=["n1"])
    pass_time(world, 60)
    assert record(world, uuid).host == "n3"
    assert open_alarms(world) == []


def test_a_host_that_lies_about_instances_it_never_had_stands_in_nobodys_way(make_world: MakeWorld) -> None:
    world = make_world()
    uuid = built(world, "local")
    pass_time(world, 30)
    appear(world, uuid, "n3", DomainState.RUNNING, sealed=False)
    pass_time(world, 60)
    assert open_alarms(world) == [("unproven-claim", "n3", "")]
    moves.stop(world, uuid)
    world.ask(lambda: requests.start(world.db, CALLER, uuid))
    world.run()
    assert (record(world, uuid).host, record(world, uuid).vm_state) == ("n1", "active")
    with pytest.raises(Conflict, match="it only says so"):
        say(world, uuid, "n3")
    world.lose("n1")
    pass_time(world, 100)
    moves.force_down(world, "n1")
    evacuations.ask(world, uuid, "n2")
    pass_time(world, 60)
    assert record(world, uuid).host == "n2"
    world.ask(lambda: requests.delete_instance(world.db, CALLER, uuid))
    pass_time(world, 60)
    assert record(world, uuid).deleted
    del world.simulation.hosts["n3"].domains[uuid]
    pass_time(world, 30)
    assert open_alarms(world) == []


def test_a_seal_of_one_instance_proves_nothing_about_another(make_world: MakeWorld) -> None:
    world = make_world()
    uuid = built(world, "local")
    moves.stop(world, uuid)
    other = world.build("local")
    world.run()
    assert other is not None
    live_migrate(world, other, "n3")
    seal = world.simulation.hosts["n3"].domains[other].seal
    appear(world, uuid, "n3", DomainState.RUNNING)
    world.simulation.hosts["n3"].domains[uuid].seal = seal
    pass_time(world, 60)
    assert open_alarms(world) == [("unproven-claim", "n3", "")]
    world.ask(lambda: requests.start(world.db, CALLER, uuid))
    world.run()
    assert record(world, uuid).vm_state == "active"


def test_an_unsigned_stamp_of_an_older_release_is_believed_of_hosts_that_had_the_instance(
    make_world: MakeWorld,
) -> None:
    world = make_world()
    uuid = built(world, "local")
    world.simulation.hosts["n1"].domains[uuid].seal = ""
    pass_time(world, 60)
    assert open_alarms(world) == []
    world.agents["n1"].driver.destroy(uuid)
    pass_time(world, 60)
    assert record(world, uuid).vm_state == "stopped"
