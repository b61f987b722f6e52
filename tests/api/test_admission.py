"""How agents share the server's threads: one agent's requests, however many, keep no other agent from its own."""

import asyncio
import contextlib
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from migrator.api.gate import refusal_pace
from migrator.api.process.admission import SHARES, Admission, Kind, Lane, Limits
from migrator.db import credentials
from migrator.errors import ServerBusy, TooManyRequests
from migrator.protocol import DomainEntry, DomainState, Poll, Survey
from migrator.scheduler import agents
from migrator.scheduler.state import entitlements, surveys
from tests.api.harness import Web
from tests.api.raw_requests import JSON, Asked, ask

POLL = Poll(incarnation=1, wait_s=0).model_dump_json().encode()
COPY = DomainEntry(uuid="11111111-1111-4111-8111-111111111111", state=DomainState.RUNNING)
NEWS = Poll(incarnation=1, wait_s=0, copies=(COPY,)).model_dump_json().encode()
SURVEY = Survey().model_dump_json().encode()


@pytest.fixture(autouse=True)
def refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusal_pace, "_HELD_S", 0.0)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Held:
    """Work that goes on until ``go`` is set; how many pieces of it were begun."""

    def __init__(self) -> None:
        self.go, self.begun = threading.Event(), 0

    def __call__(self, *_: Any, **_more: Any) -> None:
        self.begun += 1
        assert self.go.wait(60)


async def until(true: Callable[[], bool]) -> None:
    for _ in range(6000):
        if true():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come to that")


def head(web: Web, host: str) -> dict[str, str]:
    return JSON | {"Authorization": f"Bearer {credentials.issue(web.db, host)}"}


def test_an_agent_that_sends_very_many_surveys_holds_one_thread_and_the_others_are_served(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held()
    monkeypatch.setattr(surveys, "accept", held)
    bad, good = head(web, "compute1"), head(web, "compute2")

    async def main() -> tuple[list[int], list[int]]:
        path = "/agent/v1/hosts/compute1/survey"
        sent = [asyncio.create_task(ask(web, "PUT", path, bad, Asked([SURVEY]))) for _ in range(300)]
        await until(lambda: held.begun == 1 and sum(each.done() for each in sent) >= 290)
        poll = await ask(web, "POST", "/agent/v1/hosts/compute2/poll", good, Asked([POLL]))
        facts = await ask(web, "POST", "/agent/v1/hosts/compute2/facts", good, Asked([b'{"facts": []}']))
        asked = await ask(web, "GET", "/agent/v1/hosts/compute2/questions", good)
        own = await ask(web, "POST", "/agent/v1/hosts/compute1/poll", bad, Asked([POLL]))
        assert held.begun == 1
        held.go.set()
        return [each.status for each in (poll, facts, asked, own)], [
            each.status for each in await asyncio.gather(*sent)
        ]

    others, own = asyncio.run(main())
    assert others == [200, 204, 200, 200]
    assert Counter(own) == {204: 2, 429: 298}


def test_polls_have_threads_that_all_surveys_and_facts_together_cannot_take(web: Web) -> None:
    held, admission = Held(), web.services.admission
    heads = head(web, "compute1")

    async def main() -> int:
        others = [kind for kind in Kind if kind != Kind.POLL]
        busy = [asyncio.create_task(admission.run(f"n{n}", kind, held)) for n in range(30) for kind in others]
        await until(lambda: sum(lane.waiting for lane in admission.lanes.values()) > 100)
        poll = await ask(web, "POST", "/agent/v1/hosts/compute1/poll", heads, Asked([POLL]))
        held.go.set()
        await asyncio.gather(*busy)
        return poll.status

    assert asyncio.run(main()) == 200


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.POLL])
def test_a_poll_waits_for_no_request_of_another_kind(kind: Kind) -> None:
    async def main() -> bool:
        admission, ended = Admission(), threading.Event()
        others = [asyncio.create_task(admission.run(f"h{number}", kind, ended.wait)) for number in range(10)]
        try:
            await asyncio.wait_for(admission.run("other", Kind.POLL, lambda: None), 20)
        finally:
            ended.set()
        return all(await asyncio.gather(*others))

    assert asyncio.run(main())


@pytest.mark.parametrize("kind", list(Kind))
def test_of_one_host_one_request_of_a_kind_is_worked_on_at_a_time(kind: Kind) -> None:
    at_once, most = Counter[str](), Counter[str]()

    def work() -> None:
        at_once[kind] += 1
        most[kind] = max(most[kind], at_once[kind])
        together.wait(0.05)
        at_once[kind] -= 1

    async def main() -> None:
        admission = Admission()
        await asyncio.gather(*(admission.run("h1", kind, work) for _ in range(4)))

    together = threading.Event()  # nothing sets it: a second one would have the time to begin
    asyncio.run(main())
    assert most[kind] == 1


