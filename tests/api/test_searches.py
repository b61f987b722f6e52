"""Lists by a regular expression: what one project asks for of them keeps nothing and no other project waiting."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from migrator.api.process.admission import SHARES, Kind
from migrator.db import instance_list
from migrator.scheduler.requests.requests import Caller
from tests.api import seed
from tests.api.harness import Web
from tests.api.raw_requests import Asked, ask
from tests.api.test_admission import Held, until

SEARCH = "/v2.1/servers?name=^web"
AT_ONCE = SHARES[Kind.SEARCH].at_once


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Held:
    """The search of project "admin" goes on until it is let go."""
    held, real = Held(), instance_list.page

    def page(connection: Any, query: Any, **more: Any) -> Any:
        if query.name is not None and query.equal["project_id"] == "admin":
            held()
        return real(connection, query, **more)

    monkeypatch.setattr(instance_list, "page", page)
    return held


def test_one_project_searches_one_list_at_a_time_and_all_else_is_served(web: Web, held: Held) -> None:
    seed.instance(web.db, "web-1", project_id="demo")

    async def main() -> list[int]:
        sent = [asyncio.create_task(ask(web, "GET", SEARCH, {})) for _ in range(100)]
        await until(lambda: held.begun == 1 and sum(each.done() for each in sent) == 100 - AT_ONCE)
        assert (await ask(web, "GET", "/v2.1/servers?limit=1", {})).status == 200
        web.caller = Caller("demo", "demo", "")
        theirs = await ask(web, "GET", SEARCH, {})
        assert (theirs.status, b"web-1" in theirs.body, held.begun) == (200, True, 1)
        held.go.set()
        return [each.status for each in await asyncio.gather(*sent)]

    assert Counter(asyncio.run(main())) == {200: AT_ONCE, 429: 100 - AT_ONCE}


def test_a_search_is_not_begun_for_a_client_that_has_left(web: Web, held: Held) -> None:
    held.go.set()

    async def main() -> tuple[int, int]:
        left = await ask(web, "GET", SEARCH, {}, Asked(left=True))
        return left.status, held.begun

    assert asyncio.run(main()) == (0, 0)


@pytest.mark.parametrize(
    "query", ["name=^a", "name=a&name=^a", "display_name=a.", "ip=10.0", "ip6=[0-9]", "description=a|b"]
)
def test_what_is_searched_waits_for_its_turn_by_each_name(
    web: Web, query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[Kind] = []
    real = web.services.admission.run

    async def run(who: str, kind: Kind, *rest: Any, **more: Any) -> Any:
        taken.append(kind)
        return await real(who, kind, *rest, **more)

    monkeypatch.setattr(web.services.admission, "run", run)
    for path in ("/v2.1/servers", "/v2.1/servers/detail"):
        assert web("GET", f"{path}?{query}").status_code == 200
        assert web("GET", f"{path}?name=a&limit=1").status_code == 200
    assert taken == [Kind.SEARCH, Kind.SEARCH]
