"""Cold moves in the world: migration and resize, confirmed or reverted, of running, stopped and suspended instances."""

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import bindparam, select

from migrator.db import hosts
from migrator.db.tables import operations
from migrator.scheduler.requests import cold_migration, requests
from tests.world.clients import built, insist, insist_on
from tests.world.world import CALLER, FLAVOR, World

Scenario = Callable[[World], None]
Step = Callable[[World, str], None]

LARGE = {**FLAVOR, "id": 2, "name": "micro", "flavorid": "2", "vcpus": 2, "memory_mb": 64, "disk_gb": 2}
LOST_S = 100.0  # longer than service_down_time
_KINDS = ("migration", "resize", "evacuation")


_MOVES = (
    select(operations)
    .where(operations.c.instance_uuid == bindparam("uuid"), operations.c.kind.in_(_KINDS))
    .order_by(operations.c.id.desc())
)


def newest_move(world: World, uuid: str) -> Any:
    with world.db.read() as connection:
        return connection.execute(_MOVES, {"uuid": uuid}).first()


def pause(world: World, uuid: str) -> None:
    world.ask(lambda: requests.pause(world.db, CALLER, uuid))
    world.run()


def suspend(world: World, uuid: str) -> None:
    world.ask(lambda: requests.suspend(world.db, CALLER, uuid))
    world.run()


def stop(world: World, uuid: str) -> None:
    world.ask(lambda: requests.stop(world.db, CALLER, uuid))
    world.run()


def as_it_is(_world: World, _uuid: str) -> None:
    """Running."""


def migrate(world: World, uuid: str) -> None:
    insist(world, lambda: cold_migration.migrate(world.db, CALLER, uuid, host="n2"))


def resize(world: World, uuid: str) -> None:
    insist(world, lambda: cold_migration.resize(world.db, CALLER, uuid, flavor=LARGE, same_host=False))


def resize_here(world: World, uuid: str) -> None:
    """In place, for no other host takes it."""
    armed, world.faults.armed = world.faults.armed, False
    with world.db.write() as connection:
        for name in ("n2", "n3"):
            hosts.change(connection, name, {"disabled": True})
    world.faults.armed = armed
    insist(world, lambda: cold_migration.resize(world.db, CALLER, uuid, flavor=LARGE, same_host=True))


def revert_here(world: World, uuid: str) -> None:
    """The disk stays, and what was written to it."""
    if verified(world, uuid):
        insist(world, lambda: cold_migration.revert(world.db, CALLER, uuid))


def verified(world: World, uuid: str) -> bool:
    """Wait for VERIFY_RESIZE. False: the move ended otherwise, as faults may have it."""

    def there() -> bool:
        row = newest_move(world, uuid)
        return row is None or not row.active or (row.phase == "verify" and row.forward)

    world.run(there)
    row = newest_move(world, uuid)
    return row is not None and bool(row.active)


def confirm(world: World, uuid: str) -> None:
    if verified(world, uuid):
        insist(world, lambda: cold_migration.confirm(world.db, CALLER, uuid))


def revert(world: World, uuid: str) -> None:
    """What the guest wrote on the destination is given up, and only that."""
    if verified(world, uuid):
        insist(world, lambda: cold_migration.revert(world.db, CALLER, uuid))
        if newest_move(world, uuid).cancel_requested and world.build_pool != "shared":
            world.simulation.settle_for(uuid, "n1")


def delete(world: World, uuid: str) -> None:
    verified(world, uuid)
    insist(world, lambda: requests.delete_instance(world.db, CALLER, uuid))


def cancel(world: World, uuid: str) -> None:
    """While the disks are on their way."""
    world.run(lambda: copying(world, uuid))
    row = newest_move(world, uuid)
    if row is not None and row.active:
        insist_on(world, row.id, lambda: requests.cancel(world.db, CALLER, row.id))


