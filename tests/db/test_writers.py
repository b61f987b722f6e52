"""Many threads that write at once, through one ``Database``; on both databases."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from migrator.db import hosts
from migrator.db.engine import Database
from migrator.errors import HostNotFound
from tests import registering
from tests.bench import databases


class Overdue:
    """A lock that no writer gets in time."""

    def acquire(self, timeout: float) -> bool:
        assert timeout > 0
        return False

    def release(self) -> None:
        raise AssertionError("given back by who never had it")


def test_every_writer_has_its_turn_and_a_failure_gives_it_back(db: Database) -> None:
    registering.register(db, "one", 1, databases.report())

    def write(number: int) -> None:
        with db.write() as connection:
            row = hosts.get(connection, "one") if hosts.lock(connection, ["one"]) else None
            assert row is not None
            hosts.change(connection, "one", {"disabled_reason": str(int(row.disabled_reason or 0) + 1)})
            if number % 10 == 9:
                hosts.seen(connection, "nowhere")  # takes its addition back

    with ThreadPoolExecutor(8) as pool:
        outcomes = [pool.submit(write, number) for number in range(100)]
    failed = [outcome for outcome in outcomes if isinstance(outcome.exception(), HostNotFound)]
    assert len(failed) == 10
    with db.read() as connection:
        assert hosts.get(connection, "one").disabled_reason == "90"


def test_a_writer_that_waited_in_vain_is_still_one_at_a_time(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(db, "_writing", Overdue())
    registering.register(db, "one", 1, databases.report())

    def write(_: int) -> None:
        with db.write() as connection:
            hosts.lock(connection, ["one"])
            row = hosts.get(connection, "one")
            hosts.change(connection, "one", {"disabled_reason": str(int(row.disabled_reason or 0) + 1)})

    with ThreadPoolExecutor(4) as pool:
        for outcome in [pool.submit(write, number) for number in range(40)]:
            outcome.result()
    with db.read() as connection:
        assert hosts.get(connection, "one").disabled_reason == "40"
