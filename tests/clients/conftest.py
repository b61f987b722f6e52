"""A running server and three simulated hosts, each kind in a process of its own, for the real OpenStack clients."""

import contextlib
import functools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from migrator.db import credentials
from migrator.db.engine import Database
from migrator.demo.simulated_hosts import TOKENS, URL, SimulatedHosts
from tests import documented
from tests.ports import free_port
from tests.waiting import PATIENCE, wait_for

HOSTS = ("n1", "n2", "n3")
FLAVORS = {  # id -> name, MiB of memory, GiB of disk
    "1": ("m1.nano", 64, 1),
    "2": ("m1.big", 4096, 1),  # takes some seconds to move
    "3": ("m1.disk", 64, 10),  # takes some seconds to copy
    "4": ("m1.huge", 32768, 1),  # takes more than a minute to move: what is done to it on its way needs no hurry
}
_SERVER = (
    "from migrator.server.main import serve; from migrator.settings import ServerSettings; "
    "raise SystemExit(serve(ServerSettings()))"
)
_AGENTS = "import runpy; runpy.run_module('migrator.demo.simulated_hosts', run_name='__main__')"


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.code == 0, self.err
        return json.loads(self.out)


class Cloud:
    """``url`` is the Compute API; ``nova(...)``, ``openstack(...)`` and ``migrator(...)`` run the clients against it;
    ``hosts`` can cut a host's power."""

    hosts: SimulatedHosts

    def __init__(self, root: str, directory: Path) -> None:
        self.root, self.url = root, f"{root}/v2.1"
        self._directory = directory
        self._binaries = Path(sys.executable).parent
        self._own = {"http://127.0.0.1:8774": root}
        (directory / "clouds.yaml").write_text(documented.clouds("none", self._own))

    def nova(self, *arguments: str) -> Ran:
        return self._run("nova", arguments, documented.variables("none", "nova", self._own))

    def openstack(self, *arguments: str) -> Ran:
        return self._run("openstack", arguments, documented.variables("none", "openstack", {}))

    def migrator(self, *arguments: str) -> Ran:
        return self._run("migrator", arguments, documented.variables("none", "migrator", self._own))

    def _run(self, name: str, arguments: tuple[str, ...], environment: dict[str, str]) -> Ran:
        done = subprocess.run(
            [self._binaries / name, *arguments],
            env=_environment() | environment,
            cwd=self._directory,
            capture_output=True,
            text=True,
            timeout=PATIENCE * 120,
            check=False,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def get(self, path: str, version: str = "2.96") -> Any:
        headers = {"OpenStack-API-Version": f"compute {version}"}
        answer = httpx.get(f"{self.url}{path}", headers=headers, timeout=PATIENCE * 30)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: Any, version: str = "2.96") -> httpx.Response:
        headers = {"OpenStack-API-Version": f"compute {version}"}
        return httpx.post(f"{self.url}{path}", headers=headers, json=body, timeout=PATIENCE * 60)

    def server(self, name: str) -> dict[str, Any]:
        (found,) = self.get(f"/servers/detail?name=^{name}$")["servers"]
        assert isinstance(found, dict)
        return found

    def state(self, name: str) -> tuple[str, str]:
        """(status, host)."""
        found = self.server(name)
        return found["status"], found["OS-EXT-SRV-ATTR:host"]

    def migrations(self, name: str) -> list[dict[str, Any]]:
        """Of one server, newest first."""
        found = self.get(f"/os-migrations?instance_uuid={self.server(name)['id']}")["migrations"]
        assert isinstance(found, list)
        return found

    def boot(self, name: str, flavor: str = "1", **more: Any) -> str:
        """A server that runs, made without any client; its host."""
        self.create(name, flavor, **more)
        self.until(f"{name} runs", lambda: self.state(name)[0] == "ACTIVE")
        return self.state(name)[1]

    def create(self, name: str, flavor: str, **more: Any) -> str:
        """A server that begins to be built; its UUID."""
        image = httpx.get(f"{self.root}/image/v2/images?name=tiny", timeout=PATIENCE * 30).json()["images"][0]["id"]
        wanted = {"name": name, "flavorRef": flavor, "imageRef": image, "networks": "none"} | more
        created = self.post("/servers", {"server": wanted})
        assert created.status_code == 202, created.text
        return str(created.json()["server"]["id"])

    def delete(self, *names: str) -> None:
        for name in names:
            httpx.delete(f"{self.url}/servers/{self.server(name)['id']}", timeout=PATIENCE * 30)
        for name in names:
            self.until(f"{name} is gone", functools.partial(self._gone, name))

    def _gone(self, name: str) -> bool:
        return bool(self.get(f"/servers?name=^{name}$")["servers"] == [])

    @contextlib.contextmanager
    def disabled(self, *hosts: str) -> Iterator[None]:
        """No instance is placed on ``hosts`` within the block."""
        ids = [s["id"] for s in self.get("/os-services")["services"] if s["host"] in hosts]
        for ident in ids:
            assert self._put(f"/os-services/{ident}", {"status": "disabled"}).status_code == 200
        try:
            yield
        finally:
            for ident in ids:
                self._put(f"/os-services/{ident}", {"status": "enabled"})

    def force_down(self, host: str, down: bool) -> httpx.Response:
        (service,) = self.get(f"/os-services?host={host}")["services"]
        return self._put(f"/os-services/{service['id']}", {"forced_down": down})

    def _put(self, path: str, body: Any) -> httpx.Response:
        headers = {"OpenStack-API-Version": "compute 2.96"}
        return httpx.put(f"{self.url}{path}", headers=headers, json=body, timeout=PATIENCE * 30)

    def until(self, what: str, look: Callable[[], Any], seconds: float = 40) -> Any:
        """The first true answer of ``look``, as ``wait_for`` waits for it, with the end of the servers' logs."""
        return wait_for(look, seconds, what, [self._directory / "server.log", self._directory / "agents.log"])


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OS_", "MIGRATOR_"))}
    return kept | {"PYTHONWARNINGS": "ignore", "COLUMNS": "200"}


