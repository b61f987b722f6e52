"""Both Debian packages are installed, configured, started, upgraded over those of the commit before, and purged."""

import io
import os
import re
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from migrator.lab.process import Process
from tests.debian.machine import Machine, machine
from tests.ports import free_port
from tests.waiting import PATIENCE, wait_for

ROOT = Path(__file__).parents[2]
DISK = "/var/lib/migrator/instances/web-1.qcow2"
pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root has a machine in a folder")


class Installation:
    """What was built before and now, and the machine that it is installed on."""

    def __init__(self, where: Path, debian: Machine) -> None:
        self.debian, self.log, self.running = debian, where, list[Process]()
        self.api, self.agents = free_port(), free_port()
        (where / "tree").mkdir()
        self.old = packages(where / "old", "0.0.1", before(where / "tree"))
        self.new = packages(where / "new", "0.0.2", ROOT)

    def install(self, files: list[Path]) -> None:
        for file in files:
            self.debian.path(f"/tmp/{file.name}").write_bytes(file.read_bytes())
        self.debian.run("dpkg", "-i", *(f"/tmp/{file.name}" for file in files))

    def migrator(self, *arguments: str, check: bool = True) -> str:
        url = f"http://127.0.0.1:{self.api}/v2.1"
        return self.debian.run("migrator", *arguments, check=check, MIGRATOR_URL=url).stdout

    def start(self) -> None:
        server = self.debian.start("migrator-server", self.log / "server.log")
        self.running.append(server)
        wait_for(self._answers, 30, "the server to answer", [self.log / "server.log"])

    def start_agent(self) -> None:
        self.running.append(self.debian.start("migrator-agent", self.log / "agent.log"))
        logs = [self.log / "agent.log"]
        wait_for(lambda: re.search(r"\bn1\b.*\bup\b", self.migrator("service-list")), 30, "n1 to be up", logs)

    def _answers(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.api}/healthz", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    def stop(self) -> None:
        while self.running:
            self.running.pop().end()


def before(folder: Path) -> Path:
    """The tree of the commit before this one."""
    done = subprocess.run(["git", "-C", str(ROOT), "archive", "HEAD~1"], capture_output=True, check=True)
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as tar:
        tar.extractall(folder, filter="data")
    return folder


def packages(to: Path, version: str, tree: Path) -> list[Path]:
    script = [str(ROOT / "script/package"), "--tree", str(tree), "--version", version, "--out", str(to)]
    done = subprocess.run(script, capture_output=True, text=True, timeout=PATIENCE * 150)
    assert done.returncode == 0, done.stderr
    return sorted(to.glob("*.deb"))


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    with ExitStack() as stack:
        made = Installation(tmp_path, stack.enter_context(machine()))
        stack.callback(made.stop)
        yield made


def test_packages_are_installed_started_upgraded_and_purged(installation: Installation) -> None:
    debian, clean = installation.debian, installation.debian.files()
    installation.install(installation.old)
    assert debian.run("dpkg", "--audit").stdout == ""
    assert not debian.starts("migrator-server"), "it is configured first"
    assert not debian.starts("migrator-agent"), "it joins first"
    for unit in ("migrator-server", "migrator-agent"):
        assert debian.path(f"/etc/systemd/system/multi-user.target.wants/{unit}.service").is_symlink()

    configure(installation)
    installation.start()
    installation.migrator("flavor-create", "m1.small", "auto", "512", "1", "1")
    join(installation)
    installation.start_agent()
    disk = debian.path(DISK)
    disk.write_bytes(b"a guest's")

    configured = debian.path("/etc/migrator/server.toml").read_text()
    installation.install(installation.new)
    installation.stop()
    installation.start()
    installation.start_agent()
    assert "m1.small" in installation.migrator("flavor-list")
    assert debian.path("/etc/migrator/server.toml").read_text() == configured
    assert debian.run("dpkg-query", "-W", "-f", "${Version}", "migrator-agent").stdout == "0.0.2"

    installation.stop()
    said = debian.run("dpkg", "--purge", "migrator-server", "migrator-agent").stdout
    assert "rm -r /var/lib/migrator-server" in said
    assert "rm -r /var/lib/migrator\n" in said
    assert disk.read_bytes() == b"a guest's"
    assert debian.path("/var/lib/migrator-server/migrator.db").stat().st_size > 0
    left = {path for path in debian.files() - clean if not path.startswith("var/lib/migrator")}
    assert {
        path for path in left if not re.match(r"etc/(passwd|group|shadow|gshadow)-$|etc/\.pwd\.lock$", path)
    } == set()


def configure(installation: Installation) -> None:
    """By the commands of docs/installation.md, but for the address; and the API at a port of this test's own."""
    debian = installation.debian
    page = (ROOT / "docs/installation.md").read_text()
    section = re.split(r"^## ", page.split("\n## The server\n")[1], flags=re.M)[0]
    commands = [line.strip() for line in section.splitlines() if line.startswith("    ")]
    assert commands.pop() == "systemctl start migrator-server"
    typed = "\n".join(commands).replace("10.0.0.1:8775", f"127.0.0.1:{installation.agents}")
    debian.run("sh", "-e", "-c", typed)
    with debian.path("/etc/migrator/server.toml").open("a") as file:
        file.write(f'listen = "127.0.0.1:{installation.api}"\n')
    group = debian.run("stat", "-c", "%a %U %G", "/etc/migrator/server.toml").stdout
    assert group == "640 root migrator\n"
    assert debian.starts("migrator-server")


def join(installation: Installation) -> None:
    parts = installation.migrator("host-join", "n1").split()
    joined = installation.migrator(*parts[1:], check=False)
    assert "this host is n1" in joined
    assert "MISSING" in joined, "no libvirt is here, so the hypervisor is simulated"
    installation.debian.path("/etc/migrator/agent.env").write_text("MIGRATOR_SIMULATED=true\n")
    assert installation.debian.starts("migrator-agent")