def test_a_heartbeat_of_one_host_waits_for_no_other_hosts(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    held, real = Held(), agents.heartbeat

    def heartbeat(db: Any, host: str, *rest: Any, **more: Any) -> None:
        if host == "compute1":
            held()
        real(db, host, *rest, **more)

    monkeypatch.setattr(agents, "heartbeat", heartbeat)
    bad, good = head(web, "compute1"), head(web, "compute2")

    async def main() -> tuple[int, list[int]]:
        path = "/agent/v1/hosts/compute1/poll"
        sent = [asyncio.create_task(ask(web, "POST", path, bad, Asked([NEWS]))) for _ in range(100)]
        await until(lambda: held.begun == 1 and sum(each.done() for each in sent) >= 96)
        other = await ask(web, "POST", "/agent/v1/hosts/compute2/poll", good, Asked([POLL]))
        held.go.set()
        return other.status, [each.status for each in await asyncio.gather(*sent)]

    other, own = asyncio.run(main())
    assert other == 200
    assert Counter(own) == {200: 4, 429: 96}


def test_images_are_looked_up_in_the_agents_threads_and_of_one_host_few_at_once(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held()
    monkeypatch.setattr(entitlements, "image", held)
    bad = head(web, "compute1")

    async def main() -> Counter[int]:
        path = "/agent/v1/images/11111111-1111-4111-8111-111111111111/file"
        sent = [asyncio.create_task(ask(web, "GET", path, bad)) for _ in range(100)]
        await until(lambda: held.begun == 1 and sum(each.done() for each in sent) >= 92)
        for each in sent:
            each.cancel()
        held.go.set()
        return Counter(each.result().status for each in sent if each.done() and not each.cancelled())

    assert asyncio.run(main()) == {429: 92}


def test_a_host_rests_for_as_long_as_its_last_request_used_a_processor_several_times() -> None:
    """Not for as long as it took: time spent in wait for the database is free."""
    slept: list[float] = []

    async def main() -> None:
        admission = Admission()

        async def sleep(seconds: float) -> None:
            slept.append(seconds)

        asyncio_sleep, asyncio.sleep = asyncio.sleep, sleep  # type: ignore[assignment]
        try:
            await admission.run("n1", Kind.SURVEY, lambda: sum(range(3_000_000)))
            await admission.run("n1", Kind.SURVEY, threading.Event().is_set)
            await admission.run("n2", Kind.SURVEY, threading.Event().is_set)
        finally:
            asyncio.sleep = asyncio_sleep

    asyncio.run(main())
    first, second, other = slept
    assert first == other == 0.0
    assert second > 0.0


def test_nobody_is_let_in_while_somebody_waits_for_long() -> None:
    """On a slow machine a queue of 200 was longer than agents wait: each was answered when it had gone, and came
    again."""

    async def main() -> None:
        clock, held = Clock(), Held()
        admission = Admission({"polls": Limits(1, 200, 1.0), "facts": Limits(1, 200, 1.0)}, clock)
        work = [asyncio.create_task(admission.run(f"n{n}", Kind.POLL, held)) for n in range(2)]
        await until(lambda: admission.lanes["polls"].waiting == 1 and held.begun == 1)
        with admission.entered("n3", Kind.POLL):
            clock.now += 1.0
        with pytest.raises(ServerBusy), admission.entered("n3", Kind.POLL):
            pass
        with admission.entered("n3", Kind.FACTS):
            held.go.set()
        await asyncio.gather(*work)
        with admission.entered("n3", Kind.POLL):
            pass

    asyncio.run(main())


@pytest.mark.parametrize("kind", list(Kind))
def test_a_host_has_so_many_requests_of_a_kind_at_once_and_one_more_when_one_has_ended(kind: Kind) -> None:
    admission = Admission()
    inside = [admission.entered("n1", kind) for _ in range(SHARES[kind].at_once)]
    for each in inside:
        each.__enter__()
    with pytest.raises(TooManyRequests, match=f"n1: .* \\({kind}\\)"), admission.entered("n1", kind):
        pass
    with admission.entered("n2", kind):
        inside.pop().__exit__(None, None, None)
    with admission.entered("n1", kind):
        pass


@pytest.mark.parametrize(
    ("waiting", "begun_each_s", "soonest", "latest"),
    [(3, 0.1, 2.0, 8.0), (120, 0.1, 6.0, 12.0), (1000, 0.1, 7.5, 15.0), (10, 1.0, 5.0, 10.0), (500, None, 2.0, 8.0)],
    ids=["few", "many", "very many", "slowly", "nobody knows how fast"],
)
def test_who_is_sent_away_comes_again_when_those_who_wait_are_through(
    waiting: int, begun_each_s: float | None, soonest: float, latest: float
) -> None:
    """After 2 to 8 s, most were sent away again, and again: each time for nothing, at both sides."""
    clock = Clock()
    lane = Lane(Limits(1, 2000), clock)
    with contextlib.ExitStack() as kept:
        for _ in range(10 if begun_each_s is not None else 0):
            kept.enter_context(lane.queued())()
            clock.now += begun_each_s or 0.0
        for _ in range(waiting):
            kept.enter_context(lane.queued())
        drawn = [lane.retry_after_s() for _ in range(300)]
    assert soonest <= min(drawn) < soonest + 1.0
    assert latest - 1.0 < max(drawn) <= latest
