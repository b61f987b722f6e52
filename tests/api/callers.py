"""Who asks, by any strategy of authentication: a person of each role in the project "own", a stranger, an agent."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import bcrypt

from migrator.api.identity import users
from migrator.api.identity.authenticator import NEEDED, Authenticator, Identity, implied
from migrator.api.identity.http_basic import HttpBasic
from migrator.db import credentials
from migrator.db.engine import Database
from migrator.errors import Unauthorized
from migrator.reloaded import Reloaded
from tests.api.harness import Web

PEOPLE = ("admin", "manager", "member", "reader", "outsider")  # an outsider is known, and has no role
PROJECT = "own"
CHEAP = 4  # bcrypt's cost, for tests


class Callers:
    """``ask(person, ...)`` as ``Web`` takes it."""

    def __init__(self, strategy: str, db: Database, directory: Path, **settings: Any) -> None:
        self.strategy = strategy
        made: Authenticator = Believed() if strategy == "believed" else http_basic(directory)
        self.web = Web(db, directory, made, **settings)
        self._agent = credentials.issue(db, "compute1")

    def ask(self, person: str, method: str, path: str, version: str | None, **more: Any) -> Any:
        headers = {**self._headers(person), **more.pop("headers", {})}
        return self.web(method, path, version, headers=headers, **more)

    def _headers(self, person: str) -> Mapping[str, str]:
        if person == "stranger":
            return {}
        if person == "agent":
            return {"Authorization": f"Bearer {self._agent}", "X-Auth-Token": self._agent}
        if self.strategy == "http_basic":
            return basic(person, f"password of {person}")
        return {"X-Auth-Token": person}


class Believed:
    """The strategy that takes a role for a token."""

    challenge = None

    async def refresh(self) -> None:
        """It reads no file."""

    def remembered(self, headers: Mapping[str, str]) -> Identity | None:
        person = headers.get("x-auth-token", "")
        if person not in PEOPLE:
            return None
        roles = implied(frozenset({person})) if person != "outsider" else frozenset()
        return Identity(f"u-{person}", PROJECT, roles)

    async def verified(self, headers: Mapping[str, str], address: str = "") -> Identity:  # noqa: ARG002 - the interface
        raise Unauthorized(NEEDED)


def basic(name: str, password: str) -> Mapping[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(f'{name}:{password}'.encode()).decode()}"}


def line(name: str, password: str, cost: int = CHEAP) -> str:
    """As `htpasswd -B` writes it."""
    return f"{name}:{bcrypt.hashpw(password.encode(), bcrypt.gensalt(cost, b'2b')).decode().replace('$2b$', '$2y$')}\n"


def files(directory: Path) -> tuple[Path, Path]:
    """An htpasswd file with everyone in it, and the projects and roles beside it."""
    passwords, projects = directory / "htpasswd", directory / "roles.yaml"
    passwords.write_text("# people\n\n" + "".join(line(person, f"password of {person}") for person in PEOPLE))
    roles = {person: "[]" if person == "outsider" else f"[{person}]" for person in PEOPLE}
    projects.write_text("".join(f"{person}: {{project: {PROJECT}, roles: {roles[person]}}}\n" for person in PEOPLE))
    return passwords, projects


def http_basic(directory: Path) -> HttpBasic:
    written = files(directory)
    return HttpBasic(Reloaded(written, lambda: users.load(*written)))
