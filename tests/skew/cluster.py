"""A server of one tree and the agents of another, as processes that know nothing of each other but the protocol.

Owns the processes and what a client asks of them. Hosts are simulated; HTTP and clocks are real.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx

from migrator.lab.process import log_tails
from tests.ports import free_port
from tests.waiting import wait_for

T = TypeVar("T")
HOSTS = ("n1", "n2")
_AGENTS = (
    "import json, sys; from migrator.compute.agent.simulated_main import run_simulated_agents as run; "
    "tokens = json.loads(sys.argv[2]); raise SystemExit(run(sys.argv[1], tokens, list(tokens)))"
)
_START_S, _MOVE_S = 30, 20


class Cluster:
    """A client of the server, and the logs of both sides."""

    def __init__(self, url: str, logs: Sequence[Path]) -> None:
        self.processes: list[subprocess.Popen[bytes]] = []
        self._http = httpx.Client(base_url=url, timeout=30, trust_env=False)
        self._http.headers["X-OpenStack-Nova-API-Version"] = "2.79"
        self.logs = logs

    def call(self, method: str, path: str, body: Any = None) -> Any:
        answer = self._http.request(method, path, json=body)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def wait(self, done: Callable[[], T | None], seconds: float, what: str) -> T:
        """For a state, while both sides live."""

        def look() -> T | None:
            ended = [process.args for process in self.processes if process.poll() is not None]
            assert not ended, f"ended early: {ended}{log_tails(self.logs)}"
            return done()

        return wait_for(look, seconds, what, self.logs)

    def wait_for_hosts(self) -> None:
        def up() -> bool:
            services = self.call("GET", "/v2.1/os-services")["services"]
            return {one["host"] for one in services if one["state"] == "up"} == set(HOSTS)

        self.wait(up, _START_S, "both hosts to be up")

    def boot(self) -> str:
        flavor = {"name": "small", "id": "small", "ram": 64, "vcpus": 1, "disk": 1}
        self.call("POST", "/v2.1/flavors", {"flavor": flavor})
        image = {"name": "tiny", "disk_format": "raw", "container_format": "bare"}
        ident = self.call("POST", "/image/v2/images", image)["id"]
        octets = {"Content-Type": "application/octet-stream"}
        assert self._http.put(f"/image/v2/images/{ident}/file", content=b"boot me", headers=octets).is_success
        server = {"name": "vm", "flavorRef": "small", "imageRef": ident, "networks": "none"}
        uuid = str(self.call("POST", "/v2.1/servers", {"server": server})["server"]["id"])
        self.wait_until_active(uuid)
        return uuid

    def wait_until_active(self, uuid: str) -> str:
        """On which host it is then."""

        def host() -> str | None:
            server = self.call("GET", f"/v2.1/servers/{uuid}")["server"]
            assert server["status"] != "ERROR", server.get("fault")
            idle = server["status"] == "ACTIVE" and server["OS-EXT-STS:task_state"] is None
            return str(server["OS-EXT-SRV-ATTR:host"]) if idle else None

        return self.wait(host, _MOVE_S, "the server to be ACTIVE")

    def live_migrate(self, uuid: str) -> str:
        """Its new host, once the operation is over on both hosts."""
        self.call("POST", f"/v2.1/servers/{uuid}/action", {"os-migrateLive": {"host": None, "block_migration": "auto"}})

        def over() -> str | None:
            newest = self.call("GET", f"/v1/operations?instance={uuid}&limit=1")["operations"][0]
            return None if newest["active"] else str(newest["status"])

        assert self.wait(over, _MOVE_S, "the live migration to end") == "completed"
        return self.wait_until_active(uuid)

    def delete(self, uuid: str) -> None:
        self.call("DELETE", f"/v2.1/servers/{uuid}")
        self.wait(lambda: not self.call("GET", "/v2.1/servers")["servers"], _MOVE_S, "it to be deleted")


@contextmanager
def running(server_tree: Path, agents_tree: Path, directory: Path) -> Iterator[Cluster]:
    """``directory``: for the database and the logs."""
    url = f"http://127.0.0.1:{free_port()}"
    settings = {
        "MIGRATOR_DATABASE": f"sqlite:///{directory / 'migrator.db'}",
        "MIGRATOR_LISTEN": url.removeprefix("http://"),
        "MIGRATOR_IMAGE_DIR": str(directory / "images"),
    }
    command = [sys.executable, "-m", "migrator.cli.main"]
    tokens = {host: _output([*command, "agent-credential", host], server_tree, settings) for host in HOSTS}
    logs = [directory / "server.log", directory / "agents.log"]
    with ExitStack() as kept:
        cluster = Cluster(url, logs)
        cluster.processes.append(kept.enter_context(_process([*command, "server"], server_tree, settings, logs[0])))
        cluster.wait(lambda: _answers(url), _START_S, "the server to answer")
        agents = [sys.executable, "-c", _AGENTS, url, json.dumps(tokens)]
        cluster.processes.append(kept.enter_context(_process(agents, agents_tree, {}, logs[1])))
        yield cluster


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz", trust_env=False).is_success
    except httpx.TransportError:
        return False


def _environment(tree: Path, settings: Mapping[str, str]) -> Mapping[str, str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("MIGRATOR_")}
    return {**plain, **settings, "PYTHONPATH": str(tree)}


def _output(command: Sequence[str], tree: Path, settings: Mapping[str, str]) -> str:
    environment = _environment(tree, settings)
    return subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=True).stdout.strip()


@contextmanager
def _process(
    command: Sequence[str], tree: Path, settings: Mapping[str, str], log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Until the block ends; the process must not end before."""
    environment = _environment(tree, settings)
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=tree, env=environment, stdout=output, stderr=output)
        try:
            yield process
            assert process.poll() is None, f"it ended early: {log.read_text()[-3000:]}"
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
