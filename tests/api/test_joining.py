"""A join token gives one host's agent its first credential, once, and nothing else."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import select, update

from migrator.db import credentials, host_removal
from migrator.db.tables import join_tokens
from migrator.errors import Unauthorized
from migrator.scheduler.hosts import joining
from tests.api.harness import Web
from tests.db.test_races import Meanwhile

HOSTS = "/agent/v1/hosts/n1"
OTHER_CALLS = (
    *(("PUT", HOSTS), ("POST", f"{HOSTS}/poll"), ("POST", f"{HOSTS}/facts"), ("GET", f"{HOSTS}/questions")),
    *(("PUT", f"{HOSTS}/survey"), ("PUT", f"{HOSTS}/consoles")),
    ("GET", "/agent/v1/images/11111111-1111-4111-8111-111111111111/file"),
)


def invite(web: Web, host: str = "n1", **more: Any) -> Any:
    return web("POST", f"/v1/hosts/{host}/join", None, json=more)


def join_token(web: Web, host: str = "n1", **more: Any) -> str:
    answer = invite(web, host, **more)
    assert answer.status_code == 201, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    return str(answer.json()["host"]["token"])


def join(web: Web, token: str) -> Any:
    return web("POST", "/agent/v1/join", None, headers={"Authorization": f"Bearer {token}"})


def asks(web: Web, token: str, host: str = "n1") -> int:
    """The status of what only the host's agent may ask."""
    headers = {"Authorization": f"Bearer {token}"}
    return int(web("GET", f"/agent/v1/hosts/{host}/questions", None, headers=headers).status_code)


def test_a_join_token_gives_a_credential_once(web: Web) -> None:
    token = join_token(web)
    answer = join(web, token)
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json()["host"] == "n1"
    assert asks(web, answer.json()["token"]) == 200
    again = join(web, token)
    assert again.status_code == 401
    assert "migrator host-join" in again.json()["error"]["advice"]


@pytest.mark.parametrize(("method", "path"), OTHER_CALLS)
def test_a_join_token_opens_nothing_else(web: Web, method: str, path: str) -> None:
    token = join_token(web)
    assert web(method, path, None, headers={"Authorization": f"Bearer {token}"}, json={}).status_code == 401
    assert join(web, token).status_code == 200


def test_a_credential_is_no_join_token(web: Web) -> None:
    assert join(web, credentials.issue(web.db, "n1")).status_code == 401


def test_one_that_has_ended_is_refused_and_removed_with_the_next(web: Web) -> None:
    token = join_token(web)
    with web.db.write() as connection:
        connection.execute(update(join_tokens).values(expires_at=join_tokens.c.created_at))
    web.services.credentials.forget()
    assert join(web, token).status_code == 401
    join_token(web, "n2")
    with web.db.read() as connection:
        assert connection.execute(select(join_tokens.c.host)).scalars().all() == ["n2"]


def test_a_newer_join_token_ends_the_earlier_one_and_no_other_hosts(web: Web) -> None:
    first, other, second = join_token(web), join_token(web, "n2"), join_token(web)
    assert [join(web, token).status_code for token in (first, other, second)] == [401, 200, 200]


def test_a_host_that_has_a_credential_keeps_it_until_another_agent_takes_the_join_token(web: Web) -> None:
    known = credentials.issue(web.db, "n1")
    refused = invite(web)
    assert (refused.status_code, "--replace" in refused.json()["error"]["advice"]) == (409, True)
    token = join_token(web, replace=True)
    assert asks(web, known) == 200
    made = join(web, token).json()["token"]
    assert (asks(web, known), asks(web, made)) == (401, 200)


def test_of_agents_that_take_one_join_token_together_one_is_given_a_credential(web: Web) -> None:
    token = join_token(web)
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda _: join(web, token), range(4)))
    given = [answer.json()["token"] for answer in answers if answer.status_code == 200]
    assert len(given) == 1, [answer.status_code for answer in answers]
    assert {answer.status_code for answer in answers} <= {200, 401, 429}
    assert asks(web, given[0]) == 200


def test_a_host_that_is_removed_while_an_agent_takes_its_join_token_locks_nobody_out(web: Web) -> None:
    credentials.issue(web.db, "n1")
    token = join_token(web, replace=True)
    ended: list[str] = []

    def take() -> None:
        try:
            joining.join(web.db, token)
        except Unauthorized as error:
            ended.append(error.message)

    other = Meanwhile(take)
    with web.db.write() as connection:
        host_removal.lock_credential(connection, "n1")
        other.begin()
        host_removal.remove(connection, "n1")
    other.end()
    assert ended == [joining.UNKNOWN]


@pytest.mark.parametrize(
    ("host", "body"),
    [
        ("n1", {"valid_s": 59}),
        ("n1", {"valid_s": 7 * 24 * 3600 + 1}),
        ("n1", {"valid_s": "60"}),
        ("n1", {"replace": 1}),
        ("n1", {"other": True}),
        ("a%20b", {}),
        ("n" * 256, {}),
    ],
)
def test_bad_input_is_refused_and_invites_nobody(web: Web, host: str, body: dict[str, Any]) -> None:
    answer = invite(web, host, **body)
    assert answer.status_code == 400, answer.text
    with web.db.read() as connection:
        assert connection.execute(select(join_tokens.c.host)).all() == []


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ({"listen": "10.0.0.1:8774"}, "http://10.0.0.1:8774"),
        ({"listen": "127.0.0.1:8774", "agent_listen": "10.0.0.1:8775"}, "http://10.0.0.1:8775"),
        ({"agent_listen": "[::]:8775"}, None),
        ({"agent_listen": "0.0.0.0:8775"}, None),
        ({"agent_listen": "[fd00::1]:8775", "agent_tls_cert": "/c", "agent_tls_key": "/k"}, "https://[fd00::1]:8775"),
        ({"agent_listen": "0.0.0.0:8775", "agent_url": "https://cloud.example:8775"}, "https://cloud.example:8775"),
    ],
)
def test_the_answer_names_the_agents_port_where_one_address_is_known(
    web: Web, settings: dict[str, Any], url: str | None
) -> None:
    changed = web.services.settings.model_copy(update=settings)
    object.__setattr__(web.services, "settings", changed)
    assert invite(web).json()["host"]["agent_url"] == url
