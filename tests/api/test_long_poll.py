"""How often a long-poll works its host's assignments out: when an operation moved, and else only now and then."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from migrator.api.agent_v1 import long_poll
from migrator.api.process.admission import Admission
from migrator.api.process.poll_groups import Taken
from migrator.api.process.wakeups import HostNotifier
from migrator.db import credentials
from migrator.db.engine import Database
from migrator.protocol import Assignments, Poll
from migrator.settings import ServerSettings
from tests.api import seed
from tests.api.harness import Web

POLL = Taken(Poll(incarnation=1))


class Counted:
    """In place of ``agents`` and ``host_operations``: what was looked at, and versions that a test may move."""

    def __init__(self) -> None:
        self.heartbeats = self.whole = self.generation = 0

    def heartbeat(self, *_: Any, **_more: Any) -> None:
        self.heartbeats += 1

    def versions(self, *_: Any) -> tuple[tuple[int, int], ...]:
        return ((1, self.generation),)

    def assignments(self, *_: Any) -> Assignments:
        self.whole += 1
        return Assignments(digest=str(self.generation), assignments=())


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    found = Counted()
    monkeypatch.setattr(long_poll, "agents", found)
    monkeypatch.setattr(long_poll, "host_operations", found)
    return found


def looker(notifier: HostNotifier, event: asyncio.Event) -> long_poll.AssignmentPoller:
    services: Any = SimpleNamespace(db=None, settings=ServerSettings(), notifier=notifier, admission=Admission())
    return long_poll.AssignmentPoller(services, "one", event)


def test_nothing_is_worked_out_anew_while_no_operation_moves(counted: Counted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_poll, "_WHOLE_S", 3600.0)  # or a busy machine would have it looked at for its age

    async def main() -> None:
        event = asyncio.Event()
        mine = looker(HostNotifier(), event)
        first = await mine.first(POLL)
        deadline = asyncio.get_running_loop().time() + 60
        for _ in range(3):
            event.set()
            assert await mine.next(deadline) is first
        assert (counted.heartbeats, counted.whole) == (1, 1)
        counted.generation += 1
        event.set()
        assert (await mine.next(deadline)).digest == "1"
        assert counted.whole == 2

    asyncio.run(main())


def test_what_no_operation_shows_is_seen_all_the_same(counted: Counted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_poll, "_WHOLE_S", 0.0)

    async def main() -> None:
        event = asyncio.Event()
        mine = looker(HostNotifier(), event)
        await mine.first(POLL)
        event.set()
        await mine.next(asyncio.get_running_loop().time() + 60)
        assert counted.whole == 2

    asyncio.run(main())


def test_after_a_long_look_the_host_s_next_poll_rests_but_is_a_heartbeat_at_once(counted: Counted) -> None:
    async def main() -> None:
        clock = asyncio.get_running_loop().time
        notifier = HostNotifier()
        notifier.paces["one"].ended, notifier.paces["one"].took = clock(), 0.02
        began = clock()
        polling = asyncio.create_task(looker(notifier, asyncio.Event()).first(POLL))
        while not counted.heartbeats:
            await asyncio.sleep(0.005)
        assert counted.whole == 0
        await polling
        assert counted.whole == 1
        assert clock() - began >= 0.18

    asyncio.run(main())


def test_one_look_for_all_hosts_wakes_those_of_which_something_else_is_asked() -> None:
    marks: dict[str, int] = {"one": 1, "two": 1}

    async def main() -> None:
        notifier = HostNotifier()
        with (
            notifier.listening("one") as first,
            notifier.listening("two") as second,
            notifier.listening("three") as third,
        ):
            one, two, three = first.event, second.event, third.event
            watching = asyncio.create_task(notifier.watch(lambda: dict(marks)))
            await asyncio.wait_for(asyncio.gather(one.wait(), two.wait()), 10)  # known for the first time
            one.clear()
            two.clear()
            marks.update(two=2, three=1)
            await asyncio.wait_for(asyncio.gather(two.wait(), three.wait()), 10)
            two.clear()
            del marks["two"]
            await asyncio.wait_for(two.wait(), 10)
            assert not one.is_set()
            watching.cancel()

    asyncio.run(main())


def test_where_somebody_looks_for_all_a_host_of_which_nothing_is_asked_is_left_alone(
    counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counted, "versions", lambda *_: ())

    async def main() -> None:
        event, notifier = asyncio.Event(), HostNotifier()
        notifier.watched = True
        mine = looker(notifier, event)
        found = await mine.first(POLL)
        before = counted.whole
        assert await mine.next(asyncio.get_running_loop().time() + 1.5) is found
        assert counted.whole == before

    asyncio.run(main())


def test_a_hosts_second_poll_ends_its_first() -> None:
    async def run() -> None:
        notifier = HostNotifier()
        one, two = notifier.listening("one"), notifier.listening("two")
        with one as first, two as other, notifier.listening("one") as second:
            assert (first.ended, first.event.is_set()) == (True, True)
            assert (second.ended, other.ended) == (False, False)
            first.event.clear()
            notifier.bind(asyncio.get_running_loop())
            notifier.wake(["one"])
            await asyncio.wait_for(second.event.wait(), 5)
            assert not first.event.is_set()
        with notifier.listening("one") as third:
            assert not third.ended

    asyncio.run(run())


def test_a_poll_that_is_held_to_its_end_ends_before_its_host_counts_as_down(db: Database, tmp_path: Path) -> None:
    """An agent of which nothing is asked was silent for a whole poll: longer than this server waits for it."""
    web = Web(db, tmp_path, service_down_time=6.0)
    seed.host(db, "compute1")
    headers = {"Authorization": f"Bearer {credentials.issue(db, 'compute1')}", "Content-Type": "application/json"}
    seen = ""
    for wait_s in (0.0, 55.0):
        poll = Poll(incarnation=1, seen=seen, wait_s=wait_s).model_dump_json()
        answer = web("POST", "/agent/v1/hosts/compute1/poll", None, headers=headers, content=poll)
        seen = answer.json()["digest"]
    (service,) = web("GET", "/v2.1/os-services?host=compute1").json()["services"]
    assert service["state"] == "up"
    web.services.db.close()
