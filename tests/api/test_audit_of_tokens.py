"""Why a token was not taken: the operator reads it in the audit, the client and the log never read the token."""

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from migrator.api.identity import keystone as strategy
from migrator.api.identity import keystone_client
from migrator.db.engine import Database
from migrator.settings import ServerSettings
from tests.api.answering_keystone import OWN, UNKNOWN, Answering, told
from tests.api.harness import Web
from tests.conftest import sqlite_url

LIST = "/v2.1/servers"
DISABLED = UNKNOWN.replace("Failed to validate token", "Unable to validate token because project p is disabled")
UNREADABLE = UNKNOWN.replace("Failed to validate token", "This is not a recognized Fernet token t0ken")
REVOKED = "revoked, or its user is disabled or changed, or it expired long ago"


@pytest.fixture
def database_url(tmp_path: Path, sqlite_template: Path) -> str:
    """A strategy has nothing to do with the database."""
    return sqlite_url(sqlite_template, tmp_path)


@pytest.fixture
def door_to(db: Database, tmp_path: Path) -> Iterator[Callable[[str], Web]]:
    made: list[Web] = []

    def make(url: str) -> Web:
        given: dict[str, Any] = {"keystone_auth_url": url, "keystone_password": "secret", "auth_strategy": "keystone"}
        client = keystone_client.build(ServerSettings(database=db.url, **given))
        made.append(Web(db, tmp_path, strategy.Keystone(url, client, 300.0), **given))
        return made[-1]

    yield make
    for web in made:
        web.services.db.close()


@pytest.mark.parametrize(
    ("own", "other", "expired", "status", "user", "reason"),
    [
        (201, (404, UNKNOWN), (200, json.dumps({"token": told()})), 401, "u", "expired token"),
        (201, (404, UNKNOWN), (404, UNKNOWN), 401, "(unknown)", REVOKED),
        (201, (404, UNKNOWN), (503, ""), 401, "(unknown)", REVOKED),
        (201, (404, DISABLED), None, 401, "(unknown)", "its project or domain is disabled"),
        (201, (404, UNREADABLE), None, 401, "(unknown)", "unknown token"),
        (201, (200, json.dumps({"token": told("2001-01-01T00:00:00Z")})), None, 401, "u", "expired token"),
        (201, (503, ""), None, 503, "(unknown)", "Keystone's answer cannot be read"),
        (401, (200, ""), None, 503, "(unknown)", keystone_client._OWN),
        (0, (200, ""), None, 503, "(unknown)", "Keystone does not answer"),
    ],
)
def test_why_a_token_was_not_taken_is_in_the_audit_alone(
    door_to: Callable[..., Web],
    caplog: pytest.LogCaptureFixture,
    own: int,
    other: tuple[int, str],
    expired: tuple[int, str] | None,
    status: int,
    user: str,
    reason: str,
) -> None:
    caplog.set_level(logging.INFO, "migrator.audit")
    keystone = Answering((own, OWN if own == 201 else "{}"), other)
    keystone.expired = expired
    if own == 0:
        keystone.close()
    try:
        answer = door_to(keystone.url)("GET", LIST, headers={"X-Auth-Token": "t0ken"})
    finally:
        if own:
            keystone.close()
    assert (answer.status_code, reason in answer.text) == (status, False)
    (line,) = (record for record in caplog.records if record.name == "migrator.audit")
    assert (line.__dict__["user"], line.__dict__["reason"]) == (user, reason)
    assert "t0ken" not in caplog.text


def test_a_keystone_that_is_away_fills_no_audit(door_to: Callable[..., Web], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "migrator.audit")
    web = door_to("http://127.0.0.1:1/v3")
    for number in range(140):
        assert web("GET", LIST, headers={"X-Auth-Token": f"t{number}"}).status_code == 503
    assert 100 <= sum(record.name == "migrator.audit" for record in caplog.records) < 140
