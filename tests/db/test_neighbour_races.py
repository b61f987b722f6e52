"""Two members of a server group are placed at once: each has chosen before the other has claimed. On both databases the
transaction that claims asks again, so the group is never broken."""

from functools import partial

import pytest
from sqlalchemy import select

from migrator.db import aggregates, neighbours, server_groups, server_heartbeat
from migrator.db import tables as t
from migrator.db.engine import Database
from migrator.operations import OPERATIONS, Effect, Kind
from migrator.scheduler.placement import answers
from migrator.scheduler.reconciler import Reconciler
from migrator.scheduler.requests import build, requests
from migrator.scheduler.state import loader
from migrator.scheduler.state import neighbours as state
from migrator.settings import ServerSettings
from tests import registering
from tests.bench import databases
from tests.db.test_races import CALLER, after

HOSTS = ("one", "two", "three")


SETTINGS = ServerSettings(max_concurrent_live_migrations=0)


def reconciler(db: Database) -> Reconciler:
    return Reconciler(db, SETTINGS, lambda _names: None)


def group(db: Database, policy: str, **rules: int) -> str:
    for name in HOSTS:
        registering.register(db, name, 1, databases.report())
    values = {"name": "g", "policy": policy, "rules": rules, "project_id": "admin", "user_id": "admin"}
    with db.write() as connection:
        return str(server_groups.create(connection, values).uuid)


def builds(db: Database, group: str | None = None) -> list[int]:
    """Two builds that have been asked for, and not placed."""
    new = build.NewInstance("a", {**databases.FLAVOR}, None, hints=build.Hints(group=group))
    return [build.create_instance(db, CALLER, new)[1] for _ in "ab"]


def destinations(db: Database, *keys: int) -> list[str | None]:
    with db.read() as connection:
        found = {row.id: row.destination for row in connection.execute(select(t.operations))}
    return [found[key] for key in keys]


def race(db: Database, monkeypatch: pytest.MonkeyPatch, first: int, second: int) -> list[str | None]:
    """The second is placed between the first's choice and its claim."""
    with after(monkeypatch, answers, "place", partial(reconciler(db).reconcile, second)):
        reconciler(db).reconcile(first)
    return destinations(db, first, second)


def test_two_builds_of_an_anti_affinity_group_claim_two_hosts(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = race(db, monkeypatch, *builds(db, group=group(db, "anti-affinity")))
    assert first is not None
    assert second is not None
    assert first != second


def test_two_builds_of_an_affinity_group_claim_one_host(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second finds another host roomier than the first did."""
    keys = builds(db, group=group(db, "affinity"))

    def elsewhere() -> None:
        with db.write() as connection:
            connection.execute(t.hosts.update().where(t.hosts.c.name == "two").values(free_memory_mb=1_000_000.0))
        reconciler(db).reconcile(keys[1])

    with after(monkeypatch, answers, "place", elsewhere):
        reconciler(db).reconcile(keys[0])
    assert destinations(db, *keys) == ["two", "two"]


@pytest.mark.parametrize("kind", [Kind.LIVE_MIGRATION, Kind.MIGRATION])
def test_two_moves_of_an_anti_affinity_group_claim_two_hosts(
    db: Database, monkeypatch: pytest.MonkeyPatch, kind: Kind
) -> None:
    """Both stood on one host: it came so before the group's rule was obeyed. One of them may go, or both."""
    ident, keys = group(db, "anti-affinity"), []
    uuids = databases.add_instances(db, 2)
    with db.write() as connection:
        connection.execute(t.hosts.update().values(listed_at=server_heartbeat.clock_expression(connection)))
        values = {"host": "one", "vm_state": "active", "task_state": None, "server_group": ident}
        connection.execute(t.instances.update().values(values))
        for uuid in uuids:
            keys.append(requests.begin(connection, CALLER, kind, uuid, "one", params={}))
        claims = next(phase.name for phase in OPERATIONS[kind].phases if phase.do is Effect.CLAIM_DESTINATION)
        connection.execute(t.operations.update().values(phase=claims))
    first, second = race(db, monkeypatch, *keys)
    assert first is None or second is None or first != second
    assert {first, second} & {"two", "three"}


def test_two_builds_that_are_kept_apart_claim_two_hosts(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    group(db, "affinity")
    keys = builds(db)
    with db.write() as connection:
        first, second = (row.instance_uuid for row in connection.execute(select(t.operations)))
        neighbours.add(connection, first, neighbours.DIFFERENT_HOST, [second])
    one, other = race(db, monkeypatch, *keys)
    assert one is not None
    assert other is not None
    assert one != other


def test_a_host_that_leaves_the_zone_between_choice_and_claim_is_not_claimed(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    group(db, "affinity")
    with db.write() as connection:
        key = aggregates.create(connection, "az", {aggregates.ZONE: "az"}).id
        aggregates.add_host(connection, key, "two")
    new = build.NewInstance("a", {**databases.FLAVOR}, None, availability_zone="az")
    _, operation = build.create_instance(db, CALLER, new)

    def leaves() -> None:
        with db.write() as connection:
            aggregates.locked(connection, key, ["three"])
            aggregates.remove_host(connection, key, "two")
            aggregates.add_host(connection, key, "three")

    with after(monkeypatch, answers, "place", leaves):
        reconciler(db).reconcile(operation)
    assert destinations(db, operation) == ["three"]


def test_a_claim_that_is_left_to_be_cleaned_up_is_no_place_of_a_member(db: Database) -> None:
    """And while the instance moves, both of its hosts are."""
    ident = group(db, "anti-affinity")
    (key, other) = builds(db, group=ident)
    reconciler(db).reconcile(key)
    with db.read() as connection:
        mine = loader.snapshot(connection, key, ServerSettings()).operation
        asked = loader.snapshot(connection, other, ServerSettings()).operation.instance_uuid
        found = state.load(connection, asked).group
        assert found is not None
        assert found.members == {mine.instance_uuid: {mine.destination}}
    with db.write() as connection:
        connection.execute(t.instances.update().where(t.instances.c.uuid == mine.instance_uuid).values(host="x"))
    with db.read() as connection:
        assert state.load(connection, asked).group.hosts == {"x", mine.destination}  # type: ignore[union-attr]
    with db.write() as connection:
        connection.execute(t.operations.update().where(t.operations.c.id == key).values(locks_instance=False))
    with db.read() as connection:
        assert state.load(connection, asked).group.hosts == {"x"}  # type: ignore[union-attr]
