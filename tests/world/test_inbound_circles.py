"""What waits to come into a host never waits for itself: hosts that migrate into each other, evacuations, rollbacks."""

from functools import partial

from migrator.db import hosts
from migrator.scheduler.requests import cold_migration
from tests.world import evacuations
from tests.world.conftest import MakeCrowd
from tests.world.moves import LARGE, force_down, pass_time
from tests.world.rules import broken
from tests.world.world import CALLER


def test_hosts_that_migrate_into_each_other_with_one_place_each_do_not_deadlock(make_crowd: MakeCrowd) -> None:
    crowd = make_crowd(inbound=1, outbound=1)
    here, there = crowd.built(3, "n1"), crowd.built(3, "n2")
    keys = [
        crowd.migrate(uuid, host)
        for pair in zip(here, there, strict=True)
        for uuid, host in zip(pair, ("n2", "n1"), strict=True)
    ]
    keys += [crowd.build(host)[1] for host in ("n1", "n2", "n1", "n2")]
    crowd.world.run()
    assert crowd.ends(*keys) == ["completed"] * 10
    assert [crowd.world.simulation.running_on(uuid) for uuid in (*here, *there)] == [["n2"]] * 3 + [["n1"]] * 3
    assert crowd.most == {"n1": 1, "n2": 1}
    assert crowd.full == 2, "one each way at the same time"
    assert broken(crowd.world) == []


def test_a_circle_of_migrations_and_moves_does_not_deadlock(make_crowd: MakeCrowd) -> None:
    crowd = make_crowd(inbound=1, outbound=1)
    circle = {"n1": "n2", "n2": "n3", "n3": "n1"}
    live = {host: crowd.built(2, host) for host in circle}
    cold = {host: crowd.built(1, host)[0] for host in circle}
    keys = [crowd.migrate(uuid, circle[host]) for host, uuids in live.items() for uuid in uuids]
    for host, uuid in cold.items():
        crowd.world.ask(partial(cold_migration.migrate, crowd.world.db, CALLER, uuid, host=circle[host]))
    crowd.world.run(lambda: all(not row.active or row.phase == "verify" for row in crowd.rows()))
    assert crowd.ends(*keys) == ["completed"] * 6
    for uuid in cold.values():
        crowd.world.ask(partial(cold_migration.confirm, crowd.world.db, CALLER, uuid))
    crowd.world.run()
    assert crowd.most == {"n1": 1, "n2": 1, "n3": 1}
    assert broken(crowd.world) == []


def test_evacuations_queue_go_first_and_all_end(make_crowd: MakeCrowd) -> None:
    crowd = make_crowd(2)
    uuids = crowd.built(12, "n1")
    crowd.world.lose("n1")
    pass_time(crowd.world)
    force_down(crowd.world, "n1")
    builds = [crowd.build(host)[1] for host in ("n2", "n3") for _ in range(4)]
    keys = [crowd.world.ask(partial(evacuations.ask, crowd.world, uuid)) for uuid in uuids]
    assert sum(crowd.row(key).wait_reason is not None for key in builds) == 4
    assert all("queued: position" in crowd.row(key).wait_reason for key in keys)
    crowd.world.run(lambda: not any(row.locks_instance and row.active for row in crowd.rows()))
    crowd.world.bring_back("n1")
    crowd.world.settle()
    assert crowd.ends(*builds, *keys) == ["completed"] * 20
    assert {host: crowd.most[host] for host in ("n2", "n3")} == {"n2": 2, "n3": 2}
    let_in = crowd.claimed("n2"), crowd.claimed("n3")
    evacuated = [[uuid in uuids for uuid in line] for line in let_in]
    assert evacuated == [[False] * 2 + [True] * 6 + [False] * 2] * 2, "builds that had begun, evacuations, builds"
    assert broken(crowd.world) == []


def test_what_stays_or_goes_back_does_not_queue_and_what_waits_for_an_operator_is_in_nobodys_way(
    make_crowd: MakeCrowd,
) -> None:
    crowd = make_crowd(1)
    moved, resized = crowd.built(2, "n1")
    crowd.world.ask(lambda: cold_migration.migrate(crowd.world.db, CALLER, moved, host="n2"))
    crowd.world.run(lambda: crowd.rows()[-1].phase == "verify")
    _, late = crowd.build("n2")
    assert crowd.row(late).phase == "disks", "a move that waits to be confirmed holds no place"
    crowd.world.run(lambda: not crowd.row(late).active)
    with crowd.world.db.write() as connection:
        for name in ("n2", "n3"):
            hosts.change(connection, name, {"disabled": True})
    _, busy = crowd.build("n1")
    crowd.world.ask(lambda: cold_migration.resize(crowd.world.db, CALLER, resized, flavor=LARGE, same_host=True))
    crowd.world.ask(lambda: cold_migration.revert(crowd.world.db, CALLER, moved))
    inside = crowd.rows()[-1]
    crowd.world.run(lambda: crowd.row(inside.id).phase == "verify")
    assert not any(row.wait_reason and "queued" in row.wait_reason for row in crowd.rows())
    crowd.world.ask(lambda: cold_migration.confirm(crowd.world.db, CALLER, resized))
    crowd.world.run()
    assert crowd.ends(late, busy, inside.id) == ["completed", "completed", "confirmed"]
    assert crowd.world.simulation.running_on(moved) == ["n1"]
    assert broken(crowd.world) == []
