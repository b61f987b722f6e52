"""Who asks, by any strategy of authentication: a person of each role in the project "own", a stranger, an agent."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from migrator.api.identity.authenticator import NEEDED, Identity, implied
from migrator.db import credentials
from migrator.db.engine import Database
from migrator.errors import Unauthorized
from tests.api.harness import Web

PEOPLE = ("admin", "manager", "member", "reader", "outsider")  # an outsider is known, and has no role
PROJECT = "own"


class Callers:
    """``ask(person, ...)`` as ``Web`` takes it."""

    def __init__(self, strategy: str, db: Database, directory: Path) -> None:
        self.strategy = strategy
        self.web = Web(db, directory, Believed())
        self._agent = credentials.issue(db, "compute1")

    def ask(self, person: str, method: str, path: str, version: str | None, **more: Any) -> Any:
        headers = {**self._headers(person), **more.pop("headers", {})}
        return self.web(method, path, version, headers=headers, **more)

    def _headers(self, person: str) -> Mapping[str, str]:
        if person == "stranger":
            return {}
        if person == "agent":
            return {"Authorization": f"Bearer {self._agent}", "X-Auth-Token": self._agent}
        return {"X-Auth-Token": person}


class Believed:
    """The strategy that takes a role for a token."""

    challenge = None

    def remembered(self, headers: Mapping[str, str]) -> Identity | None:
        person = headers.get("x-auth-token", "")
        if person not in PEOPLE:
            return None
        roles = implied(frozenset({person})) if person != "outsider" else frozenset()
        return Identity(f"u-{person}", PROJECT, roles)

    async def verified(self, headers: Mapping[str, str]) -> Identity:  # noqa: ARG002 - the interface
        raise Unauthorized(NEEDED)
