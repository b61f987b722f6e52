"""A Keystone that is silent, or is not where it should be: requests are answered soon, with 503, and as before once it
answers. Its answers are this file's own; ``tests/keystone`` asks a real one."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from migrator.api.identity import keystone as strategy
from migrator.api.identity import keystone_client, silence
from migrator.api.identity.authenticator import CredentialsRefused
from migrator.db.engine import Database
from migrator.errors import Unavailable
from migrator.settings import ServerSettings
from tests.api.answering_keystone import OWN, UNKNOWN, Answering, told
from tests.api.harness import Web
from tests.conftest import sqlite_url

SOON_S = 5.0  # far less than what silence would take
LIST = "/v2.1/servers"


class Silent:
    """A Keystone that takes each question, and answers once ``answers`` is set."""

    def __init__(self) -> None:
        self.answers, self.asked, self.anew = threading.Event(), 0, 0

    def validated(self, token: str) -> Mapping[str, Any]:  # noqa: ARG002 - the interface
        self.asked += 1
        assert self.answers.wait(30)
        return told()

    def begin_anew(self) -> None:
        self.anew += 1


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[Silent]:
    monkeypatch.setattr(silence, "PROBE_S", 0.0)
    made = Silent()
    yield made
    made.answers.set()


def ask(keystone: strategy.Keystone, token: str) -> Any:
    return keystone.verified({"x-auth-token": token})


def test_a_silent_keystone_holds_nobody_for_long_and_few_threads(silent: Silent) -> None:
    keystone = strategy.Keystone("http://k", silent, 300.0, timeout_s=0.05)

    async def crowd() -> list[Any]:
        return await asyncio.gather(*(ask(keystone, f"t{number}") for number in range(200)), return_exceptions=True)

    began = time.monotonic()
    for _ in range(3):
        assert all(isinstance(one, Unavailable) for one in asyncio.run(crowd()))
    assert time.monotonic() - began < SOON_S
    assert silent.asked <= strategy._THREADS


def test_while_keystone_is_silent_the_next_is_refused_at_once_and_it_is_asked_again_in_a_while(
    silent: Silent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(silence, "PROBE_S", 1000.0)
    keystone = strategy.Keystone("http://k", silent, 300.0, timeout_s=0.05)

    async def one(token: str) -> Any:
        with pytest.raises(Unavailable):
            await ask(keystone, token)

    asyncio.run(one("first"))
    for number in range(20):
        asyncio.run(one(f"t{number}"))
    assert (silent.asked, silent.anew) == (1, 1)


def test_as_soon_as_keystone_answers_tokens_are_let_in(silent: Silent, caplog: pytest.LogCaptureFixture) -> None:
    keystone = strategy.Keystone("http://k", silent, 300.0, timeout_s=0.05)

    async def first() -> None:
        with pytest.raises(Unavailable):
            await ask(keystone, "t")
        silent.answers.set()
        assert (await ask(keystone, "t")).project_id == "own"

    asyncio.run(first())
    assert "Keystone gives no answer" in caplog.text
    assert "Keystone answers again" in caplog.text


def test_a_token_that_ends_within_the_caches_time_is_asked_about_again() -> None:
    class Answers(Silent):
        def validated(self, token: str) -> Mapping[str, Any]:  # noqa: ARG002 - the interface
            self.asked += 1
            ends = time.gmtime(time.time() + 100)
            return told(time.strftime("%Y-%m-%dT%H:%M:%SZ", ends) if self.asked == 1 else "2001-01-01T00:00:00Z")

    now = [0.0]
    answers = Answers()
    keystone = strategy.Keystone("http://k", answers, 300.0, clock=lambda: now[0])
    asyncio.run(ask(keystone, "t"))
    now[0] = 98.0
    assert keystone.remembered({"x-auth-token": "t"}) is not None
    now[0] = 101.0
    assert keystone.remembered({"x-auth-token": "t"}) is None
    with pytest.raises(CredentialsRefused):
        asyncio.run(ask(keystone, "t"))


def test_a_token_that_has_ended_already_is_refused() -> None:
    class Answers(Silent):
        def validated(self, token: str) -> Mapping[str, Any]:  # noqa: ARG002 - the interface
            return told("2001-01-01T00:00:00Z")

    with pytest.raises(CredentialsRefused):
        asyncio.run(ask(strategy.Keystone("http://k", Answers(), 300.0), "t"))


# --- over sockets -----------------------------------------------------------------------------------------------


@pytest.fixture
def database_url(tmp_path: Path, sqlite_template: Path) -> str:
    """A strategy has nothing to do with the database."""
    return sqlite_url(sqlite_template, tmp_path)


@pytest.fixture
def door_to(db: Database, tmp_path: Path) -> Iterator[Callable[..., Web]]:
    made: list[Web] = []

    def make(url: str, timeout_s: float = 10.0) -> Web:
        given: dict[str, Any] = {"keystone_auth_url": url, "keystone_password": "secret", "auth_strategy": "keystone"}
        client = keystone_client.build(ServerSettings(database=db.url, **given))
        made.append(Web(db, tmp_path, strategy.Keystone(url, client, 300.0, timeout_s=timeout_s), **given))
        return made[-1]

    yield make
    for web in made:
        web.services.db.close()


def test_a_port_that_takes_connections_and_says_nothing_is_503_and_all_else_goes_on(
    door_to: Callable[..., Web], caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        web = door_to(f"http://127.0.0.1:{listening.getsockname()[1]}/v3", timeout_s=0.2)
        began = time.monotonic()
        for number in range(5):
            answer = web("GET", LIST, headers={"X-Auth-Token": f"t{number}"})
            assert (answer.status_code, int(answer.headers["Retry-After"]) > 0) == (503, True)
            assert "WWW-Authenticate" not in answer.headers
            assert web("GET", "/healthz", None).status_code == 200
        assert time.monotonic() - began < SOON_S
    assert caplog.text.count("Keystone gives no answer") == 1


NO_PATH = '{"error": {"code": 404, "title": "Not Found", "message": "The requested URL was not found on the server."}}'


@pytest.mark.parametrize(
    ("own", "other", "status"),
    [
        (None, UNKNOWN, 401),
        (None, NO_PATH, 503),
        (None, "<html>Not Found: token</html>", 503),
        (None, '{"itemNotFound": {"code": 404, "message": "token"}}', 503),
        (None, "", 503),
        ((404, NO_PATH), UNKNOWN, 503),
        ((404, "<html>Not Found</html>"), UNKNOWN, 503),
    ],
)
def test_only_keystones_own_word_makes_a_token_unknown(
    door_to: Callable[..., Web], caplog: pytest.LogCaptureFixture, own: Any, other: str, status: int
) -> None:
    keystone = Answering(own or (201, OWN), (404, other))
    try:
        assert door_to(keystone.url)("GET", LIST, headers={"X-Auth-Token": "t"}).status_code == status
    finally:
        keystone.close()
    asked = f"{'POST' if own else 'GET'} {keystone.url}/v3/auth/tokens was answered 404"
    assert (asked in caplog.text) == (status == 503)


def test_a_token_with_which_keystone_breaks_off_is_one_callers_harm(
    door_to: Callable[..., Web], caplog: pytest.LogCaptureFixture
) -> None:
    keystone = Answering((201, OWN), (200, json.dumps({"token": told()})), [b"b%d" % number for number in range(200)])
    try:
        web = door_to(keystone.url)
        for number in range(5):
            bad = web("GET", LIST, headers={"X-Auth-Token": f"b{number}"})
            assert (bad.status_code, "WWW-Authenticate" in bad.headers) == (503, False)
            assert web("GET", LIST, headers={"X-Auth-Token": f"good{number}"}).status_code == 200
        answers = {web("GET", LIST, headers={"X-Auth-Token": f"b{number}"}).status_code for number in range(5, 200)}
        assert answers == {503, 429}  # wrong again and again
    finally:
        keystone.close()
    assert "Keystone gives no answer" not in caplog.text


def test_a_keystone_that_breaks_off_about_every_token_is_silent(
    door_to: Callable[..., Web], caplog: pytest.LogCaptureFixture
) -> None:
    keystone = Answering((201, OWN), (200, json.dumps({"token": told()})), [b"own", b"t"])
    try:
        assert door_to(keystone.url)("GET", LIST, headers={"X-Auth-Token": "t"}).status_code == 503
    finally:
        keystone.close()
    assert caplog.text.count("Keystone gives no answer") == 1
