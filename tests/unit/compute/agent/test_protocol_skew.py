"""An agent under a server of another release: it goes on being heard, keeps its guests, and says what to upgrade."""

import asyncio
import logging
import time
from typing import Any

import httpx
import pytest

from migrator.compute.agent import agent as agent_module
from migrator.compute.agent import pauses
from migrator.compute.agent.client import ServerClient
from migrator.compute.agent.simulated_main import make_agent
from migrator.compute.simulated.cluster import SimulatedCluster
from migrator.errors import ProtocolUnsupported
from migrator.protocol import PROTOCOL, Poll, versions
from migrator.settings import AgentSettings

REFUSAL = {"error": {"code": "protocol_unsupported", "message": "this server understands 9", "advice": "upgrade n1"}}
LEASE_S = 40.0


class Server:
    """Takes everything, or refuses polls as a server does that understands the agent no more."""

    def __init__(self, said: dict[str, Any] | None) -> None:
        self._said = said
        self.polls: list[dict[str, Any]] = []

    async def answer(self, request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0.01)
        if request.method == "PUT":
            return httpx.Response(204)
        if request.url.path.endswith("/questions"):
            return httpx.Response(200, json={"now": 1.0, "again_s": 60.0, "of_a_later_release": 1})
        poll = Poll.model_validate_json(request.content)
        self.polls.append(poll.model_dump())
        if self._said is None:
            return httpx.Response(409, json=REFUSAL)
        answer = {"digest": str(poll.number), "assignments": [], "answers": poll.number, "of_a_later_release": [1]}
        return httpx.Response(200, json=answer | self._said)


def polled(server: Server, times: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an agent with a self-fencing lease poll so many times."""
    monkeypatch.setattr(pauses, "_REFUSED_S", 0.01)

    async def scenario() -> None:
        simulation = SimulatedCluster(time.monotonic)
        simulation.add_host("n1")
        settings = AgentSettings(server_url="http://server", host="n1", simulated=True, self_fencing_lease=LEASE_S)
        client = ServerClient(settings.server_url, "n1", "secret", httpx.MockTransport(server.answer))
        agent, stop = make_agent(settings, simulation, client), asyncio.Event()
        began = time.monotonic()
        running = asyncio.create_task(agent.run(stop))
        while len(server.polls) < times:
            assert not running.done(), "the agent ended"
            assert time.monotonic() - began < 60, server.polls
            await asyncio.sleep(0.01)
        stop.set()
        await asyncio.wait_for(running, 20)

    asyncio.run(scenario())


@pytest.mark.parametrize("said", [{}, {"protocol": 1}, {"protocol": PROTOCOL}, {"protocol": PROTOCOL + 5}])
def test_a_server_that_says_no_number_or_a_newer_one_is_served_and_told_the_agents(
    said: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server(said)
    polled(server, 3, monkeypatch)
    assert {poll["protocol"] for poll in server.polls} == {PROTOCOL}


@pytest.mark.parametrize("said", [None, {}, {"protocol": PROTOCOL}], ids=["refused by it", "says none", "older"])
def test_an_unsupported_server_is_named_in_the_log_and_polled_on_with_the_lease_renewed(
    said: dict[str, Any] | None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    if said is not None:
        monkeypatch.setattr(versions, "OLDEST_SERVER", PROTOCOL + 1)
    renewed: list[float] = []
    original = agent_module.Agent._renew_lease

    def renew(agent: agent_module.Agent, sent: float) -> None:
        renewed.append(sent)
        original(agent, sent)

    monkeypatch.setattr(agent_module.Agent, "_renew_lease", renew)
    with caplog.at_level(logging.WARNING, "migrator.agent"):
        polled(Server(said), 4, monkeypatch)
    assert len(renewed) >= 3
    told = [record.getMessage() for record in caplog.records if "poll failed" in record.getMessage()]
    assert told
    assert "upgrade" in told[0]
    assert "Traceback" not in caplog.text


def test_a_refusal_says_what_to_upgrade(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "OLDEST_AGENT", 3)
    monkeypatch.setattr(versions, "OLDEST_SERVER", 3)
    with pytest.raises(ProtocolUnsupported) as of_server:
        versions.check_server(2)
    assert of_server.value.sentence.startswith("The server speaks protocol 2; this agent understands 3 and newer. (")
    assert "upgrade migrator on the server" in of_server.value.sentence
    with pytest.raises(ProtocolUnsupported) as of_agent:
        versions.check_agent("n1", 2)
    assert "upgrade migrator on n1" in of_agent.value.sentence
    versions.check_agent("n1", 3)
    versions.check_server(99)