def copying(world: World, uuid: str) -> bool:
    """Until the disks are on their way, or the move is past that."""
    row = newest_move(world, uuid)
    on_the_way = any(copy.uuid == uuid for copy in world.simulation.copies.values())
    return on_the_way or (row is not None and (not row.active or row.phase == "verify"))


def destination_dies(world: World, uuid: str) -> None:
    """In the middle of the copy: the instance is back without waiting for it."""
    world.run(lambda: copying(world, uuid))
    world.lose("n2")
    world.faults.armed = False
    world.run(lambda: not newest_move(world, uuid).locks_instance or not newest_move(world, uuid).active)
    assert world.simulation.running_on(uuid) == ["n1"]
    world.faults.armed = True
    world.bring_back("n2")


def source_dies(world: World, uuid: str) -> None:
    world.run(lambda: copying(world, uuid))
    world.lose("n1")
    pass_time(world)
    world.bring_back("n1")
    confirm(world, uuid)


def registered(world: World, host: str) -> bool:
    return host in world.agents and world.agents[host].registered


def pass_time(world: World, seconds: float = LOST_S) -> None:
    """Nothing but time passes: no faults strike."""
    armed, world.faults.armed = world.faults.armed, False
    until = world.time + seconds
    world.run(lambda: world.time > until)
    world.faults.armed = armed


def force_down(world: World, host: str) -> None:
    armed, world.faults.armed = world.faults.armed, False
    with world.db.write() as connection:
        hosts.force_down(connection, host, True, "admin")
    world.faults.armed = armed


def in_phase(world: World, uuid: str, phase: str) -> None:
    """Until the move is in this phase, or at its end."""
    world.run(lambda: newest_move(world, uuid).phase in (phase, "verify") or not newest_move(world, uuid).active)


def destination_fenced_in_start(world: World, uuid: str) -> None:
    """It may have run there: only evidence that it does not run any more brings it back: an operator's word, or that
    the host's lease has lapsed."""
    in_phase(world, uuid, "start")
    world.lose("n2")
    if world.lease_s:
        world.simulation.settle_for(uuid, "n1")
    pass_time(world)
    row = newest_move(world, uuid)
    assert row.locks_instance is not bool(world.lease_s)
    if row.phase == "verify" and row.forward:  # a fault let its last word through: it had started
        insist(world, lambda: cold_migration.revert(world.db, CALLER, uuid))
    _give_up_destination(world, uuid)


def destination_fenced_in_verify(world: World, uuid: str) -> None:
    if not verified(world, uuid):
        return
    world.lose("n2")
    pass_time(world)
    insist(world, lambda: cold_migration.revert(world.db, CALLER, uuid))
    _give_up_destination(world, uuid)


def _give_up_destination(world: World, uuid: str) -> None:
    world.simulation.settle_for(uuid, "n1")
    force_down(world, "n2")
    world.run(lambda: not newest_move(world, uuid).locks_instance or not newest_move(world, uuid).active)
    assert world.simulation.running_on(uuid) == ["n1"]
    world.bring_back("n2")


def source_daemon_dies(world: World, uuid: str) -> None:
    world.run(lambda: copying(world, uuid))
    world.simulation.kill_daemon("n1")
    world.at(3.0, lambda: world.simulation.start_daemon("n1"))
    confirm(world, uuid)


def link_is_cut(world: World, uuid: str) -> None:
    world.run(lambda: copying(world, uuid))
    world.simulation.cut("n1", "n2")
    world.at(3.0, lambda: world.simulation.heal("n1", "n2"))
    confirm(world, uuid)


def source_lost_in_verify(world: World, uuid: str) -> None:
    """The revert waits for the source, for only it has the disks; the destination goes on or stands by until then.
    Where the source's lapsed lease says that it is lost, the instance stays, and is asked back when that is heard."""
    if not verified(world, uuid):
        return
    world.lose("n1")
    revert(world, uuid)
    pass_time(world)
    assert newest_move(world, uuid).active
    world.bring_back("n1")
    if world.lease_s:
        world.run(lambda: registered(world, "n1"))
        revert(world, uuid)


