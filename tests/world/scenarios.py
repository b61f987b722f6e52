"""What is done to the world under faults: one function a kind. Each leaves the world at rest."""

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import select

from migrator.compute.simulated.state import MIB, Behaviour
from migrator.db.tables import instances, operations
from migrator.protocol import DomainState
from migrator.scheduler.requests import requests
from migrator.scheduler.requests.steer import steer
from tests.world import disagreements, evacuations, kept, moves
from tests.world.clients import built, insist, insist_on
from tests.world.world import CALLER, World


def build(world: World) -> None:
    world.tick()
    world.faults.armed = True
    world.build("local")
    world.settle()


def delete(world: World) -> None:
    uuid = built(world, "local")
    world.faults.armed = True
    insist(world, lambda: requests.delete_instance(world.db, CALLER, uuid))
    world.settle()


def _power(action: Callable[[World, str], int], *, stopped: bool = False) -> Callable[[World], None]:
    def scenario(world: World) -> None:
        uuid = built(world, "local")
        if stopped:
            world.ask(lambda: requests.stop(world.db, CALLER, uuid))
            world.run()
        world.faults.armed = True
        insist(world, lambda: action(world, uuid))
        world.settle()

    return scenario


def _suspension(*, resumed: bool) -> Callable[[World], None]:
    def scenario(world: World) -> None:
        uuid = built(world, "local")
        if resumed:
            moves.suspend(world, uuid)
        world.faults.armed = True
        action = requests.resume if resumed else requests.suspend
        insist(world, lambda: action(world.db, CALLER, uuid))
        world.settle()

    return scenario


def _pausing(*, unpaused: bool) -> Callable[[World], None]:
    def scenario(world: World) -> None:
        uuid = built(world, "local")
        if unpaused:
            moves.pause(world, uuid)
        world.faults.armed = True
        action = requests.unpause if unpaused else requests.pause
        insist(world, lambda: action(world.db, CALLER, uuid))
        world.settle()

    return scenario


def _live(
    pool: str, during: Callable[[World, str], None] | None = None, dirty: int = 1, *, paused: bool = False
) -> Callable[[World], None]:
    def scenario(world: World) -> None:
        uuid = built(world, pool)
        if paused:
            moves.pause(world, uuid)
        world.simulation.behaviours[uuid] = Behaviour(dirty_bytes_per_s=dirty * MIB)
        drives = config_drives(world, uuid)
        world.faults.armed = True
        insist(world, lambda: requests.live_migrate(world.db, CALLER, uuid, host="n2", block=None))
        if during is not None:
            during(world, uuid)
        world.settle()
        assert config_drives(world, uuid) <= drives, "a config drive was made anew"

    return scenario


def config_drives(world: World, uuid: str) -> set[str]:
    """What tells one from another that was made anew, of all that lie anywhere."""
    return {
        file.token for s in world.simulation.storages.values() for (owner, _), file in s.disks.items() if owner == uuid
    } - {""}


def _row(world: World, uuid: str) -> Any:
    query = select(operations).where(operations.c.instance_uuid == uuid, operations.c.kind == "live-migration")
    with world.db.read() as connection:
        return connection.execute(query.order_by(operations.c.id.desc()).limit(1)).one_or_none()


def _moving(world: World, uuid: str) -> bool:
    row = _row(world, uuid)
    return uuid in world.simulation.transfers or row is None or not row.active


def _cancel(world: World, uuid: str) -> None:
    world.run(lambda: _moving(world, uuid))
    row = _row(world, uuid)
    if row is not None and row.active:
        insist_on(world, row.id, lambda: requests.cancel(world.db, CALLER, row.id))


def _delete(world: World, uuid: str) -> None:
    """At once, whatever is under way."""
    insist(world, lambda: requests.delete_instance(world.db, CALLER, uuid))


def _delete_moving(world: World, uuid: str) -> None:
    world.run(lambda: _moving(world, uuid))
    _delete(world, uuid)


def _delete_in_post_copy(world: World, uuid: str) -> None:
    _force_by_post_copy(world, uuid)
    world.run(lambda: _switched(world, uuid))
    _delete(world, uuid)


def _switched(world: World, uuid: str) -> bool:
    """To post-copy; or over, for a fault may have ended it before."""
    row, transfer = _row(world, uuid), world.simulation.transfers.get(uuid)
    return row is None or not row.active or (transfer is not None and transfer.stage == "postcopy")


def _back_cancelled(world: World) -> None:
    """A guest that was moved once is moved again, and is not after all."""
    uuid = built(world, "shared")
    world.ask(lambda: requests.live_migrate(world.db, CALLER, uuid, host="n2", block=None))
    world.run()
    world.simulation.behaviours[uuid] = Behaviour(dirty_bytes_per_s=400 * MIB)
    world.faults.armed = True
    insist(world, lambda: requests.live_migrate(world.db, CALLER, uuid, host="n1", block=None))
    _cancel(world, uuid)
    world.settle()


