"""A server and agents of other releases: the protocol's numbers are said, and an unsupported one is refused."""

from typing import Any

import pytest
from sqlalchemy import select, update

from migrator.alarms import AlarmKind
from migrator.db import alarms, credentials
from migrator.db.tables import hosts
from migrator.protocol import PROTOCOL, versions
from tests.api.harness import Web

REPORT = {"vcpus": 4, "memory_mb": 4096, "address": "10.0.0.1", "live_migration_uri": "qemu+tcp://10.0.0.1/system"}
HOST = "n1"


class Agent:
    def __init__(self, web: Web) -> None:
        self._web = web
        self._token = credentials.issue(web.db, HOST)

    def ask(self, method: str, path: str, body: Any) -> Any:
        headers = {"Authorization": f"Bearer {self._token}"}
        return self._web(method, f"/agent/v1/hosts/{HOST}{path}", None, headers=headers, json=body)

    def register(self, incarnation: int = 1, **more: Any) -> Any:
        return self.ask("PUT", "", {"incarnation": incarnation, "report": REPORT | more})

    def poll(self, **more: Any) -> Any:
        return self.ask("POST", "/poll", {"incarnation": 1, "number": 7, "wait_s": 0, **more})


@pytest.fixture
def agent(web: Web) -> Agent:
    return Agent(web)


def silenced(web: Web) -> None:
    with web.db.write() as connection:
        connection.execute(update(hosts).where(hosts.c.name == HOST).values(last_seen=0.0))


def heard(web: Web) -> bool:
    with web.db.read() as connection:
        return bool(connection.execute(select(hosts.c.last_seen).where(hosts.c.name == HOST)).scalar_one() > 0)


def setup_alarms(web: Web) -> list[str]:
    with web.db.read() as connection:
        return [row.message for row in alarms.listed(connection, host=HOST) if row.kind == AlarmKind.HOST_SETUP]


def test_an_agent_that_says_no_number_is_served_and_told_the_servers(web: Web, agent: Agent) -> None:
    assert agent.register().status_code == 204
    answer = agent.poll()
    assert (answer.status_code, answer.json()["protocol"]) == (200, PROTOCOL)
    assert setup_alarms(web) == []


@pytest.mark.parametrize("said", [1, PROTOCOL, PROTOCOL + 1, 1000])
def test_a_newer_agent_decides_for_itself_whether_it_understands_this_server(agent: Agent, said: int) -> None:
    assert agent.register(protocol=said).status_code == 204
    assert agent.poll(protocol=said).status_code == 200


def test_an_unsupported_agent_is_refused_with_what_to_upgrade_and_its_host_counts_as_heard(
    web: Web, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert agent.register(protocol=PROTOCOL).status_code == 204
    monkeypatch.setattr(versions, "OLDEST_AGENT", PROTOCOL + 1)
    for ask, said in ((agent.poll, {"protocol": PROTOCOL}), (agent.register, {"protocol": PROTOCOL}), (agent.poll, {})):
        silenced(web)
        answer = ask(**said)
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (409, "protocol_unsupported")
        assert f"The agent of {HOST} speaks protocol" in error["message"]
        assert f"this server understands {PROTOCOL + 1} and newer" in error["message"]
        assert f"upgrade migrator on {HOST}" in error["advice"]
        assert heard(web)
    assert len(setup_alarms(web)) == 1
    assert agent.register(3, protocol=PROTOCOL + 1).status_code == 204  # it was upgraded
    assert agent.poll(protocol=PROTOCOL + 1).status_code == 200
    assert setup_alarms(web) == []


def test_a_new_host_with_an_unsupported_agent_is_told_so_and_not_recorded(
    web: Web, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(versions, "OLDEST_AGENT", PROTOCOL + 1)
    assert agent.register(protocol=PROTOCOL).json()["error"]["code"] == "protocol_unsupported"
    assert HOST not in [one["host"] for one in web("GET", "/v2.1/os-services").json()["services"]]
