"""Record and hosts disagree, under faults: a restored database, hands on virsh, a renamed host; and a word mends it.

What is done by hand, and the passing of time that makes it known, are no boundaries.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from migrator.db import alarms, instances
from migrator.scheduler.hosts import reconciliation
from migrator.scheduler.hosts.reconciliation import Word
from migrator.scheduler.requests import requests
from tests.world.backups import backup, restore
from tests.world.clients import built, insist
from tests.world.moves import force_down, pass_time
from tests.world.processes import RETRY_S
from tests.world.world import CALLER, World

Scenario = Callable[[World], None]
KNOWN_S = 40.0  # by then every agent has listed its copies, and the record was quiet


def say(world: World, uuid: str, word: Word) -> None:
    """Until no fault came between, and what it began is looked at."""
    for _ in range(10):
        before = len(world.faults.struck)
        turns = world.guarded(lambda: reconciliation.take(world.db, CALLER, uuid, word, world.settings))
        for key in turns or ():
            world.guarded(lambda key=key: world.server.reconciler.reconcile(key))  # type: ignore[misc]
        if len(world.faults.struck) == before:
            return
        world.time += RETRY_S


def _live(world: World, uuid: str, host: str) -> None:
    world.ask(lambda: requests.live_migrate(world.db, CALLER, uuid, host=host, block=None))
    world.run()
    assert world.simulation.running_on(uuid) == [host]


def _kept(world: World) -> Path:
    return Path(world.db.url.removeprefix("sqlite:///")).with_suffix(".backup")


def _restored(request: Callable[[World, str], int], pool: str) -> Scenario:
    """The record says n2, the guest runs on n3; what is asked for waits, and goes on after the word."""

    def scenario(world: World) -> None:
        uuid = built(world, pool)
        _live(world, uuid, "n2")
        backup(world, _kept(world))
        _live(world, uuid, "n3")
        restore(world, _kept(world))
        pass_time(world, KNOWN_S)
        _record_runs(world, uuid)
        world.faults.armed = True
        insist(world, lambda: request(world, uuid))
        say(world, uuid, Word("n3"))
        world.settle()
        pass_time(world, KNOWN_S)
        assert _open(world) == []

    return scenario


def _record_runs(world: World, uuid: str) -> None:
    """As if it had been asked before n2 said that it has nothing: a stopped instance is not stopped again."""
    with world.db.write() as connection:
        instances.change(connection, uuid, {"vm_state": "active", "power_state": 1})


def _vanished(world: World) -> None:
    """virsh destroy and undefine, and a start."""
    uuid = built(world, "local")
    world.agents["n1"].driver.destroy(uuid)
    world.agents["n1"].driver.undefine(uuid)
    pass_time(world, KNOWN_S)
    world.faults.armed = True
    insist(world, lambda: requests.start(world.db, CALLER, uuid))
    world.settle()
    pass_time(world, KNOWN_S)
    assert _open(world) == []


def _renamed(world: World) -> None:
    """n1 is n3 from now on: its guest was stopped, and boots there with the definition and the seal that n1 had."""
    uuid = built(world, "shared")
    world.run(lambda: not world.agents["n3"].lease.lapsed())  # as that of an agent without a file is in the beginning
    world.agents["n1"].driver.destroy(uuid)
    old = world.simulation.hosts["n1"].domains.pop(uuid)
    world.lose("n1")
    world.agents["n3"].driver.define_and_start(old.spec, old.operation_id or "", old.epoch or 0, seal=old.seal)
    pass_time(world, 100.0)
    force_down(world, "n1")
    world.faults.armed = True
    say(world, uuid, Word("n3", frozenset({"n1"})))
    insist(world, lambda: requests.stop(world.db, CALLER, uuid))
    world.settle()
    world.bring_back("n1")
    world.settle()
    pass_time(world, KNOWN_S)
    assert _open(world) == []


def _open(world: World) -> list[str]:
    with world.db.read() as connection:
        return [row.message for row in alarms.listed(connection)]


SCENARIOS: Mapping[str, Scenario] = {
    "restored-stopped": _restored(lambda world, uuid: requests.stop(world.db, CALLER, uuid), "local"),
    "restored-deleted": _restored(lambda world, uuid: requests.delete_instance(world.db, CALLER, uuid), "local"),
    "restored-shared-paused": _restored(lambda world, uuid: requests.pause(world.db, CALLER, uuid), "shared"),
    "vanished-started": _vanished,
    "renamed-reconciled": _renamed,
}
