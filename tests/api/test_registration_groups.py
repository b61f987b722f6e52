"""Registrations of many agents are taken together, and none of them suffers from another one."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from migrator.api.process import loop_turns, request_groups
from migrator.db import credentials
from migrator.db.tables import hosts
from migrator.errors import DatabaseUnavailable
from migrator.protocol import HostReport, Registration
from migrator.scheduler.hosts import registration
from tests.api.harness import Web
from tests.api.raw_requests import JSON, Asked, ask
from tests.db.test_agents_cost import noted

REPORT = HostReport(vcpus=8, memory_mb=16384, address="10.0.0.1", live_migration_uri="qemu+tcp://10.0.0.1/system")
TOLD = Registration(incarnation=1, report=REPORT).model_dump_json().encode()
HOSTS = [f"new{number}" for number in range(40)]


@pytest.fixture
def heads(web: Web) -> dict[str, dict[str, str]]:
    """Of many agents, none of which has registered yet."""
    return {host: JSON | {"Authorization": f"Bearer {credentials.issue(web.db, host)}"} for host in HOSTS}


async def registering(web: Web, heads: dict[str, dict[str, str]], **other: bytes) -> dict[str, Asked]:
    """The answers to the registrations of all these hosts at once. ``other``: host -> its message."""
    answers = await asyncio.gather(
        *(
            ask(web, "PUT", f"/agent/v1/hosts/{host}", head, Asked([other.get(host, TOLD)]))
            for host, head in heads.items()
        )
    )
    return dict(zip(heads, answers, strict=True))


def registered(web: Web, heads: dict[str, dict[str, str]], **other: bytes) -> dict[str, Asked]:
    return asyncio.run(registering(web, heads, **other))


def there(web: Web) -> set[str]:
    with web.db.read() as connection:
        return {row.name for row in connection.execute(hosts.select().where(hosts.c.name.in_(HOSTS)))}


def test_agents_that_start_together_are_registered_together(web: Web, heads: Any) -> None:
    with noted(web.services.db) as found:
        answers = registered(web, heads)
    assert {answer.status for answer in answers.values()} == {204}
    assert there(web) == set(HOSTS)
    assert 0 < found.commits < len(HOSTS) / 4  # two or three, unless the machine is busy


def test_a_registration_that_cannot_be_read_is_refused_and_the_others_are_registered(web: Web, heads: Any) -> None:
    answers = registered(web, heads, new3=b'{"incarnation": "x"}', new5=b"{")
    assert Counter(answer.status for answer in answers.values()) == {204: len(HOSTS) - 2, 400: 2}
    assert "incarnation" in answers["new3"].body.decode()
    assert there(web) == set(HOSTS) - {"new3", "new5"}


def test_each_agent_hears_why_its_own_host_is_refused(web: Web, heads: Any) -> None:
    older = Registration(incarnation=0, report=REPORT).model_dump_json().encode()
    machine = "11111111-1111-4111-8111-111111111111"
    bound = Registration(incarnation=1, machine=machine, report=REPORT).model_dump_json().encode()

    async def main() -> list[dict[str, Asked]]:
        return [await registering(web, heads, **other) for other in ({}, {"new5": bound}, {"new3": older})]

    *first, answers = asyncio.run(main())
    assert {answer.status for each in first for answer in each.values()} == {204}
    assert Counter(answer.status for answer in answers.values()) == {204: len(HOSTS) - 2, 409: 2}
    assert "incarnation_superseded" in answers["new3"].body.decode()
    assert "name_taken" in answers["new5"].body.decode()


def test_a_large_registration_keeps_no_group_waiting(web: Web, heads: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_groups, "GROUPED_BYTES", len(TOLD))
    groups: list[set[str]] = []
    real = registration.take

    def take(db: Any, told: Any, *rest: Any, **more: Any) -> Any:
        groups.append(set(told))
        return real(db, told, *rest, **more)

    monkeypatch.setattr(registration, "take", take)
    assert {answer.status for answer in registered(web, heads, new3=TOLD + b" ").values()} == {204}
    assert {"new3"} in groups
    assert there(web) == set(HOSTS)


def test_a_large_registration_hears_why_it_is_refused(web: Web, heads: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_groups, "GROUPED_BYTES", len(TOLD))
    answers = registered(web, heads, new3=b'{"incarnation": "x"}' + b" " * len(TOLD))
    assert answers["new3"].status == 400


def test_a_database_that_is_away_is_told_to_all(web: Web, heads: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any, **__: Any) -> Any:
        raise DatabaseUnavailable("the database cannot be used now")

    monkeypatch.setattr(registration, "take", fails)
    assert {answer.status for answer in registered(web, heads).values()} == {503}


def test_a_client_does_not_wait_until_all_agents_that_came_before_it_have_begun(
    web: Web, heads: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []
    entered = web.services.admission.entered

    def noted_entered(host: str, kind: Any) -> Any:
        begun.append(host)
        return entered(host, kind)

    monkeypatch.setattr(web.services.admission, "entered", noted_entered)

    async def main() -> tuple[Asked, int]:
        path = "/agent/v1/hosts"
        agents = [
            asyncio.create_task(ask(web, "PUT", f"{path}/{host}", head, Asked([TOLD]))) for host, head in heads.items()
        ]
        client = asyncio.create_task(ask(web, "GET", "/v2.1/servers", {"Host": "stranger"}))  # refused without a thread
        answer, before = await client, len(begun)
        assert {each.status for each in await asyncio.gather(*agents)} == {204}
        return answer, before

    answer, before = asyncio.run(main())
    assert (answer.status, len(begun)) == (400, len(HOSTS))
    assert before <= loop_turns.MOST
