"""Polls of many agents are taken together, and none of them suffers from another one."""

import asyncio
import json
from collections import Counter
from typing import Any

import pytest

from migrator.api.process import request_groups
from migrator.api.process.poll_groups import Taken
from migrator.db import credentials
from migrator.db.tables import hosts
from migrator.errors import DatabaseUnavailable
from migrator.protocol import PROTOCOL, DomainEntry, DomainState, Poll
from migrator.scheduler.agents import NOTHING
from migrator.scheduler.hosts import routine_polls
from tests.api import seed
from tests.api.harness import Web
from tests.api.raw_requests import JSON, Asked, ask
from tests.db.test_agents_cost import noted
from tests.waiting import wait_for

POLL = Poll(incarnation=1, wait_s=0, number=7).model_dump_json().encode()
HOSTS = [f"other{number}" for number in range(40)]


@pytest.fixture
def heads(web: Web) -> dict[str, dict[str, str]]:
    """Of many hosts' agents, that were heard long ago."""
    for host in HOSTS:
        seed.host(web.db, host, last_seen=1.0)
    return {host: JSON | {"Authorization": f"Bearer {credentials.issue(web.db, host)}"} for host in HOSTS}


def polled(web: Web, heads: dict[str, dict[str, str]], **other: bytes) -> dict[str, Asked]:
    """The answers to the polls of all these hosts at once. ``other``: host -> its message."""

    async def main() -> list[Asked]:
        return await asyncio.gather(
            *(
                ask(web, "POST", f"/agent/v1/hosts/{host}/poll", head, Asked([other.get(host, POLL)]))
                for host, head in heads.items()
            )
        )

    return dict(zip(heads, asyncio.run(main()), strict=True))


def heard(web: Web) -> int:
    with web.db.read() as connection:
        return sum(row.last_seen > 1.0 for row in connection.execute(hosts.select().where(hosts.c.name.in_(HOSTS))))


@pytest.fixture
def groups(web: Web, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many polls each group has. The first one is worked on until every other poll has arrived."""
    found: list[int] = []
    real = request_groups._timed

    def timed(work: Any, given: Any) -> Any:
        found.append(len(given))
        if len(found) == 1:
            wait_for(lambda: web.services.polls.waiting == len(HOSTS) - len(given), 10, "the other polls")
        return real(work, given)

    monkeypatch.setattr(request_groups, "_timed", timed)
    return found


def test_polls_that_arrive_while_others_are_worked_on_are_noted_together_and_answered_each(
    web: Web, heads: Any, groups: list[int]
) -> None:
    with noted(web.services.db) as found:
        answers = polled(web, heads)
    assert (len(groups), sum(groups)) == (2, len(HOSTS))
    assert found.commits == len(groups)
    assert heard(web) == len(HOSTS)
    bodies = [json.loads(answer.body) for answer in answers.values()]
    assert max(body.pop("survey_within_s") for body in bodies) > 0.0, "thousands would ask at once"
    expected = NOTHING.model_copy(update={"answers": 7, "protocol": PROTOCOL})
    nothing = expected.model_dump(mode="json", exclude={"survey_within_s"})
    assert bodies == [nothing] * len(HOSTS)


def test_of_a_small_cluster_an_agent_makes_its_first_survey_at_once(web: Web, heads: Any) -> None:
    answers = polled(web, dict(list(heads.items())[:10]))
    assert {json.loads(answer.body)["survey_within_s"] for answer in answers.values()} == {0.0}


def test_a_poll_that_cannot_be_read_is_refused_and_the_others_of_its_group_are_heard(web: Web, heads: Any) -> None:
    answers = polled(web, heads, other3=b'{"incarnation": "x"}', other5=b"{")
    assert Counter(answer.status for answer in answers.values()) == {200: len(HOSTS) - 2, 400: 2}
    assert "incarnation" in answers["other3"].body.decode()
    assert heard(web) == len(HOSTS) - 2


def test_a_poll_with_news_is_worked_on_by_itself(web: Web, heads: Any) -> None:
    held = DomainEntry(uuid=seed.instance(web.db, "a", host="other3"), state=DomainState.RUNNING)
    news = Poll(incarnation=1, wait_s=0, copies=(held,)).model_dump_json().encode()
    assert {answer.status for answer in polled(web, heads, other3=news).values()} == {200}
    assert heard(web) == len(HOSTS)


def test_a_large_poll_keeps_no_group_waiting(web: Web, heads: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_groups, "GROUPED_BYTES", len(POLL))
    grouped: set[str] = set()
    real = routine_polls.take

    def take(db: Any, polls: Any) -> Any:
        grouped.update(polls)
        return real(db, polls)

    monkeypatch.setattr(routine_polls, "take", take)
    assert {answer.status for answer in polled(web, heads, other3=POLL + b" ").values()} == {200}
    assert grouped == set(HOSTS) - {"other3"}
    assert heard(web) == len(HOSTS)


def test_polls_that_cannot_be_taken_together_are_heard_all_the_same(
    web: Web, heads: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> Any:
        raise RuntimeError("a defect")

    monkeypatch.setattr(routine_polls, "take", fails)
    assert {answer.status for answer in polled(web, heads).values()} == {200}
    assert heard(web) == len(HOSTS)


def test_a_database_that_is_away_is_told_to_all(web: Web, heads: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> Any:
        raise DatabaseUnavailable("the database cannot be used now")

    monkeypatch.setattr(routine_polls, "take", fails)
    assert {answer.status for answer in polled(web, heads).values()} == {503}


def test_a_hosts_polls_are_taken_one_after_the_other(web: Web, heads: Any) -> None:
    async def main() -> list[int]:
        path, head = "/agent/v1/hosts/other3/poll", heads["other3"]
        return [
            each.status
            for each in await asyncio.gather(*(ask(web, "POST", path, head, Asked([POLL])) for _ in range(4)))
        ]

    assert asyncio.run(main()) == [200] * 4


def test_a_group_that_cannot_be_worked_on_is_answered_and_its_hosts_are_heard_afterwards(
    web: Web, heads: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> tuple[list[Any], list[Any]]:
        async def all_at_once() -> list[Any]:
            polls = web.services.polls
            return await asyncio.gather(*(polls.take(host, POLL) for host in heads), return_exceptions=True)

        with monkeypatch.context() as broken:
            broken.setattr(request_groups, "_timed", no_memory)
            first = await all_at_once()
        return first, await all_at_once()

    failed, taken = asyncio.run(main())
    assert {type(answer) for answer in failed} == {MemoryError}
    assert {type(answer) for answer in taken} == {Taken}
    assert heard(web) == len(HOSTS)


def no_memory(*_: Any) -> Any:
    raise MemoryError
