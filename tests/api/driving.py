"""Drives the servers' part of the Compute API in one process: HTTP in, JSON out, no agents behind it."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Route as WebRoute
from starlette.testclient import TestClient

from migrator.api import auth
from migrator.api.agent_v1.admission import Admission
from migrator.api.agent_v1.poll_groups import PollGroups
from migrator.api.credential_lookup import CredentialLookup
from migrator.api.dependencies import Services
from migrator.api.v2_1 import services
from migrator.api.v2_1.actions import dispatch
from migrator.api.v2_1.common.routing import Endpoint, Route
from migrator.api.v2_1.migrations import os_migrations, server_migrations
from migrator.api.v2_1.servers import instance_actions, servers, subresources
from migrator.api.wakeups import Wakers
from migrator.db.engine import Database
from migrator.scheduler.reconciler import Reconciler
from migrator.scheduler.requests.requests import Caller
from migrator.settings import ServerSettings
from tests.api import seed

IMAGE = seed.IMAGE
NOBODY = "00000000-0000-0000-0000-000000000000"
_MODULES = (servers, dispatch, server_migrations, os_migrations, instance_actions, subresources, services)


class Answered:
    def __init__(self, response: Any) -> None:
        self.status: int = response.status_code
        self.headers = response.headers
        self.json: Any = json.loads(response.content) if response.content else None

    @property
    def message(self) -> str:
        (only,) = self.json.values()
        assert only["code"] == self.status
        return str(only["message"])


class Api:
    """``api("GET", "/servers", "2.96")``. The caller is ``api.caller``, an administrator unless a test says else."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.caller = Caller("admin", "admin", "")
        settings = ServerSettings(database=db.url)
        reconciler = Reconciler(db, settings, lambda _hosts: None)
        admission = Admission()
        polls, lookup = PollGroups(db, admission), CredentialLookup(db)
        self.services = Services(db, settings, reconciler, Wakers(), admission, polls, lookup)
        self._client = TestClient(Starlette(routes=self._routes()), base_url="http://testserver")

    def _routes(self) -> list[WebRoute]:
        by_path: dict[str, list[Route]] = {}
        for module in _MODULES:
            for route in module.ROUTES:
                by_path.setdefault(route.path, []).append(route)
        fixed_first = sorted(by_path.items(), key=lambda item: item[0].count("{"))
        return [
            WebRoute(f"/v2.1{path}", self._endpoint(routes), methods=sorted({r.method for r in routes}))
            for path, routes in fixed_first
        ]

    def _endpoint(self, routes: list[Route]) -> Callable[..., Any]:
        return Endpoint(routes, self.services, _As(self)).__call__

    def __call__(self, method: str, path: str, version: str = "2.96", body: Any = None) -> Answered:
        headers = {"OpenStack-API-Version": f"compute {version}"}
        return Answered(self._client.request(method, f"/v2.1{path}", headers=headers, json=body))


class _As(auth.Authenticator):
    def __init__(self, api: Api) -> None:
        self._api = api

    def caller(self, headers: Any, request_id: str) -> Caller:
        del headers
        who = self._api.caller
        return Caller(who.user_id, who.project_id, request_id, who.is_admin)


@pytest.fixture
def api(db: Database) -> Api:
    """Two hosts, one flavor, one image."""
    seed.host(db, "compute1")
    seed.host(db, "compute2")
    seed.flavor(db)
    seed.image(db, IMAGE)
    return Api(db)


__all__ = ["IMAGE", "NOBODY", "Answered", "Api", "api"]
