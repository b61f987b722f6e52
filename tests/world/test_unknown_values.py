"""Versions that differ, and rows that cannot be read: nothing else is silenced, and all is said."""

from typing import Any

import pytest
from sqlalchemy import select, update

from migrator.db.tables import alarms, operations
from migrator.protocol import Assignments, Ensure
from migrator.scheduler.requests import requests
from tests.world import moves
from tests.world.clients import built
from tests.world.conftest import MakeWorld
from tests.world.rules import broken
from tests.world.scenarios import SCENARIOS, config_drives
from tests.world.speech import OlderAgents, OlderServer, Speech
from tests.world.world import CALLER, World

UPGRADED_S = 40.0  # after the first word that was not understood


class UntilUpgraded(Speech):
    """From when the faults are armed: ``before`` for a while, and then both sides know the same words."""

    def __init__(self, world: World, before: Speech) -> None:
        self._world, self._before = world, before
        self._since: float | None = None
        self.waiting: set[str] = set()

    def _now(self) -> Speech:
        if not self._world.faults.armed:
            return Speech()
        if self._since is None:
            self._since = self._world.time
        self._look()
        return self._before if self._world.time < self._since + UPGRADED_S else Speech()

    def _look(self) -> None:
        with self._world.db.read() as connection:
            rows = connection.execute(select(operations.c.wait_reason).where(operations.c.wait_reason.is_not(None)))
            self.waiting |= {row.wait_reason for row in rows}

    def answer(self, said: Any) -> Any:
        return self._now().answer(said)

    def facts(self, said: Any) -> Any:
        return self._now().facts(said)


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("older", ["agents", "server"])
def test_every_kind_of_operation_waits_with_a_reason_until_both_sides_know_the_same_words(
    make_world: MakeWorld, scenario: str, older: str
) -> None:
    world = make_world()
    speech = UntilUpgraded(world, OlderAgents() if older == "agents" else OlderServer())
    world.speech = speech
    SCENARIOS[scenario](world)
    assert broken(world) == []
    named = "upgrade it" if older == "agents" else "cannot read the host's report"
    assert any(named in reason for reason in speech.waiting), speech.waiting


class CannotLend(OlderAgents):
    """Agents of the release before: one word of this server's is strange to them."""

    def answer(self, said: Assignments) -> Assignments:
        strange = [a for a in said.assignments if a.ensure is Ensure.LENT]
        known = tuple(a for a in said.assignments if a.ensure is not Ensure.LENT)
        told = super().answer(said.model_copy(update={"assignments": tuple(strange)}))
        return told.model_copy(update={"assignments": known, "digest": said.digest})


@pytest.mark.parametrize(("pool", "host"), [("local", "n1"), ("shared", "n2")])
def test_an_agent_that_cannot_lend_refuses_a_live_migration_that_needs_it(
    make_world: MakeWorld, pool: str, host: str
) -> None:
    world = make_world()
    uuid = built(world, pool)
    drives = config_drives(world, uuid)
    world.speech = CannotLend()
    world.ask(lambda: requests.live_migrate(world.db, CALLER, uuid, host="n2", block=None))
    world.settle()
    assert broken(world) == []
    assert world.simulation.running_on(uuid) == [host]
    assert config_drives(world, uuid) == drives
    if host == "n1":
        error = _row(world, uuid).error
        assert (error["code"], error["phase"]) == ("unknown_assignment", "lend")
        assert "upgrade it" in error["message"]


DAMAGE: dict[str, dict[str, Any]] = {
    "kind": {"kind": "teleportation"},
    "phase": {"phase": "beam"},
    "context": {"context": {"guest": {"memory_mb": "much"}, "power": "glowing"}},
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_an_operation_that_cannot_be_read_waits_with_a_reason_and_stops_no_other(
    make_world: MakeWorld, damage: str
) -> None:
    world = make_world()
    uuid, other = built(world, "shared"), world.build("shared")
    world.run()
    assert other is not None
    moves.migrate(world, uuid)
    world.run(lambda: _row(world, uuid).phase == "stop")
    whole = _row(world, uuid)
    _write(world, whole.id, **DAMAGE[damage])
    key = requests.stop(world.db, CALLER, other)
    world.server.reconciler.reconcile_each([whole.id, key])
    moves.pass_time(world, 60)
    assert not _row(world, other).active
    assert _row(world, uuid).wait_reason.startswith("this server cannot read the operation")
    assert _alarms(world, uuid) == [("operation-unreadable", None)]

    _write(world, whole.id, **{name: getattr(whole, name) for name in DAMAGE[damage]})
    assert moves.verified(world, uuid)
    assert _row(world, uuid).wait_reason is None
    assert [cleared is not None for _, cleared in _alarms(world, uuid)] == [True]


def _row(world: World, uuid: str) -> Any:
    query = select(operations).where(operations.c.instance_uuid == uuid).order_by(operations.c.id.desc()).limit(1)
    with world.db.read() as connection:
        return connection.execute(query).one()


def _write(world: World, key: int, **values: Any) -> None:
    with world.db.write() as connection:
        connection.execute(update(operations).where(operations.c.id == key).values(**values))


def _alarms(world: World, uuid: str) -> list[tuple[str, float | None]]:
    with world.db.read() as connection:
        rows = connection.execute(select(alarms).where(alarms.c.instance_uuid == uuid)).all()
    return [(row.kind, row.cleared_at) for row in rows]
