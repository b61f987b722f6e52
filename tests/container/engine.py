"""Docker's engine in a network namespace of its own, with images made of a small Debian in place of a registry's.

In this machine's own network it would set the rules by which packets are forwarded, which other tests need.
"""

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from migrator.errors import LabError
from migrator.lab.process import Process, run, spawn
from tests.debian.machine import base_system
from tests.waiting import PATIENCE, wait_for

NAME = "192.0.2.11"  # of the machine on which the containers run, as hosts are told it
ADDRESS = "192.0.2.10"  # as clients reach it
IMAGES = Path(__file__).parent / "images"


@dataclass(frozen=True)
class Engine:
    namespace: str
    root: Path
    log: Path

    @property
    def inside(self) -> list[str]:
        """Before a command: it runs where the containers' ports are."""
        return ["nsenter", f"--net=/run/netns/{self.namespace}"]

    @property
    def socket(self) -> str:
        return f"unix://{self.root}/docker.sock"

    def run(self, *command: str, where: Path | None = None, check: bool = True, **environment: str) -> str:
        """What it printed. Raises AssertionError with all that it said, for a failure."""
        path = "/usr/sbin:/usr/bin:/sbin:/bin"
        known = {"PATH": path, "HOME": str(self.root), "DOCKER_HOST": self.socket, "DOCKER_BUILDKIT": "0"}
        done = subprocess.run(
            [*self.inside, *command],
            cwd=where,
            env=known | environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE * 120,
            stdin=subprocess.DEVNULL,
        )
        assert not check or done.returncode == 0, f"{' '.join(command)}:\n{done.stdout}{done.stderr}"
        return done.stdout

    def start(self) -> Process:
        """Skips the test where the engine says that it cannot run here."""
        folders = [f"--data-root={self.root}/data", f"--exec-root={self.root}/exec", f"--pidfile={self.root}/pid"]
        daemon = spawn([*self.inside, "dockerd", f"--host={self.socket}", *folders], self.log)
        wait_for(lambda: self._answers() or not daemon.alive, 30, "Docker's engine", [self.log])
        if not daemon.alive:
            pytest.skip(f"Docker's engine cannot run here: {self.log.read_text().strip().splitlines()[-1]}")
        return daemon

    def build_images(self, names: dict[str, str]) -> None:
        """``names``: what docker-compose.yml calls an image -> the folder of ``images`` that it is built from here."""
        base = f"tar -C {base_system()} --one-file-system -c . | docker import - small-debian"
        self.run("sh", "-c", base)
        for name, folder in names.items():
            self.run("docker", "build", "--quiet", "--tag", name, str(IMAGES / folder))

    def _answers(self) -> bool:
        said = self.run("docker", "version", "--format", "{{json .Server}}", check=False)
        return said.strip() not in ("", "null") and bool(json.loads(said))


@contextmanager
def engine(work: Path) -> Iterator[Engine]:
    namespace = "mg-container"
    subprocess.run(["ip", "netns", "delete", namespace], capture_output=True)  # of a run that was killed
    run("ip", "netns", "add", namespace)
    made = Engine(namespace, work, work / "engine.log")
    try:
        for command in (f"address add {ADDRESS}/32 dev lo", f"address add {NAME}/32 dev lo", "link set lo up"):
            run("ip", "-netns", namespace, *command.split())
        daemon = made.start()
        try:
            yield made
        finally:
            daemon.end(15, 60)
    finally:
        subprocess.run(["ip", "netns", "delete", namespace], capture_output=True)
        _unmount(work)
        shutil.rmtree(work, ignore_errors=True)


def _unmount(work: Path) -> None:
    """Deepest first, what an engine that ended in a hurry left mounted."""
    mounted = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for path in sorted((one for one in mounted if one.startswith(f"{work}/")), reverse=True):
        try:
            run("umount", "--lazy", path)
        except LabError:
            continue