@contextlib.contextmanager
def _process(code: str, environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            env=_environment() | environment,
            stdin=subprocess.PIPE,
            stdout=sink,
            stderr=sink,
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(timeout=PATIENCE * 15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            assert process.stdin is not None
            process.stdin.close()


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """Server, simulated hosts n1 to n3, image "tiny", and ``FLAVORS``."""
    directory = tmp_path_factory.mktemp("cloud")
    port = free_port()
    cloud = Cloud(f"http://127.0.0.1:{port}", directory)
    database = f"sqlite:///{directory}/migrator.db"
    server = {
        "MIGRATOR_DATABASE": database,
        "MIGRATOR_LISTEN": f"127.0.0.1:{port}",
        "MIGRATOR_IMAGE_DIR": str(directory / "images"),
        "MIGRATOR_SWEEP_INTERVAL": "1",
        **dict.fromkeys(("MIGRATOR_QUOTA_INSTANCES", "MIGRATOR_QUOTA_CORES", "MIGRATOR_QUOTA_RAM"), "-1"),
    }
    with _process(_SERVER, server, directory / "server.log") as process:
        _wait_for(cloud, process, directory / "server.log")
        db = Database(database)
        tokens = {host: credentials.issue(db, host) for host in HOSTS}
        db.close()
        agents = {URL: cloud.root, TOKENS: json.dumps(tokens)}
        with _process(_AGENTS, agents, directory / "agents.log") as hosts:
            assert hosts.stdin is not None
            cloud.hosts = SimulatedHosts(hosts.stdin)
            _fill(cloud)
            yield cloud


def _wait_for(cloud: Cloud, process: subprocess.Popen[bytes], log: Path) -> None:
    def answers() -> bool:
        assert process.poll() is None, log.read_text()
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(cloud.url).status_code == 200
        return False

    cloud.until("listening", answers)


def _fill(cloud: Cloud) -> None:
    cloud.until("three hosts up", lambda: len(_up(cloud)) == len(HOSTS))
    for key, (name, ram, disk) in FLAVORS.items():
        flavor = {"name": name, "id": key, "vcpus": 1, "ram": ram, "disk": disk}
        assert cloud.post("/flavors", {"flavor": flavor}).status_code == 200
    images = f"{cloud.root}/image/v2/images"
    image = {"name": "tiny", "disk_format": "raw", "container_format": "bare", "visibility": "public"}
    created = httpx.post(images, json=image, timeout=PATIENCE * 30)
    assert created.status_code == 201, created.text
    stored = httpx.put(
        f"{images}/{created.json()['id']}/file",
        content=b"\0" * 4096,
        headers={"Content-Type": "application/octet-stream"},
        timeout=PATIENCE * 30,
    )
    assert stored.status_code == 204, stored.text


def _up(cloud: Cloud) -> list[Any]:
    services = cloud.get("/os-services")["services"]
    return [service for service in services if service["state"] == "up"]
