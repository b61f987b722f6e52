"""An agent's message stops no other agent, whatever is in it: its size is bounded by its purpose, its parts before they
are looked at, and it is read beside the event loop."""

import asyncio
import json
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from migrator.api.process import agent_messages
from migrator.compute.agent.client import ServerClient
from migrator.db import credentials
from migrator.protocol import (
    DomainEntry,
    DomainState,
    Fact,
    GuestCpu,
    GuestDescription,
    GuestObservation,
    Poll,
    Survey,
    bounds,
    message_sizes,
)
from tests.api import seed
from tests.api.harness import Web
from tests.api.test_hostile_agent import GOOD

ROUTES = (("PUT", ""), ("POST", "/poll"), ("POST", "/facts"), ("PUT", "/survey"))
UUID = "0d5b6c1e-7f5a-4c53-8a55-0f8b6b1d2a11"


def ask(web: Web, method: str, path: str, content: bytes) -> Any:
    headers = {"Authorization": f"Bearer {credentials.issue(web.db, 'compute1')}", "Content-Type": "application/json"}
    return web(method, f"/agent/v1/hosts/compute1{path}", None, headers=headers, content=content)


def fact(number: int, **more: Any) -> Fact:
    return Fact(operation_id=f"{number:036}", epoch=1, phase="check", incarnation=1, sequence=number, **more)


@pytest.mark.parametrize("item", [b"0", b"{}", b"[]", b"null"])
def test_no_item_of_a_list_that_is_too_long_is_looked_at(
    web: Web, monkeypatch: pytest.MonkeyPatch, item: bytes
) -> None:
    looked: list[Any] = []
    monkeypatch.setattr(Fact, "model_validate", classmethod(lambda _cls, value: looked.append(value)))
    content = b'{"facts":[' + b",".join([item] * (bounds.ITEMS_MAX + 1)) + b"]}"
    answer = ask(web, "POST", "/facts", content)
    assert (answer.status_code, looked) == (400, [])
    assert "facts: expected at most 10000 items, found 10001" in answer.text


@pytest.mark.parametrize("kind", [Poll, Survey])
def test_items_that_are_wrong_are_not_each_described(kind: Any) -> None:
    wrong: dict[str, Any] = dict.fromkeys(("copies", "kept", "leftovers", "addresses"), [0] * 1000)
    wrong |= {name: dict.fromkeys(map(str, range(bounds.ITEMS_MAX + 1)), 0) for name in ("guests", "runs", "volumes")}
    with pytest.raises(ValidationError) as refusal:
        kind.model_validate({"incarnation": 1} | wrong)
    assert refusal.value.error_count() < 10


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_a_message_of_nothing_but_small_values_is_refused_before_they_are_built(
    web: Web, method: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(message_sizes, "PARTS_MAX", 10_000)
    for value in (b"{}", b"[[[[[[[[0]]]]]]]]", b'""'):
        content = b'{"unknown":[' + b",".join([value] * 10_002) + b"]}"
        answer = ask(web, method, path, content)
        assert answer.status_code == 400, answer.text
        assert "expected at most 10000 values" in answer.text


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff", b"NaN", b"[]", b"7", b"[" * 9000, b'{"facts":7}', b'{"facts":[0,{}]}']
)
@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_what_is_no_message_is_refused_in_words(web: Web, method: str, path: str, content: bytes) -> None:
    answer = ask(web, method, path, content)
    if (path, content) == ("/facts", b'{"facts":[0,{}]}') or (path == "/survey" and b"facts" in content):
        assert answer.status_code == 204
        return
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["code"] == "bad_request"
    assert answer.json()["error"]["message"]


def test_copies_in_a_state_that_is_no_text_are_left_out() -> None:
    states: tuple[Any, ...] = ([], {}, 7, None)
    copies = [{"uuid": "a", "state": state} for state in states]
    assert agent_messages.read(Poll, json.dumps({"incarnation": 1, "copies": copies}).encode()).copies == ()


def test_messages_are_read_beside_the_event_loop(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    original, beside = agent_messages.read, []

    def read(kind: Any, content: bytes) -> Any:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            beside.append(kind.__name__)
        return original(kind, content)

    monkeypatch.setattr(agent_messages, "read", read)
    contents = {
        "": {"incarnation": 1, "report": GOOD},
        "/poll": {"incarnation": 1, "wait_s": 0},
        "/facts": {"facts": [{"note": "x" * 4000}] * 200},
        "/survey": {"guests": {str(number): {} for number in range(9000)}},
    }
    headers = {"Authorization": f"Bearer {credentials.issue(web.db, 'compute1')}", "Content-Type": "application/json"}

    async def run() -> list[int]:
        transport = httpx.ASGITransport(app=web.client.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver", headers=headers) as client:
            asked = [
                client.request(method, f"/agent/v1/hosts/compute1{path}", content=json.dumps(contents[path]))
                for method, path in ROUTES
            ]
            return [answer.status_code for answer in await asyncio.gather(*asked)]

    assert set(asyncio.run(run())) == {200, 204}
    assert (sorted(set(beside)), len(beside)) == (["Facts", "Poll", "Registration", "Survey"], 4)


# --- what the sizes are made for fits them ---------------------------------------------------------------------------


def test_the_list_of_ten_thousand_copies_fits_its_message() -> None:
    seal = "v1." + "0" * 64 + ".compute-0123456789.example.org"
    copies = tuple(
        DomainEntry(
            uuid=f"{n:036}", state=DomainState.SHUT_OFF, served=2**40, stamp_operation=UUID, stamp_epoch=9, seal=seal
        )
        for n in range(bounds.ITEMS_MAX)
    )
    content = Poll(incarnation=2**40, machine=UUID, boot=UUID, number=9**9, copies=copies).model_dump_json().encode()
    assert len(content) <= message_sizes.POLL
    assert agent_messages.read(Poll, content).copies == copies


def test_the_survey_of_ten_thousand_guests_fits_its_message() -> None:
    sight = GuestObservation(cpu="0" * 16, machine="pc-i440fx-7.2", age_s=14.123456789)
    guests = {f"{n:036}": sight for n in range(bounds.ITEMS_MAX)}
    cpus = {f"{n:016}": GuestCpu(xml="x" * 2**14, machine="pc-i440fx-7.2") for n in range(32)}
    content = Survey(machine=UUID, guests=guests, cpus=cpus).model_dump_json(exclude_defaults=True).encode()
    assert len(content) <= message_sizes.SURVEY / 2
    assert agent_messages.read(Survey, content).guests == guests


def test_an_agent_sends_more_facts_than_fit_one_message_in_several(web: Web) -> None:
    uuid = seed.instance(web.db, "vm")
    seed.migration(web.db, uuid, "running")
    facts = tuple(fact(number, guest=GuestDescription(cpu_xml="x" * 100_000)) for number in range(25))
    sizes = []

    async def count(request: httpx.Request) -> None:
        sizes.append(len(request.content))

    async def run() -> None:
        token = credentials.issue(web.db, "compute1")
        transport = httpx.ASGITransport(app=web.client.app)
        client = ServerClient("http://testserver", "compute1", token, transport)
        client._http.event_hooks["request"].append(count)
        await client.put_facts(facts)
        await client.close()

    asyncio.run(run())
    assert len(sizes) == 3
    assert max(sizes) <= message_sizes.FACTS
