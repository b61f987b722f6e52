"""The one harness of the API's tests: the whole application as ``create_app`` builds it, in this process.

Owns how a test asks. What there is to ask for is a test's own: ``seed.py`` writes it into the tables.
"""

import json
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from functools import cache
from pathlib import Path
from typing import Any

import anyio
from anyio.from_thread import BlockingPortal
from starlette.testclient import TestClient

from migrator.api.identity import strategies
from migrator.api.identity.authenticator import Authenticator, Identity
from migrator.api.identity.policy_rules import ROLES
from migrator.api.process import services
from migrator.db.engine import Database
from migrator.scheduler.requests.requests import Caller
from migrator.server.app import create_app
from migrator.settings import ServerSettings

_LOOP = "event loop of the tests"


@cache
def _settings(**more: Any) -> ServerSettings:
    """Read and checked once for all tests that give the same ones."""
    return ServerSettings(**more)


@cache
def _portal() -> BlockingPortal:
    """One event loop for all tests, as a server has one; else each request would start a thread with its own."""
    started: Future[BlockingPortal] = Future()

    async def serve() -> None:
        async with BlockingPortal() as portal:
            started.set_result(portal)
            await portal.sleep_until_stopped()

    threading.Thread(target=anyio.run, args=(serve,), name=_LOOP, daemon=True).start()
    return started.result()


class Web:
    """``web("GET", "/v2.1/flavors", "2.55")``: any path, any microversion; the answer as httpx has it. Who asks is
    ``web.caller``, an administrator unless a test says else."""

    def __init__(self, db: Database, directory: Path, authenticator: Authenticator | None = None, **more: Any) -> None:
        self.db = db
        self.caller = Caller("admin", "admin", "")
        self.image_dir = directory / "images"
        more.setdefault("allowed_hosts", ("testserver",))
        more.setdefault("trusted_proxies", ("127.0.0.1",))
        settings = _settings(**more).model_copy(update={"database": db.url, "image_dir": self.image_dir})
        self.services = services.build(settings, strategies.rules(settings))
        # the client gives an answer when it is whole, and reads what was written a moment ago
        self.services.events.longest_s, self.services.events.pace_s = 0.0, 0.0
        self.app = create_app(self.services, authenticator or _As(self))
        self.client = TestClient(self.app, base_url="http://testserver", client=("127.0.0.1", 50000))

    def __call__(self, method: str, path: str, version: str | None = "2.96", **more: Any) -> Any:
        in_request = threading.current_thread().name == _LOOP  # as from a body's generator: the loop waits for it
        self.client.portal = None if in_request else _portal()
        headers = {"OpenStack-API-Version": f"compute {version}"} if version else {}
        return self.client.request(method, path, headers=headers | more.pop("headers", {}), **more)


class _As:
    """The strategy that believes ``web.caller``. One without roles is an administrator, or a member."""

    challenge = None

    def __init__(self, web: Web) -> None:
        self._web = web

    async def refresh(self) -> None:
        """It reads no file."""

    def remembered(self, headers: Mapping[str, str]) -> Identity:  # noqa: ARG002 - the interface
        who = self._web.caller
        roles = who.roles or frozenset(ROLES if who.is_admin else ROLES[-2:])
        return Identity(who.user_id, who.project_id, roles, who.domain_id, who.system_scope)

    async def verified(self, headers: Mapping[str, str], address: str = "") -> Identity:  # noqa: ARG002 - the interface
        return self.remembered(headers)


class Answered:
    def __init__(self, response: Any) -> None:
        self.status: int = response.status_code
        self.headers = response.headers
        self.json: Any = json.loads(response.content) if response.content else None

    @property
    def message(self) -> str:
        """Of a fault of the Compute API."""
        (only,) = self.json.values()
        assert only["code"] == self.status
        return str(only["message"])


class Api:
    """The Compute API of a ``Web``: ``api("GET", "/servers", "2.96", body)``."""

    def __init__(self, web: Web) -> None:
        self.web, self.db, self.services = web, web.db, web.services

    def __call__(self, method: str, path: str, version: str = "2.96", body: Any = None) -> Answered:
        return Answered(self.web(method, f"/v2.1{path}", version, json=body))
