"""Guests that stop by a failure are started again where they are, by their policy; others stay as they are."""

from typing import Any

import pytest
from sqlalchemy import select

from migrator.alarms import AlarmKind
from migrator.compute.simulated.disks import SimulatedDisks
from migrator.db import alarms, instances
from migrator.db.tables import events, operations
from migrator.errors import DriverError
from migrator.protocol import DomainState
from migrator.scheduler.fleet import guest_restarts
from migrator.scheduler.requests import requests
from tests.world.clients import built
from tests.world.conftest import MakeWorld
from tests.world.rules import broken
from tests.world.world import CALLER, World

LISTED_S = 25.0  # by then the agent has told of its guests, and an answer was given


class Failing:
    """A world with a guest on n1."""

    def __init__(self, world: World, **more: Any) -> None:
        self.world = world
        settings = {"ha_policy": "restart", "ha_backoff": 60.0, "ha_attempts": 2} | more
        world.settings = world.settings.model_copy(update=settings)
        world.restart_server()
        self.uuid = built(world, "local")
        self.pass_time()

    def fail(self, reason: str = "failed") -> None:
        world = self.world
        world.simulation.set_state("n1", self.uuid, DomainState.SHUT_OFF, reason, world.time)
        self.pass_time()

    def pass_time(self, seconds: float = LISTED_S) -> None:
        until = self.world.time + seconds
        while self.world.time < until:
            self.world.tick()
            self.world.guarded(lambda: guest_restarts.check(self.world.db, self.world.settings))

    @property
    def runs(self) -> bool:
        return self.world.simulation.running_on(self.uuid) == ["n1"]

    def starts(self) -> list[str]:
        with self.world.db.read() as connection:
            return list(connection.execute(select(operations.c.user_id).where(operations.c.kind == "start")).scalars())

    def alarmed(self) -> bool:
        with self.world.db.read() as connection:
            return bool(alarms.listed(connection, kinds=[AlarmKind.GUEST_FAILS]))


@pytest.mark.parametrize("policy", ["restart", "evacuate"])
def test_a_guest_that_fails_is_started_with_pauses_and_not_for_ever(make_world: MakeWorld, policy: str) -> None:
    failing = Failing(make_world(), ha_policy=policy)
    failing.fail()
    assert (failing.runs, failing.starts()) == (True, ["ha_policy"])
    failing.fail("crashed")
    assert not failing.runs, "the second start comes after a pause"
    failing.pass_time(60)
    assert (failing.runs, len(failing.starts()), failing.alarmed()) == (True, 2, False)
    failing.fail()
    failing.pass_time(600)
    assert (failing.runs, len(failing.starts()), failing.alarmed()) == (False, 2, True)
    failing.world.ask(lambda: requests.start(failing.world.db, CALLER, failing.uuid))
    failing.pass_time()
    assert (failing.runs, failing.alarmed()) == (True, False)
    failing.fail()
    assert failing.runs, "a person has looked, and it is counted anew"
    assert broken(failing.world) == []


def test_a_start_that_fails_is_tried_again_and_is_an_alarm_in_the_end(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = Failing(make_world())

    def no_memory(*_: Any) -> None:
        raise DriverError("cannot allocate memory")

    with monkeypatch.context() as patch:
        patch.setattr(SimulatedDisks, "_attach", no_memory)
        failing.fail()
        assert (failing.runs, len(failing.starts()), failing.alarmed()) == (False, 1, False)
    failing.pass_time(60)
    assert (failing.runs, len(failing.starts()), failing.alarmed()) == (True, 2, False)
    monkeypatch.setattr(SimulatedDisks, "_attach", no_memory)
    failing.fail()
    failing.pass_time(300)
    assert (failing.runs, failing.alarmed()) == (False, True)


def test_a_clock_that_is_set_back_delays_no_start(make_world: MakeWorld) -> None:
    failing = Failing(make_world())
    failing.fail()
    failing.fail()
    failing.world.clock_error_s -= 86400.0
    failing.pass_time(60)
    assert (failing.runs, len(failing.starts())) == (True, 2)


def test_a_guest_that_shuts_itself_down_stays_off(make_world: MakeWorld) -> None:
    failing = Failing(make_world())
    failing.fail("shutdown")
    assert (failing.runs, failing.starts()) == (False, [])


@pytest.mark.parametrize("word", ["off", "on"])
def test_a_guest_whose_policy_does_not_say_so_stays_off(make_world: MakeWorld, word: str) -> None:
    failing = Failing(make_world())
    with failing.world.db.write() as connection:
        instances.change(connection, failing.uuid, {"metadata": {"migrator:ha": word}})
    failing.fail()
    assert (failing.runs, failing.starts(), failing.alarmed()) == (False, [], False)


def test_two_looks_start_it_once(make_world: MakeWorld) -> None:
    failing = Failing(make_world())
    world = failing.world
    world.simulation.set_state("n1", failing.uuid, DomainState.SHUT_OFF, "failed", world.time)
    while not (begun := guest_restarts.check(world.db, world.settings)):
        world.tick()
    assert (len(begun), guest_restarts.check(world.db, world.settings)) == (1, [])
    failing.pass_time()
    assert failing.runs
    with world.db.read() as connection:
        lines = connection.execute(select(events.c.message).where(events.c.name == "power")).scalars().all()
    assert "the guest failed, and is started again (attempt 1 of 2)" in lines
