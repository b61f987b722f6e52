"""One Keystone for all tests of this lane, and migrator's application before it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from migrator.api.identity import keystone as strategy
from migrator.api.identity import keystone_client
from migrator.db.engine import Database
from migrator.settings import ServerSettings
from tests.api import seed
from tests.api.harness import Web
from tests.conftest import sqlite_url
from tests.keystone import cloud

ROLES = ("admin", "manager", "member", "reader")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="session")
def keystone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[cloud.Keystone]:
    with cloud.running(tmp_path_factory.mktemp("keystone")) as made:
        made.role_ids["auditor"] = made.post("/roles", {"role": {"name": "auditor"}})["role"]["id"]
        for role in ROLES:
            made.user(f"the-{role}", role, "own")
        made.user("the-outsider", "auditor", "own")
        yield made


@pytest.fixture
def database_url(tmp_path: Path, sqlite_template: Path) -> str:
    """A strategy has nothing to do with the database."""
    return sqlite_url(sqlite_template, tmp_path)


class Asked:
    """Keystone's client, which counts."""

    def __init__(self, client: strategy.Validator) -> None:
        self._client, self.count = client, 0

    def validated(self, token: str) -> Any:
        self.count += 1
        return self._client.validated(token)

    def begin_anew(self) -> None:
        self._client.begin_anew()


class Door:
    """migrator's application before a Keystone at ``url``."""

    def __init__(self, db: Database, directory: Path, url: str, **more: Any) -> None:
        given = {"keystone_auth_url": url, "keystone_password": cloud.MIGRATOR, "auth_strategy": "keystone", **more}
        settings = ServerSettings(database=db.url, **given)
        self.asked, self.clock = Asked(keystone_client.build(settings)), Clock()
        self.strategy = strategy.Keystone(url, self.asked, settings.keystone_token_cache_time, self.clock)
        self.web = Web(db, directory, self.strategy, **given)
        self.db = db

    def get(self, path: str, token: str, **more: Any) -> Any:
        return self.web("GET", path, headers={"X-Auth-Token": token}, **more)


@pytest.fixture
def door_to(db: Database, tmp_path: Path) -> Iterator[Callable[..., Door]]:
    made: list[Door] = []
    seed.host(db, "compute1")

    def make(url: str, **more: Any) -> Door:
        made.append(Door(db, tmp_path, url, **more))
        return made[-1]

    yield make
    for one in made:
        one.web.services.db.close()


@pytest.fixture
def door(door_to: Callable[..., Door], keystone: cloud.Keystone) -> Door:
    return door_to(keystone.url)
