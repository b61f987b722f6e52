"""A deletion beside a host that is silent: what is left there is waited for, or known, named, and cleaned up later."""

from pathlib import Path

import pytest
from sqlalchemy import select

from migrator.db import host_domains
from migrator.db.host_domains import HeldCopy
from migrator.db.tables import events
from migrator.scheduler.requests import requests
from tests.world import evacuations, moves
from tests.world.clients import built
from tests.world.conftest import MakeWorld
from tests.world.records import newest, open_alarms, operation, pass_time, record, say
from tests.world.test_restored_silence import moved_to_a_silent_host
from tests.world.world import CALLER, World


def delete(world: World, uuid: str) -> int:
    key: int = world.ask(lambda: requests.delete_instance(world.db, CALLER, uuid))
    return key


def domains(world: World, uuid: str) -> list[str]:
    return [name for name, host in sorted(world.simulation.hosts.items()) if uuid in host.domains]


def said(world: World, key: int, name: str) -> list[str]:
    query = select(events.c.message).where(events.c.operation_id == key, events.c.name == name)
    with world.db.read() as connection:
        return list(connection.execute(query).scalars())


@pytest.mark.parametrize("pool", ["local", "shared", "volume"])
def test_a_deletion_names_the_host_that_has_still_to_clean_up_and_does_when_it_returns(
    make_world: MakeWorld, pool: str
) -> None:
    world = make_world()
    uuid = built(world, pool)
    world.lose("n1")
    pass_time(world, 90)
    moves.force_down(world, "n1")
    owing = world.ask(lambda: evacuations.ask(world, uuid, "n3"))
    pass_time(world, 60)
    key = delete(world, uuid)
    pass_time(world, 60)
    message = f"deleted, but for what evacuation {owing} still has to clean up (n1, n3): "
    assert operation(world, key).status == "completed"
    assert said(world, key, "owing") == [f"{message}waiting for host n1, which is silent"]
    assert (operation(world, owing).active, domains(world, uuid)) == (True, ["n1"])
    world.bring_back("n1")
    pass_time(world, 60)
    assert (operation(world, owing).active, domains(world, uuid), open_alarms(world)) == (False, [], [])


def test_a_deletion_waits_for_the_silent_host_that_a_live_migration_has_left(make_world: MakeWorld) -> None:
    world = make_world()
    uuid = built(world, "shared")
    world.ask(lambda: requests.live_migrate(world.db, CALLER, uuid, host="n3", block=None))
    world.run(lambda: world.simulation.running_on(uuid) == ["n3"])
    world.silence("n1")
    pass_time(world, 90)
    delete(world, uuid)
    pass_time(world, 60)
    row = newest(world, uuid)
    assert (row.active, row.wait_reason) == (True, "waiting for host n1, which is silent")
    assert not record(world, uuid).deleted
    world.bring_back("n1")
    pass_time(world, 60)
    assert (record(world, uuid).deleted, domains(world, uuid)) == (True, [])


def test_a_deletion_waits_for_the_copy_that_a_silent_host_reported_last(make_world: MakeWorld) -> None:
    world = make_world()
    uuid = built(world, "shared")
    pass_time(world, 60)
    world.silence("n3")
    with world.db.write() as connection:
        host_domains.replace(connection, "n3", [HeldCopy(uuid, "shutoff")])
    pass_time(world, 60)
    key = delete(world, uuid)
    pass_time(world, 60)
    assert (operation(world, key).phase, operation(world, key).active) == ("elsewhere", True)
    assert "n3" in (operation(world, key).wait_reason or "")
    world.bring_back("n3")
    pass_time(world, 60)
    assert (operation(world, key).status, record(world, uuid).deleted) == ("completed", True)


@pytest.mark.parametrize("listless", [False, True])
@pytest.mark.parametrize("pool", ["shared", "volume"])
def test_a_deletion_after_a_restore_waits_for_a_silent_host_that_may_run_the_guest(
    make_world: MakeWorld, tmp_path: Path, pool: str, listless: bool
) -> None:
    world, uuid = moved_to_a_silent_host(make_world, tmp_path, pool)
    if listless:
        world.listless.add("n1")
    key = delete(world, uuid)
    pass_time(world, 40)
    world.listless.clear()
    pass_time(world, 60)
    assert (operation(world, key).active, record(world, uuid).deleted) == (True, False)
    assert ("guest-unseen", "n1", uuid) in open_alarms(world)
    world.bring_back("n2")
    pass_time(world, 30)
    say(world, uuid, "n2")
    pass_time(world, 30)
    assert (record(world, uuid).deleted, domains(world, uuid), open_alarms(world)) == (True, [], [])
    assert world.lost == []
