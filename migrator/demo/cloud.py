"""The demo's client: the few calls of the Compute API and of ``/v1`` that its story needs. Never reaches past HTTP."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

import httpx

from migrator.errors import MigratorError

T = TypeVar("T")
_TIMEOUT_S = 90.0


class DemoFailed(MigratorError):
    """The story did not go as told; the message says where."""

    code = "demo_failed"


class Cloud:
    def __init__(self, url: str) -> None:
        # From 2.95 on an evacuated instance is left stopped, and the audience would not see it live.
        self._http = httpx.Client(
            base_url=url, timeout=60, trust_env=False, headers={"X-OpenStack-Nova-API-Version": "2.94"}
        )

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """The answer's JSON. Raises DemoFailed with the server's words."""
        try:
            answer = self._http.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise DemoFailed(f"{method} {path}: {error or type(error).__name__}") from error
        if answer.is_error:
            raise DemoFailed(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer.json() if answer.content else None

    def hosts_up(self) -> list[str]:
        services = self.call("GET", "/v2.1/os-services")["services"]
        return sorted(s["host"] for s in services if s["state"] == "up")

    def force_down(self, host: str, down: bool) -> None:
        """What a fencing tool tells, or takes back, about a host."""
        services = self.call("GET", f"/v2.1/os-services?host={host}&binary=nova-compute")["services"]
        self.call("PUT", f"/v2.1/os-services/{services[0]['id']}", {"forced_down": down})

    def flavor(self, name: str, storage: str, ram: int = 128, disk: int = 1) -> str:
        wanted = {"name": name, "id": name, "ram": ram, "vcpus": 1, "disk": disk}
        self.call("POST", "/v2.1/flavors", {"flavor": wanted})
        self.call("POST", f"/v2.1/flavors/{name}/os-extra_specs", {"extra_specs": {"migrator:storage": storage}})
        return name

    def boot(self, name: str, flavor: str, image: str) -> str:
        wanted = {"name": name, "flavorRef": flavor, "imageRef": image, "networks": "none"}
        return str(self.call("POST", "/v2.1/servers", {"server": wanted})["server"]["id"])

    def server(self, uuid: str) -> dict[str, Any]:
        found: dict[str, Any] = self.call("GET", f"/v2.1/servers/{uuid}")["server"]
        return found

    def wait_active(self, uuid: str) -> dict[str, Any]:
        def read() -> dict[str, Any] | None:
            found = self.server(uuid)
            if found["status"] == "ERROR":
                raise DemoFailed(f"{found['name']} is in ERROR: {found.get('fault', {}).get('message')}")
            return found if found["status"] == "ACTIVE" and found["OS-EXT-STS:task_state"] is None else None

        return wait_for(read, f"{uuid} to be ACTIVE")

    def act(self, uuid: str, action: str, value: Any = None) -> dict[str, Any]:
        """Begin an action; the newest operation of the instance as ``/v1`` shows it."""
        self.call("POST", f"/v2.1/servers/{uuid}/action", {action: value})
        newest: dict[str, Any] = self.call("GET", f"/v1/operations?instance={uuid}&limit=1")["operations"][0]
        return newest

    def operation(self, ident: int) -> dict[str, Any]:
        found: dict[str, Any] = self.call("GET", f"/v1/operations/{ident}")["operation"]
        return found

    def migrations(self) -> list[dict[str, Any]]:
        return list(reversed(self.call("GET", "/v2.1/os-migrations")["migrations"]))

    def timeline(self, ident: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.call("GET", f"/v1/operations/{ident}/timeline")["events"]
        return found

    def close(self) -> None:
        self._http.close()


def wait_for(read: Callable[[], T | None], what: str, timeout: float = _TIMEOUT_S) -> T:
    """What ``look`` gives as soon as it gives something. Raises DemoFailed after ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    while (found := read()) is None:
        if time.monotonic() > deadline:
            raise DemoFailed(f"waited {timeout:.0f} s in vain for {what}")
        time.sleep(0.1)
    return found
