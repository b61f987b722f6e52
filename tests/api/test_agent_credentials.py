"""Who has no credential that is known takes nothing from agents: no thread of theirs, and few looks at the database."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import event

from migrator.api.gate import refusal_pace
from migrator.api.gate.refusal_pace import BURST, RefusalPace
from migrator.api.process import credential_lookup
from migrator.api.process.credential_lookup import CredentialLookup
from migrator.db import credentials
from migrator.db.engine import Database
from migrator.errors import DatabaseUnavailable
from tests.api.harness import Web
from tests.api.raw_requests import ask

QUESTIONS = "/agent/v1/hosts/compute1/questions"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def looks(web: Web) -> Iterator[list[str]]:
    """Statements about credentials that the server sent to its database."""
    found: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "agent_credentials" in statement:
            found.append(statement)

    event.listen(web.services.db.engine, "before_cursor_execute", note)
    yield found
    event.remove(web.services.db.engine, "before_cursor_execute", note)


def test_strangers_together_cost_few_looks_at_the_database(web: Web, looks: list[str]) -> None:
    token = credentials.issue(web.db, "compute1")

    async def main() -> list[int]:
        assert (await ask(web, "GET", QUESTIONS, bearer(token))).status == 200
        strangers = [
            ask(web, "GET", QUESTIONS, bearer(f"made-up-{n}"), address=f"192.0.2.{n % 250}") for n in range(500)
        ]
        answers = await asyncio.gather(*strangers, *(ask(web, "GET", QUESTIONS, bearer(token)) for _ in range(2)))
        return [answer.status for answer in answers]

    assert Counter(asyncio.run(main())) == {401: 500, 200: 2}
    assert len(looks) <= 5


def test_a_stranger_needs_no_thread_of_the_agents(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    async def none(*_: Any, **_more: Any) -> Any:
        raise AssertionError("a stranger's request is among the agents' work")

    monkeypatch.setattr(type(web.services.admission), "run", none)
    assert asyncio.run(ask(web, "GET", QUESTIONS, bearer("made-up"))).status == 401


def test_too_many_strangers_of_one_address_are_sent_away_and_agents_beside_them_are_served(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusal_pace, "_HELD_S", 0.0)
    monkeypatch.setattr(refusal_pace, "_PER_S", 0.0)
    monkeypatch.setattr(credential_lookup, "_REST_S", 0.0)
    monkeypatch.setattr(credential_lookup, "_REST", 0.0)
    token = credentials.issue(web.db, "compute1")

    async def main() -> tuple[list[Any], Any, Any]:
        heads = [{}, bearer("made-up"), {"Authorization": "Basic eA=="}]
        strangers = [await ask(web, "POST", QUESTIONS, heads[n % 3]) for n in range(BURST + 20)]
        beside = await ask(web, "GET", QUESTIONS, bearer(token))
        elsewhere = await ask(web, "GET", QUESTIONS, bearer("made-up"), address="192.0.2.2")
        return strangers, beside, elsewhere

    strangers, beside, elsewhere = asyncio.run(main())
    assert Counter(each.status for each in strangers) == {401: BURST, 429: 20}
    assert b"too_many_requests" in strangers[-1].body
    assert "retry-after" in strangers[-1].headers
    assert (beside.status, elsewhere.status) == (200, 401)


def test_a_stranger_too_many_waits_for_its_answer_in_a_bounded_crowd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusal_pace, "_HELD_S", 3600.0)
    monkeypatch.setattr(refusal_pace, "_HELD_MOST", 3)

    async def main() -> None:
        clock = Clock()
        pace = RefusalPace(clock)
        for _ in range(BURST):
            await pace.too_many("2001:db8::1")
        waiting = [asyncio.create_task(pace.too_many(f"2001:db8::{n + 2}")) for n in range(3)]
        while pace.held < 3:
            await asyncio.sleep(0)
        assert await pace.too_many("2001:db8::9")
        assert not await pace.too_many("2001:db8:1::1")
        for each in waiting:
            each.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert pace.held == 0
        clock.now += 60
        assert not await pace.too_many("2001:db8::1")

    asyncio.run(main())


def test_addresses_that_are_remembered_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusal_pace, "_KNOWN", 10)

    async def main() -> int:
        pace = RefusalPace()
        for number in range(100):
            await pace.too_many(f"192.0.2.{number}")
        return len(pace._left)

    assert asyncio.run(main()) == 10


def test_another_process_replaces_and_removes_a_credential_and_it_is_refused_within_a_second(db: Database) -> None:
    clock, other = Clock(), Database(db.url)
    first = credentials.issue(other, "compute1")

    async def main() -> None:
        lookup = CredentialLookup(db, clock)
        assert await lookup.holder(first) == "compute1"
        second = credentials.issue(other, "compute1")
        clock.now += 0.9
        assert await lookup.holder(first) is None
        assert await lookup.holder(second) == "compute1"
        clock.now += 0.001
        third = credentials.issue(other, "compute2")
        assert await lookup.holder(third) == "compute2"  # at once: it is not known to be wrong
        assert await lookup.holder("made-up") is None

    asyncio.run(main())
    other.close()


def test_what_this_process_removed_is_refused_at_once_although_a_look_was_under_way(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, real = credentials.issue(db, "compute1"), credentials.holders
    lookup = CredentialLookup(db)

    def removed_meanwhile(connection: Any) -> Any:
        found = real(connection)
        monkeypatch.setattr(credentials, "holders", real)
        credentials.issue(db, "compute1")
        lookup.forget()
        return found

    monkeypatch.setattr(credentials, "holders", removed_meanwhile)

    async def main() -> list[str | None]:
        return [await lookup.holder(token), await lookup.holder(token)]

    assert asyncio.run(main())[1] is None


def test_a_database_that_is_away_is_asked_once_for_all_who_wait(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def away(_connection: Any) -> Any:
        asked.append(1)
        raise DatabaseUnavailable("away")

    monkeypatch.setattr(credentials, "holders", away)

    async def main() -> list[Any]:
        lookup = CredentialLookup(db)
        return list(await asyncio.gather(*(lookup.holder(f"t{n}") for n in range(50)), return_exceptions=True))

    assert {type(each) for each in asyncio.run(main())} == {DatabaseUnavailable}
    assert len(asked) == 1