def _force(world: World, uuid: str) -> None:
    """The guest writes faster than it is sent; its end is forced on the way."""
    world.run(lambda: _moving(world, uuid))
    row = _row(world, uuid)
    if row is not None and row.active:
        insist_on(world, row.id, lambda: steer(world.db, CALLER, row.id, {"force": True}))


def _force_by_post_copy(world: World, uuid: str) -> None:
    world.settings = world.settings.model_copy(update={"live_migration_permit_post_copy": True})
    world.restart_server()
    _force(world, uuid)


def _chosen(dirty: int) -> Callable[[World], None]:
    """Measured, and moved by whatever way that leads to, with every way permitted."""

    def scenario(world: World) -> None:
        permitted = {"live_migration_permit_post_copy": True, "live_migration_permit_auto_converge": True}
        world.settings = world.settings.model_copy(update={"live_migration_strategy": "auto", **permitted})
        world.restart_server()
        _live("shared", dirty=dirty)(world)

    return scenario


def _force_and_cancel(world: World, uuid: str) -> None:
    _force(world, uuid)
    world.run(lambda: _paused(world, uuid))
    _cancel(world, uuid)


def _paused(world: World, uuid: str) -> bool:
    """Or over, for a fault may have ended it before it was forced."""
    row, domain = _row(world, uuid), world.simulation.hosts["n1"].domains.get(uuid)
    return domain is None or domain.state is not DomainState.RUNNING or row is None or not row.active


def _daemon_dies(host: str, seconds: float) -> Callable[[World, str], None]:
    def during(world: World, uuid: str) -> None:
        world.run(lambda: _moving(world, uuid))
        world.simulation.kill_daemon(host)
        world.at(seconds, lambda: world.simulation.start_daemon(host))

    return during


SCENARIOS: Mapping[str, Callable[[World], None]] = {
    "build": build,
    "delete": delete,
    "start": _power(lambda world, uuid: requests.start(world.db, CALLER, uuid), stopped=True),
    "stop": _power(lambda world, uuid: requests.stop(world.db, CALLER, uuid)),
    "reboot-soft": _power(lambda world, uuid: requests.reboot(world.db, CALLER, uuid, soft=True)),
    "reboot-hard": _power(lambda world, uuid: requests.reboot(world.db, CALLER, uuid, soft=False)),
    "suspend": _suspension(resumed=False),
    "resume": _suspension(resumed=True),
    "pause": _pausing(unpaused=False),
    "unpause": _pausing(unpaused=True),
    "live-shared": _live("shared"),
    "live-paused": _live("shared", paused=True),
    "live-paused-block": _live("local", paused=True),
    "live-paused-cancelled": _live("local", _cancel, paused=True),
    "live-paused-source-daemon-dies": _live("local", _daemon_dies("n1", 3.0), paused=True),
    "live-paused-destination-daemon-dies": _live("local", _daemon_dies("n2", 3.0), paused=True),
    "live-block": _live("local"),
    "live-volume": _live("volume"),
    "live-volume-mixed": _live("volume-mixed"),
    "live-cancelled": _live("shared", _cancel, dirty=400),
    "live-block-cancelled": _live("local", _cancel, dirty=400),
    "live-deleted-at-once": _live("shared", _delete),
    "live-deleted": _live("shared", _delete_moving, dirty=400),
    "live-block-deleted": _live("local", _delete_moving, dirty=400),
    "live-post-copy-deleted": _live("local", _delete_in_post_copy, dirty=400),
    "live-back-cancelled": _back_cancelled,
    "live-destination-daemon-dies": _live("local", _daemon_dies("n2", 3.0), dirty=400),
    "live-source-daemon-dies": _live("local", _daemon_dies("n1", 3.0), dirty=400),
    "live-forced": _live("shared", _force, dirty=400),
    "live-block-forced": _live("local", _force, dirty=400),
    "live-forced-cancelled": _live("local", _force_and_cancel, dirty=400),
    "live-chosen-pre-copy": _chosen(dirty=1),
    "live-chosen-post-copy": _chosen(dirty=400),
    "live-block-post-copy": _live("local", _force_by_post_copy, dirty=400),
    "live-post-copy": _live("shared", _force_by_post_copy, dirty=400),
    **moves.SCENARIOS,
    **evacuations.SCENARIOS,
    **disagreements.SCENARIOS,
    **kept.SCENARIOS,
}


def outcome(world: World) -> tuple[str, str | None, list[str]]:
    """(vm_state, host, final statuses), for what a run without faults must come to."""
    with world.db.read() as connection:
        row = connection.execute(select(instances)).one()
        ends = connection.execute(select(operations.c.status).order_by(operations.c.id))
        return row.vm_state, row.host, [end.status for end in ends]
