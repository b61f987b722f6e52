"""Transactions never lock the same rows in opposite orders: PostgreSQL would end one of them with an error."""

import contextlib
import threading
from collections.abc import Callable
from typing import Any

import pytest

from migrator.db import claims, hosts, operations
from migrator.db import tables as t
from migrator.db.engine import Connection, Database
from migrator.errors import ConcurrentUpdate
from migrator.operations import Kind
from migrator.protocol import DomainEntry, DomainState, Fact, Facts, JobFact, Poll
from migrator.scheduler import agents
from migrator.scheduler.decision.snapshot import Plan
from migrator.scheduler.reconciler import apply
from migrator.scheduler.requests import requests
from migrator.scheduler.state import loader
from migrator.settings import ServerSettings
from tests import registering
from tests.bench import databases

CALLER = requests.Caller("admin", "admin", "req-test")
ROUNDS = 40
MEASURED = JobFact(active=False, elapsed_ms=5, downtime_ms=1)
Act = Callable[[], None]


def moving(db: Database, count: int) -> list[Any]:
    """Live migrations under way from "one" to "two", with their claims: rows of ``operations``."""
    for name in ("one", "two"):
        registering.register(db, name, 1, databases.report())
    uuids = databases.add_instances(db, count)
    found = []
    with db.write() as connection:
        connection.execute(t.instances.update().values(host="one", vm_state="active", task_state=None))
        for uuid in uuids:
            key = requests.begin(connection, CALLER, Kind.LIVE_MIGRATION, uuid, "one", params={"block": None})
            connection.execute(t.operations.update().values(destination="two", phase="transfer", outcome={"a": 1}))
            assert claims.take(connection, "two", uuid, key, 1, 1, 1)
            found.append(key)
        return [operations.get(connection, key) for key in found]


def together(acts: dict[str, Act]) -> list[str]:
    """Each in a thread of its own, again and again, all at once; what failed."""
    failed: list[str] = []
    start = threading.Barrier(len(acts))

    def run(name: str, act: Act) -> None:
        for _ in range(ROUNDS):
            try:
                start.wait(20)
                act()
            except Exception as error:
                failed.append(f"{name}: {type(error).__name__}: {str(error)[:200]}")

    threads = [threading.Thread(target=run, args=item) for item in acts.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return failed


def reporting(db: Database, host: str, rows: list[Any]) -> Act:
    sequence = iter(range(1, 10**6))

    def act() -> None:
        facts = [
            Fact(operation_id=r.uuid, epoch=1, phase=r.phase, incarnation=1, sequence=next(sequence), job=MEASURED)
            for r in rows
        ]
        agents.accept_facts(db, host, Facts(facts=tuple(facts)))

    return act


def planning(db: Database, row: Any) -> Act:
    """A plan that gives the destination's claim back and takes it again, as the reconciler applies it."""

    def once(connection: Connection) -> None:
        snapshot = loader.snapshot(connection, row.id, ServerSettings())
        apply(connection, snapshot, Plan(wait_reason=f"round {snapshot.operation.generation}"))
        claims.release(connection, "two", row.instance_uuid)
        assert claims.take(connection, "two", row.instance_uuid, row.id, 1, 1, 1)

    def act() -> None:
        try:
            with db.write() as connection:
                once(connection)
        except ConcurrentUpdate:
            return

    return act


def polling(db: Database, host: str, rows: list[Any]) -> Act:
    copies = tuple(DomainEntry(uuid=row.instance_uuid, state=DomainState.RUNNING) for row in rows)
    return lambda: agents.heartbeat(db, host, Poll(incarnation=1, copies=copies), ServerSettings())


@pytest.mark.timeout(120)
def test_reports_of_both_ends_polls_and_plans_never_lock_each_other_out(db: Database) -> None:
    rows = moving(db, 3)
    assert (
        together(
            {
                "source's report": reporting(db, "one", rows),
                "destination's report": reporting(db, "two", rows[::-1]),
                "first plan": planning(db, rows[0]),
                "last plan": planning(db, rows[-1]),
                "source's poll": polling(db, "one", rows),
                "destination's poll": polling(db, "two", rows[::-1]),
            }
        )
        == []
    )


def test_a_heartbeat_is_written_last(db: Database) -> None:
    """While its transaction waits for others, no other transaction waits for it at the host's row."""
    moving(db, 1)
    with db.write() as connection:
        hosts.seen(connection, "one")
        if not db.is_sqlite:
            other = Database(db.url)
            with other.write() as second:
                assert hosts.lock(second, ["one"]) == ["one"]
            other.close()
        before = hosts.get(connection, "one").last_seen
    with db.read() as connection:
        assert hosts.get(connection, "one").last_seen > before


def test_what_was_put_off_is_forgotten_with_its_transaction(db: Database) -> None:
    moving(db, 1)
    with db.read() as connection:
        before = hosts.get(connection, "one").last_seen
    with contextlib.suppress(ZeroDivisionError), db.write() as connection:
        hosts.seen(connection, "one")
        raise ZeroDivisionError
    with db.write() as connection:
        hosts.lock(connection, ["one"])
    with db.read() as connection:
        assert hosts.get(connection, "one").last_seen == before
