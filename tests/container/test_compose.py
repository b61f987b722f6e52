"""docker-compose.yml as docs/containers.md says: it comes up, hosts join it, and one of its servers may die."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from migrator.lab.process import Process, spawn
from tests.container.engine import ADDRESS, NAME, Engine, engine
from tests.waiting import wait_for

ROOT = Path(__file__).parents[2]
# What has a meaning in an address, a shell, a compose file, or to libpq.
PASSWORD = "a$b@c/d:%e'f\"g\\h #i"
IMAGES = {
    "debian:bookworm-20250520-slim": "debian",
    "postgres:16.9-bookworm": "postgres",
    "haproxy:2.8.15-bookworm": "haproxy",
}
pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root has an engine for containers")


class Cloud:
    """The project in a folder of its own, as an operator has it."""

    def __init__(self, docker: Engine, project: Path) -> None:
        self.docker, self.project = docker, project
        shutil.copy(ROOT / "docker-compose.yml", project)
        shutil.copy(ROOT / ".dockerignore", project)
        shutil.copytree(ROOT / "packaging/container", project / "packaging/container")
        packages = project / "build/packages"
        subprocess.run([ROOT / "script/package", "--out", packages, "server"], check=True, capture_output=True)
        (project / "secrets").mkdir()
        (project / "secrets/database_password").write_text(f"{PASSWORD}\n")

    def up(self) -> None:
        self.compose("build", "server1", MIGRATOR_NAME=NAME, MIGRATOR_ALLOWED_HOSTS="[]")
        self.docker.run("packaging/container/prepare", NAME, ADDRESS, where=self.project)
        self.compose("up", "--detach")

    def compose(self, *command: str, check: bool = True, **environment: str) -> str:
        return self.docker.run("docker-compose", *command, where=self.project, check=check, **environment)

    def get(self, path: str, *options: str, user: bool = True) -> tuple[int, str]:
        """Status and body; (0, "") where nothing answers."""
        password = (self.project / "secrets/admin_password").read_text().strip()
        trusted = ["--cacert", f"{self.project}/secrets/ca.pem", *(["--user", f"admin:{password}"] if user else [])]
        url = f"https://{ADDRESS}:8774{path}"
        said = self.docker.run("curl", "-sS", "-w", "\n%{http_code}", *trusted, *options, url, check=False)
        body, _, status = said.rpartition("\n")
        return int(status or 0), body

    def migrator(self, *command: str) -> str:
        password = (self.project / "secrets/admin_password").read_text().strip()
        user = {"OS_AUTH_TYPE": "http_basic", "OS_USERNAME": "admin", "OS_PASSWORD": password}
        options = [f"--env={name}={value}" for name, value in user.items()]
        container = self.compose("ps", "-q", "server1").strip()
        return self.docker.run("docker", "exec", *options, container, "migrator", *command)

    def services(self) -> list[dict[str, str]]:
        status, body = self.get("/v2.1/os-services")
        found: list[dict[str, str]] = json.loads(body)["services"] if status == 200 else []
        return found

    @contextmanager
    def host(self, name: str) -> Iterator[Process]:
        """A simulated one, which joined by the line that was printed."""
        line = self.migrator("host-join", name).strip()
        assert line.startswith(f"migrator agent-join https://{NAME}:8775 "), line
        command, config = [sys.executable, "-m", "migrator.cli.main"], self.project / f"{name}.toml"
        options = [f"--server-ca={self.project}/secrets/ca.pem", f"--config={config}"]
        # It ends with 1: this machine has no libvirt that could be used.
        self.docker.run(*command, *line.split()[1:], *options, check=False, PYTHONPATH=str(ROOT))
        lines = {"simulated": "true", "state_path": json.dumps(f"{self.project}/{name}")}
        config.write_text("".join(f"{key} = {value}\n" for key, value in lines.items()) + config.read_text())
        agent = spawn([*self.docker.inside, *command, "agent", f"--config={config}"], self.project / f"{name}.log")
        try:
            yield agent
        finally:
            agent.end()


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with engine(Path(tempfile.mkdtemp(prefix="migrator-container-"))) as docker:
        docker.build_images(IMAGES)
        (docker.root / "project").mkdir()
        made = Cloud(docker, docker.root / "project")
        made.up()
        try:
            yield made
        finally:
            made.compose("down", "--volumes", "--timeout", "5")


def test_the_api_and_the_dashboard_answer_behind_tls(cloud: Cloud) -> None:
    wait_for(lambda: cloud.get("/healthz")[0] == 200, 30, "the proxy to find a server")
    status, page = cloud.get("/", "--header", "Accept: text/html", user=False)
    assert status == 200
    assert "<!doctype html>" in page
    assert cloud.get("/v2.1/servers", user=False)[0] == 401
    assert cloud.get("/v2.1/servers") == (200, '{"servers":[]}')
    links = json.loads(cloud.get("/v2.1/flavors/missing")[1])
    assert links["itemNotFound"]["code"] == 404


def test_what_a_client_says_of_its_own_address_is_not_believed(cloud: Cloud) -> None:
    assert cloud.get("/v2.1/servers", "--header", "X-Forwarded-For: 203.0.113.66", "--user", "admin:wrong")[0] == 401
    logs = cloud.compose("logs", "--no-color", "server1", "server2")
    assert re.search(r'"migrator.audit".*"status": 401', logs), logs[-2000:]
    assert "203.0.113.66" not in logs


def test_a_host_joins_and_stays_up_while_a_server_dies(cloud: Cloud) -> None:
    with cloud.host("n1"):
        log = cloud.project / "n1.log"
        wait_for(lambda: [s for s in cloud.services() if s["state"] == "up"], 30, "n1 to be up", [log])
        container = cloud.compose("ps", "-q", "server2").strip()
        cloud.docker.run("docker", "kill", container)
        seen = cloud.services()[0]["updated_at"]
        wait_for(lambda: [s for s in cloud.services() if s["updated_at"] > seen], 60, "n1 to be heard again", [log])
        assert [s["state"] for s in cloud.services()] == ["up"]
        cloud.docker.run("docker", "start", container)
