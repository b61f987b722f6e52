"""An administrator's password reaches the host that needs it, and no file of the database ever holds it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from migrator.db import operations as operation_rows
from migrator.db.tables import operations
from migrator.protocol import Assignments, Poll
from migrator.scheduler.requests import build as building
from migrator.scheduler.requests import evacuation
from migrator.scheduler.requests.build import NewInstance
from migrator.scheduler.requests.requests import Caller
from migrator.scheduler.state import passwords
from tests.world.clients import built
from tests.world.evacuations import is_over
from tests.world.moves import force_down, newest_move, pass_time
from tests.world.world import CALLER, FLAVOR, World

PASSWORD = "Unmistakable-3141"


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    made = World(database_url)
    yield made
    made.close()


def evacuated(world: World, caller: Caller = CALLER) -> str:
    world.tick()
    uuid = built(world, "local")
    world.lose("n1")
    pass_time(world)
    force_down(world, "n1")
    request = evacuation.EvacuationRequest(host="n2", admin_pass=PASSWORD)
    evacuation.evacuate(world.db, caller, uuid, world.settings, request)
    return uuid


def stored(world: World) -> list[str]:
    """Where the database says the password: files, or rows."""
    if world.db.is_sqlite:
        name = world.db.url.removeprefix("sqlite:///")
        files = [Path(name + end) for end in ("", "-wal", "-shm", "-journal")]
        return [str(path) for path in files if path.exists() and PASSWORD.encode() in path.read_bytes()]
    with world.db.read() as connection:
        return [str(row) for row in connection.execute(select(operations)) if PASSWORD in str(row)]


def test_a_password_is_told_to_the_destination_and_never_stored_as_it_was_typed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, str]] = []
    poll = world.poll

    def listened(host: str, asked: Poll) -> Assignments:
        answer = poll(host, asked)
        told.extend((host, a.ensure.value) for a in answer.assignments if a.inputs.get("admin_pass") == PASSWORD)
        assert stored(world) == []
        return answer

    monkeypatch.setattr(world, "poll", listened)
    uuid = evacuated(world)
    world.run(lambda: is_over(world, uuid))
    assert world.simulation.running_on(uuid) == ["n2"]
    assert {host for host, _ in told} == {"n2"}
    assert passwords.PARAM not in newest_move(world, uuid).params
    assert stored(world) == []


def test_a_password_of_a_new_instance_reaches_its_config_drive_and_is_forgotten(world: World) -> None:
    new = NewInstance("guest", FLAVOR, world.image, requested_host="n2", config_drive=True, admin_pass=PASSWORD)
    world.tick()
    uuid, operation_id = building.create_instance(world.db, CALLER, new)
    assert stored(world) == []
    world.run(lambda: world.simulation.running_on(uuid) == ["n2"])
    world.run()
    found = [disks for storage in world.simulation.storages.values() for disks in storage.disks.items()]
    assert {target: disk.admin_pass for (_, target), disk in found} == {"vda": None, "sda": PASSWORD}
    with world.db.read() as connection:
        assert passwords.PARAM not in operation_rows.get(connection, operation_id).params
    assert stored(world) == []


def test_a_password_that_an_earlier_release_stored_is_erased_with_its_operation(world: World) -> None:
    uuid = evacuated(world)
    row = newest_move(world, uuid)
    with world.db.write() as connection:
        params = {**row.params, passwords.PARAM: PASSWORD}
        connection.execute(update(operations).where(operations.c.id == row.id).values(params=params))
    assert stored(world) != []
    world.run(lambda: is_over(world, uuid))
    assert world.simulation.running_on(uuid) == ["n2"]
    world.db.erase()
    assert stored(world) == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_erasing_waits_for_a_reader_and_succeeds_after_it(world: World) -> None:
    world.db.erase()
    with world.db.write() as connection:
        connection.exec_driver_sql("CREATE TABLE told (word TEXT)")
        connection.exec_driver_sql(f"INSERT INTO told VALUES ('{PASSWORD}')")
    with reading(world):
        with world.db.write() as connection:
            connection.exec_driver_sql("DELETE FROM told")
        world.db.erase_later()
        world.db.erase()
        assert stored(world) != []
    world.db.erase()
    assert stored(world) == []


def reading(world: World) -> Any:
    """A reader that holds on to what it saw."""
    connection = world.db.engine.connect()
    connection.exec_driver_sql("BEGIN")
    connection.exec_driver_sql("SELECT * FROM told").all()
    return connection
