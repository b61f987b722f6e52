"""max_concurrent_builds: what comes into a host waits its turn, visibly, and holds up nothing that it waits for."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest
from sqlalchemy import update

from migrator.compute.simulated.state import MIB, Behaviour
from migrator.db import hosts
from migrator.db.tables import operations
from migrator.errors import ConcurrentUpdate
from migrator.operations import Effect
from migrator.scheduler.decision.snapshot import Liveness, Plan
from migrator.scheduler.decision.waiting import queue_wait
from migrator.scheduler.reconciler import Reconciler, apply
from migrator.scheduler.requests import cold_migration, requests
from migrator.scheduler.state import loader
from tests.world.conftest import MakeCrowd
from tests.world.database import WorldDatabase
from tests.world.moves import LARGE, pass_time
from tests.world.rules import broken
from tests.world.test_together import at_once
from tests.world.world import CALLER


@pytest.mark.parametrize(("limit", "most"), [(1, 1), (3, 3), (10, 10), (0, 14)])
def test_builds_on_one_host_begin_in_order_and_never_too_many(make_crowd: MakeCrowd, limit: int, most: int) -> None:
    crowd = make_crowd(limit)
    begun = [crowd.build("n1") for _ in range(14)]
    crowd.world.run()
    assert crowd.ends(*(key for _, key in begun)) == ["completed"] * 14
    assert crowd.claimed("n1") == [uuid for uuid, _ in begun]
    assert crowd.most == {"n1": most}
    assert broken(crowd.world) == []


def test_builds_go_where_there_is_a_place_before_any_waits(make_crowd: MakeCrowd) -> None:
    crowd = make_crowd(2)
    begun = [crowd.build(None) for _ in range(15)]
    waiting = [crowd.row(key) for _, key in begun if crowd.row(key).wait_reason]
    assert len(waiting) == 9
    assert crowd.full == 3
    assert sorted(row.destination for row in waiting) == ["n1"] * 3 + ["n2"] * 3 + ["n3"] * 3
    crowd.world.run()
    assert crowd.ends(*(key for _, key in begun)) == ["completed"] * 15
    assert crowd.most == {"n1": 2, "n2": 2, "n3": 2}
    assert broken(crowd.world) == []


def test_a_place_is_told_survives_the_server_and_can_be_given_up(make_crowd: MakeCrowd) -> None:
    crowd = make_crowd(1)
    (_, first), (second_uuid, second), (_, third), (_, fourth) = [crowd.build("n1") for _ in range(4)]
    message = "queued: position {} of what comes into n1, of which 1 may be under way (max_concurrent_builds)"
    keys = (first, second, third, fourth)
    assert [crowd.row(key).wait_reason for key in keys] == [None, *(message.format(place) for place in (1, 2, 3))]
    assert len(crowd.claimed("n1")) == 1, "who waits holds nothing"
    crowd.world.restart_server()
    assert requests.delete_instance(crowd.world.db, CALLER, second_uuid) == second
    crowd.reconcile(second)
    crowd.world.server.reconciler.sweep()
    assert [crowd.row(key).wait_reason for key in (third, fourth)] == [message.format(1), message.format(2)]
    assert crowd.row(second).status == "cancelled"
    requests.cancel(crowd.world.db, CALLER, third)
    crowd.reconcile(third)
    crowd.world.run()
    assert crowd.ends(*keys) == ["completed", "cancelled", "cancelled", "completed"]
    assert crowd.most == {"n1": 1}
    assert [row.kind for row in crowd.rows() if row.instance_uuid == second_uuid] == ["build", "delete"]


def test_one_that_ends_or_is_cancelled_lets_the_next_one_in_at_once(make_crowd: MakeCrowd) -> None:
    crowd = make_crowd(1)
    (_, first), (_, second), (_, third) = [crowd.build("n1") for _ in range(3)]
    requests.cancel(crowd.world.db, CALLER, second)
    crowd.reconcile(second)
    requests.cancel(crowd.world.db, CALLER, first)
    sweep = crowd.world.sweep_at
    crowd.world.sweep_at = crowd.world.time + 10_000
    crowd.world.run(lambda: crowd.row(third).phase != "claim")
    assert crowd.row(third).wait_reason is None
    crowd.world.sweep_at = sweep
    crowd.world.run()
    assert crowd.ends(first, second, third) == ["cancelled", "cancelled", "completed"]


def test_a_host_that_goes_down_is_not_waited_for(make_crowd: MakeCrowd) -> None:
    crowd = make_crowd(1)
    with crowd.world.db.write() as connection:
        hosts.change(connection, "n2", {"disabled": True})
        hosts.change(connection, "n3", {"disabled": True})
    (_, stuck), *others = [crowd.build(None) for _ in range(4)]
    assert [crowd.row(key).destination for _, key in others] == ["n1"] * 3
    with crowd.world.db.write() as connection:
        hosts.change(connection, "n2", {"disabled": False})
    with crowd.world.db.read() as connection:
        last = loader.snapshot(connection, others[-1][1], crowd.world.settings)
    assert not last.inbound.foremost
    assert queue_wait(last) is not None
    n1 = last.hosts["n1"]
    for gone in (replace(n1, liveness=Liveness.SILENT), replace(n1, disabled=True)):
        assert queue_wait(replace(last, hosts={"n1": gone})) is None
    crowd.world.lose("n1")
    pass_time(crowd.world)
    crowd.world.run(lambda: not any(crowd.row(key).active for _, key in others))
    assert crowd.ends(*(key for _, key in others)) == ["completed"] * 3
    assert crowd.row(stuck).active
    assert crowd.most == {"n1": 1, "n2": 1}


def test_the_queue_of_a_busy_host_goes_where_there_is_a_place(make_crowd: MakeCrowd) -> None:
    crowd = make_crowd(1)
    with crowd.world.db.write() as connection:
        hosts.change(connection, "n2", {"disabled": True})
        hosts.change(connection, "n3", {"disabled": True})
    (_, first), (_, named), *others = [crowd.build(host) for host in ("n1", "n1", None, None)]
    with crowd.world.db.write() as connection:
        hosts.change(connection, "n2", {"disabled": False})
        hosts.change(connection, "n3", {"disabled": False})
    crowd.world.server.reconciler.sweep()
    assert sorted(crowd.row(key).destination for _, key in others) == ["n2", "n3"], "both, in one sweep"
    assert [crowd.row(key).phase for key in (first, named)] == ["disks", "claim"]
    crowd.world.run()
    assert crowd.ends(first, named, *(key for _, key in others)) == ["completed"] * 4


def test_a_resize_in_place_takes_no_place(make_crowd: MakeCrowd) -> None:
    crowd = make_crowd(1)
    (resized,) = crowd.built(1, "n1")
    with crowd.world.db.write() as connection:
        for name in ("n2", "n3"):
            hosts.change(connection, name, {"disabled": True})
    inside = crowd.world.ask(
        lambda: cold_migration.resize(crowd.world.db, CALLER, resized, flavor=LARGE, same_host=True)
    )
    crowd.world.run(lambda: crowd.row(inside).phase == "stop")
    assert crowd.row(inside).destination == "n1"
    _, build = crowd.build("n1")
    assert crowd.row(build).phase == "disks"
    crowd.world.run(lambda: crowd.row(inside).phase == "verify")
    crowd.world.ask(lambda: cold_migration.confirm(crowd.world.db, CALLER, resized))
    crowd.world.run()
    assert crowd.ends(inside, build) == ["confirmed", "completed"]
    assert broken(crowd.world) == []


def test_a_live_migration_that_waits_to_come_in_leaves_when_it_is_cancelled(make_crowd: MakeCrowd) -> None:
    crowd = make_crowd(inbound=1, outbound=2)
    busy, waits = crowd.built(2, "n1")
    crowd.world.simulation.behaviours[busy] = Behaviour(dirty_bytes_per_s=1000 * MIB)  # it never arrives
    first, second = crowd.migrate(busy, "n2"), crowd.migrate(waits, "n2")
    crowd.world.run(lambda: "into n2" in (crowd.row(second).wait_reason or ""))
    assert (crowd.row(second).status, crowd.row(second).destination) == ("queued", "n2")
    requests.cancel(crowd.world.db, CALLER, second)
    crowd.reconcile(second)
    crowd.world.run(lambda: not crowd.row(second).active)
    requests.cancel(crowd.world.db, CALLER, first)
    crowd.world.run()
    assert crowd.ends(first, second) == ["cancelled"] * 2
    assert crowd.world.simulation.running_on(waits) == ["n1"]
    assert broken(crowd.world) == []


def test_servers_beside_each_other_let_no_more_in(database_url: str, make_crowd: MakeCrowd) -> None:
    crowd = make_crowd(2)
    world = crowd.world
    other = WorldDatabase(database_url, lambda: world.time, world.faults)
    try:
        new: list[Callable[[], tuple[str, int]]] = [partial(crowd.build, None) for _ in range(10)]
        keys = [key for _, key in at_once(new)]
        servers = [Reconciler(db, world.settings, world.wake) for db in (world.db, other)]

        def step() -> bool:
            active = [row.id for row in crowd.rows() if row.active]
            if active:
                at_once([partial(server.reconcile, key) for server in servers for key in active[:6]])
            return world.at_rest()

        world.run(step)
        assert crowd.ends(*keys) == ["completed"] * 10
        assert max(crowd.most.values()) == 2
        assert broken(world) == []
    finally:
        other.close()


def test_one_that_was_overtaken_since_it_looked_is_not_let_in(make_crowd: MakeCrowd) -> None:
    crowd = make_crowd(1)
    (_, elder), (_, younger) = crowd.build("n1"), crowd.build("n1")
    with crowd.world.db.write() as connection:
        connection.execute(update(operations).where(operations.c.id == elder).values(phase="commit"))
    with crowd.world.db.read() as connection:
        seen = loader.snapshot(connection, younger, crowd.world.settings)
    assert seen.inbound.ahead == 0
    with crowd.world.db.write() as connection:
        connection.execute(update(operations).where(operations.c.id == elder).values(phase="start"))
    with pytest.raises(ConcurrentUpdate), crowd.world.db.write() as connection:
        apply(connection, seen, Plan(phase="disks", effect=Effect.CLAIM_DESTINATION, destination="n1"))
    assert crowd.row(younger).phase == "claim"


@pytest.mark.parametrize("seed", range(6))
def test_whatever_is_killed_or_lost_none_is_forgotten(make_crowd: MakeCrowd, seed: int) -> None:
    crowd = make_crowd(2, seed=seed, rate=0.03)
    begun = [crowd.build(host)[1] for host in ("n1", "n1", "n1", None, None, None, "n2", "n2")]
    crowd.world.faults.armed = True
    crowd.world.settle()
    assert crowd.ends(*begun) == ["completed"] * 8
    assert max(crowd.most.values()) == 2
    assert broken(crowd.world) == []
