"""A lab with a server on SQLite and an agent on each host, driven over HTTP as any client would."""

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from migrator.lab import Lab, LabHost
from migrator.lab.image import KERNEL_ARGS, register_guest
from migrator.lab.process import Process, spawn
from migrator.lab.ticks import TickFollower
from tests.ports import free_port
from tests.waiting import PATIENCE, wait_for

AGENTS_PORT = 8775
DOWN_S = 30  # of silence; on a busy machine a server and both agents take half of it to come back
MEMORY_MB = 128
GUEST_ARGS = f"{KERNEL_ARGS} ballast=40 dirty=50"


class Cluster:
    """``root`` holds database, images and logs of the server."""

    def __init__(self, lab: Lab, root: Path) -> None:
        self.lab = lab
        self.root = root
        self.url = f"http://127.0.0.1:{free_port()}"
        self.agent_url = f"http://{lab.server_address}:{AGENTS_PORT}"
        self.server: Process | None = None
        self.http = httpx.Client(base_url=f"{self.url}/v2.1", timeout=PATIENCE * 30, trust_env=False)
        self.http.headers["OpenStack-API-Version"] = "compute 2.79"
        self.image = ""
        self.tokens: dict[str, str] = {}
        self._begun: dict[str, str] = {}  # host -> when its agent or the server was started last

    def up(self) -> None:
        self.configure()
        for host in self.lab.hosts:
            self.tokens[host.name] = self._migrator("agent-credential", host.name, "--config", str(self.config)).strip()
        self.start_server()
        for host in self.lab.hosts:
            self.start_agent(host)
        self.image = register_guest(self.url, kernel_args=GUEST_ARGS)
        for pool in ("shared", "local"):
            self._make_flavor(pool)
        self.wait_services()

    def down(self) -> None:
        for host in self.lab.hosts:
            host.kill_agent(signal.SIGTERM)
        self.kill_server(signal.SIGTERM)
        self.http.close()

    @property
    def config(self) -> Path:
        return self.root / "server.toml"

    def configure(self, **settings: int | str) -> None:
        """Settings of the next server started."""
        lines = {
            "database": f"sqlite:///{self.root}/migrator.db",
            "listen": self.url.removeprefix("http://"),
            "agent_listen": self.agent_url.removeprefix("http://"),
            "image_dir": str(self.root / "images"),
        }
        values: dict[str, int | str] = {**lines, "sweep_interval": 1, "service_down_time": DOWN_S, **settings}
        self.config.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items()))

    def start_server(self) -> None:
        command = [sys.executable, "-m", "migrator.cli.main", "server", "--config", str(self.config)]
        self._begun = {host.name: _now() for host in self.lab.hosts}
        self.server = spawn(command, self.root / "server.log")
        wait_for(self._answers, 30, "the server to answer", [self.root / "server.log"])

    def serve(self, **settings: int | str) -> None:
        """A new server with these settings, and every host up."""
        self.kill_server()
        self.configure(**settings)
        self.start_server()
        self.wait_services()

    def wait_services(self) -> None:
        """Until this server has heard every host's agent. Up is not enough: so is a host that spoke to the server
        before this one, or through the agent before this one, and may be silent for seconds yet."""
        logs = [host.directory / "agent.log" for host in self.lab.hosts]
        wait_for(lambda: len(self.services_up()) == len(self.lab.hosts), 30, "every host to be up", logs)

    def kill_server(self, number: int = signal.SIGKILL) -> None:
        if self.server is not None:
            self.server.end(number)

    def start_agent(self, host: LabHost, *, tls: bool = False) -> None:
        self._begun[host.name] = _now()
        host.start_agent(self.agent_url, self.tokens[host.name], tls=tls)

    def host(self, name: str) -> LabHost:
        return next(host for host in self.lab.hosts if host.name == name)

    def services_up(self) -> list[str]:
        """Names of the hosts that are up, and whose agents were heard since they, or the server, were started."""
        found = self.http.get("/os-services", params={"binary": "nova-compute"}).json()["services"]
        up = [service for service in found if service["state"] == "up"]
        return [service["host"] for service in up if service["updated_at"] >= self._begun[service["host"]]]

    def used_memory(self) -> dict[str, int]:
        """MiB that claims hold on each host, and what is reserved."""
        headers = {"OpenStack-API-Version": "compute 2.53"}
        found = self.http.get("/os-hypervisors/detail", headers=headers).json()["hypervisors"]
        return {entry["hypervisor_hostname"]: entry["memory_mb_used"] for entry in found}

    def boot(self, pool: str, image: str | None = None, **more: Any) -> str:
        """An ACTIVE server's id. ``more``: of the body. Every host is up first, whatever the test before did to one."""
        self.wait_services()
        name = f"tick-{pool}"
        body = {"name": name, "flavorRef": name, "imageRef": image or self.image, "networks": "none"} | more
        made = self.http.post("/servers", json={"server": body})
        assert made.status_code == 202, made.text
        uuid = str(made.json()["server"]["id"])
        wait_for(lambda: self._settled(uuid), 60, f"{uuid} to become active")
        return uuid

    def volume(self, name: str, image: str | None = None) -> str:
        """An empty volume's id. ``image``: whose kernel boots it."""
        body = {"name": name, "source": self.lab.volumes.serve(name), "size_gb": 1, "image_id": image}
        made = httpx.post(f"{self.url}/v1/volumes", json={"volume": body}, trust_env=False, timeout=PATIENCE * 30)
        assert made.status_code == 201, made.text
        return str(made.json()["volume"]["id"])

    def forget_volume(self, ident: str) -> httpx.Response:
        return httpx.delete(f"{self.url}/v1/volumes/{ident}", trust_env=False, timeout=PATIENCE * 30)

    def show(self, uuid: str) -> dict[str, Any]:
        shown: dict[str, Any] = self.http.get(f"/servers/{uuid}").json()["server"]
        return shown

    def where(self, uuid: str) -> LabHost:
        return self.host(self.show(uuid)["OS-EXT-SRV-ATTR:host"])

    def delete(self, uuid: str) -> None:
        assert self.http.delete(f"/servers/{uuid}").status_code == 204
        wait_for(lambda: self.http.get(f"/servers/{uuid}").status_code == 404, 60, f"{uuid} to be gone")

    def migrate(self, uuid: str, destination: str | None = None) -> None:
        body = {"os-migrateLive": {"host": destination, "block_migration": "auto"}}
        answer = self.http.post(f"/servers/{uuid}/action", json=body)
        assert answer.status_code == 202, answer.text

    def operation(self, uuid: str) -> dict[str, Any]:
        """The newest live-migration of the instance, as ``/v1/operations`` shows it."""
        found = httpx.get(
            f"{self.url}/v1/operations", params={"instance": uuid}, trust_env=False, timeout=PATIENCE * 30
        ).json()["operations"]
        return next(row for row in found if row["kind"] == "live-migration")

    def wait_operation(self, uuid: str, timeout: float = 90) -> dict[str, Any]:
        """The live-migration once it ended."""

        def ended() -> dict[str, Any] | None:
            found = self.operation(uuid)
            return found if found["finished_at"] else None

        ended_as: dict[str, Any] = wait_for(ended, timeout, f"the migration of {uuid} to end")
        return ended_as

    def timeline(self, uuid: str) -> list[dict[str, Any]]:
        path = f"{self.url}/v1/operations/{self.operation(uuid)['id']}/timeline"
        events: list[dict[str, Any]] = httpx.get(path, trust_env=False, timeout=PATIENCE * 30).json()["events"]
        return events

    def wait_transfer(self, uuid: str, source: LabHost) -> None:
        """Until libvirt itself counts bytes of a running transfer: the middle. Fails as soon as there will be none."""

        def moving() -> bool:
            if "Data processed" in source.run(["virsh", "domjobinfo", uuid], check=False):
                return True
            operation = self.operation(uuid)
            assert not operation["finished_at"], (operation, self.timeline(uuid))
            return False

        wait_for(moving, 30, f"the transfer of {uuid}")
        time.sleep(1.0)
        assert moving(), "the transfer is over already; it has no middle"

    def runners(self, uuid: str) -> list[str]:
        """Names of the hosts whose libvirtd says that the instance runs there."""

        def listed(host: LabHost) -> list[str]:
            return host.run(["virsh", "list", "--uuid", "--state-running"]).split()

        return [host.name for host in self.lab.hosts if uuid in listed(host)]

    def follow(self, uuid: str) -> TickFollower:
        return TickFollower({host.name: host.console_log(uuid) for host in self.lab.hosts})

    def _settled(self, uuid: str) -> bool:
        status = self.show(uuid)["status"]
        assert status != "ERROR", self.show(uuid).get("fault")
        return bool(status == "ACTIVE")

    def _make_flavor(self, pool: str) -> None:
        name = f"tick-{pool}"
        flavor = {"id": name, "name": name, "ram": MEMORY_MB, "vcpus": 1, "disk": 1}
        assert self.http.post("/flavors", json={"flavor": flavor}).status_code == 200
        specs = {"extra_specs": {"migrator:storage": pool}}
        assert self.http.post(f"/flavors/{name}/os-extra_specs", json=specs).status_code == 200

    def _answers(self) -> bool:
        try:
            return self.http.get("/servers").status_code == 200
        except httpx.TransportError:
            return False

    def _migrator(self, *arguments: str) -> str:
        command = [sys.executable, "-m", "migrator.cli.main", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ), timeout=PATIENCE * 60)
        assert done.returncode == 0, done.stderr
        return done.stdout


def process_of(host: LabHost, uuid: str) -> Process:
    """The instance's QEMU on the host."""
    named = [(process, Path(f"/proc/{process.pid}/cmdline").read_text()) for process in host.processes()]
    found = [process for process, command in named if f"guest={uuid}" in command]
    assert len(found) == 1
    return found[0]


def _now() -> str:
    """As ``os-services`` writes moments."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")
