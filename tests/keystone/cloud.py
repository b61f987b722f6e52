"""A real Keystone, and what a test needs there: projects, users with roles, tokens of every scope."""

import contextlib
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx

from tests.ports import free_port
from tests.waiting import wait_for

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".keystone/bin/python"
MIGRATOR = "migrator password"  # of this server's own user
DEFAULT = {"id": "default"}


class Keystone:
    """``post("/users", {...})`` as the administrator; ``token(...)`` as anyone."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.http = httpx.Client(base_url=url, timeout=60, trust_env=False)
        self._ids: dict[str, str] = {}

    def begin(self) -> None:
        self.http.headers["X-Auth-Token"] = self.token("admin", project="admin")
        self.role_ids = {role["name"]: role["id"] for role in self.get("/roles")["roles"]}
        self.projects = {name: self._project(name) for name in ("own", "other")}
        self.projects |= {one["name"]: one["id"] for one in self.get("/projects")["projects"]}
        self.user("migrator", "service", "service", MIGRATOR)

    def _project(self, name: str) -> str:
        return str(self.post("/projects", {"project": {"name": name, "domain_id": "default"}})["project"]["id"])

    def get(self, path: str) -> Any:
        return self._checked(self.http.get(path))

    def post(self, path: str, body: Any, **more: Any) -> Any:
        return self._checked(self.http.post(path, json=body, **more))

    def patch(self, path: str, body: Any) -> Any:
        return self._checked(self.http.patch(path, json=body))

    def _checked(self, answer: httpx.Response) -> Any:
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def user(self, name: str, role: str | None, project: str, password: str = "") -> str:
        """Its id. The password is "password of NAME" unless given."""
        if project not in self.projects:
            self.projects[project] = self._project(project)
        wanted = {"name": name, "password": password or f"password of {name}", "domain_id": "default"}
        ident = str(self.post("/users", {"user": wanted})["user"]["id"])
        if role is not None:
            place = f"/projects/{self.projects[project]}/users/{ident}/roles/{self.role_ids[role]}"
            assert self.http.put(place).status_code == 204
        self._ids[name] = ident
        return ident

    def id_of(self, name: str) -> str:
        return self._ids[name]

    def token(self, user: str, password: str = "", **scope: Any) -> str:
        """``project="own"``, ``system=True``, ``domain=True``, or nothing."""
        secret = password or ("admin password" if user == "admin" else f"password of {user}")
        identity = {
            "methods": ["password"],
            "password": {"user": {"name": user, "domain": DEFAULT, "password": secret}},
        }
        return self.issued({"identity": identity, **_scope(scope)})

    def issued(self, auth: Mapping[str, Any]) -> str:
        answer = self.http.post("/auth/tokens", json={"auth": auth}, headers={"X-Auth-Token": ""})
        assert answer.status_code == 201, answer.text
        return str(answer.headers["X-Subject-Token"])

    def revoke(self, token: str) -> None:
        assert self.http.delete("/auth/tokens", headers={"X-Subject-Token": token}).status_code == 204


def _scope(scope: Mapping[str, Any]) -> Mapping[str, Any]:
    if "project" in scope:
        return {"scope": {"project": {"name": scope["project"], "domain": DEFAULT}}}
    if "system" in scope:
        return {"scope": {"system": {"all": True}}}
    return {"scope": {"domain": DEFAULT}} if "domain" in scope else {"scope": "unscoped"}


@contextlib.contextmanager
def running(directory: Path) -> Iterator[Keystone]:
    assert PYTHON.exists(), "Keystone is not installed: `script/bootstrap keystone` does it"
    port = free_port()
    log = directory / "keystone.log"
    with log.open("wb") as output:
        command = [str(PYTHON), str(Path(__file__).with_name("program.py")), str(directory), str(port)]
        process = subprocess.Popen(command, stdout=output, stderr=output)
    made = Keystone(f"http://127.0.0.1:{port}/v3")
    try:
        wait_for(lambda: process.poll() is not None or _answers(made), 60, logs=[log])
        assert process.poll() is None, log.read_text()[-2000:]
        made.begin()
        yield made
    finally:
        made.http.close()
        process.terminate()
        process.wait(15)


def _answers(made: Keystone) -> bool:
    try:
        return made.http.get("").status_code == 200
    except httpx.TransportError:
        return False