def source_is_wiped_in_verify(world: World, uuid: str) -> None:
    """The revert finds nothing to go back to: the instance stays where it is, and is confirmed."""
    if not verified(world, uuid):
        return
    world.simulation.storages["local-n1"].disks.clear()
    insist(world, lambda: cold_migration.revert(world.db, CALLER, uuid))
    confirm(world, uuid)


def disk_fills_up(world: World, uuid: str) -> None:
    world.run(lambda: copying(world, uuid))
    pool = world.simulation.hosts["n2"].pools["local"]
    pool.taken_bytes = pool.free_bytes
    confirm(world, uuid)


def copy_is_damaged(world: World, uuid: str) -> None:
    """As soon as the file appears: before its checksum is known."""
    pool = world.simulation.hosts["n2"].pools["local"]
    world.run(lambda: (uuid, "vda") in pool.disks or not newest_move(world, uuid).active)
    if (uuid, "vda") in pool.disks:
        pool.disks[uuid, "vda"].damage = "-flipped"
    confirm(world, uuid)


def _move(pool: str, request: Step, then: Step, before: Step = as_it_is) -> Scenario:
    def scenario(world: World) -> None:
        uuid = built(world, pool)
        before(world, uuid)
        world.faults.armed = True
        request(world, uuid)
        then(world, uuid)
        world.settle()

    return scenario


SCENARIOS: Mapping[str, Scenario] = {
    "cold-local-confirmed": _move("local", migrate, confirm),
    "cold-local-reverted": _move("local", migrate, revert),
    "cold-shared-confirmed": _move("shared", migrate, confirm),
    "cold-shared-reverted": _move("shared", migrate, revert),
    "cold-mixed-confirmed": _move("mixed", migrate, confirm),
    "cold-mixed-reverted": _move("mixed", migrate, revert),
    "cold-volume-confirmed": _move("volume", migrate, confirm),
    "cold-volume-mixed-reverted": _move("volume-mixed", migrate, revert),
    "resize-volume-confirmed": _move("volume", resize, confirm),
    "suspended-volume-confirmed": _move("volume", migrate, confirm, suspend),
    "cold-cancelled": _move("local", migrate, cancel),
    "cold-deleted": _move("local", migrate, delete),
    "resize-local-confirmed": _move("local", resize, confirm),
    "resize-local-reverted": _move("local", resize, revert),
    "resize-shared-confirmed": _move("shared", resize, confirm),
    "resize-here-confirmed": _move("local", resize_here, confirm),
    "resize-here-reverted": _move("local", resize_here, revert_here),
    "stopped-local-confirmed": _move("local", migrate, confirm, stop),
    "stopped-local-reverted": _move("local", migrate, revert, stop),
    "suspended-local-confirmed": _move("local", migrate, confirm, suspend),
    "suspended-local-reverted": _move("local", migrate, revert, suspend),
    "suspended-shared-confirmed": _move("shared", migrate, confirm, suspend),
    "suspended-shared-reverted": _move("shared", migrate, revert, suspend),
    "cold-destination-dies": _move("local", migrate, destination_dies),
    "cold-source-dies": _move("local", migrate, source_dies),
    "cold-source-daemon-dies": _move("local", migrate, source_daemon_dies),
    "cold-link-cut": _move("local", migrate, link_is_cut),
    "cold-source-lost-in-verify": _move("local", migrate, source_lost_in_verify),
    "cold-destination-fenced-in-start": _move("local", migrate, destination_fenced_in_start),
    "cold-destination-fenced-in-verify": _move("shared", migrate, destination_fenced_in_verify),
    "cold-source-wiped-in-verify": _move("local", migrate, source_is_wiped_in_verify),
    "cold-disk-fills-up": _move("local", migrate, disk_fills_up),
    "cold-copy-damaged": _move("local", migrate, copy_is_damaged),
}
