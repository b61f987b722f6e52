"""A real agent's process that loses its server: its guest stops when the lease has lapsed, and not before."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from migrator.db import credentials, hosts
from migrator.db.engine import Database
from tests.ports import free_port
from tests.waiting import PATIENCE, wait_for

LEASE_S = 30  # the shortest there is
BINARY = Path(sys.executable).parent / "migrator"


class Site:
    """One server, one simulated host with a lease and a watchdog, one image and one flavor."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.log, self.watchdog = directory / "agent.log", directory / "watchdog"
        self.watchdog.touch()
        self.url = f"http://127.0.0.1:{free_port()}"
        self.db = Database(f"sqlite:///{directory}/migrator.db")
        headers = {"OpenStack-API-Version": "compute 2.96"}
        self.http = httpx.Client(base_url=self.url, headers=headers, timeout=PATIENCE * 30, trust_env=False)

    @contextlib.contextmanager
    def process(self, what: str, **settings: Any) -> Iterator[subprocess.Popen[bytes]]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MIGRATOR_")}
        environment |= {f"MIGRATOR_{name.upper()}": str(value) for name, value in settings.items()}
        with (self.directory / f"{what}.log").open("wb") as log:
            process = subprocess.Popen([BINARY, what], env=environment, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGCONT)
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def server(self) -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
        listen = self.url.removeprefix("http://")
        return self.process("server", database=self.db.url, listen=listen, image_dir=self.directory / "images")

    def agent(self) -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
        return self.process(
            "agent",
            server_url=self.url,
            host="n1",
            token=credentials.issue(self.db, "n1"),
            simulated=1,
            state_path=self.directory / "state",
            self_fencing_lease=LEASE_S,
            watchdog_device=self.watchdog,
        )

    def call(self, method: str, path: str, **more: Any) -> Any:
        answer = self.http.request(method, path, **more)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def listening(self) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return self.http.get("/v2.1").status_code == 200
        return False

    def lease(self) -> float | None:
        """What the server counts with; None: it does not know the host yet."""
        with self.db.read() as connection:
            found = hosts.by_names(connection, ["n1"])
        return float(found[0].report["self_fencing_lease_s"]) if found else None

    def image(self) -> str:
        image = {"name": "tiny", "disk_format": "raw", "container_format": "bare"}
        ident = self.call("POST", "/image/v2/images", json=image)["id"]
        octets = {"Content-Type": "application/octet-stream"}
        self.call("PUT", f"/image/v2/images/{ident}/file", content=b"\0" * 4096, headers=octets)
        return str(ident)

    def boot(self) -> str:
        ident = self.image()
        flavor = {"name": "nano", "id": "1", "vcpus": 1, "ram": 64, "disk": 1}
        self.call("POST", "/v2.1/flavors", json={"flavor": flavor})
        wanted = {"name": "a", "flavorRef": "1", "imageRef": ident, "networks": "none"}
        uuid = str(self.call("POST", "/v2.1/servers", json={"server": wanted})["server"]["id"])
        self.until(lambda: self.status(uuid) == "ACTIVE", 30)
        return uuid

    def status(self, uuid: str) -> str:
        return str(self.call("GET", f"/v2.1/servers/{uuid}")["server"]["status"])

    def says(self, message: str) -> bool:
        return message in self.log.read_text()

    def until(self, locks_instance: Callable[[], Any], seconds: float) -> None:
        wait_for(locks_instance, seconds, logs=[self.log])


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.http.close()
    made.db.close()


def test_an_agent_that_loses_its_server_stops_its_guests(site: Site) -> None:
    with site.server() as server:
        site.until(site.listening, 30)
        with site.agent() as agent:
            site.until(lambda: site.lease() == LEASE_S, 30)
            uuid = site.boot()
            server.send_signal(signal.SIGSTOP)  # its requests hang: nothing is refused, nothing is answered
            lost = time.monotonic()
            site.until(lambda: site.says("nothing runs here any more"), LEASE_S + 15)
            assert time.monotonic() - lost > LEASE_S - 11, "a poll is sent every 10 s at the least"
            server.send_signal(signal.SIGCONT)
            site.until(lambda: site.status(uuid) == "SHUTOFF", 30)
            site.call("POST", f"/v2.1/servers/{uuid}/action", json={"os-start": None})
            site.until(lambda: site.status(uuid) == "ACTIVE", 30)
            agent.terminate()
            assert agent.wait(PATIENCE * 15) == 0
        assert site.lease() == 0, "nobody is there to keep it"
        assert site.watchdog.read_bytes().endswith(b"V")
        assert len(site.watchdog.read_bytes()) > LEASE_S / 2


def test_a_lease_that_could_not_be_withdrawn_leaves_the_watchdog_armed(site: Site) -> None:
    with site.server() as server:
        site.until(site.listening, 30)
        with site.agent() as agent:
            site.until(lambda: site.lease() == LEASE_S, 30)
            server.kill()
            agent.terminate()
            assert agent.wait(PATIENCE * 20) == 0
    assert not site.watchdog.read_bytes().endswith(b"V")
    assert site.says("the server still counts with this host's self-fencing lease")
